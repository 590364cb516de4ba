import asyncio
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from assistant.src.core.errors import ContextOverflowError, ModelRefusedError, ModelUnavailableError
from assistant.src.core.model import ModelRequest, ToolMessage
from assistant.src.storage.conversation import ConversationStore
from assistant.tests.fakes import (
    ScriptedBackend,
    assistant_row,
    calls,
    said,
    tool_row,
    tree_of,
    user_row,
)
from assistant.tests.integration.conftest import delivery_of
from assistant.tests.standin import RestStandIn
from service_kit.changes import Topic, announce
from service_kit.contracts.messages import OutgoingType
from service_kit.contracts.users import UserRole
from service_kit.queue.base import Reject, RetryLater

pytestmark = pytest.mark.integration

INCIDENT = re.compile(r"\((Incident|Сбой) [A-Z]{7}\)")


def secretary_tree(**fields):
    root, planner = assistant_row(is_secretary=True, **fields), assistant_row("Planner")
    ask = tool_row("ask_planner", "sub_assistant", assistant_id=planner.id)
    return tree_of(root, planner, tools={root.id: [tool_row(), ask], planner.id: []})


def rest_of(*users, trees=None) -> RestStandIn:
    return RestStandIn(*(users or (user_row(),)), trees=[secretary_tree()] if trees is None else trees)


def asked(request: ModelRequest) -> str:
    """The newest message's own text."""
    return request.messages[-1].text.rsplit("</context>\n\n", 1)[-1]


async def test_a_message_gets_its_answer(make_service):
    backend = ScriptedBackend(said("Hello Ada"))
    service = await make_service(backend, rest_of())
    reply = await service.say("Hi", message_id="tg:5")
    assert reply.model_dump(exclude_none=True) == {
        "v": 1,
        "id": "tg:5:r0",
        "correlation_id": "tg:5",
        "type": "reply",
        "chat_id": 101,
        "user_id": 1,
        "text": "Hello Ada",
        "in_reply_to": "tg:5",
        "to_stranger": False,
    }
    (request,) = backend.requests
    assert request.instructions == "You are Secretary."
    assert "user: Ada" in request.messages[-1].text
    assert "Europe/Berlin" in request.messages[-1].text


async def test_the_conversation_is_sent_along_and_its_prefix_stays(make_service):
    backend = ScriptedBackend(calls(("current_time", {})), said("noon"), said("again"))
    service = await make_service(backend, rest_of())
    await service.say("What time is it?")
    await service.say("And now?")
    first, second, third = (list(request.messages) for request in backend.requests)
    assert second[:1] == first
    assert third[: len(second)] == second
    assert third[len(second)].text == "noon"
    assert backend.requests[0].tools == backend.requests[2].tools


async def test_a_message_without_id_is_served(make_service):
    service = await make_service(ScriptedBackend(said("Hello")), rest_of())
    raw = json.dumps({"user_id": 1, "chat_id": 101, "text": "Hi"}).encode()
    for _ in range(2):
        (reply,) = await service.orchestrator.handle(delivery_of(raw))
        assert (reply.id, reply.in_reply_to, reply.text) == (None, None, "Hello")


async def test_a_redelivered_message_gets_the_stored_answer(make_service):
    backend = ScriptedBackend(said("first"), said("second"))
    service = await make_service(backend, rest_of())
    assert (await service.say("Hi", message_id="tg:1")).text == "first"
    assert (await service.say("Hi", message_id="tg:1")).text == "first"
    assert len(backend.requests) == 1


async def test_a_sub_assistant_answers_from_its_own_conversation(make_service):
    def model(request: ModelRequest):
        if request.instructions == "You are Planner.":
            return said(f"1. pack ({len(request.messages)} messages seen)")
        if isinstance(request.messages[-1], ToolMessage):
            return said(request.messages[-1].text)
        return calls(("ask_planner", {"request": "plan a move"}))

    backend = ScriptedBackend(model)
    service = await make_service(backend, rest_of())
    assert (await service.say("Plan my move")).text == "1. pack (1 messages seen)"
    assert (await service.say("Once more")).text == "1. pack (3 messages seen)"
    planner = next(r for r in backend.requests if r.instructions == "You are Planner.")
    assert asked(planner) == "plan a move"


