"""The queue in memory, with dedupe and outages; what most tests of this service start from."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis

from cron_service.app.config import Settings
from cron_service.app.redis_client import RedisClient
from service_kit.contracts.cron import Priority


def settings(rest_url: str, **fields: object) -> Settings:
    defaults = {"max_retries": 2, "retry_delay": 0.0, "jobs_refresh_seconds": 3600.0, "service_api_key": "k"}
    return Settings.model_validate({"rest_service_url": rest_url} | defaults | fields)


@dataclass(frozen=True)
class Sent:
    chat_id: int
    text: str
    priority: Priority
    user_id: int | None
    message_id: str | None


class FakeRedisClient(RedisClient):
    """Keeps what was sent; `failures` counts down with every sending."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.failures = 0
        self.is_away = False
        self.version = 0
        self.looks = 0
        self._lock = threading.Lock()

    def send_notification(
        self,
        chat_id: int,
        message: str,
        priority: Priority = Priority.NORMAL,
        *,
        user_id: int | None = None,
        message_id: str | None = None,
    ) -> bool:
        with self._lock:
            self._fail_if_set()
            if any(message_id and sent.message_id == message_id for sent in self.sent):
                return False
            self.sent.append(Sent(chat_id, message, priority, user_id, message_id))
            return True

    def jobs_version(self) -> int:
        self.looks += 1
        if self.is_away:
            raise redis.ConnectionError("the test wants it")
        return self.version

    def _fail_if_set(self) -> None:
        if self.failures or self.is_away:
            self.failures = max(0, self.failures - 1)
            raise redis.ConnectionError("the test wants it")


def eventually(condition: Callable[[], object], what: str = "", seconds: float = 60.0) -> None:
    """Wait until `condition` holds; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what or condition}"
        time.sleep(0.005)
