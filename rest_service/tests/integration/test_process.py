"""The service as a process: what it says when it cannot start, and how it stops."""

import asyncio
import os
import signal
import sys

import httpx2
import pytest

from rest_service.tests.support import ADMIN_KEY, FERNET_KEY, SERVICE_KEY, own_database, until
from service_kit.testing.servers import free_port

pytestmark = pytest.mark.integration

MAIN = [sys.executable, "-m", "rest_service.app.main"]


def environment(url, redis_settings, **more):
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return (
        inherited
        | {
            "ASYNC_DATABASE_URL": url,
            "REDIS_HOST": redis_settings.redis_host,
            "REDIS_PORT": str(redis_settings.redis_port),
            "REDIS_PASSWORD": redis_settings.redis_password.get_secret_value()
            if redis_settings.redis_password
            else "",
            "ADMIN_API_KEY": ADMIN_KEY,
            "SERVICE_API_KEY": SERVICE_KEY,
            "CREDENTIALS_ENCRYPTION_KEYS": FERNET_KEY,
            "DB_WAIT_SECONDS": "1",
        }
        | more
    )


async def start(variables):
    return await asyncio.create_subprocess_exec(
        *MAIN, env=variables, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def refusal(variables):
    process = await start(variables)
    async with asyncio.timeout(60):
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"Traceback" not in errors
    return errors.decode()


async def test_a_start_without_settings_names_them(empty_url, redis_settings):
    said = await refusal(environment(empty_url, redis_settings, ADMIN_API_KEY="", DB_POOL_SIZE="many"))
    assert "ADMIN_API_KEY" in said
    assert "DB_POOL_SIZE" in said


async def test_a_start_on_another_schema_says_what_to_do(database_url, redis_settings):
    with own_database(database_url, "unmigrated") as url:
        said = await refusal(environment(url, redis_settings))
    assert "./manage.py upgrade" in said


async def test_a_start_without_a_database_names_its_address(redis_settings):
    said = await refusal(environment("postgresql://nobody:hidden@127.0.0.1:1/test", redis_settings))
    assert "127.0.0.1:1" in said
    assert "hidden" not in said


async def test_it_serves_and_stops_at_a_signal(empty_url, redis_settings):
    port = free_port()
    process = await start(environment(empty_url, redis_settings, HTTP_PORT=str(port)))
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            await until(lambda: healthy(http))
            assert (await http.get("/api/users")).status_code == 401
            key = {"Authorization": f"Bearer {ADMIN_KEY}"}
            assert (await http.get("/api/users", headers=key)).json() == []
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            _, log = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    assert b"Traceback" not in log
    assert ADMIN_KEY.encode() not in log


async def healthy(http):
    try:
        return (await http.get("/health")).status_code == 200
    except httpx2.TransportError:
        return False