async def test_a_failing_sub_assistant_leaves_the_secretary_an_error_to_explain(make_service):
    def model(request: ModelRequest):
        if request.instructions == "You are Planner.":
            raise ModelUnavailableError("500 internal secrets")
        if isinstance(request.messages[-1], ToolMessage):
            return said(request.messages[-1].text)
        return calls(("ask_planner", {"request": "x"}))

    service = await make_service(ScriptedBackend(model), rest_of())
    reply = await service.say("Plan")
    assert json.loads(reply.text)["error"] == {
        "type": "failed",
        "message": "Planner cannot answer at the moment",
    }


async def test_reset_forgets_secretary_and_sub_assistants(make_service, redis_client):
    def model(request: ModelRequest):
        if request.instructions == "You are Planner.":
            return said("plan")
        if isinstance(request.messages[-1], ToolMessage):
            return said("done")
        return calls(("ask_planner", {"request": "x"}))

    service = await make_service(ScriptedBackend(model), rest_of(user_row(language="ru")))
    await service.say("Plan")
    assert len(await redis_client.keys("conversation:1:*")) == 2
    notice = await service.say("", kind="reset")
    assert notice.type is OutgoingType.NOTICE
    assert notice.text.startswith("Новый разговор")
    assert await redis_client.keys("conversation*") == []


async def test_a_change_is_in_force_for_the_next_message(make_service, redis_client):
    backend = ScriptedBackend(said("ok"))
    rest = rest_of()
    service = await make_service(backend, rest)
    await service.say("Hi")
    await service.say("Hi")
    loads = len([path for path in rest.requests if path.endswith("/tree")])
    rest.trees = [secretary_tree(instructions="Speak like a pirate.")]
    await announce(redis_client, Topic.CONFIGURATION)
    await service.say("Hi")
    rest.users[1] = user_row(first_name="Grace")
    await announce(redis_client, Topic.USERS)
    await service.say("Hi")
    assert loads == 1
    assert [r.instructions for r in backend.requests[1:3]] == ["You are Secretary.", "Speak like a pirate."]
    assert "user: Ada" in backend.requests[2].messages[-1].text
    assert "user: Grace" in backend.requests[3].messages[-1].text


async def test_rows_that_say_the_same_as_before_are_not_built_again(make_service, redis_client):
    rest = rest_of(trees=[secretary_tree(name="Alien", assistant_type="telepathy"), secretary_tree()])
    service = await make_service(ScriptedBackend(said("ok")), rest)
    with capture_logs() as logs:
        for _ in range(3):
            await announce(redis_client, Topic.CONFIGURATION)
            await service.say("Hi")
        reads = rest.requests.count("/api/assistants")
        rest.trees = [rest.trees[0], secretary_tree(instructions="Speak like a pirate.")]
        await announce(redis_client, Topic.CONFIGURATION)
        await service.say("Hi")
    events = [line["event"] for line in logs]
    assert reads == 3
    assert [events.count(name) for name in ("secretary_ready", "secretary_skipped")] == [2, 1]


async def test_a_secretary_that_can_be_built_now_takes_its_place(make_service, redis_client):
    backend = ScriptedBackend(said("ok"))
    first, second = secretary_tree(name="First", assistant_type="telepathy"), secretary_tree(name="Second")
    rest = rest_of(trees=[first, second])
    service = await make_service(backend, rest)
    await service.say("Hi")
    rest.trees = [secretary_tree(name="First"), second]
    await announce(redis_client, Topic.CONFIGURATION)
    await service.say("Hi")
    assert [request.instructions for request in backend.requests] == ["You are Second.", "You are First."]


async def test_the_last_known_serves_while_rest_service_is_away(make_service, redis_client):
    rest = rest_of()
    service = await make_service(ScriptedBackend(said("ok")), rest)
    await service.say("Hi")
    rest.down = True
    await announce(redis_client, Topic.USERS, Topic.CONFIGURATION)
    assert (await service.say("Hi")).text == "ok"


async def test_a_message_waits_for_rest_service_where_nothing_is_known(make_service):
    rest = rest_of()
    rest.down = True
    service = await make_service(ScriptedBackend(said("ok")), rest)
    await service.orchestrator.initialize()
    with pytest.raises(RetryLater):
        await service.say("Hi")
    rest.down = False
    assert (await service.say("Hi")).text == "ok"


async def test_the_oldest_secretary_that_can_be_built_answers(make_service):
    backend = ScriptedBackend(said("ok"))
    trees = [
        secretary_tree(name="Alien", assistant_type="telepathy"),
        secretary_tree(name="First"),
        secretary_tree(name="Second"),
    ]
    service = await make_service(backend, rest_of(trees=trees))
    await service.say("Hi")
    assert backend.requests[0].instructions == "You are First."


