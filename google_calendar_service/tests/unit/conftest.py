from collections.abc import AsyncIterator, Callable, Iterator

import httpx2
import pytest

from google_calendar_service.src.api.dependencies import Parts
from google_calendar_service.src.config.settings import Settings, hash_key
from google_calendar_service.src.main import create_app
from google_calendar_service.src.schemas.auth import PendingConsent
from google_calendar_service.src.services.calendar import GoogleCalendarService
from google_calendar_service.src.services.google_threads import GoogleThreads
from google_calendar_service.src.services.redis_service import RedisService
from google_calendar_service.src.services.rest_service import RestService
from service_kit.health import Health
from service_kit.rest.client import AsyncRestClient

USER = {
    "id": 7,
    "telegram_id": 700,
    "role": "member",
    "is_active": True,
    "created_at": "2026-11-22T12:00:00Z",
    "updated_at": "2026-11-22T12:00:00Z",
}


class FakeRedisService(RedisService):
    """Pending consents in a dictionary."""

    def __init__(self) -> None:
        self.consents: dict[str, PendingConsent] = {}
        self.failure: Exception | None = None

    async def save_consent(self, state: str, pending: PendingConsent) -> None:
        if self.failure:
            raise self.failure
        self.consents[state] = pending

    async def take_consent(self, state: str) -> PendingConsent | None:
        return self.consents.pop(state, None)


@pytest.fixture
def fake_redis() -> FakeRedisService:
    return FakeRedisService()


@pytest.fixture
def google_threads() -> Iterator[GoogleThreads]:
    threads = GoogleThreads(threads=4, timeout=60)
    yield threads
    threads.close()


@pytest.fixture
def rest_answers() -> dict[str, httpx2.Response]:
    """What rest_service answers, by path; everything else is 404."""
    return {"/api/users/7": httpx2.Response(200, json=USER)}


@pytest.fixture
def settings() -> Settings:
    return Settings.model_validate(
        {
            "service_api_key": "key-of-the-services",
            "caller_key_hashes": f"{hash_key('key-of-the-admin')}, {hash_key('key-of-the-bot')}",
            "google_client_id": "client.apps.googleusercontent.com",
            "google_client_secret": "GOCSPX-secret-of-the-client",
            "google_redirect_uri": "http://127.0.0.1:8001/auth/callback",
            "cors_origins": "https://calendar.example, https://other.example",
        }
    )


Client = Callable[..., httpx2.AsyncClient]


@pytest.fixture
async def client(
    settings: Settings,
    fake_redis: FakeRedisService,
    google_threads: GoogleThreads,
    rest_answers: dict[str, httpx2.Response],
) -> AsyncIterator[httpx2.AsyncClient]:
    """The real app, called in process with the services' key."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        missing = httpx2.Response(404, json={"code": "not_found", "message": "There is no such user."})
        return rest_answers.get(request.url.path, missing)

    health = Health("google_calendar_service")
    async with AsyncRestClient(settings, transport=httpx2.MockTransport(answer)) as rest:
        parts = Parts(
            settings=settings,
            calendar=GoogleCalendarService(settings),
            google=google_threads,
            redis=fake_redis,
            rest=RestService(rest),
            health=health,
        )
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=create_app(parts)),
            base_url="http://calendar",
            headers={"Authorization": "Bearer key-of-the-services"},
        ) as http:
            yield http
