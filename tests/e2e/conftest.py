"""One suite of processes for all end-to-end tests of a module."""

import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.embedded import ThrowAwayServers, find_binaries
from tests.harness.suite import Suite


@pytest.fixture(scope="session")
def suite() -> Iterator[Suite]:
    """The five services and the sandbox, on servers of their own, with Telegram's real rate limits."""
    with (
        ThrowAwayServers(find_binaries(Path(sysconfig.get_paths()["purelib"]))) as servers,
        tempfile.TemporaryDirectory() as folder,
        Suite(Path(folder), servers.environment(), extra={"TELEGRAM_CHAT_RATE_LIMIT": "0"}) as running,
    ):
        yield running