async def test_without_a_secretary_the_admin_is_told_what_to_do(make_service, redis_client):
    rest = rest_of(trees=[])
    service = await make_service(ScriptedBackend(said("ok")), rest)
    reply = await service.say("Hi")
    assert reply.type is OutgoingType.NOTICE
    assert "is_secretary" in reply.text
    rest.trees = [secretary_tree()]
    await announce(redis_client, Topic.CONFIGURATION)
    assert (await service.say("Hi")).text == "ok"


async def test_a_secretary_seen_to_be_gone_does_not_come_back_while_rest_service_is_away(
    make_service, redis_client
):
    rest = rest_of()
    service = await make_service(ScriptedBackend(said("ok")), rest)
    await service.say("Hi")
    rest.trees = []
    await announce(redis_client, Topic.CONFIGURATION)
    assert "is_secretary" in (await service.say("Hi")).text
    rest.down = True
    with pytest.raises(RetryLater):
        await service.say("Hi")


@pytest.mark.parametrize(
    ("language", "text", "start"),
    [
        ("en", "Привет", "Sorry, "),
        ("ru-RU", "Hi", "Простите, "),
        ("de", "Hallo", "Sorry, "),
        (None, "Привет", "Простите, "),
        (None, "Hi", "Sorry, "),
    ],
)
async def test_a_failure_is_one_friendly_sentence(make_service, language, text, start):
    backend = ScriptedBackend(ModelRefusedError("401 Incorrect API key sk-123456789"))
    service = await make_service(backend, rest_of(user_row(language=language)))
    reply = await service.say(text)
    assert reply.type is OutgoingType.NOTICE
    assert reply.text.startswith(start)
    assert INCIDENT.search(reply.text)
    assert "\n" not in reply.text
    for leak in ("401", "sk-", "Error", "API"):
        assert leak not in reply.text


async def test_a_conversation_too_long_for_the_model_says_so(make_service):
    service = await make_service(ScriptedBackend(ContextOverflowError("8192")), rest_of())
    assert "in parts" in (await service.say("Hi")).text


async def test_a_model_that_hangs_ends_in_the_friendly_sentence(make_service, redis_client):
    async def hang(_request: ModelRequest):
        await asyncio.Event().wait()
        raise AssertionError

    service = await make_service(ScriptedBackend(hang), rest_of(), message_timeout=0.2)
    reply = await service.say("Hi")
    assert INCIDENT.search(reply.text)
    assert await redis_client.keys("conversation*") == []


async def test_a_bug_is_left_to_the_queue_to_count(make_service):
    service = await make_service(ScriptedBackend(ZeroDivisionError("secret")), rest_of())
    with pytest.raises(ZeroDivisionError):
        await service.say("x")


async def test_whoever_writes_can_be_reached_whatever_their_row_says(make_service):
    """They have blocked the bot and come back, and rest_service has not heard of it yet."""
    service = await make_service(ScriptedBackend(said("Welcome back")), rest_of(user_row(is_active=False)))
    assert (await service.say("Hi")).text == "Welcome back"
    notice = service.orchestrator.failure_notice(
        delivery_of(b'{"id": "tg:9", "user_id": 1, "chat_id": 101, "text": "x"}')
    )
    assert notice is not None


async def test_who_has_no_access_is_told_so_and_costs_nothing(make_service):
    backend = ScriptedBackend(said("ok"))
    service = await make_service(backend, rest_of(user_row(2, role=UserRole.BLOCKED)))
    refusal = await service.say("Привет", user=2, message_id="tg:5")
    assert (refusal.type, refusal.to_stranger) == (OutgoingType.NOTICE, True)
    assert (refusal.id, refusal.in_reply_to, refusal.chat_id) == ("tg:5:r0", "tg:5", 102)
    assert "access" in refusal.text or "доступа" in refusal.text
    assert backend.requests == []


@pytest.mark.parametrize(("text", "start"), [("Hi", "Sorry"), ("Привет", "Простите")])
async def test_whom_nobody_could_look_up_hears_of_a_message_that_is_given_up(make_service, text, start):
    rest = rest_of()
    rest.down = True
    service = await make_service(ScriptedBackend(said("ok")), rest)
    raw = json.dumps({"id": "tg:9", "user_id": 1, "chat_id": 101, "text": text}).encode()
    notice = service.orchestrator.failure_notice(delivery_of(raw))
    assert notice is not None
    assert notice.text.startswith(start)


