"""The service as a process: real Redis, a stand-in for rest_service over HTTP, signals."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from google_calendar_service.tests.unit.conftest import USER
from service_kit import redis as kit_redis
from service_kit.testing.servers import free_port

pytestmark = pytest.mark.integration

HOSTS = {"assistant.example": 200, "evil.example": 403}
"""The browser comes back from Google under the name that the redirect has; no other name is known."""


@pytest.fixture
def rest_url() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(USER).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket.setblocking(False)  # or a client that is gone before it was accepted blocks it
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def get(url: str, **headers: str) -> httpx2.Response:
    """The answer, as soon as the process gives one."""
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = httpx2.get(url, headers=headers)
        except httpx2.TransportError:
            assert time.monotonic() < deadline, "the process never answered"
            time.sleep(0.05)
        else:
            return answer


def test_it_starts_answers_and_stops(redis_client, redis_settings, rest_url):
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HTTP_PORT": str(port),
        "REST_SERVICE_URL": rest_url,
        "SERVICE_API_KEY": "key-of-the-services",
        "REDIS_HOST": redis_settings.redis_host,
        "REDIS_PORT": str(redis_settings.redis_port),
        "REDIS_DB": str(redis_settings.redis_db),
        "GOOGLE_CLIENT_ID": "client",
        "GOOGLE_REDIRECT_URI": "https://assistant.example/auth/callback",
        "GOOGLE_CLIENT_SECRET": "GOCSPX-secret-of-the-client",
        "GOOGLE_AUTH_URL": "http://127.0.0.1:8010/google/o/oauth2/auth",  # a stand-in, not asked here
    }
    if redis_settings.redis_password:
        environment["REDIS_PASSWORD"] = redis_settings.redis_password.get_secret_value()
    process = subprocess.Popen(
        [sys.executable, "-m", "google_calendar_service.src.main"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        base = f"http://127.0.0.1:{port}"
        answer = get(f"{base}/auth/url/7", Authorization="Bearer key-of-the-services")
        while (health := get(f"{base}/health")).status_code != 200:
            assert health.json()["status"] == "starting"
        known = {host: get(f"{base}/health", Host=host).status_code for host in HOSTS}
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert answer.json()["auth_url"].startswith("http://127.0.0.1:8010/google/o/oauth2/auth?")
    assert known == HOSTS
    redis = kit_redis.connect_sync(redis_settings)
    assert len(redis.keys("google:consent:*")) == 1
    redis.close()
    assert process.returncode == 0, log
    assert "key-of-the-services" not in log
    assert "secret-of-the-client" not in log


def test_an_incomplete_environment_is_named_without_a_traceback():
    process = subprocess.run(
        [sys.executable, "-m", "google_calendar_service.src.main"],
        env={"PATH": os.environ["PATH"], "GOOGLE_TOKEN_URL": "http://example.com/token"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 1
    assert "SERVICE_API_KEY" in process.stderr
    assert "GOOGLE_TOKEN_URL" in process.stderr
    assert "Traceback" not in process.stderr
