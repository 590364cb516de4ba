"""The OpenAPI document and the pages around it; no database is needed to make them."""

import inspect
import re

import httpx2
import pytest
from fastapi.routing import APIRoute

from rest_service.app.access import Allow, Scope
from rest_service.app.main import create_app
from rest_service.tests.support import make_settings


@pytest.fixture(scope="module")
def documented():
    return create_app(make_settings("postgresql://nobody:none@127.0.0.1:1/test"))


@pytest.fixture
async def http(documented):
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=documented), base_url="http://x"
    ) as client:
        yield client


def operations(app):
    return {
        f"{method.upper()} {path}": operation
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    }


def all_routes(routes):
    """Every route below, through included routers."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from all_routes(inner.routes)
        elif isinstance(route, APIRoute):
            yield route


def test_every_route_of_the_api_has_exactly_one_rule(documented):
    routes = [r for r in all_routes(documented.routes) if not r.path.startswith(("/health", "/docs"))]
    assert len(routes) == sum(name.split()[1].startswith("/api/") for name in operations(documented))
    for route in routes:
        rules = [d.dependency for d in route.dependencies if isinstance(d.dependency, Allow)]
        assert len(rules) == 1, f"{route.methods} {route.path} needs a rule of access.py"
        assert rules[0].scope in Scope


def test_nothing_but_health_and_documents_stands_outside_of_the_api(documented):
    outside = {name.split()[1] for name in operations(documented) if "/api/" not in name}
    assert outside == {"/health", "/health/live", "/health/ready"}


def test_every_operation_documents_its_refusals_in_the_one_shape(documented):
    for name, operation in operations(documented).items():
        if not name.split()[1].startswith("/api/"):
            continue
        refusals = {status: r for status, r in operation["responses"].items() if status >= "400"}
        assert {"401", "403", "422", "500", "503"} <= refusals.keys(), name
        for status, refusal in refusals.items():
            schema = refusal["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorBody"}, f"{name} {status}"
        assert operation["security"], name
        if "{" in name and name != "PUT /api/calendar/{user_id}/tokens":
            assert "404" in refusals, name
        if "requestBody" in operation:
            assert {"400", "413"} <= refusals.keys(), name
        assert operation.get("description"), f"{name} needs a sentence"
    assert "HTTPValidationError" not in documented.openapi()["components"]["schemas"]


def test_operation_ids_are_unique(documented):
    ids = [operation["operationId"] for operation in operations(documented).values()]
    assert len(ids) == len(set(ids))


def test_every_tag_in_use_is_described(documented):
    described = [tag["name"] for tag in documented.openapi()["tags"]]
    used = {tag for operation in operations(documented).values() for tag in operation["tags"]}
    assert used == set(described)


async def test_the_page_loads_nothing_from_elsewhere(http):
    page = await http.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) >= 3
    for address in addresses:
        assert address.startswith("/"), address
        assert (await http.get(address)).status_code == 200
    assert "http" not in page.text.replace("window.location", "")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self'")


async def test_no_page_of_the_api_answers_without_a_key(http, documented):
    for name in operations(documented):
        method, path = name.split()
        if path.startswith("/api/"):
            path = re.sub(r"\{\w+\}", "1", path)
            for suffix in ("", "/"):
                response = await http.request(method, path + suffix)
                assert response.status_code == 401, name
                assert response.headers["WWW-Authenticate"].startswith("Bearer")
                assert response.json()["code"] == "unauthorized"


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/nothing", "/api/cronjobs", "//api/users", "/api/../api/users"]
)
async def test_unknown_places_need_a_key_or_are_not_there(http, path):
    assert (await http.get(path)).status_code in {401, 404}
    assert (await http.get(path, headers={"Authorization": "Bearer wrong"})).status_code in {401, 404}


def test_no_dependency_takes_a_trip_through_the_thread_pool(documented):
    """FastAPI calls plain functions in threads: of few, and at several times the cost."""

    def below(dependant):
        for inner in dependant.dependencies:
            yield inner.call
            yield from below(inner)

    calls = {call for route in all_routes(documented.routes) for call in below(route.dependant)}
    assert len(calls) > 8
    for call in calls:
        function = call if inspect.isfunction(call) else type(call).__call__
        assert inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function), call
