"""The standard library's HTTP server, a thread for each connection, within `http_limits`.

By itself it keeps a slow sender's thread for ever and takes a hundred headers of 64 kB each.
"""

import io
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from service_kit import http_limits
from service_kit.contracts.errors import ErrorBody
from service_kit.hosts import REFUSAL, AllowedHosts


class BoundedServer(ThreadingHTTPServer):
    """Closes connections above its limit, and those of senders that take too long."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = http_limits.MAX_CONNECTIONS

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._since: dict[Any, float] = {}

    def verify_request(self, *_args: object) -> bool:
        """Whether the number of connections is below the limit."""
        return len(self._since) < http_limits.MAX_CONNECTIONS

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's
        """Answer in a thread."""
        self._since[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - the base class's
        """Close what is answered or refused."""
        self._since.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Close connections of slow senders; called after each wait for a connection."""
        latest = time.monotonic() - http_limits.RECEIVE_TIMEOUT
        for request, since in list(self._since.items()):
            if since < latest:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)  # wakes its thread, which closes it

    def handle_error(self, *_args: object) -> None:
        """A prober that hangs up is not worth a traceback."""


class BoundedHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD with pages, and too long a head with 431."""

    hosts: AllowedHosts

    def page(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body of the page at `path`."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Answer with the page."""
        if self.hosts.allow(self.headers.get("Host")):
            self._answer(*self.page(self.path.split("?", 1)[0].rstrip("/")))
        else:
            self._answer(*refusal(403, "wrong_host", REFUSAL))

    def do_HEAD(self) -> None:
        """Answer as to GET, without the body."""
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer with the suite's error body; the base class has an HTML page."""
        # what follows may be the rest of a refused request
        self.close_connection = True
        if code == HTTPStatus.NOT_IMPLEMENTED:  # a method that this class has no `do_…` for
            code, message = HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are possible here."
        status = HTTPStatus(code)
        self._answer(*refusal(status, status.name.lower(), explain or message or status.description))

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def setup(self) -> None:
        """Prepare the streams."""
        super().setup()
        self.rfile = _BoundedHead(self.rfile)

    def log_message(self, *_args: object) -> None:
        """A probe a second is not worth a line."""


def refusal(status: int, code: str, message: str) -> tuple[int, str, bytes]:
    """A page that refuses."""
    return status, "application/json", ErrorBody(code=code, message=message).model_dump_json().encode()


class _BoundedHead(io.BufferedIOBase):
    """A request's stream that raises LineTooLong where the head is too long."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._left = http_limits.MAX_HEAD

    def readline(self, size: int | None = -1, /) -> bytes:
        line = self._stream.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise LineTooLong("head")
        return line

    def close(self) -> None:
        self._stream.close()
