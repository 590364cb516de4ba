"""supervisord: its configuration, and a client of its XML-RPC interface on a Unix socket.

Programs never start by themselves (`autostart=false`): the order of a start is ours. Once started
they are restarted for ever, after a crash at once, after a failed start with growing pauses.
"""

import http.client
import os
import shlex
import socket
import stat
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import OpsError

MAX_SOCKET_PATH = 90
"""Unix socket paths end at about 104 bytes; supervisord appends a dot and its pid while it binds."""

LAUNCHER = Path(__file__).with_name("launch.py")
"""Run with `-IS`: without site-packages Python starts several times faster."""

RPC_TIMEOUT = 30.0
NOT_RUNNING = 70
"""supervisor.xmlrpc.Faults.NOT_RUNNING"""


class _NotRunningError(OpsError):
    """The program that was to be stopped does not run."""


@dataclass(frozen=True)
class Program:
    """One process as supervisord runs it."""

    name: str
    service: str
    port: int
    argv: Sequence[str]
    env: Mapping[str, str]
    fingerprint: str
    """Changes with the code and files the process reads at its start."""
    cwd: str
    account: tuple[int, int] | None = None
    """Uid and gid to run as; None: ours."""
    stop_signal: str = "TERM"


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


def socket_path(run: Path, name: str) -> Path:
    """Where supervisord listens: in `run`, or in a private folder of /tmp where that path is too long."""
    path = run / "supervisor.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        return path
    folder = Path(f"/tmp/smart-assistant-{os.getuid()}")  # noqa: S108 - made and checked to be ours alone
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        msg = f"{folder} is not a private folder of yours: remove it, or move the checkout to a shorter path"
        raise OpsError(msg)
    return folder / f"{name}.sock"


def render(
    programs: Iterable[Program], *, root: Path, run: Path, logs: Path, sock: Path, python: Path, grace: int
) -> str:
    """The configuration file. Holds no secret: those are in the programs' spec files in `run`.

    Log files are named relative to `root`, supervisord's working directory: it expands percent signs in
    them twice, so that no escape helps a folder that has one in its name.
    """

    def path(value: Path) -> str:
        return str(value).replace("%", "%%")

    sections = [
        "[supervisord]",
        f"logfile={path(logs / 'supervisord.log')}",
        "logfile_maxbytes=5MB",
        "logfile_backups=2",
        f"pidfile={path(run / 'supervisord.pid')}",
        f"directory={path(root)}",
        "umask=077",
        *(["user=root"] if os.geteuid() == 0 else []),  # silences its warning: PostgreSQL drops root itself
        "",
        "[unix_http_server]",
        f"file={path(sock)}",
        "chmod=0700",
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "",
        "[supervisorctl]",
        f"serverurl=unix://{path(sock)}",
    ]
    for program in programs:
        command = shlex.join([str(python), "-IS", str(LAUNCHER), str(spec_file(run, program.name))])
        sections += [
            "",
            f"[program:{program.name}]",
            f"command={command.replace('%', '%%')}",
            f'environment=FINGERPRINT="{program.fingerprint}"',  # a change makes reloadConfig see it
            "autostart=false",
            "autorestart=true",
            "startsecs=1",
            "startretries=1000000",
            f"stopsignal={program.stop_signal}",
            f"stopwaitsecs={grace}",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={os.path.relpath(log_file(logs, program.name), root)}",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=3",
        ]
    return "\n".join(sections) + "\n"


def spec_file(run: Path, program: str) -> Path:
    """What `ops.launch` reads."""
    return run / f"{program}.json"


def pid_file(run: Path, program: str) -> Path:
    """Where `ops.launch` writes."""
    return run / f"{program}.pid"


def log_file(logs: Path, program: str) -> Path:
    """Where the program's output goes."""
    return logs / f"{program}.log"


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
