"""schemathesis against the real process on real PostgreSQL: what the document promises is kept.

All its checks, as the admin, as the services, and without a key. The suite runs a short form with a
fixed seed; the long form is the same with more examples, other seeds and sequences of calls:

    SCHEMATHESIS=long python -m pytest tests/contract/test_openapi.py -s
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from rest_service.tests.support import ADMIN_KEY, FERNET_KEY, SERVICE_KEY, migrated_database, until
from service_kit.settings import RedisSettings
from service_kit.testing.servers import free_port

ROOT = Path(__file__).parents[2]
LONG = os.environ.get("SCHEMATHESIS") == "long"
SEED = f"--seed={random.randrange(2**32) if LONG else 1}"
WIDE, NARROW = (
    (("--phases=examples,coverage,fuzzing,stateful", "--max-examples=100"),) * 2
    if LONG
    else (("--phases=examples,fuzzing", "--max-examples=3"), ("--phases=examples",))
)
ENDS_WITHIN = 1800 if LONG else 240
pytestmark = [pytest.mark.integration, pytest.mark.timeout(3 * ENDS_WITHIN)]


@pytest.fixture(scope="module")
def own_url(database_url: str) -> Iterator[str]:
    """A database with the default rows of a first start."""
    with migrated_database(database_url, "openapi") as url:
        yield url


@pytest.fixture
async def url(own_url: str, redis_settings: RedisSettings, tmp_path: Path) -> AsyncIterator[str]:
    """The service as a process, as it runs for people; afterwards its log is looked at."""
    port = free_port()
    password = redis_settings.redis_password
    variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
        "ASYNC_DATABASE_URL": own_url,
        "REDIS_HOST": redis_settings.redis_host,
        "REDIS_PORT": str(redis_settings.redis_port),
        "REDIS_PASSWORD": password.get_secret_value() if password else "",
        "ADMIN_API_KEY": ADMIN_KEY,
        "SERVICE_API_KEY": SERVICE_KEY,
        "CREDENTIALS_ENCRYPTION_KEYS": FERNET_KEY,
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(port),
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rest_service.app.main", cwd=ROOT, env=variables,
            stdout=output, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        async with httpx2.AsyncClient(base_url=address) as http:
            await until(lambda: _healthy(http))
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await process.wait()
    written = log.read_text()
    assert "request_failed" not in written
    assert "Traceback" not in written


async def _healthy(http: httpx2.AsyncClient) -> bool:
    try:
        return (await http.get("/health")).status_code == 200
    except httpx2.TransportError:
        return False


async def schemathesis(folder: Path, url: str, *arguments: str) -> str:
    """What it has to say; fails where it found something. It keeps its notes in `folder`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", f"--config-file={ROOT / 'schemathesis.toml'}",
        "--no-color", "run", f"{url}/openapi.json",
        "--checks=all", "--continue-on-failure", SEED, *arguments,
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(ENDS_WITHIN):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = output.decode()
    assert process.returncode == 0, said
    assert "Tested: " in said, said
    return said


@pytest.mark.parametrize(
    ("key", "form"), [(ADMIN_KEY, WIDE), (SERVICE_KEY, NARROW)], ids=["admin", "service"]
)
async def test_what_the_document_promises_is_kept(tmp_path: Path, url: str, key: str, form: tuple[str, ...]):
    said = await schemathesis(tmp_path, url, f"--header=Authorization: Bearer {key}", *form)
    print(said[said.index("= SUMMARY =") :])  # noqa: T201 - the figures, for whoever runs it by hand


async def test_nothing_succeeds_without_a_key(tmp_path: Path, url: str):
    said = await schemathesis(tmp_path, url, "--include-path-regex=^/api/", *NARROW)
    print(said[said.index("= SUMMARY =") :])  # noqa: T201 - the figures, for whoever runs it by hand
    async with httpx2.AsyncClient(base_url=url) as http:
        paths = (await http.get("/openapi.json")).json()["paths"]
        for path, operations in paths.items():
            for method in operations:
                answer = await http.request(method, path.replace("{", "").replace("}", ""))
                assert answer.status_code == (401 if path.startswith("/api/") else 200), (method, path)
