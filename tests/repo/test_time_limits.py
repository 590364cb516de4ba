"""How long anybody waits for anything, in one table over all services.

The tests of a limit's behaviour set it small, so that none of them notices a changed default: this one does.
A limit without a row fails too. Seconds.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

ROOT = Path(__file__).parents[2]
SOURCES = (
    "assistant/src",
    "tg_bot/src",
    "rest_service/app",
    "cron_service/app",
    "google_calendar_service/src",
    "service_kit",
)
_LIMITS = re.compile(
    r"TIMEOUT$|^(?:DEADLINE|DRAIN)$|(?:^|_)WAITS?$|R_GRACE$|^LONGEST_WAIT|^STORING$|^LAST_WORD$"
)
_SETTINGS = re.compile(r"timeout|wait")

ANSWER_IN_HAND = {
    # whoever has an answer waits no longer than this for what is noted beside it
    "assistant.src.messages.partials:SEND_TIMEOUT": 2.0,
    "assistant.src.messages.trouble:TIMEOUT": 2.0,
    "assistant.src.services.usage:REPLY_WAITS": 0.5,
    "assistant.src.storage.provider_threads:TOUCH_TIMEOUT": 1.0,
    "assistant.src.core.chat.backend:USAGE_WAIT": 2.0,
    "assistant.src.core.providers.event_stream:DRAIN": 0.1,
    "tg_bot.src.services.progress:STORE_TIMEOUT": 2.0,
    "tg_bot.src.services.typing_indicator:CALL_IN_FLIGHT_TIMEOUT": 0.5,
}
ON_THE_WAY = {
    # and for what is looked up before
    "assistant.src.core.providers.cooldown:REDIS_TIMEOUT": 0.5,
    "assistant.src.storage.provider_threads:REST_TIMEOUT": 3.0,
    "tg_bot.src.services.lanes:BATCH_TIMEOUT": 2.0,
    "tg_bot.src.services.user_changes:UPDATE_TIMEOUT": 1.5,
    "service_kit.changes:REFRESH_TIMEOUT": 1.5,
}
A_MESSAGE = {
    "assistant.src.config.settings:Settings.message_timeout": 90.0,
    "assistant.src.config.settings:Settings.message_longest_wait": 3600.0,
    "assistant.src.config.settings:Settings.tool_timeout": 20.0,
    "assistant.src.config.settings:Settings.openai_timeout": 60.0,
    "assistant.src.config.settings:Settings.openai_connect_timeout": 5.0,
    "assistant.src.config.settings:Settings.model_first_token_timeout": 30.0,
    "assistant.src.config.settings:Settings.model_stall_timeout": 30.0,
    "assistant.src.assistants.memory:STORING": 30.0,
    "assistant.src.core.routing.retry:LAST_WORD": 1.0,
    "assistant.src.core.routing.retry:MAX_WAIT": 5.0,
    "assistant.src.core.routing.retry:UNREACHABLE_WAIT": 20.0,
    "assistant.src.core.threads.backend:CANCEL_WAIT": 5.0,
    "assistant.src.core.thread_backend:DROP_TIMEOUT": 3.0,
    "assistant.src.main:HANDLER_GRACE": 60.0,
    "assistant.src.services.weather:TIMEOUT": 10.0,
    "tg_bot.src.services.lanes:MAX_DEFERRAL": 3600.0,
    "tg_bot.src.services.response_handler:LONGEST_WAIT": 86_400.0,
    "tg_bot.src.services.lanes:MAX_DEFERRAL_WHEN_FULL": 60.0,
    "tg_bot.src.client.telegram:CALL_TIMEOUT": 20.0,
    "tg_bot.src.client.telegram:CONNECT_TIMEOUT": 10.0,
    "tg_bot.src.config.settings:Settings.telegram_poll_timeout": 25,
    "google_calendar_service.src.services.google_threads:TIMEOUT": 30.0,
}
BETWEEN_SERVICES = {
    "rest_service.app.database:CONNECT_TIMEOUT": 5.0,
    "rest_service.app.database:POOL_TIMEOUT": 5.0,
    "rest_service.app.database:COMMAND_TIMEOUT": 15.0,
    "rest_service.app.migrate:CONNECT_TIMEOUT": 5,
    "rest_service.app.model_names:TIMEOUT": 2.0,
    "rest_service.app.tool_types:TIMEOUT": 2.0,
    "rest_service.app.config:Settings.db_wait_seconds": 60.0,
    "google_calendar_service.src.services.redis_service:REDIS_TIMEOUT": 5.0,
    "service_kit.changes:ANNOUNCE_TIMEOUT": 2.0,
    "service_kit.health:CHECK_TIMEOUT": 3.0,
    "service_kit.healthcheck:TIMEOUT": 4.0,
    "service_kit.http_limits:RECEIVE_TIMEOUT": 30.0,
    "service_kit.http_limits:IDLE_TIMEOUT": 60.0,
    "service_kit.redis:COMMAND_TIMEOUT": 10.0,
    "service_kit.redis:SYNC_TIMEOUT": 5.0,
    "service_kit.rest.client:TIMEOUT": httpx2.Timeout(10.0, connect=3.0),
    "service_kit.rest.client:ATTEMPT_TIMEOUT": 15.0,
    "service_kit.rest.client:SYNC_TIMEOUT": httpx2.Timeout(5.0, connect=3.0),
    "cron_service.app.firings:FIRST_WAIT": 0.1,
}
IN_THE_BACKGROUND_AND_AT_THE_END = {
    "assistant.src.messages.trouble:LASTING": 300.0,
    "assistant.src.assistants.compaction:DEADLINE": 60.0,
    "assistant.src.assistants.compaction:DRAIN": 5.0,
    "assistant.src.services.usage:DRAIN": 3.0,
    "service_kit.settings:ServiceSettings.drain_timeout": 30.0,
    "service_kit.queue.redis_store:LEAVE_TIMEOUT": 5.0,
    "tg_bot.src.services.lease:RELEASE_TIMEOUT": 2.0,
}
TABLE = ANSWER_IN_HAND | ON_THE_WAY | A_MESSAGE | BETWEEN_SERVICES | IN_THE_BACKGROUND_AND_AT_THE_END


def value_of(place: str) -> Any:
    """The constant, or the default of the setting, at `module:NAME` or `module:Class.field`."""
    module, _, name = place.partition(":")
    kind, _, field = name.partition(".")
    found = getattr(importlib.import_module(module), kind)
    return found.model_fields[field].default if field else found


@pytest.mark.parametrize("place", TABLE)
def test_a_limit_is_what_the_table_says(place):
    assert value_of(place) == TABLE[place]


def limits_in(path: Path) -> Iterator[str]:
    """Names of a file's constants and settings that are limits of time."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ) if _LIMITS.search(name) and isinstance(value, ast.Constant | ast.Call):
                yield name
            case ast.ClassDef(body=body) if node.name.endswith("Settings"):
                for field in body:
                    match field:
                        case ast.AnnAssign(target=ast.Name(id=name)) if _SETTINGS.search(name):
                            yield name


