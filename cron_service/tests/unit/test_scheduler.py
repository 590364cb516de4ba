import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cron_service.app.rest_client import RestClient
from cron_service.app.scheduler import JobScheduler
from cron_service.tests.fake_rest import FakeRest
from cron_service.tests.fakes import FakeRedisClient, eventually, settings
from service_kit.clock import SystemClock
from service_kit.health import Health

YEARLY = "0 0 1 1 *"


def ago(**delta: float) -> str:
    return (datetime.now(UTC) - timedelta(**delta)).isoformat()


@pytest.fixture
def health() -> Health:
    return Health("cron_service")


@pytest.fixture
def make(
    rest: RestClient, queue: FakeRedisClient, fake_rest: FakeRest, health: Health
) -> Iterator[Callable[..., JobScheduler]]:
    made: list[JobScheduler] = []

    def make_one(**fields: object) -> JobScheduler:
        scheduler = JobScheduler(
            rest=rest,
            redis=queue,
            settings=settings(fake_rest.url, **fields),
            health=health,
            clock=SystemClock(),
        )
        scheduler.start_scheduler()
        made.append(scheduler)
        return scheduler

    yield make_one
    for scheduler in made:
        if scheduler._scheduler.running:
            scheduler.shutdown()


@pytest.fixture
def running(make: Callable[..., JobScheduler], health: Health) -> Callable[[], JobScheduler]:
    """A scheduler after its first refresh."""

    def start() -> JobScheduler:
        scheduler = make()
        eventually(lambda: health.ready, "the first refresh")
        return scheduler

    return start


def next_firing(scheduler: JobScheduler, job_id: int) -> datetime:
    """Waits until there is one."""
    found: list[datetime] = []

    def look() -> bool:
        job = scheduler._scheduler.get_job(f"job:{job_id}")
        found.extend([job.next_run_time] if job else [])
        return bool(found)

    eventually(look)
    return found[0]


def is_scheduled(scheduler: JobScheduler, job_id: int) -> bool:
    return scheduler._scheduler.get_job(f"job:{job_id}") is not None


def texts(queue: FakeRedisClient) -> list[str]:
    return sorted(sent.text for sent in queue.sent)


def test_a_one_shot_fires_at_its_time_and_once(running, fake_rest, queue):
    fake_rest.add_job(1, run_at=ago(seconds=-0.2))
    scheduler = running()
    eventually(lambda: queue.sent)
    eventually(lambda: fake_rest.jobs[1]["status"] == "done")
    assert scheduler.update_jobs_from_rest()
    assert texts(queue) == ["message 1"]
    assert len(fake_rest.firings) == 1


def test_a_one_shot_in_the_future_does_not_fire_before_its_time(running, fake_rest, queue):
    fake_rest.add_job(1, run_at=ago(hours=-1))
    scheduler = running()
    scheduler.execute_job(1)
    assert queue.sent == []
    assert fake_rest.firings == []


def test_a_one_shot_missed_while_down_is_delivered_and_marked(running, fake_rest, queue):
    fake_rest.add_job(1, run_at=ago(hours=5))
    running()
    eventually(lambda: queue.sent)
    assert queue.sent[0].text.startswith("⏰ (late, was due")


def test_a_recurring_job_missed_many_times_fires_once(running, fake_rest, queue):
    missed = ago(hours=5)
    fake_rest.add_job(1, cron_expression="0 * * * *", next_run_at=missed)
    scheduler = running()
    eventually(lambda: fake_rest.firings and fake_rest.firings[0]["status"] == "done")
    assert datetime.fromisoformat(fake_rest.firings[0]["scheduled_for"]) == datetime.fromisoformat(missed)
    assert len(queue.sent) == 1
    assert next_firing(scheduler, 1) == datetime.fromisoformat(fake_rest.jobs[1]["next_run_at"])
    assert next_firing(scheduler, 1) > datetime.now(UTC)


def test_a_job_is_set_to_the_time_that_the_claim_answers(running, fake_rest):
    """Not to what this service would reckon from a row that may be old."""

    def change_after_the_refresh(_request: str) -> bool:
        fake_rest.jobs[1] = fake_rest.jobs[1] | {"cron_expression": "0 0 2 1 *"}
        return False

    fake_rest.add_job(1, cron_expression=YEARLY, next_run_at=ago(seconds=1))
    fake_rest.lost = change_after_the_refresh
    scheduler = running()
    eventually(lambda: next_firing(scheduler, 1).day == 2)
    assert len(fake_rest.firings) == 1


