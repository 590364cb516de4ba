"""`./manage.py lock`: from what each service asks for (`requirements.in`) to exact versions with hashes.

First one file for everything, then, constrained by it, one for each service, so that a version is
the same wherever it is used. The files name no index: whoever installs uses their own. Versions that
are locked already stay unless `--upgrade` is given.
"""

import difflib
import shutil
import sys
import tempfile
from pathlib import Path

from ops.errors import OpsError
from ops.shell import Shell

EVERYTHING = "requirements-dev"
FOLDERS = (
    "assistant",
    "cron_service",
    "google_calendar_service",
    "ops",
    "rest_service",
    "sandbox",
    "tg_bot",
)
OLDEST_PYTHON = "3.11"


def compile_command(uv: Path, source: str, target: str | Path, *, upgrade: bool) -> list[str]:
    """`uv pip compile` of one `.in` file; run in the repository's root."""
    command = [str(uv), "pip", "compile", source, "--output-file", str(target)]
    command += ["--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes"]
    command += ["--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
    # the common file decides the versions, so that two services never have two of one package
    if not source.startswith(EVERYTHING):
        command += ["--constraints", f"{EVERYTHING}.txt"]
    elif upgrade:
        command.append("--upgrade")
    return command


def lock(shell: Shell, uv: Path, *, upgrade: bool) -> None:
    """Write `requirements-dev.txt` and the `requirements.txt` of each folder."""
    for source, target in _files():
        shell.run(compile_command(uv, source, target, upgrade=upgrade), timeout=600)
        if not shell.dry_run:
            _refuse_addresses(shell.root / target)


def drift(shell: Shell, uv: Path) -> list[str]:
    """The differences between what is locked and what locking would give; empty where there are none."""
    differences: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for source, target in _files():
            fresh = Path(folder) / target.replace("/", "-")
            locked = shell.root / target
            if not locked.exists():
                differences.append(f"{target} is missing")
                continue
            shutil.copyfile(locked, fresh)
            shell.run(compile_command(uv, source, fresh, upgrade=False), timeout=600)
            if not shell.dry_run:
                old, new = (path.read_text(encoding="utf-8").splitlines() for path in (locked, fresh))
                differences += difflib.unified_diff(old, new, target, f"{target} (fresh)", "", "", 0, "")
    return differences


def find_uv(shell: Shell) -> Path | None:
    """The `uv` beside the Python that runs us, as in a developer's environment."""
    found = shutil.which("uv", path=str(Path(sys.executable).parent))
    if found:
        done = shell.run([found, "--version"], capture=True, check=False, quiet=True, timeout=20)
        if done.returncode == 0:
            return Path(found)
    return None


def _files() -> list[tuple[str, str]]:
    folders = [(f"{folder}/requirements.in", f"{folder}/requirements.txt") for folder in FOLDERS]
    return [(f"{EVERYTHING}.in", f"{EVERYTHING}.txt"), *folders]


def _refuse_addresses(path: Path) -> None:
    if "://" in path.read_text(encoding="utf-8"):
        msg = f"{path} names a download address; it would tie everybody to this machine's package index"
        raise OpsError(msg)
