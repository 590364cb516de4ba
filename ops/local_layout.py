"""Where the local runtime keeps its things, and whose they are."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from ops.errors import OpsError
from ops.local_servers import make_reachable
from ops.project import Project
from ops.services import SERVICES
from ops.supervisor_config import socket_path

DRAIN_DEFAULT = 30.0
GRACE = 15
"""Seconds a process has to leave after its drain limit, before it is killed."""


@dataclass(frozen=True)
class Layout:
    """Folders and files of one checkout's local runtime."""

    project: Project

    @property
    def venv(self) -> Path:
        """Folder of the virtual environments."""
        return self.project.local / "venv"

    @property
    def run(self) -> Path:
        """Configuration, pids, the specs of the programs with their secrets; private."""
        return self.project.local / "run"

    @property
    def logs(self) -> Path:
        """One log for each program, and supervisord's; private."""
        return self.project.local / "logs"

    @property
    def config(self) -> Path:
        """Supervisord's configuration."""
        return self.run / "supervisord.conf"

    @property
    def socket(self) -> Path:
        """Where supervisord listens."""
        return socket_path(self.run, self.project.name)

    @property
    def grace(self) -> int:
        """Seconds from the request to stop to the kill, of one process."""
        text = self.project.values.get("DRAIN_TIMEOUT") or str(DRAIN_DEFAULT)
        try:
            return int(float(text)) + GRACE
        except ValueError:
            msg = f"DRAIN_TIMEOUT={text!r} is not a number of seconds: correct it in .env"
            raise OpsError(msg) from None

    def make(self) -> None:
        """Make the folders."""
        make_reachable(self.project.local)
        for folder in (self.run, self.logs, self.project.local / "data" / "sandbox"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)

    def refuse_strangers(self) -> None:
        """One checkout, one account: files of two owners would lock both out. Raises OpsError."""
        local = self.project.local
        if local.exists() and local.stat().st_uid != os.geteuid():
            owner = pwd.getpwuid(local.stat().st_uid).pw_name
            msg = (
                f"{local} belongs to {owner}: run this as {owner}, "
                "or set LOCAL_DATA_DIR in .env to a folder of yours"
            )
            raise OpsError(msg)


def service_of(program: str) -> str:
    """`assistant-0` is a process of `assistant`."""
    return program if program in SERVICES else program.rpartition("-")[0]