@pytest.mark.parametrize(
    ("odd", "mended"),
    [
        ({"type": "from_the_future"}, {"type": "notification"}),
        ({"cron_expression": "every morning"}, {"cron_expression": YEARLY}),
        ({"timezone": "Mars/Base"}, {"timezone": "Asia/Tokyo"}),
        ({"cron_expression": None}, {"run_at": "2100-01-01T00:00:00+00:00"}),
    ],
)
def test_a_row_that_could_not_fire_is_scheduled_once_it_can(running, fake_rest, odd, mended):
    fake_rest.add_job(1, **{"cron_expression": YEARLY, "next_run_at": "2100-01-01T00:00:00+00:00"} | odd)
    scheduler = running()
    assert not is_scheduled(scheduler, 1)
    fake_rest.jobs[1] |= mended
    assert scheduler.update_jobs_from_rest()
    assert is_scheduled(scheduler, 1)


@pytest.mark.parametrize(
    ("times", "change"),
    [
        ({"cron_expression": YEARLY}, {"timezone": "Asia/Tokyo"}),
        ({"cron_expression": YEARLY}, {"cron_expression": "0 0 2 1 *"}),
        ({"run_at": "2100-01-01T00:00:00+00:00"}, {"run_at": "2100-01-02T00:00:00+00:00"}),
    ],
)
def test_a_job_that_was_moved_is_set_to_its_new_time(running, fake_rest, times, change):
    fake_rest.add_job(1, **times)
    scheduler = running()
    before = next_firing(scheduler, 1)
    fake_rest.change_job(1, **change)
    assert scheduler.update_jobs_from_rest()
    assert next_firing(scheduler, 1) == datetime.fromisoformat(fake_rest.jobs[1]["next_run_at"]) != before


def test_a_job_that_was_moved_does_not_fire_at_its_old_time(running, fake_rest, queue):
    fake_rest.refuse["POST"] = 503
    fake_rest.add_job(1, run_at=ago(seconds=1))
    scheduler = running()
    eventually(lambda: "POST /api/cron-jobs/1/firings" in fake_rest.requests)
    fake_rest.change_job(1, run_at=ago(hours=-1))
    fake_rest.refuse.clear()
    due = datetime.fromisoformat(fake_rest.jobs[1]["run_at"])
    eventually(lambda: next_firing(scheduler, 1) == due)
    assert fake_rest.firings == []
    assert queue.sent == []


def test_jobs_of_a_user_who_is_away_rest_and_fire_once_on_return(running, fake_rest, queue):
    fake_rest.add_user()
    fake_rest.add_job(1, cron_expression="0 * * * *", next_run_at=ago(hours=5))
    fake_rest.add_job(2, run_at=ago(hours=3))
    fake_rest.users[7]["is_active"] = False
    scheduler = running()
    assert not is_scheduled(scheduler, 1)
    assert not is_scheduled(scheduler, 2)
    assert fake_rest.firings == []
    fake_rest.users[7]["is_active"] = True
    queue.version += 1
    eventually(lambda: len(queue.sent) == 2)
    eventually(lambda: fake_rest.jobs[2]["status"] == "done")
    assert sorted(sent.message_id.split(":")[1] for sent in queue.sent) == ["1", "2"]
    assert next(s for s in queue.sent if s.message_id.startswith("job:2")).text.startswith(
        "⏰ (late, was due"
    )


def test_what_was_not_missed_does_not_fire(running, fake_rest, queue):
    fake_rest.add_job(1, cron_expression=YEARLY)
    scheduler = running()
    fires_at = next_firing(scheduler, 1)
    assert (fires_at.month, fires_at.day, fires_at.utcoffset()) == (1, 1, timedelta())
    assert fake_rest.firings == []


def test_all_pages_are_read(running, fake_rest):
    for number in range(1, 452):
        fake_rest.add_job(number, cron_expression=YEARLY)
    scheduler = running()
    assert all(is_scheduled(scheduler, number) for number in range(1, 452))


