"""Weather and reminders through the chat, in both languages, and a reminder asked for in trouble."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.harness.chat import Person, wait_for
from tests.harness.suite import Suite

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
THINKING = 2.0


@pytest.mark.parametrize(
    ("language", "question", "place"),
    [("en", "What is the weather in Paris?", "Paris"), ("ru", "Какая погода в Париже?", "Париж")],
)
def test_the_weather_comes_with_its_source(suite: Suite, language: str, question: str, place: str):
    person = Person.member(suite, f"Guest {uuid4().hex[:8]}", language=language, timezone="Europe/Berlin")
    answer = person.ask(question)
    assert place in answer, answer
    assert re.search(r"-?\d+(?:[.,]\d+)?\s*°", answer), answer
    assert "Weather data by Open-Meteo.com" in answer, answer


@pytest.mark.parametrize(
    ("wish", "subject", "question"),
    [
        ("Remind me in 30 minutes to drink tea", "drink tea", "Show my reminders"),
        ("Напомни через 30 минут выпить чаю", "выпить чаю", "Покажи мои напоминания"),
    ],
)
def test_a_reminder_is_made_and_listed(suite: Suite, person: Person, wish: str, subject: str, question: str):
    asked = dt.datetime.now(dt.UTC)
    confirmed = person.ask(wish)
    [job] = jobs_of(suite, person)
    assert subject in job["message"]
    due = dt.datetime.fromisoformat(job["next_run_at"])
    assert abs(due - asked - dt.timedelta(minutes=30)) < dt.timedelta(minutes=2)
    assert subject in confirmed, confirmed
    assert subject in person.ask(question)


def test_a_reminder_of_somebody_else_is_not_shown(person: Person, suite: Suite):
    other = Person.member(suite, f"Friend of {person.id}", timezone="Europe/Berlin")
    other.ask("Remind me in 30 minutes to hide the present")
    assert "present" not in person.ask("Show my reminders")


def test_a_message_that_is_served_again_makes_no_second_reminder(
    suite: Suite, person: Person, model_takes: Callable[[float], None]
):
    """Every assistant dies when the job is made and the model is thinking about its last answer."""
    model_takes(THINKING)
    person.say("Remind me in 30 minutes to drink tea")
    wait_for(lambda: jobs_of(suite, person), lambda jobs: len(jobs) > 0)
    for name in suite.assistants:
        suite.kill(name)
    assert "drink tea" in person.next_answer()
    served = [event for event in suite.logs(event="message_received") if event["user_id"] == person.user_id]
    assert len(served) > 1, "the message was not served again: nothing is proved"
    assert len(jobs_of(suite, person)) == 1
    answers = [message for message in person.history() if message["from"] == "bot"]
    assert len(answers) == 1, answers


def jobs_of(suite: Suite, person: Person) -> list[dict[str, Any]]:
    """The person's jobs, as rest_service counts them."""
    jobs: list[dict[str, Any]] = suite.rest("GET", f"/api/cron-jobs?user_id={person.user_id}")
    return jobs
