"""The virtual environments below the local data folder: one to run the suite, one to test it.

Each is made for one set of locked requirements and one Python, in a folder of its own; a small file
names the one that is complete. So an interrupted installation, even one whose pip still writes, is
simply never used, and the next attempt begins in a new folder.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ops.errors import OpsError
from ops.progress import Progress
from ops.shell import Shell

Kind = Literal["run", "test"]

REQUIREMENTS: dict[Kind, str] = {"run": "ops/requirements.txt", "test": "requirements-dev.txt"}

NO_VENV = """\
This Python ({python}) cannot make virtual environments: its ensurepip module is missing, and so is pip.
On Debian or Ubuntu:  apt install python{version}-venv
Then run the same command again."""

PIP_FAILED = """\
Installing the packages failed (the whole log: {log}):

{tail}

Is the package index reachable? Behind a proxy set HTTPS_PROXY; for an index of your own set PIP_INDEX_URL.
The locked packages have ready-made files for Python 3.11 to 3.14; this is {version}.
What is installed is kept in pip's cache: run the same command again to go on."""

PIP_FETCHES_BY = (
    *(
        "INDEX_URL",
        "EXTRA_INDEX_URL",
        "FIND_LINKS",
        "NO_INDEX",
        "TRUSTED_HOST",
        "CERT",
        "CLIENT_CERT",
        "PROXY",
    ),
    *(
        "CACHE_DIR",
        "NO_CACHE_DIR",
        "TIMEOUT",
        "DEFAULT_TIMEOUT",
        "RETRIES",
        "CONFIG_FILE",
        "KEYRING_PROVIDER",
    ),
)
"""The settings of pip that say where packages come from; others say what to do with them, which we do."""


