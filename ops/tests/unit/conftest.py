"""A checkout of its own for each test: never anybody's `.env`, data or processes."""

import shutil
from pathlib import Path

import pytest

from ops import environment
from ops.lock import FOLDERS
from ops.project import Project

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what a fresh clone has that ops looks at."""
    for name in (".env.example", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
        shutil.copy(ROOT / folder / "requirements.txt", tmp_path / folder / "requirements.txt")
    return tmp_path


@pytest.fixture
def project(checkout: Path) -> Project:
    """Its settings after a first start."""
    return environment.load(checkout, {}, write=True)[0]