def test_every_limit_stands_in_the_table():
    rows = {(place.partition(":")[0], re.split(r"[:.]", place)[-1]) for place in TABLE}
    names_of_settings = {place.rpartition(".")[2] for place in TABLE if "Settings." in place}
    missing = []
    for source in SOURCES:
        for path in sorted((ROOT / source).rglob("*.py")):
            where = path.relative_to(ROOT)
            if {"tests", "testing"} & set(where.parts):
                continue
            module = ".".join(where.with_suffix("").parts)
            missing += [
                f"{module}:{name}"
                for name in limits_in(path)
                if (module, name) not in rows and name not in names_of_settings
            ]
    assert missing == []


def test_a_user_never_waits_longer_than_the_time_of_a_message_and_what_is_beside_it():
    message = value_of("assistant.src.config.settings:Settings.message_timeout")
    typing = value_of("tg_bot.src.config.settings:Settings.telegram_typing_limit")
    assert (message, typing) == (90.0, 120.0)
    beside = sum(ANSWER_IN_HAND.values()) + sum(ON_THE_WAY.values())
    assert message + beside < typing, "the bot types to the end"
    assert max(ANSWER_IN_HAND.values()) <= 2.0
    for within in ("openai_timeout", "model_first_token_timeout", "model_stall_timeout", "tool_timeout"):
        assert A_MESSAGE[f"assistant.src.config.settings:Settings.{within}"] < message
