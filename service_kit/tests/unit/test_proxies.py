"""The environment's proxy is not asked for what is ours."""

import os
import subprocess
import sys

import pytest

from service_kit.health import Health, HealthServer
from service_kit.proxies import OWN_HOSTS, bypass_proxies

PROXIES = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
ASK = """
import asyncio, sys, urllib.request
import httpx2, openai
from service_kit import lifecycle

async def ask(stop):
    async with httpx2.AsyncClient(timeout=20) as plain, openai.DefaultAioHttpClient(timeout=20) as models:
        for host in ("127.0.0.1", "localhost"):
            for client in (plain, models):
                answer = await client.get(f"http://{host}:{sys.argv[1]}/health")
                assert answer.json()["service"] == "a_service"
    urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/health", timeout=20).close()

lifecycle.run(ask)
"""


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, []),
        ({"NO_PROXY": "a.example, .corp"}, ["a.example", ".corp"]),
        ({"no_proxy": "127.0.0.1", "NO_PROXY": "unused"}, ["127.0.0.1"]),
    ],
)
def test_what_needs_no_proxy_already_stays_so(given, kept):
    environment = dict(given)
    bypass_proxies(environment)
    hosts = environment["NO_PROXY"].split(",")
    assert hosts[: len(kept)] == kept
    assert set(hosts) == {*kept, *OWN_HOSTS}
    assert environment["no_proxy"] == environment["NO_PROXY"]


def test_no_proxy_at_all_stays_so():
    environment = {"NO_PROXY": "*"}
    bypass_proxies(environment)
    assert environment["NO_PROXY"] == "*"


def test_a_service_reaches_this_machine_whatever_proxy_is_set():
    with HealthServer(Health("a_service"), "127.0.0.1", 0) as server:
        clean = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
        done = subprocess.run(
            [sys.executable, "-c", ASK, str(server.port)],
            env={**clean, **PROXIES},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=100,
        )
    assert done.returncode == 0, done.stderr
