"""What a user sees: every hop is real but Telegram and the model, which the sandbox plays."""

import datetime as dt
import re
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from tests.harness.chat import Person, wait_for
from tests.harness.suite import SERVICE_KEY, Suite, call_json

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def owner(suite: Suite) -> Person:
    return Person.owner(suite)


@pytest.fixture
def member(suite: Suite) -> Person:
    return Person.member(suite, f"Guest {uuid4().hex[:8]}")


def test_strangers_are_refused_and_a_wrong_code_does_not_help(suite: Suite, owner: Person):
    stranger = Person.join(suite, "Stranger")
    refusal = stranger.ask("Hello!")
    assert "private" in refusal.lower()
    stranger.ask("/start wrong-code")
    known = suite.rest("GET", f"/api/users?telegram_id={stranger.id}")
    assert known == []


def test_the_owner_code_works_once(suite: Suite, owner: Person):
    second = Person.join(suite, "Second")
    second.ask("/start test-owner-code-42")
    owners = suite.rest("GET", "/api/users?role=owner")
    assert [user["telegram_id"] for user in owners] == [owner.id]


def test_time_in_tokyo_is_right(owner: Person):
    answer = owner.ask("What time is it in Tokyo?")
    now = dt.datetime.now(ZoneInfo("Asia/Tokyo"))
    told = re.search(r"(\d{1,2}):(\d{2})", answer)
    assert told, answer
    minutes = int(told[1]) * 60 + int(told[2])
    off = abs(minutes - (now.hour * 60 + now.minute))
    assert min(off, 24 * 60 - off) <= 1, answer


def test_time_in_russian(owner: Person):
    answer = owner.ask("Который час в Токио?")
    assert re.search(r"\d{1,2}:\d{2}", answer), answer
    assert re.search(r"[а-яё]", answer), answer


def test_a_delegated_question_goes_through_the_sub_assistant(suite: Suite, owner: Person):
    answer = owner.ask("Please plan my move to Lisbon")
    assert re.search(r"^\s*1[.)]", answer, re.MULTILINE), answer
    [*_, called] = suite.logs(event="sub_assistant_called")
    # the bot notes what it has sent after the answer is seen
    wait_for(
        lambda: {event["service"] for event in suite.logs(correlation_id=called["correlation_id"])},
        lambda services: {"tg_bot", "assistant"} <= services,
    )


def test_the_conversation_is_remembered_and_new_forgets_it(owner: Person):
    owner.ask("My name is Ada")
    assert "Ada" in owner.ask("What is my name?")
    owner.ask("/new")
    assert "Ada" not in owner.ask("What is my name?")


def test_two_people_do_not_see_each_other(suite: Suite, owner: Person, member: Person):
    owner.ask("My name is Ada")
    assert "Ada" not in member.ask("What is my name?")


def test_changed_instructions_are_in_force_for_the_next_message(suite: Suite, owner: Person):
    """The sandbox logs what it was sent; the model's own words do not depend on instructions."""
    secretary = suite.rest("GET", "/api/assistants?is_secretary=true&is_active=true")[0]
    was = secretary["instructions"]
    marker = f"Sign every answer with {uuid4().hex}."
    try:
        suite.rest("PATCH", f"/api/assistants/{secretary['id']}", {"instructions": marker})
        owner.ask("Hello")
        assert marker in last_system_prompt(suite)
    finally:
        suite.rest("PATCH", f"/api/assistants/{secretary['id']}", {"instructions": was})
    owner.ask("Hello")
    assert marker not in last_system_prompt(suite)


def test_a_notification_job_reaches_the_chat(suite: Suite, owner: Person):
    user = suite.rest("GET", f"/api/users/by-telegram-id/{owner.id}")
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)
    job = suite.rest(
        "POST",
        "/api/cron-jobs",
        {"name": "tea", "user_id": user["id"], "run_at": soon.isoformat(), "message": "Your tea is ready"},
    )
    assert "Your tea is ready" in owner.next_answer(timeout=90)
    done = wait_for(
        lambda: suite.rest("GET", f"/api/cron-jobs/{job['id']}"), lambda row: row["status"] == "done"
    )
    assert done["last_run_at"]


def test_a_consent_url_for_the_calendar(suite: Suite, owner: Person):
    user = suite.rest("GET", f"/api/users/by-telegram-id/{owner.id}")
    port = suite.processes["google_calendar_service"].port
    url = f"http://127.0.0.1:{port}/auth/url/{user['id']}"
    made = call_json("GET", url, headers={"Authorization": f"Bearer {SERVICE_KEY}"})
    assert "code_challenge_method=S256" in made["auth_url"]
    assert "state=" in made["auth_url"]


def last_system_prompt(suite: Suite) -> str:
    """The system message of the newest request that the model got."""
    stats = suite.sandbox("GET", "/control/requests?target=openai&limit=1")
    return str(stats["requests"][-1]["messages"][0]["content"])