async def test_an_answer_whose_turn_was_stored_late_is_said_all_the_same(make_service, monkeypatch):
    """The deadline is the model's and the tools', not that of storing what they have brought."""
    store = ConversationStore.append

    async def slow(*args, **kwargs):
        await asyncio.sleep(3.5)
        await store(*args, **kwargs)

    monkeypatch.setattr(ConversationStore, "append", slow)
    service = await make_service(ScriptedBackend(said("in time")), rest_of(), message_timeout=3.0)
    assert (await service.say("Hi")).text == "in time"


async def test_a_message_with_the_longest_id_is_answered(make_service):
    service = await make_service(ScriptedBackend(said("ok")), rest_of())
    ids = ["x" * 199 + end for end in "ab"]
    replies = [await service.say("Hi", message_id=name) for name in ids]
    assert [reply.text for reply in replies] == ["ok", "ok"]
    assert replies[0].id != replies[1].id
    assert replies[0].id == (await service.say("Hi", message_id=ids[0])).id


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b'"text"',
        b"\xff",
        b'{"user_id": 1, "chat_id": 1, "text": ""}',
        b'{"user_id": "one", "chat_id": 1, "text": "x"}',
        b'{"user_id": 1, "text": "x"}',
        b'{"user_id": 1, "chat_id": 1, "text": "x", "v": 99}',
        json.dumps({"user_id": 1, "chat_id": 1, "text": "x" * 1_000_000}).encode(),
        b'{"user_id": 999, "chat_id": 1, "text": "x"}',
        b'{"user_id": -5, "chat_id": 1, "text": "x"}',
    ],
    ids=lambda raw: raw[:60].decode(errors="replace"),
)
async def test_what_can_never_be_served_is_rejected_with_a_reason(make_service, raw):
    service = await make_service(ScriptedBackend(said("ok")), rest_of())
    with pytest.raises(Reject) as rejected:
        await service.orchestrator.handle(delivery_of(raw))
    assert 5 < len(rejected.value.reason) < 600
    assert "xxxx" not in rejected.value.reason
    assert service.orchestrator.failure_notice(delivery_of(raw)) is None


async def test_a_known_user_hears_of_a_message_that_is_given_up(make_service):
    service = await make_service(ScriptedBackend(said("ok")), rest_of())
    await service.say("Hi")
    raw = b'{"id": "tg:9", "user_id": 1, "chat_id": 101, "text": "x"}'
    notice = service.orchestrator.failure_notice(delivery_of(raw))
    assert notice is not None
    assert (notice.id, notice.chat_id, notice.type) == ("tg:9:r0", 101, OutgoingType.NOTICE)


async def test_one_load_serves_all_who_ask_at_once(make_service):
    rest = rest_of(*(user_row(number) for number in range(1, 31)))
    service = await make_service(ScriptedBackend(said("ok")), rest)
    await asyncio.gather(*(service.say("Hi", user=number) for number in range(1, 31)))
    assert len([path for path in rest.requests if path.endswith("/tree")]) == 1


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=2, max_size=14))
async def test_no_user_ever_sees_anything_of_another(make_service, redis_client, script):
    """Interleaved users, each in order, all at once: what the model is shown is the asker's alone."""
    await redis_client.flushdb()
    seen: list[tuple[str, str]] = []

    async def model(request: ModelRequest):
        await asyncio.sleep(0)
        everything = "\n".join(message.text for message in request.messages)
        owner = re.findall(r"user: (user\d)", request.messages[0].text)
        seen.append((owner[0] if owner else "?", everything))
        if request.instructions == "You are Planner.":
            return said(f"plan for {owner[0]}")
        if "delegate" in asked(request):
            return calls(("ask_planner", {"request": f"for {owner[0]}"}), ("current_time", {}))
        return said(f"answer for {owner[0]}")

    users = [user_row(number, first_name=f"user{number}") for number in range(1, 5)]
    service = await make_service(ScriptedBackend(model), rest_of(*users))

    async def talk(user: int) -> None:
        for position, (who, delegate) in enumerate(script):
            if who == user:
                text = f"secret of user{user}{' delegate' if delegate else ''}"
                reply = await service.say(text, user=user, message_id=f"tg:{position}")
                assert reply.text == f"answer for user{user}"
                assert (reply.user_id, reply.chat_id) == (user, 100 + user)

    await asyncio.gather(*(talk(user) for user in range(1, 5)))
    for owner, everything in seen:
        assert set(re.findall(r"user\d", everything)) == {owner}
