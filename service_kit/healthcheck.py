"""`python -m service_kit.healthcheck`: exit code 0 when this container's `/health` answers 200.

A container's probe runs every few seconds for as long as the service lives, so it imports nothing that
it does not need: a bare socket starts in half the time of an HTTP client.
"""

import json
import os
import socket
import sys

TIMEOUT = 4.0
"""Seconds; below the container probe's own limit, so that the reason is printed."""
MAX_ANSWER = 64_000
"""Bytes of an answer that are read."""


def probe(port: int, host: str = "127.0.0.1", timeout: float = TIMEOUT) -> tuple[bool, str]:
    """Whether the service's `/health` on `port` answers 200, and what is wrong or worth a note, in a line."""
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            # HTTP/1.0: the server closes the connection, so the answer ends where the stream does
            connection.sendall(f"GET /health HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            with connection.makefile("rb") as stream:
                head, _, body = stream.read(MAX_ANSWER).partition(b"\r\n\r\n")
    except OSError as exc:
        return False, f"no answer: {exc}"
    status = head.partition(b"\r\n")[0].decode("latin-1")
    said = _problems(body)
    return (True, said) if status.split(" ")[1:2] == ["200"] else (False, said or status or "an empty answer")


def _problems(body: bytes) -> str:
    """The checks of a `HealthBody` that do not pass, and its notes; nothing where it is none."""
    try:
        found: dict[str, dict[str, str]] = json.loads(body)
        wrong = {name: result for name, result in found["checks"].items() if result != "ok"}
        return "; ".join(f"{name}: {text}" for name, text in (wrong | found.get("notes", {})).items())
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def main() -> int:
    """The probe's exit code; `docker inspect` and `./manage.py status` show what is printed."""
    healthy, said = probe(int(os.environ["HTTP_PORT"]))
    if said:
        print(said)  # noqa: T201 - a program's output
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
