"""PostgreSQL and Valkey of the local runtime: where they live, and their preparation for a start."""

import hashlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ops import embedded, postgres_roles
from ops.errors import OpsError
from ops.project import Project
from ops.python_env import PythonEnv
from ops.shell import Shell

SYSTEM_HOME = Path("/var/lib/smart-assistant")
"""Where root keeps PostgreSQL when its checkout lies in a folder that other accounts cannot enter."""


@dataclass(frozen=True)
class Login:
    """Role, password and database of the suite. The role owns the database, and no more."""

    user: str
    password: str
    database: str

    @property
    def digest(self) -> str:
        """Tells whether it has changed; kept beside the data with the same protection."""
        parts = ("owner", self.user, self.password, self.database)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class PostgresServer:
    """The suite's own PostgreSQL."""

    def __init__(self, project: Project, shell: Shell) -> None:
        self._project = project
        self._shell = shell
        self.account = embedded.server_account()
        self.home = self._home()
        self.data = self.home / "postgres"
        values = project.values
        self.login = Login(values["POSTGRES_USER"], values["POSTGRES_PASSWORD"], values["POSTGRES_DB"])

    def binaries(self, env: PythonEnv) -> Path:
        """Folder of the programs, where the server's account can run them; a copy for each version."""
        binaries = embedded.find_binaries(env.site_packages)
        found = (binaries.postgres_bin / "postgres").stat()
        copies = self.home / f"programs-{found.st_size}-{int(found.st_mtime)}"
        return embedded.place_postgres(binaries, copies, self.account)

    def prepare(self, env: PythonEnv) -> None:
        """Make the data folder, the role and the database where they are missing. The server is stopped."""
        if self.home != self._local_home():
            self._shell.say(
                f"PostgreSQL runs as `nobody`, who cannot enter {self._project.root}: "
                f"its programs and data are kept in {self.home}"
            )
        make_reachable(self.home)
        bin_dir = self.binaries(env)
        if not (self.data / "initialised").exists():
            self._shell.show([bin_dir / "initdb", "-D", self.data, "-U", postgres_roles.SUPERUSER])
            password = secrets.token_hex()  # taken away again with the first roles
            embedded.init_postgres(bin_dir, self.data, postgres_roles.SUPERUSER, password, self.account)
        # the single-user mode costs a second: only after a change of role, password or database
        note = self.home / "postgres-login.sha256"
        if not note.exists() or note.read_text(encoding="utf-8") != self.login.digest:
            self._set_login(bin_dir)
            note.touch(mode=0o600)
            note.write_text(self.login.digest, encoding="utf-8")
        for copies in self.home.glob("programs-*"):
            if copies not in bin_dir.parents:
                shutil.rmtree(copies, ignore_errors=True)

    def command(self, env: PythonEnv) -> list[str]:
        """How it is run."""
        port = self._project.port("POSTGRES_PORT")
        return [*embedded.postgres_command(self.binaries(env), self.data, port), "-c", "max_connections=200"]

    def _set_login(self, bin_dir: Path) -> None:
        """Owner and database, in PostgreSQL's single-user mode."""
        values = self._project.values
        self._run_alone(bin_dir, "postgres", postgres_roles.roles(values))
        self._run_alone(bin_dir, self.login.database, [postgres_roles.take_over(values)])

    def _run_alone(self, bin_dir: Path, database: str, statements: Sequence[str]) -> None:
        """Run `statements` in single-user mode, in which a statement is a line."""
        command = [str(bin_dir / "postgres"), "--single", "-D", str(self.data), database]
        self._shell.show(command)
        done = subprocess.run(
            command,
            input="".join(f"{statement}\n" for statement in statements),
            capture_output=True,
            encoding="utf-8",
            check=False,
            cwd="/",
            env={"LC_ALL": "C"},
            timeout=60,
            **embedded.as_account(self.account),  # type: ignore[call-overload]  # the account's keywords
        )
        problems = [
            line
            for line in done.stderr.splitlines()
            # CREATE DATABASE knows no IF NOT EXISTS
            if ("ERROR" in line or "FATAL" in line) and "already exists" not in line
        ]
        if done.returncode != 0 or problems:
            msg = f"PostgreSQL could not set up its role and database:\n{os.linesep.join(problems)}"
            raise OpsError(msg)

    def _local_home(self) -> Path:
        return self._project.local / "data"

    def _home(self) -> Path:
        """Below the local data folder, unless the server's account cannot get there. Data never moves."""
        outside = SYSTEM_HOME / self._project.name
        if self.account is None or (self._local_home() / "postgres" / "initialised").exists():
            return self._local_home()
        above = next(p for p in self._local_home().parents if p.exists() and p != self._project.local)
        if (outside / "postgres" / "initialised").exists() or not embedded.reachable_by_others(above):
            return outside
        return self._local_home()


def make_reachable(folder: Path) -> None:
    """`folder` exists, and other accounts can pass through (not look into) it and what was made for it."""
    for path in (folder.parent, folder, *folder.glob("programs-*")):
        path.mkdir(parents=True, exist_ok=True)
        if path.stat().st_uid == os.geteuid():
            path.chmod(path.stat().st_mode | 0o111)