@dataclass(frozen=True)
class PythonEnv:
    """A complete virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.folder / "lib" / version / "site-packages"

    def program(self, name: str) -> Path:
        """One of its programs that is no script of Python: such a one names the folder, which may move."""
        return self.folder / "bin" / name

    def module(self, name: str) -> list[str | Path]:
        """The command that runs one of its Python programs, wherever the folder is now."""
        return [self.python, "-m", name]


class PythonEnvs:
    """Makes and finds the environments of one checkout."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self._shell = shell
        self._folder = folder
        self._pretended: dict[Kind, PythonEnv] = {}
        """What a dry run would have made by now."""

    def find(self, kind: Kind) -> PythonEnv | None:
        """The environment if it is complete and fits the requirements of today."""
        try:
            noted = json.loads(self._note(kind).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        env = PythonEnv(self._folder / noted["folder"])
        return env if noted["key"] == self._key(kind) and env.python.exists() else None

    def current(self, kind: Kind) -> PythonEnv | None:
        """The last complete environment, even if the requirements have changed since."""
        try:
            noted = json.loads(self._note(kind).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        env = PythonEnv(self._folder / noted["folder"])
        return env if env.python.exists() else None

    def ensure(self, kind: Kind, *, anew: bool = False) -> PythonEnv:
        """The environment, made first where it is missing or outdated (or `anew`)."""
        found = None if anew else self.find(kind) or self._pretended.get(kind)
        if found:
            return found
        if self._shell.dry_run:
            self._pretended[kind] = self._make(kind)
            return self._pretended[kind]
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._lock(wait=True):
            found = None if anew else self.find(kind)  # somebody else may have made it while we waited
            return found or self._make(kind)

    def tidy(self, kind: Kind) -> None:
        """Delete the environments of `kind` that are out of use; nothing may run from them."""
        with self._lock(wait=False) as nobody_installs:
            keep = self.current(kind)
            for folder in self._folder.glob(f"{kind}-*/"):
                if nobody_installs and (keep is None or folder != keep.folder):
                    shutil.rmtree(folder, ignore_errors=True)

    def _make(self, kind: Kind) -> PythonEnv:
        env = PythonEnv(self._folder / f"{kind}-{secrets.token_hex(4)}")
        self._create(env)
        self._install(env, kind)
        if not self._shell.dry_run:
            note = self._note(kind)
            fresh = note.with_suffix(".new")
            fresh.write_text(
                json.dumps({"key": self._key(kind), "folder": env.folder.name}), encoding="utf-8"
            )
            fresh.replace(note)
        return env

    @contextmanager
    def _lock(self, *, wait: bool) -> Iterator[bool]:
        """Only one installs at a time; whether the lock was had. It goes with the process."""
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    yield False
                    return
                self._shell.say("Another ./manage.py is installing packages; waiting for it…")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield True
        finally:
            os.close(handle)

    def _note(self, kind: Kind) -> Path:
        return self._folder / f"{kind}.json"

    def _key(self, kind: Kind) -> str:
        path = self._shell.root / REQUIREMENTS[kind]
        if not path.exists():
            msg = f"{REQUIREMENTS[kind]} is missing: restore it (git checkout {REQUIREMENTS[kind]})"
            raise OpsError(msg)
        # another Python or machine (a shared home) needs other binary wheels
        digest = hashlib.sha256(path.read_bytes())
        digest.update(f"{sys.executable} {platform.python_version()} {platform.machine()}".encode())
        return digest.hexdigest()

    def _create(self, env: PythonEnv) -> None:
        """`python -m venv`, without pip of its own where ensurepip is missing (Debian) but pip is not."""
        base = [sys.executable, "-m"]
        complete = self._works([*base, "ensurepip", "--version"])
        if not complete and not self._works([*base, "pip", "--version"]):
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise OpsError(NO_VENV.format(python=sys.executable, version=version))
        options = [] if complete else ["--without-pip"]
        self._shell.run(
            [*base, "venv", *options, str(env.folder)],
            env=_environment(),
            only_env=True,
            capture=True,
            timeout=300,
        )

    def _works(self, command: list[str]) -> bool:
        done = self._shell.run(command, capture=True, check=False, quiet=True, timeout=60)
        return done.returncode == 0

    def _install(self, env: PythonEnv, kind: Kind) -> None:
        requirements = self._shell.root / REQUIREMENTS[kind]
        pip: list[str | Path] = [env.python, "-m", "pip"]
        if not self._shell.dry_run and not (env.site_packages / "pip").exists():
            pip = [sys.executable, "-m", "pip", "--python", env.python]
        command = [*pip, "install", "--disable-pip-version-check", "--no-input", "--progress-bar=off"]
        # into this environment, whatever pip's settings in files and variables say
        command += ["--no-user", "--target=", f"--prefix={env.folder}", "--root=/"]
        command += ["--require-hashes", "-r", requirements]
        self._shell.show(command)
        if self._shell.dry_run:
            return
        total = len(re.findall(r"^[A-Za-z0-9]", requirements.read_text(encoding="utf-8"), re.MULTILINE))
        log = self._folder / f"{kind}-install.log"
        with Progress(f"Installing about {total} Python packages (once; one to three minutes)") as progress:
            if _run_pip([str(part) for part in command], log, progress, total) != 0:
                tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])
                raise OpsError(PIP_FAILED.format(log=log, tail=tail, version=platform.python_version()))


def _environment() -> dict[str, str]:
    """Ours without what would make Python and pip do something else than in a fresh environment."""
    fetching = {f"PIP_{name}" for name in PIP_FETCHES_BY}
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV")) or name in fetching
    }


def _run_pip(command: list[str], log: Path, progress: Progress, total: int) -> int:
    """Run pip, its output into `log`, what it is doing onto the progress line. Its exit code."""
    fetched = 0
    env = {**_environment(), "PYTHONUNBUFFERED": "1", "PIP_REQUIRE_VIRTUALENV": "0"}
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - for the type checker: it was asked for above
        try:
            for line in process.stdout:
                file.write(line)
                if line.startswith("Collecting "):
                    fetched += 1
                    progress.update(f"{fetched} of {total}, {line.split()[1].split('==')[0]}")
                elif line.startswith("Installing collected"):
                    progress.update("unpacking")
        except BaseException:
            process.terminate()
            raise
    return process.returncode
