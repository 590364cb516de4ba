"""The service as a process: real Redis, rest_service over HTTP, signals."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import redis.asyncio as aioredis

from cron_service.tests.fake_rest import FakeRest
from cron_service.tests.fakes import eventually
from service_kit import redis as kit_redis
from service_kit.contracts.health import HealthBody
from service_kit.contracts.messages import QUEUE_TO_TELEGRAM, OutgoingMessage
from service_kit.settings import RedisSettings
from service_kit.testing.servers import free_port

pytestmark = pytest.mark.integration

Process = subprocess.Popen[str]


@pytest.fixture
def fake_rest() -> Iterator[FakeRest]:
    with FakeRest() as rest:
        yield rest


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(
    fake_rest: FakeRest, redis_client: aioredis.Redis, redis_settings: RedisSettings, port: int
) -> Iterator[Callable[..., Process]]:
    environment = {
        "PATH": os.environ["PATH"],
        "REST_SERVICE_URL": fake_rest.url,
        "SERVICE_API_KEY": "key-of-the-services",
        "REDIS_HOST": redis_settings.redis_host,
        "REDIS_PORT": str(redis_settings.redis_port),
        "REDIS_DB": str(redis_settings.redis_db),
        "HTTP_PORT": str(port),
        "RETRY_DELAY": "0.2",
    }
    if redis_settings.redis_password:
        environment["REDIS_PASSWORD"] = redis_settings.redis_password.get_secret_value()
    started: list[Process] = []

    def start_one(**more: str) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-m", "cron_service.app.main"],
            env=environment | more,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def healthy(port: int) -> bool:
    try:
        answer = httpx2.get(f"http://127.0.0.1:{port}/health")
    except httpx2.TransportError:
        return False
    HealthBody.model_validate_json(answer.content)
    return answer.status_code == 200


def test_a_job_fires_into_the_bots_queue(start, fake_rest, port, redis_settings):
    fake_rest.add_job(1, run_at=(datetime.now(UTC) + timedelta(seconds=1)).isoformat(), message="Vitamins")
    process = start()
    eventually(lambda: healthy(port), "healthy", 30)
    eventually(lambda: fake_rest.jobs[1]["status"] == "done", "fired and reported")
    queue = kit_redis.connect_sync(redis_settings)
    (row,) = queue.lrange(QUEUE_TO_TELEGRAM, 0, -1)
    queue.close()
    message = OutgoingMessage.model_validate_json(row)
    assert (message.chat_id, message.text) == (700, "Vitamins")

    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    assert f'"correlation_id": "{message.id}"' in log
    assert "key-of-the-services" not in log


def test_killed_between_claim_and_queue_the_next_life_sends(start, fake_rest, port, redis_settings):
    due = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    fake_rest.add_job(1, run_at=due, message="Vitamins")
    queue = kit_redis.connect_sync(redis_settings)
    queue.client_pause(60_000, all=False)  # the claim goes through, the queue takes nothing
    first = start()
    eventually(lambda: fake_rest.firings, "claimed", 30)
    first.kill()
    first.wait()
    queue.client_unpause()
    assert queue.llen(QUEUE_TO_TELEGRAM) <= 1  # the enqueue may have stood in the server's buffer

    start()
    eventually(lambda: fake_rest.jobs[1]["status"] == "done", "resumed", 30)
    assert queue.llen(QUEUE_TO_TELEGRAM) == 1
    queue.close()


def test_a_stop_does_not_wait_for_a_rest_service_that_hangs(start, fake_rest):
    with fake_rest.lock:
        process = start(DRAIN_TIMEOUT="0.3")
        eventually(lambda: fake_rest.arrivals, "a refresh is under way")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "drain_timed_out" in log


def test_an_incomplete_environment_is_named_without_a_traceback():
    process = subprocess.run(
        [sys.executable, "-m", "cron_service.app.main"],
        env={"PATH": os.environ["PATH"], "MAX_RETRIES": "many-and-secret"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert process.returncode == 1
    assert "SERVICE_API_KEY" in process.stderr
    assert "MAX_RETRIES" in process.stderr
    assert "many-and-secret" not in process.stderr
    assert "Traceback" not in process.stderr
