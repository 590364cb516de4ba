"""A client of supervisord: its XML-RPC interface on a Unix socket."""

import http.client
import socket
import time
import xmlrpc.client
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import OpsError

RPC_TIMEOUT = 30.0
NOT_RUNNING = 70
"""supervisor.xmlrpc.Faults.NOT_RUNNING"""


class _NotRunningError(OpsError):
    """The program that was to be stopped does not run."""


@dataclass(frozen=True)
class ProcessInfo:
    """What supervisord knows of a program."""

    name: str
    state: str
    """STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL or UNKNOWN."""
    pid: int
    error: str

    @property
    def alive(self) -> bool:
        """Whether there is a process."""
        return self.pid != 0

    @property
    def wanted(self) -> bool:
        """Whether supervisord keeps it running (or tries to)."""
        return self.state in {"STARTING", "RUNNING", "BACKOFF"}


class Supervisor:
    """A running supervisord. Every call raises OpsError where it does not answer."""

    def __init__(self, sock: Path) -> None:
        self._sock = sock

    def pid(self) -> int | None:
        """Its pid, or None where none runs."""
        try:
            with self._rpc() as rpc:
                return int(str(rpc.supervisor.getPID()))
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return None

    def processes(self) -> dict[str, ProcessInfo]:
        """All programs it knows."""
        found = self._call("getAllProcessInfo")
        return {
            info["name"]: ProcessInfo(info["name"], info["statename"], info["pid"], info["spawnerr"])
            for info in found
        }

    def reload(self) -> tuple[list[str], list[str], list[str]]:
        """Read the configuration again; the names that are new, changed and gone. Nothing is restarted."""
        added, changed, removed = self._call("reloadConfig")[0]
        return added, changed, removed

    def add(self, name: str) -> None:
        """Know a new program."""
        self._call("addProcessGroup", name)

    def remove(self, name: str) -> None:
        """Forget a program that is stopped."""
        self._call("removeProcessGroup", name)

    def start(self, name: str) -> None:
        """Begin to start a program."""
        self._call("startProcess", name, False)  # False: do not wait

    def stop(self, names: Iterable[str], *, timeout: float) -> None:
        """Stop programs side by side and return when their processes are gone."""
        pending = [name for name, info in self.processes().items() if name in set(names) and info.wanted]
        for name in pending:
            with suppress(_NotRunningError):  # it has ended in this very moment
                self._call("stopProcess", name, False)  # False: do not wait
        wait_until(
            lambda: not any(self.processes()[name].alive for name in pending),
            timeout=timeout,
            otherwise=f"still running after {timeout:.0f} s: {', '.join(pending)}",
        )

    def shutdown(self) -> None:
        """Stop everything, then supervisord itself."""
        self._call("shutdown")

    def _call(self, method: str, *args: Any) -> Any:  # noqa: ANN401 - XML-RPC
        try:
            with self._rpc() as rpc:
                return getattr(rpc.supervisor, method)(*args)
        except xmlrpc.client.Fault as exc:
            if exc.faultCode == NOT_RUNNING:
                raise _NotRunningError(exc.faultString) from exc
            msg = f"supervisord refused {method}({', '.join(map(str, args))}): {exc.faultString}"
            raise OpsError(msg) from exc
        except (OSError, http.client.HTTPException) as exc:
            msg = f"supervisord does not answer ({exc}): ./manage.py stop, then start"
            raise OpsError(msg) from exc

    def _rpc(self) -> xmlrpc.client.ServerProxy:
        return xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_UnixTransport(self._sock))


def wait_until(done: Callable[[], bool], *, timeout: float, otherwise: str) -> None:
    """Return when `done()`; OpsError with the text `otherwise` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not done():
        if time.monotonic() > deadline:
            raise OpsError(otherwise)
        time.sleep(0.05)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, sock: Path) -> None:
        super().__init__("localhost", timeout=RPC_TIMEOUT)
        self._path = sock

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(self.timeout)
            sock.connect(str(self._path))
        except BaseException:
            sock.close()
            raise
        self.sock = sock


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, sock: Path) -> None:
        super().__init__()
        self._path = sock

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ANN401 - the base class's
        connection = _UnixConnection(self._path)
        self._connection = host, connection  # where `close` of the base class finds it
        return connection
