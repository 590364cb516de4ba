import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from cron_service.app import firings as module
from cron_service.app.firings import RESUME_AFTER, Firings
from cron_service.app.rest_client import RestClient
from cron_service.tests.fake_rest import NOW, FakeRest
from cron_service.tests.fakes import FakeRedisClient, Sent, settings
from service_kit.contracts.cron import CronJobRead, FiringClaimed, FiringRead, Priority
from service_kit.testing.clock import FakeClock

DUE = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ONCE = {"cron_expression": None, "run_at": NOW}
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


@pytest.fixture
def fire(firings: Firings) -> Callable[[CronJobRead], bool]:
    """Fires a job for DUE."""
    return lambda a_job: firings.fire(a_job, DUE, lambda _firing: None)


def job(fake_rest: FakeRest, **fields: object) -> CronJobRead:
    times = {"cron_expression": "0 12 * * *", "next_run_at": NOW}
    return CronJobRead.model_validate(fake_rest.add_job(1, **times | fields))


def open_firing(fake_rest: FakeRest, **fields: object) -> FiringRead:
    return FiringRead.model_validate(fake_rest.add_firing(1, NOW, **{"claimed_by": "cron-1"} | fields))


def test_a_firing_is_claimed_sent_and_reported(fire, fake_rest, queue):
    assert fire(job(fake_rest, priority="high"))
    assert queue.sent == [Sent(700, "message 1", Priority.HIGH, 7, ID)]
    assert fake_rest.requests == ["POST /api/cron-jobs/1/firings", "PATCH /api/cron-jobs/1/firings/1"]
    assert [firing["status"] for firing in fake_rest.firings] == ["done"]


@pytest.mark.parametrize(
    "change",
    [
        {"next_run_at": "2026-11-22T12:10:00Z"},
        {"is_active": False},
        {"status": "paused"},
        {"user_id": 8},
    ],
    ids=["moved", "off", "paused", "blocked"],
)
def test_a_job_that_changed_is_not_sent_and_wants_a_refresh(fire, fake_rest, queue, change):
    fake_rest.add_user(8, role="blocked")
    known = job(fake_rest)
    fake_rest.jobs[1] |= change
    assert not fire(known)
    assert queue.sent == []
    assert len(fake_rest.requests) == 1


def test_a_firing_that_another_scheduler_has_is_left_to_it(fire, fake_rest, queue):
    known = job(fake_rest)
    fake_rest.jobs[1]["next_run_at"] = None
    open_firing(fake_rest, claimed_by="cron-2")
    assert not fire(known)
    assert queue.sent == []


def test_a_deleted_job_does_not_fire(fire, fake_rest, queue):
    deleted = job(fake_rest)
    del fake_rest.jobs[1]
    assert not fire(deleted)
    assert queue.sent == []


def test_a_lost_answer_to_a_claim_is_asked_for_again_at_once(fire, fake_rest, queue):
    """The firing is taken all the same: without its name nobody would send it for minutes."""
    claims = iter([True, False])
    fake_rest.lost = lambda request: request.startswith("POST") and next(claims)
    assert fire(job(fake_rest))
    assert [sent.message_id for sent in queue.sent] == [ID]
    assert [firing["status"] for firing in fake_rest.firings] == ["done"]
    assert fake_rest.requests.count("POST /api/cron-jobs/1/firings") == 2


def test_a_claim_that_is_answered_after_the_end_sends_nothing(fire, fake_rest, queue):
    known = job(fake_rest)
    fake_rest.jobs[1]["next_run_at"] = None
    open_firing(fake_rest, status="done")
    assert fire(known)
    assert queue.sent == []


def test_the_job_moves_on_with_the_claim_before_anything_is_sent(firings, fake_rest, queue):
    seen = []
    firings.fire(job(fake_rest), DUE, lambda firing: seen.append((firing.next_run_at, list(queue.sent))))
    ((following, sent),) = seen
    assert following is not None
    assert following > datetime.now(UTC)
    assert sent == []


def test_two_threads_do_not_work_on_one_firing(firings, fake_rest, queue):
    a_job = job(fake_rest)

    def again(firing: FiringClaimed) -> None:
        assert firings.fire(a_job, DUE, lambda _firing: None)
        assert firings.resume(a_job, FiringRead.model_validate(fake_rest.firings[0]))
        assert queue.sent == []

    assert firings.fire(a_job, DUE, again)
    assert len(queue.sent) == 1
    assert fake_rest.requests.count("POST /api/cron-jobs/1/firings") == 1


