"""Through how many calls, functions, files and ASGI layers does one request to rest_service run?

    python -m tests.load.request_path [--list]

The application runs in this process and answers without a port. Counted is what it runs of the suite's own
code, comprehensions and lambdas left out; the layers are those of frameworks, too.
"""

import argparse
import asyncio
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import SecretStr

from ops.embedded import find_binaries
from rest_service.app.main import create_app
from rest_service.tests.support import Api, make_settings, migrated_database, running
from service_kit.settings import RedisSettings
from service_kit.testing.servers import ThrowAwayServers
from tests.load.tracing.sitecustomize import calls, note

COUNTED = ("rest_service/app/", "service_kit/")


async def count(database_url: str, redis: RedisSettings) -> dict[str, Counter[str]]:
    """What each request calls."""
    app = create_app(make_settings(database_url, redis))
    async with running(app) as api:
        user = await api.a_user()
        job = {"name": "Vitamins", "cron_expression": "0 9 * * *", "user_id": user["id"], "message": "Now"}
        requests: dict[str, tuple[str, str, Any]] = {
            "POST /api/cron-jobs": ("POST", "/api/cron-jobs", job),
            "GET /api/users/{id}": ("GET", f"/api/users/{user['id']}", None),
        }
        found = {name: await _trace(api, *request) for name, request in requests.items()}
        layers = list(_layers(app.middleware_stack))
        print(f"{len(layers)} ASGI layers, the router's included: {', '.join(layers)}")
        return found


async def _trace(api: Api, method: str, path: str, body: Any) -> Counter[str]:
    await api.ask(method, path, json=body)  # statements are compiled afterwards, as they are in daily use
    calls.clear()
    sys.setprofile(note)
    response = await api.ask(method, path, json=body)
    sys.setprofile(None)
    assert response.is_success, response.text
    return Counter(
        {
            place: number
            for place, number in calls.items()
            if place.startswith(COUNTED) and "/tests/" not in place and "<" not in place.rpartition(".")[2]
        }
    )


def _layers(app: Any) -> Iterator[str]:
    while app is not None:
        yield type(app).__name__
        app = None if isinstance(app, APIRouter) else vars(app).get("app", vars(app).get("_app"))


def main() -> None:
    """Ask, and print what has run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--list", action="store_true", help="every function with its calls")
    wants_list = parser.parse_args().list
    with ThrowAwayServers(find_binaries(Path(sysconfig.get_paths()["purelib"]))) as servers:
        redis = RedisSettings(
            redis_host="127.0.0.1", redis_port=servers.valkey_port, redis_password=SecretStr(servers.password)
        )
        with migrated_database(servers.environment()["TEST_DATABASE_URL"], "path") as url:
            found = asyncio.run(count(url, redis))
    print(f"{'request':<22}{'calls':>8}{'functions':>12}{'files':>8}")
    for name, counted in found.items():
        files = {place.partition(":")[0] for place in counted}
        print(f"{name:<22}{counted.total():>8}{len(counted):>12}{len(files):>8}")
        for place, number in counted.most_common() if wants_list else ():
            print(f"{number:6} {place}")


if __name__ == "__main__":
    main()
