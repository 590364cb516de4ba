import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from structlog.testing import capture_logs

from rest_service.app.main import create_app
from rest_service.tests.support import make_settings, running

pytestmark = pytest.mark.integration


@pytest.fixture
async def fresh(settings):
    """An app of this test alone, for its numbers begin at zero."""
    async with running(create_app(settings)) as api:
        yield api


async def numbers(api):
    page = await api.get("/metrics", key=None)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
    }


async def test_requests_are_counted_by_route_and_status(fresh):
    user = await fresh.a_user()
    for _ in range(3):
        await fresh.get(f"/api/users/{user['id']}")
    await fresh.get("/api/users/4711")
    await fresh.get("/api/users", key=None)
    await fresh.get("/api/cronjobs/")
    await fresh.ask("BREW", "/api/users/1/coffee")
    seen = await numbers(fresh)

    def count(*labels):
        return seen["rest_request_seconds_count", *sorted(labels)]

    assert count("POST", "/api/users", "201") == 1
    assert count("GET", "/api/users/{user_id}", "200") == 3
    assert count("GET", "/api/users/{user_id}", "404") == 1
    assert count("GET", "none", "401") == 1
    assert count("GET", "/api/cron-jobs", "200") == 1
    assert count("other", "none", "404") == 1


async def test_pool_and_errors_are_shown(fresh):
    user = await fresh.a_user()
    await fresh.post("/api/users", {"telegram_id": user["telegram_id"]})
    seen = await numbers(fresh)
    assert seen["rest_pool_connections", "in_use"] == 0
    assert seen["rest_pool_connections", "idle"] >= 1
    assert seen["rest_database_errors_total", "23505"] == 1


async def test_a_database_that_is_away_is_counted():
    async with running(create_app(make_settings("postgresql://nobody:none@127.0.0.1:1/test"))) as api:
        await api.get("/api/users")
        seen = await numbers(api)
    assert sum(value for key, value in seen.items() if key[0] == "rest_database_errors_total") >= 1


async def test_a_slow_statement_is_logged_without_its_values(settings):
    slow = settings.model_copy(update={"slow_query_ms": 30})
    async with running(create_app(slow)) as api:
        with capture_logs() as logged:
            async with api.app.state.parts.database.read_unit() as unit:
                statement = text("SELECT pg_sleep(0.05), CAST(:words AS text)")
                await unit.connection.execute(statement, {"words": "private words"})
        (entry,) = [entry for entry in logged if entry["event"] == "slow_query"]
        assert "pg_sleep" in entry["statement"]
        assert entry["ms"] >= 30
        assert "private" not in str(logged)
        assert (await numbers(api))["rest_slow_queries_total",] == 1
