import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from service_kit import logging as kit_logging
from service_kit.logging import bind_correlation, configure_logging, get_logger, redact_text
from service_kit.settings import ServiceSettings

BOT_TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"


class Entry(BaseModel):
    key: SecretStr = SecretStr("the-key-of-an-entry")


class Settings(ServiceSettings):
    entries: dict[str, Entry] = Field(default_factory=lambda: {"one": Entry()})
    service_api_key: SecretStr = SecretStr("an-unremarkable-value")
    encryption_keys: SecretStr = SecretStr("first-key-of-two, second-key-of-two")
    pin: SecretStr = SecretStr("user")


Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written() -> io.StringIO:
    """What goes to standard error once `configured` has been called."""
    return io.StringIO()


@pytest.fixture
def configured(written: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`configure_logging`, undone after the test."""
    before, root = structlog.get_config(), logging.getLogger()
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    handlers, level = root.handlers, root.level

    def configure(**fields: Any) -> None:
        monkeypatch.setattr(sys, "stderr", written)
        configure_logging("the_service", Settings.model_validate({"log_format": "json"} | fields))

    yield configure
    structlog.configure(**before)
    root.handlers, root.level = handlers, level
    for name in kit_logging._VERBOSE:
        logging.getLogger(name).setLevel(logging.NOTSET)
    kit_logging._known_secrets.clear()


@pytest.fixture
def lines(configured: Callable[..., None], written: io.StringIO) -> Lines:
    configured()
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


def send_message() -> None:
    raise RuntimeError(f"POST https://api.telegram.org/bot{BOT_TOKEN}/sendMessage")


def test_a_line_is_an_event_with_its_fields(lines):
    get_logger("a.module").info("message_received", update_id=7)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "message_received",
        "update_id": 7,
        "level": "info",
        "logger": "a.module",
        "service": "the_service",
    }


def test_third_party_lines_pass_the_same_chain(lines):
    with bind_correlation("tg:7"):
        logging.getLogger("some.library").warning("sent %s to %s", "x", f"https://api/bot{BOT_TOKEN}/getMe")
    (line,) = lines()
    assert line["event"] == "sent x to https://api/bot***/getMe"
    assert (line["correlation_id"], line["service"], line["level"]) == ("tg:7", "the_service", "warning")


def test_the_correlation_ends_with_its_block(lines):
    log = get_logger("a")
    with bind_correlation("tg:7", user_id=1):
        log.info("inside")
        with bind_correlation("tg:8"):
            log.info("nested")
        log.info("inside_again")
    log.info("outside")
    assert [line.get("correlation_id") for line in lines()] == ["tg:7", "tg:8", "tg:7", None]


@pytest.mark.parametrize("logger", [get_logger, logging.getLogger])
def test_exceptions_are_written_without_their_secrets(lines, logger):
    try:
        send_message()
    except RuntimeError:
        logger("a").exception("failed")
    (line,) = lines()
    assert "Traceback" in line["exception"]
    assert "/bot***/sendMessage" in line["exception"]
    assert BOT_TOKEN not in json.dumps(line)


class Wrong(BaseModel):
    """What a user wrote is no valid one."""

    text: int


SAID = "my most private thought"


def _refuse_by_pydantic() -> None:
    Wrong.model_validate({"text": SAID})


def _refuse_by_key() -> None:
    dict[str, str]()[SAID]


def _refuse_by_number() -> None:
    int(SAID)


def _refuse_by_schema() -> None:
    jsonschema.validate(SAID, {"type": "integer"})


def _refuse_beneath() -> None:
    try:
        _refuse_by_number()
    except ValueError as exc:
        raise RuntimeError("broken") from exc


def _refuse_in_a_group() -> None:
    try:
        _refuse_by_number()
    except ValueError as exc:
        raise ExceptionGroup(SAID, [exc, ExceptionGroup(SAID, [exc])]) from None


REFUSALS = [
    _refuse_by_pydantic,
    _refuse_by_key,
    _refuse_by_number,
    _refuse_by_schema,
    _refuse_beneath,
    _refuse_in_a_group,
]


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("refuse", REFUSALS)
def test_what_users_wrote_stands_in_no_traceback(configured, written, refuse, log_format):
    configured(log_format=log_format)
    for log in (get_logger("a"), logging.getLogger("b")):
        try:
            refuse()
        except Exception:
            log.exception("failed")
    shown = written.getvalue()
    assert "private" not in shown
    assert shown.count(f"in {refuse.__name__}") >= 2


def test_a_message_about_the_program_itself_is_shown(lines):
    get_logger("a").error("failed", exc_info=OSError(28, "No space left on device"))
    assert "No space left on device" in lines()[0]["exception"]


def test_what_ends_the_process_or_a_thread_is_logged_like_anything_else(lines):
    try:
        _refuse_by_number()
    except ValueError as exc:
        sys.excepthook(type(exc), exc, exc.__traceback__)
    thread = threading.Thread(target=_refuse_by_number)
    thread.start()
    thread.join()
    assert [line["event"] for line in lines()] == ["crashed", "crashed"]
    assert all("ValueError" in line["exception"] for line in lines())
    assert "private" not in json.dumps(lines())


@pytest.mark.parametrize(
    "name",
    ["telegram_token", "password", "apiKey", "Authorization", "client_secret", "OWNER_CODE", "code_verifier"],
)
def test_what_has_a_secrets_name_is_hidden_at_any_depth(lines, name):
    get_logger("a").info("event", **{name: "x1"}, deep=[{"list": ({name: "x1"},)}])
    (line,) = lines()
    assert line[name] == "***"
    assert line["deep"] == [{"list": [{name: "***"}]}]


@pytest.mark.parametrize("name", ["input_tokens", "tokens", "secretary", "secretary_id", "key", "user_id"])
def test_everyday_names_are_not(lines, name):
    get_logger("a").info("event", **{name: 12})
    assert lines()[0][name] == 12


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"GET /bot{BOT_TOKEN}/getUpdates", "GET /bot***/getUpdates"),
        (f"file/bot{BOT_TOKEN}/photo.jpg", "file/bot***/photo.jpg"),
        (f"token is {BOT_TOKEN}.", "token is ***."),
        ("key sk-proj-abcdefgh12345678 refused", "key sk-*** refused"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("redis://:p%40ss@redis:6379/0", "redis://:***@redis:6379/0"),
        ("postgresql+asyncpg://ada:pass@db/x", "postgresql+asyncpg://ada:***@db/x"),
        ("/auth/callback?state=abc&code=4%2F0Ab&scope=x", "/auth/callback?state=***&code=***&scope=x"),
        ("ya29.a0AfH6SMBx and 1//0gLongRefresh", "ya29.*** and 1//***"),
        ("{'client_secret': 'xyz', 'a': 1}", "{'client_secret': '***', 'a': 1}"),
        ('{"refresh_token": "xyz"}', '{"refresh_token": "***"}'),
        ("password: hunter2, then", "password: ***, then"),
        ("password: correcthorsebattery", "password: ***"),
        ("REDIS_PASSWORD=stop LOG", "REDIS_PASSWORD=*** LOG"),
        ("{'password': 'stop'}", "{'password': '***'}"),
        ("REDIS_PASSWORD=hunter2 LOG_LEVEL=INFO", "REDIS_PASSWORD=*** LOG_LEVEL=INFO"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_in_any_text(text, expected):
    assert redact_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "the secretary: Ada",
        "Two bots poll with this TELEGRAM_TOKEN: stop the other one",
        "wrong password: check it, then start again",
        "the bearer already has it",
        "12:30 and 2026-11-22T12:30:00+00:00",
        "tg:123456789 job:12:1795338966",
        "max_tokens=2000",
        "http://127.0.0.1:8000/api/users/by-telegram-id/123456789",
    ],
)
def test_everyday_texts_stay_as_they_are(text):
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "setting",
    [
        {"service_api_key": "plain-value-1"},
        {"encryption_keys": "another-one, plain-value-1"},
        {"entries": {"deep": {"key": "plain-value-1"}}},
    ],
    ids=["a secret", "one of several", "within an entry"],
)
def test_the_process_never_writes_the_secrets_of_its_own_settings(configured, written, setting):
    configured(**setting)
    get_logger("a").info("event", header="x plain-value-1", answer=["plain-value-1"])
    logging.getLogger("b").warning("plain-value-1")
    first, second = [json.loads(line) for line in written.getvalue().splitlines()]
    assert (first["header"], first["answer"], second["event"]) == ("x ***", ["***"], "***")


def test_of_a_secret_that_holds_another_one_nothing_is_left(configured, written):
    configured(service_api_key="abcdefg1", encryption_keys="abcdefg1-and-longer")
    get_logger("a").info("event", header="x abcdefg1-and-longer")
    assert json.loads(written.getvalue())["header"] == "x ***"


@pytest.mark.parametrize("secret", ["stop", "postgres", "пароль", "superassistant"])
def test_a_secret_that_is_a_word_does_not_blot_it_out(configured, written, secret):
    configured(service_api_key=secret)
    get_logger("a").info("event", hint=f"then {secret} it")
    assert json.loads(written.getvalue())["hint"] == f"then {secret} it"


def test_fields_of_any_type_can_be_written(lines):
    get_logger("a").info("event", settings=Settings(), odd={(1, 2): {3}}, error=ValueError("x"), raw=b"\xff")
    (line,) = lines()
    assert "an-unremarkable" not in line["settings"]
    assert (line["odd"], line["error"], line["raw"]) == ({"(1, 2)": "{3}"}, "x", "b'\\xff'")


def test_chatty_libraries_are_heard_only_when_something_is_wrong(configured, written):
    configured(log_level="DEBUG")
    for name in ("httpx2", "requests_oauthlib.oauth2_session", "urllib3.connectionpool"):
        logging.getLogger(name).debug("GET https://secret-address")
        logging.getLogger(name).error("refused")
    shown = written.getvalue()
    assert "secret-address" not in shown
    assert shown.count("refused") == 3


def test_the_level_of_the_settings_counts(configured, written):
    configured(log_level="ERROR")
    get_logger("a").warning("unheard")
    logging.getLogger("httpx2").warning("unheard")
    get_logger("a").error("heard")
    assert "unheard" not in written.getvalue()
    assert "heard" in written.getvalue()


def test_the_console_form_is_for_people_and_keeps_secrets_too(configured, written):
    configured(log_format="console")
    try:
        send_message()
    except RuntimeError:
        get_logger("a").exception("failed", password="x1")
    shown = written.getvalue()
    assert "failed" in shown
    assert "bot***/sendMessage" in shown
    assert "x1" not in shown
    assert "{" not in shown.splitlines()[0]


@given(st.sampled_from([pattern for pattern, _ in kit_logging._SECRET_TEXTS]).flatmap(st.from_regex))
def test_whatever_looks_like_a_secret_is_looked_at(text: str):
    """Words that cannot hold one are passed over; nothing that a pattern finds is such a word."""
    assert kit_logging._MAY_HOLD_SECRET.search(text)
