"""The configuration of supervisord, and where the local runtime keeps its files.

Programs never start by themselves (`autostart=false`): the order of a start is ours. Once started
they are restarted for ever, after a crash at once, after a failed start with growing pauses.
"""

import os
import shlex
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.errors import OpsError

MAX_SOCKET_PATH = 90
"""Unix socket paths end at about 104 bytes; supervisord appends a dot and its pid while it binds."""

LAUNCHER = Path(__file__).with_name("launch.py")
"""Run with `-IS`: without site-packages Python starts several times faster."""


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
