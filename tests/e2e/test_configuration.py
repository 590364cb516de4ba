"""What the admin changes is in force for the next message, whichever replica serves it."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from tests.harness.chat import Person
from tests.harness.rest_rows import Changes
from tests.harness.suite import Suite

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
PEOPLE = 6
ROUNDS = 20


def served(suite: Suite) -> dict[str, int]:
    """Messages that each replica has answered."""
    return {name: len(suite.logs(name, event="reply_sent")) for name in suite.assistants}


def test_three_replicas_follow_changed_instructions_at_once(suite: Suite, changes: Changes):
    people = [Person.member(suite, f"Guest {uuid4().hex[:8]}") for _ in range(PEOPLE)]
    for number in range(2):
        mark = f"[{number}{uuid4().hex[:6]}]"
        changes.assistant("Secretary", instructions=f'Begin every answer with "{mark}".')
        before = served(suite)
        for _ in range(ROUNDS):  # which replica serves a message is chance
            for person in people:
                person.say("Hello")
            answers = [person.next_answer() for person in people]
            assert [answer for answer in answers if not answer.startswith(mark)] == []
            now = served(suite)
            if all(now[name] > before[name] for name in now):
                break
        else:
            pytest.fail(f"after {ROUNDS} rounds a replica had served nobody: {before} {now}")


def test_a_tool_that_is_switched_off_is_not_offered(person: Person, changes: Changes):
    assert "1." in person.ask("Please plan my move to Lisbon")
    changes.tool("ask_planner", is_active=False)
    assert "1." not in person.ask("Please plan my move to Lisbon")


def test_a_sub_assistant_that_cannot_be_built_takes_nothing_else_with_it(person: Person, changes: Changes):
    changes.assistant("Planner", is_active=False)
    assert "1." not in person.ask("Please plan my move to Lisbon")
    assert "Tokyo" in person.ask("What time is it in Tokyo?")


def test_the_fallback_model_answers_while_the_first_one_fails(
    suite: Suite, person: Person, changes: Changes, faults: Callable[..., None]
):
    faults(target="openai", model="first-model", kind="status", status=500)
    settings = {"fallback_models": ["sandbox-demo"]}
    changes.assistant("Secretary", model="first-model", settings=settings)
    for _ in range(2):  # the second one comes while the first model is known to fail
        assert "Tokyo" in person.ask("What time is it in Tokyo?")
    events = suite.logs(event="fallback_model")
    assert events, "why another model answered is not in the log"
    assert all(event.get("reason") for event in events)
