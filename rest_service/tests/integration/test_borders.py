"""What browsers may do with the API."""

import pytest

from rest_service.app.main import create_app
from rest_service.tests.support import make_settings, running

pytestmark = pytest.mark.integration


async def test_pages_of_other_origins_may_call_only_when_the_settings_say_so(empty_url, redis_settings):
    asking = {"Origin": "https://board.example", "Access-Control-Request-Method": "GET"}
    for origins, allowed in (("https://board.example, https://b", "https://board.example"), ("", None)):
        app = create_app(make_settings(empty_url, redis_settings, cors_origins=origins))
        async with running(app) as other:
            before = await other.ask("OPTIONS", "/api/users", key=None, headers=asking)
            assert before.headers.get("Access-Control-Allow-Origin") == allowed
            page = await other.get("/api/users", headers={"Origin": "https://board.example"})
            assert page.headers.get("Access-Control-Allow-Origin") == allowed
            elsewhere = await other.get("/api/users", headers={"Origin": "https://evil.example"})
            assert "Access-Control-Allow-Origin" not in elsewhere.headers
