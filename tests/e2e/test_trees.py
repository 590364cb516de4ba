"""Secretaries and sub-assistants of any type together, and what providers keep for them."""

import re
import urllib.error
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from tests.harness.chat import Person, wait_for
from tests.harness.rest_rows import Changes, assistant_named
from tests.harness.suite import Suite, call_json

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
CHAT, RESPONSES = "openai.chat.completions", "openai.responses.create"
PROTOCOL = {"llm": CHAT, "openai_api": RESPONSES}


@pytest.mark.parametrize(
    ("secretary", "planner"), [("llm", "openai_api"), ("openai_api", "llm"), ("openai_api", "openai_api")]
)
def test_assistants_of_different_types_work_together(
    suite: Suite, person: Person, changes: Changes, secretary: str, planner: str
):
    changes.assistant("Secretary", assistant_type=secretary)
    changes.assistant("Planner", assistant_type=planner)
    before = model_calls(suite)
    answer = person.ask("Please plan my move to Lisbon")
    assert re.search(r"^\s*1[.)]", answer, re.MULTILINE), answer
    # the secretary is asked twice, around the planner's work
    assert model_calls(suite) - before == Counter(
        [PROTOCOL[secretary], PROTOCOL[secretary], PROTOCOL[planner]]
    )


def test_cost_of_a_sub_assistant_is_counted_to_the_users_message(suite: Suite, person: Person):
    person.ask("Please plan my move to Lisbon")
    rows = usage_of(suite, person, count=2)
    assert {row["assistant"]: row["model_calls"] for row in rows} == {"Secretary": 2, "Planner": 1}
    assert len({row["message_id"] for row in rows}) == 1
    assert all(row["input_tokens"] > 0 and row["output_tokens"] > 0 for row in rows)


def test_a_provider_keeps_the_conversation_until_it_is_to_be_forgotten(
    suite: Suite, person: Person, changes: Changes
):
    changes.assistant("Secretary", assistant_type="openai_api")
    person.ask("My name is Ada")
    assert "Ada" in person.ask("What is my name?")
    thread = thread_of(suite, person)
    assert conversation_status(suite, thread) == 200

    person.ask("/new")
    wait_for(lambda: conversation_status(suite, thread), lambda status: status == 404)
    assert "Ada" not in person.ask("What is my name?")
    assert thread_of(suite, person) != thread


def test_a_deleted_users_conversation_goes_from_the_provider_too(
    suite: Suite, person: Person, changes: Changes
):
    changes.assistant("Secretary", assistant_type="openai_api")
    person.ask("My name is Ada")
    thread = thread_of(suite, person)
    suite.rest("DELETE", f"/api/users/{person.user_id}")
    Person.member(suite, f"Guest {uuid4().hex[:8]}").ask("/new")  # a sweep at once
    wait_for(lambda: conversation_status(suite, thread), lambda status: status == 404)


def test_nobody_notices_that_the_provider_lost_the_conversation(
    suite: Suite, person: Person, changes: Changes
):
    changes.assistant("Secretary", assistant_type="openai_api")
    person.ask("My name is Ada")
    lost = thread_of(suite, person)
    assert conversation_status(suite, lost, method="DELETE") == 200
    assert "Ada" in person.ask("What is my name?")
    assert thread_of(suite, person) != lost


def model_calls(suite: Suite) -> Counter[str]:
    """How often the model was asked so far, by protocol."""
    calls = suite.sandbox("GET", "/control/stats")["calls"]
    return Counter({protocol: calls.get(protocol, 0) for protocol in (CHAT, RESPONSES)})


def usage_of(suite: Suite, person: Person, *, count: int) -> list[dict[str, Any]]:
    """The person's usage records, as soon as there are so many."""
    path = f"/api/usage?user_id={person.user_id}"
    return wait_for(lambda: suite.rest("GET", path), lambda rows: len(rows) >= count)


def thread_of(suite: Suite, person: Person) -> str:
    """The provider's name for the secretary's conversation with this person."""
    secretary = assistant_named(suite, "Secretary")["id"]
    path = f"/api/user-threads?user_id={person.user_id}&assistant_id={secretary}"
    [row] = suite.rest("GET", path)
    return str(row["thread_id"])


def conversation_status(suite: Suite, thread: str, method: str = "GET") -> int:
    """What the provider answers about this conversation: 200 or 404."""
    url = f"{suite.sandbox_url}/openai/v1/conversations/{thread}"
    try:
        call_json(method, url, headers={"Authorization": "Bearer sk-any"})
    except urllib.error.HTTPError as refused:
        return refused.code
    return 200
