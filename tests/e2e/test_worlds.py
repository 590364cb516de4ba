"""Sandbox → real bot → sandbox again, as the README says it, with a second sandbox in Telegram's place."""

import datetime as dt
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.embedded import find_binaries
from service_kit.testing.servers import ThrowAwayServers
from tests.harness.chat import Person, wait_for
from tests.harness.suite import BOT_TOKEN, OWNER_CODE, Suite

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

REAL_TOKEN = "7100200300:token-of-the-second-stand-in-000000"


@pytest.fixture
def suite() -> Iterator[Suite]:
    with (
        ThrowAwayServers(find_binaries(Path(sysconfig.get_paths()["purelib"]))) as servers,
        tempfile.TemporaryDirectory() as folder,
        Suite(
            Path(folder),
            servers.environment(),
            extra={"TELEGRAM_CHAT_RATE_LIMIT": "0"},
            services=("rest_service", "cron_service", "assistant", "tg_bot"),
        ) as running,
    ):
        yield running


def play(suite: Suite, token: str, url: str) -> None:
    """What a restart does after another TELEGRAM_TOKEN was put into `.env`."""
    suite.start("tg_bot", TELEGRAM_TOKEN=token, TELEGRAM_API_URL=f"{url}/telegram")


def owners(suite: Suite) -> list[int]:
    return [user["telegram_id"] for user in suite.rest("GET", "/api/users?role=owner")]


def test_each_world_has_its_owner_and_nothing_leaks(suite: Suite):
    owner = Person.owner(suite)
    assert owner.id == 1001
    owner.ask("My name is Ada")
    owner.ask("Remind me in 3 hours to drink tea")
    [sandbox_user] = suite.rest("GET", "/api/users?role=owner")
    reminders = suite.rest("GET", "/api/cron-jobs")
    assert len(reminders) == 1

    # an answer, a refusal and a reminder of the sandbox are on their way when the bot goes
    suite.sandbox("POST", "/control/model", {"latency": 2})
    owner.say("What is the time in Tokyo?")
    wait_for(lambda: len(suite.logs(event="message_received")), lambda count: count >= 3)
    suite.stop("tg_bot")
    suite.sandbox("POST", "/control/model", {"latency": 0})
    wait_for(lambda: len(suite.logs("assistant", event="reply_sent")), lambda count: count >= 3)
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    job = {"name": "secret", "user_id": sandbox_user["id"], "run_at": soon.isoformat(), "message": "A secret"}
    job = suite.rest("POST", "/api/cron-jobs", job)
    wait_for(lambda: suite.rest("GET", f"/api/cron-jobs/{job['id']}/firings"), bool)

    real = suite.start_world("telegram", REAL_TOKEN)
    play(suite, REAL_TOKEN, real)
    stranger = Person.join(suite, "Somebody", url=real)
    assert stranger.id == owner.id
    assert "private" in stranger.ask("Hello!").lower()
    assert owners(suite) == []
    me = Person.join(suite, "Me", url=real)
    assert "owner" in me.ask(f"/start {OWNER_CODE}")
    assert owners(suite) == [me.id]
    assert "Ada" not in me.ask("What is my name?")
    assert suite.rest("GET", "/api/cron-jobs") == []
    wait_for(lambda: len(suite.logs("tg_bot", event="delivery_dead_lettered")), lambda count: count >= 2)
    heard = [message["text"] for message in stranger.history() if message["from"] == "bot"]
    assert len(heard) == 1, heard

    suite.stop("tg_bot")
    play(suite, BOT_TOKEN, suite.sandbox_url)
    assert owners(suite) == [owner.id]
    owner.seen = owner.history()[-1]["number"]
    assert "Ada" in owner.ask("What is my name?")
    kept = [row["id"] for row in suite.rest("GET", "/api/cron-jobs?status=active")]
    assert kept == [row["id"] for row in reminders]
    assert "used up" in Person.join(suite, "Second").ask(f"/start {OWNER_CODE}").lower()
