"""Who reaches which route of which service: one literal table, to which every route and key is held.

A route without a row fails, and so does a row that lets in another key than it says.
"""

import ast
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from aiohttp.test_utils import TestClient, TestServer
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import SecretStr

from google_calendar_service.src.api.dependencies import Parts as CalendarParts
from google_calendar_service.src.config.settings import Settings as CalendarSettings
from google_calendar_service.src.main import create_app as create_calendar_app
from google_calendar_service.src.services.calendar import GoogleCalendarService
from google_calendar_service.src.services.google_threads import GoogleThreads
from google_calendar_service.src.services.redis_service import RedisService
from google_calendar_service.src.services.rest_service import RestService
from ops import environment
from ops.environment import local_environment
from ops.project import Project
from ops.services import SERVICES
from rest_service.app.main import create_app as create_rest_app
from rest_service.tests.support import make_settings
from sandbox.application import create_app as create_sandbox_app
from sandbox.guard import Guard
from sandbox.openai.pace import Pace
from sandbox.storage import Store
from service_kit import redis as kit_redis
from service_kit.health import Health
from service_kit.hosts import AllowedHosts
from service_kit.rest.client import AsyncRestClient

OPEN = "everybody"
REST = {
    # users
    "GET /api/users": "admin",
    "POST /api/users": "admin tg_bot",
    "GET /api/users/by-telegram-id/{telegram_id}": "admin assistant tg_bot cron_service calendar",
    "GET /api/users/owner": "admin assistant tg_bot cron_service calendar",
    "GET /api/users/{user_id}": "admin assistant tg_bot cron_service calendar",
    "PUT /api/users/{user_id}": "admin tg_bot",
    "PATCH /api/users/{user_id}": "admin assistant tg_bot",
    "DELETE /api/users/{user_id}": "admin",
    "PUT /api/bot": "admin tg_bot",
    # assistants, tools, links
    "GET /api/assistants": "admin assistant",
    "POST /api/assistants": "admin",
    "GET /api/assistants/{assistant_id}": "admin assistant",
    "GET /api/assistants/{assistant_id}/tree": "admin assistant",
    "PUT /api/assistants/{assistant_id}": "admin",
    "PATCH /api/assistants/{assistant_id}": "admin",
    "DELETE /api/assistants/{assistant_id}": "admin",
    "GET /api/tools": "admin assistant",
    "POST /api/tools": "admin",
    "GET /api/tools/{tool_id}": "admin assistant",
    "PUT /api/tools/{tool_id}": "admin",
    "PATCH /api/tools/{tool_id}": "admin",
    "DELETE /api/tools/{tool_id}": "admin",
    "GET /api/assistant-tools": "admin assistant",
    "POST /api/assistant-tools": "admin",
    "GET /api/assistant-tools/{link_id}": "admin assistant",
    "PUT /api/assistant-tools/{link_id}": "admin",
    "PATCH /api/assistant-tools/{link_id}": "admin",
    "DELETE /api/assistant-tools/{link_id}": "admin",
    "GET /api/export": "admin",
    "POST /api/import": "admin",
    # conversations at the provider
    "GET /api/user-threads": "admin assistant",
    "POST /api/user-threads": "admin assistant",
    "GET /api/user-threads/{thread_row_id}": "admin assistant",
    "PUT /api/user-threads/{thread_row_id}": "admin assistant",
    "PATCH /api/user-threads/{thread_row_id}": "admin assistant",
    "DELETE /api/user-threads/{thread_row_id}": "admin assistant",
    "GET /api/discards": "admin assistant",
    "DELETE /api/discards/{discard_id}": "admin assistant",
    # jobs and firings
    "GET /api/cron-jobs": "admin assistant cron_service",
    "POST /api/cron-jobs": "admin assistant",
    "GET /api/cron-jobs/{job_id}": "admin assistant",
    "PUT /api/cron-jobs/{job_id}": "admin assistant",
    "PATCH /api/cron-jobs/{job_id}": "admin assistant",
    "DELETE /api/cron-jobs/{job_id}": "admin assistant",
    "GET /api/cron-jobs/firings": "admin cron_service",
    "GET /api/cron-jobs/{job_id}/firings": "admin cron_service",
    "POST /api/cron-jobs/{job_id}/firings": "admin cron_service",
    "PATCH /api/cron-jobs/{job_id}/firings/{firing_id}": "admin cron_service",
    # usage
    "GET /api/usage": "admin",
    "POST /api/usage": "admin assistant",
    "GET /api/usage/totals": "admin",
    # calendars
    "GET /api/calendar": "admin",
    "GET /api/calendar/{user_id}": "admin calendar",
    "PATCH /api/calendar/{user_id}": "admin calendar",
    "DELETE /api/calendar/{user_id}": "admin calendar",
    "GET /api/calendar/{user_id}/tokens": "calendar",
    "PUT /api/calendar/{user_id}/tokens": "calendar",
    # outside of the API
    "GET /health": OPEN,
    "GET /health/live": OPEN,
    "GET /health/ready": OPEN,
    "GET /metrics": OPEN,
    "GET /docs": OPEN,
    "GET /docs/oauth2-redirect": OPEN,
    "GET /openapi.json": OPEN,
    "GET /static-offline-docs": OPEN,
}
CALENDAR = {
    "GET /auth/url/{user_id}": "admin assistant tg_bot calendar",
    "GET /health": OPEN,
    "GET /health/live": OPEN,
    "GET /health/ready": OPEN,
}
SECRET, TOKEN, ANY_KEY = "the link's secret", "the bot's token", "any key"
SANDBOX = {
    "GET /": SECRET,
    "GET /static/{name}": SECRET,
    "GET /chat/bot": SECRET,
    "GET /chat/people": SECRET,
    "POST /chat/people": SECRET,
    "GET /chat/people/{id}/messages": SECRET,
    "POST /chat/people/{id}/messages": SECRET,
    "POST /chat/people/{id}/presses": SECRET,
    "GET /control/faults": SECRET,
    "POST /control/faults": SECRET,
    "DELETE /control/faults": SECRET,
    "GET /control/requests": SECRET,
    "GET /control/sent": SECRET,
    "GET /control/stats": SECRET,
    "POST /control/messages": SECRET,
    "POST /control/model": SECRET,
    "POST /control/reset": SECRET,
    "GET /telegram/bot{token}/{method}": TOKEN,
    "POST /telegram/bot{token}/{method}": TOKEN,
    "GET /weather/v1/forecast": OPEN,
    "GET /weather/v1/search": OPEN,
    "GET /health": OPEN,
    "GET /health/live": OPEN,
    "GET /health/ready": OPEN,
}
"""What lies under /openai stands in for a provider: it takes any key."""
ROLES = ("admin", "service", "assistant", "tg_bot", "cron_service", "calendar")
OF_ONE_SERVICE = {"PUT /api/bot", "POST /api/users", "PUT /api/users/{user_id}"} | {
    f"{method} /api/calendar/{{user_id}}/tokens" for method in ("GET", "PUT")
}
"""What the services' common key does not reach while each service has a key of its own."""
NIL = UUID(int=0)
ROOT = Path(__file__).parents[2]


