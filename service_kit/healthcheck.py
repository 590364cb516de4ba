"""`python -m service_kit.healthcheck`: exit code 0 when this container's `/health` answers 200.

A container's probe runs every few seconds for as long as the service lives, so it imports nothing that
it does not need: a bare socket starts in half the time of an HTTP client.
"""

import os
import socket
import sys

TIMEOUT = 4.0
"""Seconds; below the probe's own limit, so that the reason is printed."""


def probe(port: int, host: str = "127.0.0.1", timeout: float = TIMEOUT) -> str:
    """The status line of `GET /health`; raises OSError when nothing answers in time."""
    with socket.create_connection((host, port), timeout=timeout) as connection:
        connection.sendall(f"GET /health HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            return answer.readline(200).decode("latin-1").strip()


def main() -> int:
    """The probe's exit code; what is wrong is shown by `docker inspect`."""
    try:
        status = probe(int(os.environ["HTTP_PORT"]))
    except (OSError, KeyError, ValueError) as exc:
        print(f"no answer: {exc!r}", file=sys.stderr)  # noqa: T201 - a program's output
        return 1
    if status.split(" ")[1:2] == ["200"]:
        return 0
    print(status, file=sys.stderr)  # noqa: T201 - a program's output
    return 1


if __name__ == "__main__":
    sys.exit(main())
