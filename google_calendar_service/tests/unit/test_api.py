import asyncio
import threading
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi.routing import APIRoute
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from google_calendar_service.src.api.dependencies import require_key
from google_calendar_service.src.api.routes import health_router, router
from google_calendar_service.src.config.settings import Settings, hash_key
from google_calendar_service.src.schemas.auth import PendingConsent
from google_calendar_service.src.services.calendar import GoogleCalendarService
from google_calendar_service.src.services.google_threads import GoogleThreads
from service_kit.contracts.errors import ErrorBody
from service_kit.contracts.health import HealthBody


def error(answer: httpx2.Response) -> ErrorBody:
    return ErrorBody.model_validate_json(answer.content)


async def test_the_consent_url_carries_a_state_that_is_kept_with_the_user_and_the_verifier(
    client, fake_redis
):
    answer = await client.get("/auth/url/7")
    assert answer.status_code == 200
    (state,) = parse_qs(urlsplit(answer.json()["auth_url"]).query)["state"]
    ((kept, pending),) = fake_redis.consents.items()
    assert kept == state
    assert len(state) >= 43  # 256 bits
    assert pending == PendingConsent(user_id=7, code_verifier=pending.code_verifier)


async def test_every_consent_has_a_state_of_its_own(client, fake_redis):
    for _ in range(3):
        await client.get("/auth/url/7")
    assert len(fake_redis.consents) == 3


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer key-of-the-service"},
        {"Authorization": "Basic key-of-the-services"},
        {"Authorization": "Bearer ключ".encode()},
    ],
)
async def test_without_the_right_key_nothing_is_told(client, fake_redis, headers):
    answer = await client.get("/auth/url/7", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert error(answer).code == "unauthorized"
    assert fake_redis.consents == {}


@pytest.mark.parametrize("key", ["key-of-the-admin", "key-of-the-bot"])
async def test_the_keys_of_the_callers_open_too_and_their_hashes_do_not(client, key):
    answer = await client.get("/auth/url/7", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    stolen = await client.get("/auth/url/7", headers={"Authorization": f"Bearer {hash_key(key)}"})
    assert stolen.status_code == 401


async def test_while_google_hangs_health_and_the_key_check_answer(client, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(GoogleCalendarService, "get_auth_url", lambda *_: release.wait())
    # more than all threads there are, Google's and those in which FastAPI runs plain functions
    hanging = [asyncio.create_task(client.get("/auth/url/7")) for _ in range(60)]
    try:
        async with asyncio.timeout(20):
            await asyncio.sleep(0)
            assert (await client.get("/health")).status_code == 200
            refused = await client.get("/auth/url/7", headers={"Authorization": "Bearer wrong"})
        assert refused.status_code == 401
        assert not any(task.done() for task in hanging)
    finally:
        release.set()
        for task in hanging:
            task.cancel()
        await asyncio.wait(hanging)


async def test_a_call_of_google_that_hangs_is_given_up():
    threads, release = GoogleThreads(threads=1, timeout=0.05), threading.Event()
    try:
        with pytest.raises(TimeoutError):
            await threads.run(release.wait)
    finally:
        release.set()
        threads.close()


def test_every_route_but_health_asks_for_the_key():
    open_paths = {route.path for route in health_router.routes if isinstance(route, APIRoute)}
    assert open_paths == {"/health", "/health/ready", "/health/live"}
    for route in router.routes:
        assert isinstance(route, APIRoute)
        assert require_key in {dependency.call for dependency in route.dependant.dependencies}


async def test_an_unknown_user_is_404(client, fake_redis):
    answer = await client.get("/auth/url/8")
    assert (answer.status_code, error(answer).message) == (404, "There is no such user.")
    assert fake_redis.consents == {}


@pytest.mark.parametrize("user_id", ["0", "-1", "2147483648", "ada"])
async def test_what_cannot_be_a_user_is_422_and_names_the_field(client, user_id):
    answer = await client.get(f"/auth/url/{user_id}")
    assert (answer.status_code, error(answer).code, error(answer).field) == (422, "invalid", "path.user_id")


@pytest.mark.parametrize("path", ["/auth/url/7", "/health", "/health/live"])
async def test_a_trailing_slash_makes_no_difference(client, path):
    plain, slashed = await client.get(path), await client.get(f"{path}/")
    assert plain.status_code == slashed.status_code
    assert plain.json().keys() == slashed.json().keys()


async def test_unknown_addresses_and_methods_answer_in_the_same_shape(client):
    missing, wrong_method = await client.get("/nothing"), await client.post("/auth/url/7")
    assert (missing.status_code, error(missing).code) == (404, "not_found")
    assert (wrong_method.status_code, error(wrong_method).code) == (405, "method_not_allowed")


async def test_rest_service_away_is_503(client, rest_answers):
    rest_answers["/api/users/7"] = httpx2.Response(500)
    answer = await client.get("/auth/url/7")
    assert (answer.status_code, error(answer).code) == (503, "unavailable")
    assert answer.headers["Retry-After"]


async def test_a_key_that_rest_service_refuses_is_the_operators_business(client, rest_answers):
    rest_answers["/api/users/7"] = httpx2.Response(401, json={"code": "unauthorized", "message": "wrong key"})
    answer = await client.get("/auth/url/7")
    assert (answer.status_code, error(answer).code) == (502, "bad_gateway")


@pytest.mark.parametrize("failure", [RedisConnectionError("away"), TimeoutError()])
async def test_redis_away_is_503(client, fake_redis, failure):
    fake_redis.failure = failure
    answer = await client.get("/auth/url/7")
    assert (answer.status_code, error(answer).code) == (503, "unavailable")


async def test_a_bug_tells_an_incident_id_and_nothing_else(client, fake_redis):
    fake_redis.failure = ValueError("the inside of the service")
    with capture_logs() as log:
        answer = await client.get("/auth/url/7")
    assert (answer.status_code, error(answer).code) == (500, "internal")
    assert [line["incident_id"] for line in log] == [error(answer).incident_id]
    assert "inside" not in answer.text


class TestWithoutAClient:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return Settings.model_validate(settings.model_dump() | {"google_client_id": None})

    async def test_it_says_what_to_put_into_env(self, client):
        answer = await client.get("/auth/url/7")
        assert (answer.status_code, error(answer).code) == (503, "not_configured")
        assert "GOOGLE_CLIENT_ID" in error(answer).message
        assert ".env" in error(answer).message


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/live"])
async def test_health_is_open(client, path):
    answer = await client.get(path, headers={"Authorization": ""})
    assert answer.status_code == 200
    assert HealthBody.model_validate_json(answer.content).status == "ok"


async def test_pages_of_the_listed_origins_may_call_and_no_others(client):
    asked = {"Origin": "https://calendar.example", "Access-Control-Request-Method": "GET"}
    assert (await client.options("/auth/url/7", headers=asked)).status_code == 200
    foreign = await client.options("/auth/url/7", headers=asked | {"Origin": "https://evil.example"})
    assert foreign.status_code == 400
    failed = await client.get("/auth/url/8", headers={"Origin": "https://calendar.example"})
    assert failed.headers["Access-Control-Allow-Origin"] == "https://calendar.example"