def key_of(role: str) -> str:
    return f"key-of-{role}"


def routes_of(routes: Any, prefix: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """`METHOD path` of every route below, through included routers, and values for its parameters."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from routes_of(inner.routes, prefix + route.include_context.prefix)
        elif getattr(route, "path", None):
            kinds = (
                {p.name: p.field_info.annotation for p in route.dependant.path_params}
                if isinstance(route, APIRoute)
                else {}
            )
            values = {name: str(NIL) if kind is UUID else "1" for name, kind in kinds.items()}
            methods = getattr(route, "methods", {"GET"})  # a folder of files has none
            for method in sorted(methods - {"HEAD"}):
                yield f"{method} {prefix}{route.path}", values


def served(app: FastAPI) -> dict[str, dict[str, str]]:
    """The routes of `app`."""
    return dict(routes_of(app.routes))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A checkout's settings after a first start."""
    shutil.copy(ROOT / ".env.example", tmp_path)
    return environment.load(tmp_path, {}, write=False)[0]


@pytest.fixture(scope="module")
def rest_app() -> FastAPI:
    own: dict[str, Any] = {f"{role}_api_key": SecretStr(key_of(role)) for role in ROLES}
    return create_rest_app(make_settings("postgresql://nobody:none@127.0.0.1:1/test", **own))


@pytest.fixture
async def calendar_app(project: Project) -> AsyncIterator[FastAPI]:
    """google_calendar_service with the environment that the runtime gives it; nothing answers it."""
    known = {f"{role.upper()}_API_KEY": key_of(role) for role in ROLES}
    variables = local_environment(
        Project(project.root, {**project.values, **known}), "google_calendar_service"
    )
    settings = CalendarSettings.model_validate(
        {name.lower(): value for name, value in variables.items()}
        | {"redis_host": "127.0.0.1", "redis_port": 1, "rest_service_url": "http://127.0.0.1:1"}
    )
    redis, google = kit_redis.connect_blocking(settings, block=0), GoogleThreads()
    async with AsyncRestClient(settings, transport=httpx2.MockTransport(nobody)) as rest:
        yield create_calendar_app(
            CalendarParts(
                settings=settings,
                calendar=GoogleCalendarService(settings),
                google=google,
                redis=RedisService(redis),
                rest=RestService(rest),
                health=Health("google_calendar_service"),
            )
        )
    google.close()
    await redis.aclose()


def nobody(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(404, json={"code": "not_found", "message": "There is no such user."})


async def status(app: FastAPI, route: str, values: dict[str, str], key: str | None) -> int:
    method, path = route.split()
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answer = await http.request(method, path.format(**values), headers=headers)
    return answer.status_code


def test_every_route_of_rest_service_has_its_row(rest_app):
    assert set(served(rest_app)) == set(REST)


async def test_every_route_of_google_calendar_service_has_its_row(calendar_app):
    assert set(served(calendar_app)) == set(CALENDAR)


async def test_rest_service_lets_in_whom_the_table_says_and_nobody_else(rest_app):
    wrong = []
    async with rest_app.router.lifespan_context(rest_app):
        for route, values in served(rest_app).items():
            who = REST[route].split()
            for role in ROLES:
                allowed = who == [OPEN] or role in who
                if role == "service":  # whatever a service may do, but for what is one service's alone
                    allowed = who == [OPEN] or (who != ["admin"] and route not in OF_ONE_SERVICE)
                found = await status(rest_app, route, values, key_of(role))
                if (found not in {401, 403}) != allowed:
                    wrong.append(f"{role} at {route}: {found}")
            for key in (None, "wrong"):
                found = await status(rest_app, route, values, key)
                if (found == 401) != (who != [OPEN]):
                    wrong.append(f"key {key} at {route}: {found}")
    assert wrong == []


async def test_google_calendar_service_lets_in_whom_the_table_says_and_nobody_else(calendar_app):
    wrong = []
    for route, values in served(calendar_app).items():
        who = CALENDAR[route].split()
        for key, role in [*((key_of(role), role) for role in ROLES), (None, ""), ("wrong", "")]:
            allowed = who == [OPEN] or role in who or role == "service"
            found = await status(calendar_app, route, values, key)
            if (found not in {401, 403}) != allowed:
                wrong.append(f"{key} at {route}: {found}")
    assert wrong == []


HEALTH_PAGES = {"assistant": {"metrics.PATH"}, "cron_service": set(), "tg_bot": set()}
"""What the health servers show besides the health; open to everybody, and numbers alone."""


@pytest.mark.parametrize("service", HEALTH_PAGES)
def test_health_servers_show_what_the_table_says(service):
    shown: set[str] = set()
    for path in (ROOT / service).rglob("*.py"):
        if "tests" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "HealthServer":
                pages = [word.value for word in node.keywords if word.arg == "pages"]
                for page in pages:
                    assert isinstance(page, ast.Dict), "written out, so that it can be read here"
                    shown |= {ast.unparse(key) for key in page.keys if key}
    assert shown == HEALTH_PAGES[service]


async def test_the_sandbox_lets_in_whom_the_table_says_and_nobody_else():
    guard = Guard(AllowedHosts("127.0.0.1"), SecretStr("secret-of-the-link"))
    with Store(None) as store:
        app = create_sandbox_app(
            store=store, pace=Pace(), health=Health("sandbox"), guard=guard, token=SecretStr("100:right")
        )
        routes = {(r.method, r.resource.canonical) for r in app.router.routes() if r.resource}
        table = {f"{method} {path}" for method, path in routes if method in {"GET", "POST", "DELETE"}}
        provider = {route for route in table if route.split()[1].startswith("/openai/")}
        assert table - provider == set(SANDBOX)
        shown = {SECRET: "secret-of-the-link", ANY_KEY: "anything"}
        wrong = []
        async with TestClient(TestServer(app)) as http:
            for route in sorted(table):
                need = SANDBOX.get(route, ANY_KEY)
                for right in (True, False):
                    found = await ask_sandbox(http, route, shown.get(need) if right else None, right)
                    if (found == 401) != (need != OPEN and not right):
                        wrong.append(f"{route}, {'with' if right else 'without'} {need}: {found}")
        assert wrong == []


async def ask_sandbox(http: TestClient[Any, Any], route: str, key: str | None, right: bool) -> int:
    method, path = route.split()
    path = path.replace("{token}", "100:right" if right else "100:wrong").replace("{method}", "getMe")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body: dict[str, str] | None = None if method == "GET" else {}
    url = re.sub(r"\{[^}]*\}", "1", path)
    async with http.request(method, url, headers=headers, json=body, allow_redirects=False) as answer:
        return answer.status


def test_every_service_is_in_a_table():
    with_tables = {"rest_service", "google_calendar_service", "sandbox", *HEALTH_PAGES}
    assert with_tables == {name for name, service in SERVICES.items() if service.module}