def test_a_refresh_takes_over_new_changed_and_gone_jobs(running, fake_rest, queue):
    for number in (1, 2, 3):
        fake_rest.add_job(number, cron_expression=YEARLY)
    scheduler = running()
    kept = scheduler._scheduler.get_job("job:1")

    fake_rest.jobs[1]["message"] = "a new text"
    fake_rest.change_job(2, cron_expression="0 0 2 1 *")
    fake_rest.change_job(3, is_active=False)
    fake_rest.add_job(4, cron_expression=YEARLY)
    assert scheduler.update_jobs_from_rest()

    assert scheduler._scheduler.get_job("job:1") is kept
    assert next_firing(scheduler, 2).day == 2
    assert not is_scheduled(scheduler, 3)
    assert is_scheduled(scheduler, 4)
    for number in (1, 3):
        fake_rest.jobs[number]["next_run_at"] = ago(seconds=1)
    assert scheduler.update_jobs_from_rest()
    eventually(lambda: texts(queue) == ["a new text"])
    assert fake_rest.requests.count("POST /api/cron-jobs/3/firings") == 0


def test_a_failed_refresh_keeps_the_jobs_and_shows(running, fake_rest, health):
    fake_rest.add_job(1, cron_expression=YEARLY)
    scheduler = running()
    fake_rest.refuse["GET /api/cron-jobs"] = 503
    assert not scheduler.update_jobs_from_rest()
    assert is_scheduled(scheduler, 1)
    assert not health.ready
    assert "rest_service does not answer" in health.body().checks["jobs"]

    fake_rest.refuse.clear()
    eventually(lambda: health.ready, "a refresh soon after the failed one")


def test_a_start_without_rest_service_shows_and_goes_on_once_it_is_there(make, fake_rest, health):
    fake_rest.refuse["GET /api/cron-jobs"] = 503
    fake_rest.add_job(1, cron_expression=YEARLY)
    scheduler = make()
    eventually(lambda: health.body().checks["jobs"] == "not read yet: rest_service does not answer")
    assert not is_scheduled(scheduler, 1)
    fake_rest.refuse.clear()
    eventually(lambda: health.ready)
    assert is_scheduled(scheduler, 1)


def test_rows_that_cannot_fire_are_skipped_and_the_others_fire(running, fake_rest):
    soon = ago(hours=-1)
    fake_rest.add_job(1, type="from_the_future", cron_expression=YEARLY)
    fake_rest.add_job(2, cron_expression="every morning", next_run_at=soon)
    fake_rest.add_job(3, cron_expression=YEARLY, timezone="Mars/Base", next_run_at=soon)
    fake_rest.add_job(4, next_run_at=soon)
    fake_rest.add_job(5, cron_expression=YEARLY)
    fake_rest.add_job(6, run_at=soon, next_run_at=None)
    scheduler = running()
    assert [n for n in range(1, 7) if is_scheduled(scheduler, n)] == [5]


def test_an_announced_change_is_taken_over_at_once(running, fake_rest, queue):
    running()
    fake_rest.add_job(1, run_at=ago(seconds=1))
    queue.version += 1
    eventually(lambda: texts(queue) == ["message 1"])


def test_what_could_not_be_claimed_fires_when_rest_service_is_back(running, fake_rest, queue):
    fake_rest.refuse["POST"] = 503
    fake_rest.add_job(1, run_at=ago(seconds=1))
    running()
    eventually(lambda: fake_rest.requests.count("POST /api/cron-jobs/1/firings") >= 2)
    assert queue.sent == []
    fake_rest.refuse.clear()
    eventually(lambda: texts(queue) == ["message 1"])
    assert len(fake_rest.firings) == 1


def test_what_the_last_life_left_open_is_resumed_at_the_start(running, fake_rest, queue):
    fake_rest.add_job(1, run_at=ago(seconds=1), next_run_at=None)
    fake_rest.add_firing(1, fake_rest.jobs[1]["run_at"], started_at=ago(seconds=1), claimed_by="cron-1")
    running()
    eventually(lambda: fake_rest.jobs[1]["status"] == "done")
    assert texts(queue) == ["message 1"]


def test_of_other_schedulers_only_firings_nobody_can_be_working_on_are_resumed(running, fake_rest, queue):
    fake_rest.add_job(1, cron_expression=YEARLY)
    fake_rest.add_job(2, cron_expression=YEARLY)
    fake_rest.add_firing(1, ago(seconds=1), started_at=ago(seconds=1), claimed_by="cron-2")
    fake_rest.add_firing(2, ago(minutes=1), started_at=ago(minutes=3), claimed_by="cron-2")
    running()
    eventually(lambda: texts(queue) == ["message 2"])


