import importlib
import json
import pkgutil
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from service_kit import contracts
from service_kit.contracts.assistants import AssistantRead
from service_kit.contracts.base import READING, Choice, Resource
from service_kit.contracts.cron import CronJobCreate, CronJobUpdate
from service_kit.contracts.messages import (
    MAX_INCOMING_TEXT,
    MAX_OUTGOING_TEXT,
    IncomingMessage,
    IncomingType,
    OutgoingMessage,
    reply_id,
)
from service_kit.contracts.tools import ToolCreate
from service_kit.contracts.users import UserCreate, UserRole, UserUpdate

AT = "2026-11-22T12:00:00Z"
JOB: dict[str, Any] = {"name": "Vitamins", "user_id": 1, "message": "Take them"}


def incoming(**fields: Any) -> IncomingMessage:
    return IncomingMessage.model_validate({"user_id": 1, "chat_id": 2, "text": "hello"} | fields)


def outgoing(**fields: Any) -> OutgoingMessage:
    return OutgoingMessage.model_validate({"chat_id": 2, "text": "hello"} | fields)


class TestMessages:
    def test_the_wire_form_is_stable(self):
        message = incoming(id="tg:5", sent_at=AT)
        assert json.loads(message.model_dump_json(exclude_none=True)) == {
            "v": 1,
            "id": "tg:5",
            "type": "message",
            "user_id": 1,
            "chat_id": 2,
            "text": "hello",
            "sent_at": AT,
        }

    @given(text=st.text(min_size=1, max_size=200).filter(str.strip), chat=st.integers(-(2**62), 2**62))
    def test_what_one_side_writes_the_other_reads(self, text: str, chat: int):
        for message in (incoming(id="tg:1", text=text, chat_id=chat), outgoing(text=text, chat_id=chat)):
            assert type(message).model_validate_json(message.model_dump_json()) == message

    def test_a_field_of_a_newer_producer_is_ignored(self):
        assert incoming(mood="sunny") == incoming()

    def test_another_version_of_the_envelope_is_refused(self):
        with pytest.raises(ValidationError, match="v"):
            incoming(v=2)

    @pytest.mark.parametrize("text", ["", "  \n", "x" * (MAX_INCOMING_TEXT + 1)])
    def test_a_message_without_a_usable_text_is_refused(self, text):
        with pytest.raises(ValidationError):
            incoming(text=text)

    def test_a_reset_needs_no_text(self):
        assert incoming(type="reset", text="").type is IncomingType.RESET

    @pytest.mark.parametrize("fields", [{"type": "dance"}, {"user_id": None}, {"id": ""}, {"id": "x" * 201}])
    def test_what_nobody_could_serve_is_refused(self, fields):
        with pytest.raises(ValidationError):
            incoming(**fields)

    @pytest.mark.parametrize(
        "fields", [{"chat_id": None}, {"text": ""}, {"text": "x" * (MAX_OUTGOING_TEXT + 1)}]
    )
    def test_a_reply_needs_an_address_and_a_text(self, fields):
        with pytest.raises(ValidationError):
            outgoing(**fields)

    def test_a_user_is_an_address(self):
        assert outgoing(chat_id=None, user_id=7).user_id == 7

    def test_replies_have_ids_of_their_own(self):
        assert [reply_id("tg:5", number) for number in range(2)] == ["tg:5:r0", "tg:5:r1"]

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"id": "tg:5", "correlation_id": "tg:4"}, "tg:4"),
            ({"id": "tg:5"}, "tg:5"),
            ({}, "none"),
        ],
    )
    def test_the_correlation_is_that_of_the_first_message(self, fields, expected):
        assert incoming(**fields).correlation == expected


class TestJobs:
    @pytest.mark.parametrize("time", [{}, {"cron_expression": "0 9 * * *", "run_at": AT}])
    def test_exactly_one_time_is_needed(self, time):
        with pytest.raises(ValidationError, match="exactly one"):
            CronJobCreate.model_validate(JOB | time)

    def test_a_time_needs_its_zone(self):
        with pytest.raises(ValidationError, match="timezone"):
            CronJobCreate.model_validate(JOB | {"run_at": "2026-11-22T12:00:00"})
        job = CronJobCreate.model_validate(JOB | {"run_at": "2026-11-22T14:00:00+02:00"})
        assert job.run_at == datetime(2026, 11, 22, 12, tzinfo=UTC)

    @pytest.mark.parametrize(
        "zone",
        [
            *(
                "Mars/Base",
                "",
                "europe/berlin ",
                "EUROPE/BERLIN",
                "+02:00",
                "../etc/passwd",
                "/etc/localtime",
            ),
            *("Factory", "factory", "localtime", "posixrules", "posix/Europe/Berlin", "right/Europe/Berlin"),
            *("leapseconds", "tzdata.zi", "zone.tab", "Europe", "Europe/", "Europe/../Europe/Berlin"),
        ],
    )
    def test_a_zone_must_be_known(self, zone):
        with pytest.raises(ValidationError):
            CronJobCreate.model_validate(JOB | {"cron_expression": "0 9 * * *", "timezone": zone})

    def test_a_change_knows_what_was_sent(self):
        change = CronJobUpdate.model_validate({"message": "new", "run_at": None})
        assert change.model_dump(exclude_unset=True) == {"message": "new", "run_at": None}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (CronJobCreate, JOB | {"run_at": AT, "pririty": "high"}),
        (UserCreate, {"telegram_id": 1, "langauge": "en"}),
        (UserUpdate, {"rol": "owner"}),
    ],
)
def test_a_typing_error_in_a_request_is_refused(body: type[BaseModel], fields: dict[str, Any]):
    with pytest.raises(ValidationError, match="Extra inputs"):
        body.model_validate(fields)


