"""Is a server of the suite ready? Cheap questions in each one's own protocol, on 127.0.0.1."""

import http.client
import json
import socket
import struct

from ops.project import Project
from ops.runtime import State
from ops.services import Service

TIMEOUT = 3.0


def http_health(port: int, path: str = "/health") -> tuple[State, str]:
    """What a service's health page says: the state, and which part does not work."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = json.loads(answer.read())
    except TimeoutError:
        return "unhealthy", f"no answer in {TIMEOUT:.0f} s"
    except (OSError, http.client.HTTPException):
        return "starting", "does not listen yet"
    except ValueError:
        return "unhealthy", "answers something else than its health page"
    finally:
        connection.close()
    found = body if isinstance(body, dict) else {}
    # a body without checks (another program on the port) is no error here: its status decides
    wrong = {name: text for name, text in (found.get("checks") or {}).items() if text != "ok"}
    said = "; ".join(f"{name}: {text}" for name, text in (wrong | (found.get("notes") or {})).items())
    if answer.status == 200:
        return "healthy", said
    return ("starting" if found.get("status") == "starting" else "unhealthy"), said


def redis(port: int, password: str) -> tuple[State, str]:
    """Whether Redis answers PING; it answers LOADING while it reads its data."""
    auth = f"*2\r\n$4\r\nAUTH\r\n${len(password.encode())}\r\n{password}\r\n" if password else ""
    try:
        answer = _ask(port, f"{auth}*1\r\n$4\r\nPING\r\n".encode(), until=b"PONG\r\n")
    except OSError:
        return "starting", "does not listen yet"
    if answer.endswith(b"+PONG\r\n"):
        return "healthy", ""
    text = answer.decode(errors="replace").strip().splitlines()
    problem = next((line[1:] for line in text if line.startswith("-")), "no answer")
    return ("starting" if problem.startswith("LOADING") else "unhealthy"), problem


def postgres(port: int, user: str) -> tuple[State, str]:
    """Whether PostgreSQL asks for a password; while it starts or recovers it refuses instead.

    Protocol 3.0, StartupMessage: the answer begins with R (authentication request) or E (error).
    """
    parameters = b"user\0" + user.encode() + b"\0database\0postgres\0\0"
    packet = struct.pack("!ii", len(parameters) + 8, 3 << 16) + parameters
    try:
        answer = _ask(port, packet, until=None)
    except OSError:
        return "starting", "does not listen yet"
    if answer.startswith(b"R"):
        return "healthy", ""
    fields = {field[:1]: field[1:].decode(errors="replace") for field in answer[5:].split(b"\0") if field}
    # 57P03: cannot connect now (starting up, recovering, shutting down)
    return ("starting" if fields.get(b"C") == "57P03" else "unhealthy"), fields.get(b"M", "no answer")


def _ask(port: int, question: bytes, *, until: bytes | None) -> bytes:
    """Send `question`; what comes back up to `until` (None: in one piece), an error or the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as sock:
        sock.sendall(question)
        answer = b""
        while piece := sock.recv(4096):
            answer += piece
            if until is None or answer.endswith(until) or answer.rpartition(b"\n-")[1]:
                break
        return answer


def probe(project: Project, service: Service, replica: int = 0) -> tuple[State, str]:
    """How one process of `service` is, and why if it is not healthy."""
    port = project.port(service.port_variable) + replica
    match service.name:
        case "postgres":
            return postgres(port, project.values["POSTGRES_USER"])
        case "redis":
            return redis(port, project.values["REDIS_PASSWORD"])
        case _:
            return http_health(port)