def test_a_blink_of_redis_delays_a_firing_by_a_blink(running, fake_rest, queue):
    """All tries fail; as soon as Redis answers, the firing that stayed open is sent, and once."""
    fake_rest.add_job(1, run_at=ago(seconds=1))
    queue.failures = 4  # the tries of the firing, and of the first resumption
    running()
    eventually(lambda: fake_rest.jobs[1]["status"] == "done")
    assert texts(queue) == ["message 1"]
    assert fake_rest.requests.count("POST /api/cron-jobs/1/firings") == 1


def test_while_redis_is_away_no_extra_refresh_burdens_rest_service(running, fake_rest, queue, health):
    scheduler = running()
    queue.is_away = True
    eventually(lambda: not health.ready)
    fake_rest.add_job(1, run_at=ago(seconds=1))
    assert scheduler.update_jobs_from_rest()
    eventually(lambda: fake_rest.firings, "claimed")
    asked, looks = fake_rest.requests.count("GET /api/cron-jobs"), queue.looks
    eventually(lambda: queue.looks >= looks + 2)
    assert fake_rest.requests.count("GET /api/cron-jobs") == asked
    queue.is_away = False
    eventually(lambda: fake_rest.jobs[1]["status"] == "done")
    assert texts(queue) == ["message 1"]


def test_claims_whose_answers_are_lost_are_made_up_for_at_once(running, fake_rest, queue):
    """All tries of the claim: the job has moved on, and the open firing tells."""
    answers = iter([True, True])
    fake_rest.lost = lambda request: request.startswith("POST") and next(answers, False)
    fake_rest.add_job(1, run_at=ago(seconds=1))
    running()
    eventually(lambda: fake_rest.jobs[1]["status"] == "done")
    assert texts(queue) == ["message 1"]
    assert len(fake_rest.firings) == 1


def test_after_the_stop_nothing_is_fired(running, fake_rest):
    fake_rest.refuse["POST"] = 503
    fake_rest.add_job(1, run_at=ago(seconds=1))
    scheduler = running()
    scheduler.shutdown()
    asked = len(fake_rest.requests)
    scheduler.execute_job(1)
    assert len(fake_rest.requests) == asked


def test_what_is_open_for_a_user_who_is_away_is_sent_when_they_are_back(running, fake_rest, queue):
    fake_rest.add_user(is_active=False)
    fake_rest.add_job(1, run_at=ago(seconds=1), next_run_at=None)
    fake_rest.add_firing(1, fake_rest.jobs[1]["run_at"], claimed_by="cron-1")
    scheduler = running()
    assert scheduler.update_jobs_from_rest()
    assert fake_rest.firings[0]["status"] == "running"
    fake_rest.users[7]["is_active"] = True
    queue.version += 1
    eventually(lambda: fake_rest.jobs[1]["status"] == "done")
    assert texts(queue) == ["message 1"]


def test_unreadable_open_firings_do_not_hinder_the_jobs(running, fake_rest):
    fake_rest.refuse["/firings$"] = 503
    fake_rest.add_job(1, cron_expression=YEARLY)
    assert is_scheduled(running(), 1)


def test_the_heartbeat_comes_from_the_schedulers_threads(make, health):
    beats = threading.Event()
    health.beat = beats.set
    make()
    assert beats.wait(5)


def test_a_stop_during_a_refresh_waits_for_it_and_ends(running, fake_rest):
    fake_rest.add_job(1, cron_expression=YEARLY)
    scheduler = running()
    fake_rest.add_job(2, cron_expression=YEARLY)
    asked = len(fake_rest.requests)
    with fake_rest.lock:  # rest_service takes its time
        scheduler._refresh_wanted.set()
        eventually(lambda: scheduler._executors["upkeep"]._instances.get("refresh"))
        stop = threading.Thread(target=scheduler.shutdown, daemon=True)
        stop.start()
        eventually(scheduler._stopping.is_set)
        assert stop.is_alive()
    stop.join(5)
    assert not stop.is_alive(), "the refresh and the scheduler's shutdown wait for each other"
    assert len(fake_rest.requests) > asked
