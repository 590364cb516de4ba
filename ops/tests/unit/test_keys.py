"""Rotating the keys: every moment can read every token, and nothing is lost when a step fails."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from ops import environment, keys
from ops.errors import OpsError
from ops.project import Project
from ops.shell import Shell


class Suite:
    """A runtime that notes which keys are in force at each step."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.steps: list[tuple[str, int]] = []
        self.exit_code = 0

    def load(self) -> Project:
        return environment.load(self.checkout, {}, write=False)[0]

    def make(self, project: Project) -> "Suite":
        self.keys = project.values[keys.VARIABLE].split(",")
        return self

    def restart(self, services: Sequence[str]) -> None:
        assert services == ["rest_service"]
        self.steps.append(("restart", len(self.keys)))

    def run_in(self, service: str, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        assert (service, argv) == ("rest_service", keys.ROTATE)
        self.steps.append(("rotate", len(self.keys)))
        return subprocess.CompletedProcess(list(argv), self.exit_code)

    def rotate(self, *, drop_old: bool = False, dry_run: bool = False) -> int:
        shell = Shell(self.checkout, dry_run=dry_run)
        return keys.rotate(shell, self.load, self.make, drop_old=drop_old)  # type: ignore[arg-type]  # enough of one

    def stored(self) -> list[str]:
        return self.load().values[keys.VARIABLE].split(",")


@pytest.fixture
def suite(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.delenv(keys.VARIABLE, raising=False)
    environment.load(checkout, {}, write=True)
    return Suite(checkout)


def test_a_new_key_is_in_force_before_anything_is_encrypted_with_it(suite: Suite):
    [old] = suite.stored()
    assert suite.rotate() == 0
    assert suite.steps == [("restart", 2), ("rotate", 2)]
    new, kept = suite.stored()
    assert kept == old
    assert new != old


def test_the_old_one_goes_only_after_everything_is_encrypted_anew(suite: Suite):
    suite.rotate()
    new, _ = suite.stored()
    suite.steps.clear()
    assert suite.rotate(drop_old=True) == 0
    assert suite.steps == [("restart", 2), ("rotate", 2), ("restart", 1)]
    assert suite.stored() == [new]


def test_while_tokens_are_left_with_the_old_key_it_stays(suite: Suite):
    suite.rotate()
    before = suite.stored()
    suite.exit_code = 1
    assert suite.rotate(drop_old=True) == 1
    assert suite.stored() == before


def test_everything_else_in_the_file_stays(suite: Suite, checkout: Path):
    before = (checkout / ".env").read_text().splitlines()
    suite.rotate()
    after = (checkout / ".env").read_text().splitlines()
    assert [line for line in before if line not in after] == [
        line for line in before if line.startswith(keys.VARIABLE)
    ]
    assert len(after) == len(before)


def test_a_dry_run_writes_nothing(suite: Suite):
    before = suite.stored()
    suite.rotate(dry_run=True)
    assert suite.stored() == before


def test_keys_of_the_shell_are_the_shells_to_change(suite: Suite, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(keys.VARIABLE, "of-the-shell")
    with pytest.raises(OpsError, match="set in the shell"):
        suite.rotate()