def test_tries_begin_close_together_and_end_at_retry_delay_apart(rest, queue, fake_rest, clock):
    class Waits(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return False

    waits: list[float | None] = []
    patient = settings(fake_rest.url, max_retries=6, retry_delay=2.0)
    firings = Firings(rest=rest, redis=queue, settings=patient, clock=clock, stopping=Waits())
    assert list(firings.attempts()) == [1, 2, 3, 4, 5, 6]
    assert waits == pytest.approx([module.FIRST_WAIT, 0.4, 1.6, 2.0, 2.0])


@pytest.mark.parametrize("status", [503, 401])
def test_what_cannot_be_claimed_is_not_sent_and_is_to_be_fired_later(fire, fake_rest, queue, status):
    fake_rest.refuse["POST"] = status
    assert not fire(job(fake_rest))
    assert queue.sent == []


def test_a_claim_that_is_refused_for_good_is_not_tried_again(fire, fake_rest, queue):
    fake_rest.refuse["POST"] = 422
    assert fire(job(fake_rest))
    assert len(fake_rest.requests) == 1


def test_a_short_outage_of_redis_is_outlasted(fire, fake_rest, queue):
    queue.failures = 1
    assert fire(job(fake_rest))
    assert len(queue.sent) == 1
    assert fake_rest.firings[0]["status"] == "done"


def test_a_long_outage_of_redis_leaves_the_firing_open_to_be_resumed(fire, firings, fake_rest, queue):
    a_job = job(fake_rest)
    queue.failures = 2
    assert not fire(a_job)
    assert queue.sent == []
    assert fake_rest.firings[0]["status"] == "running"

    assert firings.resume(a_job, FiringRead.model_validate(fake_rest.firings[0]))
    assert [sent.message_id for sent in queue.sent] == [ID]
    assert fake_rest.firings[0]["status"] == "done"


def test_a_lost_report_is_made_up_for_without_sending_twice(fire, firings, fake_rest, queue):
    a_job = job(fake_rest)
    fake_rest.refuse["PATCH"] = 503
    assert not fire(a_job)
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
    job(fake_rest, is_active=False)
    assert firings.resume(None, open_firing(fake_rest))
    assert queue.sent == []
    assert (
        fake_rest.firings[0].items() >= {"status": "failed", "error": "the job is no longer active"}.items()
    )


def test_what_another_scheduler_has_claimed_is_taken_over_after_a_minute(firings, fake_rest, queue, clock):
    a_job, firing = job(fake_rest), open_firing(fake_rest, claimed_by="cron-2")
    assert firings.resume(a_job, firing)
    assert queue.sent == []
    clock.move(seconds=RESUME_AFTER.total_seconds() + 1)
    assert firings.resume(a_job, firing)
    assert len(queue.sent) == 1


def test_a_late_firing_of_a_recurring_job_tells_the_last_time_it_stands_for(firings, fake_rest, queue, clock):
    clock.move(days=3, hours=1)
    firing = open_firing(fake_rest, started_at=clock.now().isoformat())
    firings.resume(job(fake_rest), firing)
    assert queue.sent[0].text == "⏰ (late, was due 2026-11-25 12:00 UTC)\nmessage 1"


def test_a_late_message_says_so_in_the_users_language_and_zone(fire, fake_rest, queue, clock):
    fake_rest.add_user(language="ru", timezone="Asia/Tokyo")
    clock.move(minutes=3)
    fire(job(fake_rest, **ONCE, timezone="Europe/Berlin"))
    assert queue.sent[0].text == (
        "⏰ (с опозданием, было назначено на 2026-11-22 21:00 Asia/Tokyo)\nmessage 1"
    )


@pytest.mark.parametrize("zone", ["US/Pacific-New", "Mars/Olympus", "../etc", "Europe"])
def test_a_late_message_goes_out_even_when_the_zone_is_not_known_here(firings, fake_rest, queue, clock, zone):
    fake_rest.add_user(timezone=zone)
    clock.move(minutes=3)
    assert firings.resume(job(fake_rest, **ONCE), open_firing(fake_rest))
    assert queue.sent[0].text == "⏰ (late, was due 2026-11-22 12:00 UTC)\nmessage 1"


def test_a_late_message_goes_out_even_when_the_user_cannot_be_read(fire, fake_rest, queue, clock):
    fake_rest.refuse["GET /api/users"] = 503
    clock.move(minutes=3)
    fire(job(fake_rest, **ONCE, timezone="Europe/Berlin"))
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
    assert not patient.fire(job(fake_rest), DUE, lambda _firing: None)
    assert queue.failures == 49
