"""What the tests of this service share: a migrated database, the app in process, and ways to ask it."""

import asyncio
import atexit
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx2
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from rest_service.app.config import Settings
from rest_service.app.migrate import migrate
from rest_service.app.models import discards, metadata
from service_kit.clock import Clock
from service_kit.settings import RedisSettings

ADMIN_KEY = "admin-key-of-the-tests"
SERVICE_KEY = "service-key-of-the-tests"
FERNET_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def make_settings(database_url: str, redis: RedisSettings | None = None, **more: Any) -> Settings:
    place = redis.model_dump() if redis else {"redis_host": "127.0.0.1", "redis_port": 1}
    return Settings(
        **(
            {
                "async_database_url": SecretStr(database_url),
                "admin_api_key": SecretStr(ADMIN_KEY),
                "service_api_key": SecretStr(SERVICE_KEY),
                "credentials_encryption_keys": SecretStr(FERNET_KEY),
                "db_wait_seconds": 5.0,
            }
            | place
            | more
        )
    )


@contextmanager
def own_database(server_url: str, name: str) -> Iterator[str]:
    """The address of an empty database that lasts as long as the block."""
    with _new_database(server_url, name, template="template1") as url:
        yield url


@contextmanager
def migrated_database(server_url: str, name: str) -> Iterator[str]:
    """The address of a database with all tables and the default rows."""
    with _new_database(server_url, name, template=_migrated_template(server_url)) as url:
        yield url


@cache
def _migrated_template(server_url: str) -> str:
    """The name of a database that is migrated once a process, and copied for each that asks."""
    made = ExitStack()
    url = made.enter_context(own_database(server_url, "template"))
    migrate(make_settings(url))

    def drop() -> None:
        with suppress(OperationalError):  # a throw-away server is gone by then
            made.close()

    atexit.register(drop)
    return str(make_url(url).database)


@contextmanager
def _new_database(server_url: str, name: str, *, template: str) -> Iterator[str]:
    admin = create_engine(
        make_url(server_url).set(drivername="postgresql+psycopg2"), isolation_level="AUTOCOMMIT"
    )
    name = f"test_{name}_{os.getpid()}"
    try:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        admin.dispose()


def empty(database_url: str) -> None:
    """Remove all rows."""
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg2"))
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):  # for few rows much faster than TRUNCATE
            connection.execute(table.delete())
        connection.execute(discards.delete())  # what the deletions have made
    engine.dispose()


@dataclass
class Api:
    """The app in process, asked with the admin's key unless told otherwise."""

    http: httpx2.AsyncClient
    app: FastAPI

    async def ask(
        self, method: str, path: str, *, key: str | None = ADMIN_KEY, **more: Any
    ) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return await self.http.request(method, path, headers=headers | more.pop("headers", {}), **more)

    async def get(self, path: str, **more: Any) -> httpx2.Response:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, json: Any = None, **more: Any) -> httpx2.Response:
        return await self.ask("POST", path, json=json, **more)

    async def put(self, path: str, json: Any = None, **more: Any) -> httpx2.Response:
        return await self.ask("PUT", path, json=json, **more)

    async def patch(self, path: str, json: Any = None, **more: Any) -> httpx2.Response:
        return await self.ask("PATCH", path, json=json, **more)

    async def delete(self, path: str, **more: Any) -> httpx2.Response:
        return await self.ask("DELETE", path, **more)

    async def made(self, path: str, json: Any, **more: Any) -> dict[str, Any]:
        """The row that a POST has made."""
        response = await self.post(path, json, **more)
        assert response.status_code == 201, response.text
        row: dict[str, Any] = response.json()
        return row

    async def an_assistant(self, name: str = "Ada", **more: Any) -> dict[str, Any]:
        body = {"name": name, "model": "default", "instructions": f"You are {name}."}
        return await self.made("/api/assistants", body | more)

    async def a_tool(self, name: str = "clock", **more: Any) -> dict[str, Any]:
        return await self.made(
            "/api/tools", {"name": name, "tool_type": "time", "description": "Tells the time."} | more
        )

    async def a_sub_assistant_tool(self, name: str, assistant: dict[str, Any]) -> dict[str, Any]:
        return await self.a_tool(name, tool_type="sub_assistant", assistant_id=assistant["id"])

    async def a_link(self, assistant: dict[str, Any], tool: dict[str, Any], **more: Any) -> dict[str, Any]:
        body = {"assistant_id": assistant["id"], "tool_id": tool["id"]}
        return await self.made("/api/assistant-tools", body | more)

    async def a_user(self, telegram_id: int = 1001, **more: Any) -> dict[str, Any]:
        return await self.made("/api/users", {"telegram_id": telegram_id} | more)

    async def a_job(self, user: dict[str, Any], **more: Any) -> dict[str, Any]:
        body = {"name": "Vitamins", "user_id": user["id"], "message": "Take them"}
        times = {} if "run_at" in more else {"cron_expression": "0 9 * * *"}
        return await self.made("/api/cron-jobs", body | times | more)


@asynccontextmanager
async def running(app: FastAPI, clock: Clock | None = None) -> AsyncIterator[Api]:
    """The app, started, without a port."""
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://rest_service:8000", timeout=30
        ) as http,
    ):
        if clock is not None:
            app.state.parts.database.clock = clock
        yield Api(http, app)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Return when `condition` holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.01)
