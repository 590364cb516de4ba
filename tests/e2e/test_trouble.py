"""Bad input and broken neighbours: one friendly sentence, a reason in the dead letters, work goes on."""

import json
import urllib.error
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import redis

from tests.harness.chat import Person, wait_for
from tests.harness.suite import Suite, call_json

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
QUEUES = ("queue:to_secretary", "queue:to_telegram")


@pytest.fixture(scope="module")
def redis_of_suite(suite: Suite) -> Iterator["redis.Redis"]:
    client = redis.Redis.from_url(suite.servers["TEST_REDIS_URL"])
    yield client
    client.close()


BAD = {
    "broken JSON": b'{"id": "broken-1", "user_id": 1,',
    "an array": b'["not", "an", "object"]',
    "not UTF-8": b'{"id": "latin-1", "user_id": 1, "chat_id": 1, "text": "caf\xe9"}',
    "1 MB of text": json.dumps(
        {"id": "huge-1", "user_id": 1, "chat_id": 1, "text": "x" * 1_000_000, "v": 1}
    ).encode(),
    "an unknown user": b'{"id": "user-1", "user_id": 99999999, "chat_id": 99999999, "text": "hi", "v": 1}',
    "no address": b'{"id": "nobody-1", "text": "hi", "v": 1}',
    "an unknown version": b'{"id": "version-1", "user_id": 1, "chat_id": 1, "text": "hi", "v": 99}',
}


@pytest.mark.parametrize("queue", QUEUES)
def test_bad_messages_end_in_the_dead_letters_with_a_reason(
    suite: Suite, redis_of_suite: "redis.Redis", person: Person, queue: str
):
    before = redis_of_suite.llen(f"{queue}:dead")
    for raw in BAD.values():
        redis_of_suite.rpush(queue, raw)
    assert person.ask("Hello")
    wait_for(lambda: redis_of_suite.llen(f"{queue}:dead"), lambda count: count - before >= len(BAD))
    letters: list[bytes] = redis_of_suite.lrange(f"{queue}:dead", -len(BAD), -1)  # type: ignore[assignment] # sync client
    reasons = {
        letter.split(b"\n", 1)[1]: json.loads(letter.split(b"\n", 1)[0])["reason"] for letter in letters
    }
    assert set(reasons) == set(BAD.values())
    assert all(reason.strip() for reason in reasons.values()), reasons


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429, "retry_after": 1},
        {"kind": "garbage"},
        {"kind": "hang"},
        {"kind": "disconnect"},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}",
)
def test_a_broken_model_gives_one_friendly_sentence(
    suite: Suite, person: Person, faults: Any, fault: dict[str, Any]
):
    faults(target="openai", **fault)
    answer = person.ask("Hello")
    assert "\n" not in answer.strip()
    assert len(answer) < 300
    for leak in ("Traceback", "Error(", "openai", "500", "429", "http", "{"):
        assert leak not in answer, answer
    suite.sandbox("DELETE", "/control/faults")
    assert person.ask("Hello again")


def notes_of(suite: Suite) -> list[str]:
    """What the assistants' health pages say of their answers."""
    pages = [f"http://127.0.0.1:{suite.processes[name].port}/health" for name in suite.assistants]
    return [call_json("GET", page)["notes"].get("answers", "") for page in pages]


def told(person: Person) -> list[str]:
    """All that the bot has said to them."""
    return [str(message["text"]) for message in person.history() if message["from"] == "bot"]


def test_of_a_model_that_nobody_has_storing_warns_status_says_so_and_the_owner_is_told(
    suite: Suite, person: Person
):
    owner = Person.owner(suite)
    secretary = suite.rest("GET", "/api/assistants?is_secretary=true&is_active=true")[0]
    path = f"/api/assistants/{secretary['id']}"
    saved = suite.rest("PATCH", path, {"model": "nosuch/xyz"})
    try:
        assert "no provider 'nosuch'" in saved["warnings"][0]
        assert "not set up" in person.ask("Hello")
        # the owner is the same in all tests: an answer to another one's question may come first
        wait_for(lambda: told(owner), lambda texts: any("nosuch/xyz" in text for text in texts))
        wait_for(lambda: notes_of(suite), lambda notes: any("nosuch/xyz" in note for note in notes))
    finally:
        mended = suite.rest("PATCH", path, {"model": secretary["model"]})
    assert "warnings" not in mended
    wait_for(
        lambda: [person.ask("Hello again"), *told(owner)], lambda texts: "People get answers again." in texts
    )


def test_a_wrong_key_is_refused(suite: Suite):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic abc"}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            call_json("GET", f"{suite.rest_url}/api/users", headers=headers)
        assert refused.value.code == 401
        assert json.loads(refused.value.read())["code"]


def test_a_broken_tool_row_does_not_stop_the_assistant(suite: Suite, person: Person):
    secretary = suite.rest("GET", "/api/assistants?is_secretary=true&is_active=true")[0]
    tool = suite.rest(
        "POST",
        "/api/tools",
        {"name": f"broken_{uuid4().hex[:8]}", "tool_type": "calendar", "description": "x"},
    )
    link = suite.rest(
        "POST", "/api/assistant-tools", {"assistant_id": secretary["id"], "tool_id": tool["id"]}
    )
    try:
        assert "Tokyo" in person.ask("What time is it in Tokyo?")
    finally:
        suite.rest("DELETE", f"/api/assistant-tools/{link['id']}")
        suite.rest("DELETE", f"/api/tools/{tool['id']}")


def test_rest_service_away_does_not_stop_the_conversation(suite: Suite):
    people = [Person.member(suite, f"Guest {uuid4().hex[:8]}") for _ in range(4)]
    _met_by_every_replica(suite, people)
    suite.kill("rest_service", again=False)
    try:
        for number in range(5):
            for person in people:
                person.say(f"repeat: still here {number}")
            assert {person.next_answer() for person in people} == {f"still here {number}"}
    finally:
        suite.start("rest_service")
    usage = f"/api/usage?limit=500&user_id={people[0].user_id}"
    counted = wait_for(lambda: suite.rest("GET", usage), lambda rows: len(rows) == people[0].asked)
    assert {row["model"] for row in counted} == {"openai/sandbox-demo"}


def _met_by_every_replica(suite: Suite, people: list[Person]) -> None:
    """Which replica serves a message is chance: everybody writes until each process has seen everybody."""
    met: set[tuple[str, int]] = set()

    def everybody_writes() -> int:
        for person in people:
            person.say("repeat: hello")
        for person in people:
            person.next_answer()
        for name in suite.assistants:
            met.update((name, event["user_id"]) for event in suite.logs(name, event="message_received"))
        return sum((name, person.user_id) in met for name in suite.assistants for person in people)

    wait_for(everybody_writes, lambda pairs: pairs == len(suite.assistants) * len(people))


def test_a_telegram_429_is_waited_for_and_nothing_is_lost(person: Person, faults: Any):
    faults(target="telegram", method="sendMessage", kind="status", status=429, retry_after=1, times=2)
    assert person.ask("Hello")


def test_a_reply_that_telegram_cannot_parse_goes_out_plain(person: Person, faults: Any):
    faults(
        target="telegram",
        method="sendMessage",
        kind="status",
        status=400,
        description="Bad Request: can't parse entities: unexpected end",
        times=1,
    )
    assert person.ask("Show me markdown")
