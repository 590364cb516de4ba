"""One suite of processes for all end-to-end tests, with three assistants that share the work."""

import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ops.embedded import find_binaries
from service_kit.testing.servers import ThrowAwayServers
from tests.harness.chat import Person
from tests.harness.rest_rows import Changes
from tests.harness.suite import Suite

QUICK = {"TELEGRAM_CHAT_RATE_LIMIT": "0", "OPENAI_TIMEOUT": "4", "MESSAGE_TIMEOUT": "10"}
"""A hanging model is given up soon, and a chat is not held to one message a second."""


@pytest.fixture(scope="session")
def suite() -> Iterator[Suite]:
    """The five services and the sandbox, on servers of their own."""
    with (
        ThrowAwayServers(find_binaries(Path(sysconfig.get_paths()["purelib"]))) as servers,
        tempfile.TemporaryDirectory() as folder,
        Suite(Path(folder), servers.environment(), extra=QUICK, replicas=3) as running,
    ):
        yield running
        assert running.denied() == set(), "a key or a command is missing in ops/redis_users.py"


@pytest.fixture
def person(suite: Suite) -> Person:
    """Somebody new, in Berlin."""
    return Person.member(suite, f"Guest {uuid4().hex[:8]}", timezone="Europe/Berlin")


@pytest.fixture
def faults(suite: Suite) -> Iterator[Callable[..., None]]:
    """Puts faults of the outside world in force; all are over after the test."""

    def inject(**fault: Any) -> None:
        suite.sandbox("POST", "/control/faults", fault)

    yield inject
    suite.sandbox("DELETE", "/control/faults")


@pytest.fixture
def model_takes(suite: Suite) -> Iterator[Callable[[float], None]]:
    """Sets the seconds that the model thinks; none after the test."""

    def think(seconds: float) -> None:
        suite.sandbox("POST", "/control/model", {"latency": seconds})

    yield think
    think(0)


@pytest.fixture
def changes(suite: Suite) -> Iterator[Changes]:
    """Changes rows of rest_service; they are as before after the test."""
    with Changes(suite) as made:
        yield made
