"""Every service's HTTP server as a stranger meets it: HEAD is answered, and a head has a bound."""

import http.client
import socket

import pytest

from service_kit.http_limits import MAX_HEAD
from tests.harness.suite import Suite

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def ask(port: int, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders() if name.lower() != "date"}
        return answer.status, headers, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics", "/nowhere"])
def test_head_is_answered_as_get_without_the_body(suite: Suite, path: str):
    for name, process in suite.processes.items():
        get, head = (ask(process.port, method, path) for method in ("GET", "HEAD"))
        if path == "/metrics":  # counts what is asked meanwhile
            get[1].pop("content-length", None), head[1].pop("content-length", None)
        assert head[:2] == get[:2], name
        assert head[2] == b"", name


def test_an_endless_head_is_not_taken(suite: Suite):
    for name, process in suite.processes.items():
        sent = 0
        with socket.create_connection(("127.0.0.1", process.port), timeout=20) as connection:
            try:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ")
                while sent < 1000 * MAX_HEAD:
                    sent += connection.send(b"a" * MAX_HEAD)
            except OSError:
                continue
        pytest.fail(f"{name} took {sent} bytes")
