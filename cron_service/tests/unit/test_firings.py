import threading
from datetime import UTC, datetime

import pytest

from cron_service.app.firings import Firings
from cron_service.app.rest_client import RestClient
from cron_service.tests.fake_rest import NOW, FakeRest
from cron_service.tests.fakes import FakeRedisClient, Sent, settings
from service_kit.contracts.cron import CronJobRead, FiringRead, Priority
from service_kit.testing.clock import FakeClock

DUE = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ID = f"job:1:{int(DUE.timestamp())}"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(DUE)


@pytest.fixture
def stopping() -> threading.Event:
    return threading.Event()


@pytest.fixture
def firings(
    rest: RestClient, queue: FakeRedisClient, fake_rest: FakeRest, clock: FakeClock, stopping: threading.Event
) -> Firings:
    return Firings(rest=rest, redis=queue, settings=settings(fake_rest.url), clock=clock, stopping=stopping)


def job(fake_rest: FakeRest, **fields: object) -> CronJobRead:
    return CronJobRead.model_validate(fake_rest.add_job(1, cron_expression="0 12 * * *", **fields))


def open_firing(fake_rest: FakeRest) -> FiringRead:
    return FiringRead.model_validate(fake_rest.add_firing(1, NOW))


def test_a_firing_is_claimed_sent_and_reported(firings, fake_rest, queue):
    assert firings.fire(job(fake_rest, priority="high"), DUE)
    assert queue.sent == [Sent(700, "message 1", Priority.HIGH, 7, ID)]
    assert fake_rest.requests == ["POST /api/cron-jobs/1/firings", "PATCH /api/cron-jobs/1/firings/1"]
    assert [firing["status"] for firing in fake_rest.firings] == ["done"]


def test_a_firing_that_somebody_has_is_left_to_them(firings, fake_rest, queue):
    fake_rest.add_firing(1, NOW)
    assert firings.fire(job(fake_rest), DUE)
    assert queue.sent == []


def test_a_deleted_job_does_not_fire(firings, fake_rest, queue):
    deleted = job(fake_rest)
    del fake_rest.jobs[1]
    assert firings.fire(deleted, DUE)
    assert queue.sent == []


@pytest.mark.parametrize("status", [503, 401])
def test_what_cannot_be_claimed_is_not_sent_and_is_to_be_fired_later(firings, fake_rest, queue, status):
    fake_rest.refuse["POST"] = status
    assert not firings.fire(job(fake_rest), DUE)
    assert queue.sent == []


def test_a_claim_that_is_refused_for_good_is_not_tried_again(firings, fake_rest, queue):
    fake_rest.refuse["POST"] = 422
    assert firings.fire(job(fake_rest), DUE)
    assert len(fake_rest.requests) == 1


def test_a_short_outage_of_redis_is_outlasted(firings, fake_rest, queue):
    queue.failures = 1
    assert firings.fire(job(fake_rest), DUE)
    assert len(queue.sent) == 1
    assert fake_rest.firings[0]["status"] == "done"


def test_a_long_outage_of_redis_leaves_the_firing_open_to_be_resumed(firings, fake_rest, queue):
    a_job = job(fake_rest)
    queue.failures = 2
    assert firings.fire(a_job, DUE)
    assert queue.sent == []
    assert fake_rest.firings[0]["status"] == "running"

    assert firings.resume(a_job, FiringRead.model_validate(fake_rest.firings[0]))
    assert [sent.message_id for sent in queue.sent] == [ID]
    assert fake_rest.firings[0]["status"] == "done"


def test_a_lost_report_is_made_up_for_without_sending_twice(firings, fake_rest, queue):
    a_job = job(fake_rest)
    fake_rest.refuse["PATCH"] = 503
    assert firings.fire(a_job, DUE)
    firing = FiringRead.model_validate(fake_rest.firings[0])
    assert not firings.resume(a_job, firing)

    fake_rest.refuse.clear()
    assert firings.resume(a_job, firing)
    assert len(queue.sent) == 1
    assert fake_rest.firings[0]["status"] == "done"


@pytest.mark.parametrize("status", [404, 409])
def test_a_firing_that_is_settled_elsewhere_is_settled(firings, fake_rest, status):
    a_job, firing = job(fake_rest), open_firing(fake_rest)
    fake_rest.refuse["PATCH"] = status
    assert firings.resume(a_job, firing)


def test_an_open_firing_of_a_job_that_is_off_is_given_up(firings, fake_rest, queue):
    assert firings.resume(None, open_firing(fake_rest))
    assert queue.sent == []
    assert (
        fake_rest.firings[0] | {"status": "failed", "error": "the job is no longer active"}
        == (fake_rest.firings[0])
    )


def test_a_late_message_says_so_in_the_users_language_and_zone(firings, fake_rest, queue, clock):
    fake_rest.users[7] = {
        "id": 7,
        "telegram_id": 700,
        "language": "ru",
        "timezone": "Asia/Tokyo",
        "role": "member",
        "is_active": True,
        "created_at": NOW,
        "updated_at": NOW,
    }
    clock.move(minutes=3)
    firings.fire(job(fake_rest, timezone="Europe/Berlin"), DUE)
    assert queue.sent[0].text == (
        "⏰ (с опозданием, было назначено на 2026-11-22 21:00 Asia/Tokyo)\nmessage 1"
    )


def test_a_late_message_goes_out_even_when_the_user_cannot_be_read(firings, fake_rest, queue, clock):
    fake_rest.refuse["GET /api/users"] = 503
    clock.move(minutes=3)
    firings.fire(job(fake_rest, timezone="Europe/Berlin"), DUE)
    assert queue.sent[0].text == "⏰ (late, was due 2026-11-22 13:00 Europe/Berlin)\nmessage 1"


def test_a_stop_ends_the_tries(rest, queue, fake_rest, clock):
    stopping = threading.Event()
    patient = Firings(
        rest=rest,
        redis=queue,
        settings=settings(fake_rest.url, max_retries=50, retry_delay=60.0),
        clock=clock,
        stopping=stopping,
    )
    stopping.set()
    queue.failures = 50
    assert patient.fire(job(fake_rest), DUE)
    assert queue.failures == 49
