"""What the engine says of a compose project's containers, as `docker inspect` gives it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ops.runtime import State
from ops.shell import Shell

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
ONE_OFF_LABEL = "com.docker.compose.oneoff"
"""`True` on the containers of `docker compose run`, which are no part of the suite."""

WORST_FIRST: tuple[State, ...] = ("unhealthy", "stopped", "starting", "healthy")
TIMEOUT = 30.0


@dataclass(frozen=True)
class Container:
    """One container as it is now."""

    id: str
    service: str
    state: State
    detail: str
    running: bool
    pid: int
    """Of its first process, on the engine's machine; 0 where none runs."""
    restarts: int
    """How often its restart policy started it again."""
    exit_code: int


def containers_of(project: str, shell: Shell) -> list[Container]:
    """The containers of a compose project, stopped ones too. Raises OpsError where the engine is silent."""
    labels = (f"{PROJECT_LABEL}={project}", f"{ONE_OFF_LABEL}=False")
    filters = [part for label in labels for part in ("--filter", f"label={label}")]
    listed = shell.run(
        ["docker", "ps", "--all", "--quiet", "--no-trunc", *filters],
        capture=True,
        quiet=True,
        timeout=TIMEOUT,
    )
    ids = listed.stdout.split()
    if not ids:  # `docker inspect` without a name is an error
        return []
    # A container that was removed in between makes inspect fail; it still prints the others.
    inspected = shell.run(["docker", "inspect", *ids], capture=True, check=False, quiet=True, timeout=TIMEOUT)
    return [parse(entry) for entry in json.loads(inspected.stdout or "[]")]


def parse(entry: dict[str, Any]) -> Container:
    """One entry of `docker inspect`."""
    state = entry["State"]
    health = state.get("Health") or {}
    checks = health.get("Log") or []
    said = checks[-1]["Output"].strip().splitlines() if checks else []
    translated, detail = _translate(
        state["Status"], health.get("Status", "healthy"), said[-1] if said else ""
    )
    if state["Status"] in ("exited", "dead", "restarting"):
        detail = f"{state['Status']} with exit code {state['ExitCode']}"
    return Container(
        id=entry["Id"],
        service=entry["Config"]["Labels"][SERVICE_LABEL],
        state=translated,
        detail=detail,
        running=bool(state["Running"]) and state["Status"] != "restarting",
        pid=state["Pid"],
        restarts=entry["RestartCount"],
        exit_code=state["ExitCode"],
    )


def state_of(containers: Sequence[Container]) -> tuple[State, str]:
    """A service's state and the reason: those of its worst replica; without any, it is stopped."""
    if not containers:
        return "stopped", ""
    worst = min(containers, key=lambda container: WORST_FIRST.index(container.state))
    return worst.state, worst.detail


def _translate(status: str, health: str, said: str) -> tuple[State, str]:
    """The engine's words for a container and its probe (`healthy` where it has none), in ours."""
    if status == "running":
        # a healthy one's probe says what is worth a note
        if health == "healthy":
            return "healthy", said
        return ("starting" if health == "starting" else "unhealthy"), said
    if status in ("created", "removing"):
        return "starting", status
    if status == "restarting":
        return "unhealthy", ""
    return ("unhealthy" if status == "paused" else "stopped"), status