def test_a_reader_survives_what_a_newer_server_answers():
    row = {
        "id": "7d5a3c6e-0000-4000-8000-000000000001",
        "name": "Secretary",
        "is_secretary": True,
        "model": "default",
        "instructions": "Help.",
        "assistant_type": "from_the_future",
        "is_active": True,
        "colour": "blue",
        "created_at": AT,
        "updated_at": AT,
    }
    assert AssistantRead.model_validate(row).assistant_type == "from_the_future"


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00Z",
        "0001-12-31T23:59:59+14:00",
        "9999-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_a_time_at_the_calendars_end_is_refused(time):
    with pytest.raises(ValidationError, match="between the years 2 and 9998"):
        CronJobCreate.model_validate(JOB | {"run_at": time})


@pytest.mark.parametrize("time", ["0002-01-01T00:00:00+14:00", "9998-12-31T23:59:59-14:00"])
def test_a_time_that_is_taken_has_a_local_time_everywhere(time):
    run_at = CronJobCreate.model_validate(JOB | {"run_at": time}).run_at
    assert run_at is not None
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        assert run_at.astimezone(ZoneInfo(zone)).tzinfo


@pytest.mark.parametrize(
    "time", ["2026-12-24 18:00", "2026-12-24T18:00:00 1:00", "2026-12-24T18:00:00  01:00"]
)
def test_a_blank_is_an_offsets_plus_only_where_it_must_be(time):
    with pytest.raises(ValidationError):
        CronJobCreate.model_validate(JOB | {"run_at": time})


def test_a_schema_may_be_given_as_an_object():
    tool = {"name": "now", "tool_type": "time", "description": "Time."}
    schema = {"type": "object", "properties": {"город": {"type": "string"}}}
    as_object = ToolCreate.model_validate(tool | {"input_schema": schema})
    assert as_object == ToolCreate.model_validate(
        tool | {"input_schema": json.dumps(schema, ensure_ascii=False)}
    )


@pytest.mark.parametrize("name", ["", "two words", "имя", "x" * 65, "a/b"])
def test_a_tools_name_must_be_callable_by_a_model(name):
    with pytest.raises(ValidationError):
        ToolCreate.model_validate({"name": name, "tool_type": "time", "description": "Time."})


def all_kinds(root: type) -> set[type]:
    """The classes of the contracts that are derived from `root`, however far."""
    for module in pkgutil.iter_modules(contracts.__path__):
        importlib.import_module(f"{contracts.__name__}.{module.name}")
    found, rest = set[type](), [root]
    while rest:
        rest += rest.pop().__subclasses__()
        found |= {one for one in rest if one.__module__.startswith(contracts.__name__)}
    return found


def of_a_newer_version(value: Any) -> Any:
    """With a field more in each object."""
    if isinstance(value, dict):
        return {name: of_a_newer_version(one) for name, one in value.items()} | {"a_new_field": 1}
    return value


def newer_answer(resource: type[BaseModel]) -> tuple[str, list[str]]:
    """An answer of the next version, and the names of its fields with members of that version."""
    row, choices = {}, []
    for name, field in resource.model_fields.items():
        row[name] = of_a_newer_version(field.examples[0] if field.examples else None)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Enum):
            row[name] = "a_new_member"
            choices.append(name)
    return json.dumps(row | {"a_new_field": 1}), choices


class TestVersions:
    def test_every_closed_set_is_open_for_readers(self):
        assert all_kinds(Enum) - {Choice} == all_kinds(Choice)

    @pytest.mark.parametrize("resource", sorted(all_kinds(Resource), key=str))
    def test_readers_take_what_a_newer_version_answers(self, resource: type[BaseModel]):
        answer, choices = newer_answer(resource)
        read = TypeAdapter(resource).validate_json(answer, **READING)
        assert [getattr(read, name) for name in choices] == ["a_new_member"] * len(choices)
        assert json.loads(read.model_dump_json(include=set(choices))) == dict.fromkeys(
            choices, "a_new_member"
        )

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            (UserCreate, {"telegram_id": 1, "role": "guest"}),
            (UserUpdate, {"role": "guest"}),
            (CronJobCreate, JOB | {"cron_expression": "0 9 * * *", "priority": "urgent"}),
            (CronJobUpdate, {"status": "resting"}),
        ],
    )
    def test_writers_use_what_is_known(self, body: type[BaseModel], wrong: dict[str, Any]):
        with pytest.raises(ValidationError, match="Input should be"):
            body.model_validate_json(json.dumps(wrong))
        with pytest.raises(ValidationError, match="Input should be"):
            body.model_validate(wrong)

    @pytest.mark.parametrize("value", [5, None, True, ["owner"], {"a": 1}])
    def test_what_is_no_text_is_no_member_for_readers_either(self, value: Any):
        with pytest.raises(ValidationError):
            TypeAdapter(UserRole).validate_json(json.dumps(value), **READING)

    def test_known_members_stay_the_known_ones(self):
        assert TypeAdapter(UserRole).validate_json('"owner"', **READING) is UserRole.OWNER

    def test_a_message_of_an_unknown_type_means_nothing(self):
        for kind in (IncomingMessage, OutgoingMessage):
            with pytest.raises(ValidationError, match="type"):
                kind.model_validate({"type": "song", "chat_id": 2, "user_id": 1, "text": "la la"})
