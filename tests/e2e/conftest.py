"""One suite of processes for all end-to-end tests of a module."""

import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.embedded import ThrowAwayServers, find_binaries
from tests.harness.suite import Suite

QUICK = {"TELEGRAM_CHAT_RATE_LIMIT": "0", "OPENAI_TIMEOUT": "4", "MESSAGE_TIMEOUT": "10"}
"""A hanging model is given up soon, and a chat is not held to one message a second."""


@pytest.fixture(scope="session")
def suite() -> Iterator[Suite]:
    """The five services and the sandbox, on servers of their own."""
    with (
        ThrowAwayServers(find_binaries(Path(sysconfig.get_paths()["purelib"]))) as servers,
        tempfile.TemporaryDirectory() as folder,
        Suite(Path(folder), servers.environment(), extra=QUICK) as running,
    ):
        yield running
