"""What `status` and a finished start tell, for people and for scripts."""

from collections.abc import Mapping, Sequence
from typing import Any

from ops import chat
from ops.project import Project
from ops.runtime import RuntimeName, ServiceStatus
from ops.sandbox_rules import find_sandbox_parts
from ops.shell import Shell

Queues = Mapping[str, Mapping[str, int]]
COUNTS = ("ready", "lanes", "processing", "delayed", "dead")


def as_json(runtime: RuntimeName, services: Sequence[ServiceStatus], queues: Queues) -> dict[str, Any]:
    """The contract of `status --json`."""
    return {
        "runtime": runtime,
        "services": {
            one.name: {"state": one.state, "url": one.url, "pids": list(one.pids)} for one in services
        },
        "queues": {name: {count: depth[count] for count in COUNTS} for name, depth in queues.items()},
    }


def as_table(runtime: RuntimeName, services: Sequence[ServiceStatus], queues: Queues) -> str:
    """The same for people."""
    rows = [("SERVICE", "STATE", "ADDRESS", "PIDS", "")]
    rows += [
        (one.name, one.state, one.url or "-", " ".join(map(str, one.pids)) or "-", one.detail)
        for one in services
    ]
    lines = [f"Runtime: {runtime}", "", *_columns(rows)]
    if queues:
        counts = [(name, *(str(depth[count]) for count in COUNTS)) for name, depth in queues.items()]
        lines += ["", *_columns([("QUEUE", *(count.upper() for count in COUNTS)), *counts])]
    if any(depth["dead"] for depth in queues.values()):
        lines += ["", "Messages were given up; see why: ./manage.py dead list"]
    return "\n".join(lines)


def print_started(shell: Shell, project: Project) -> None:
    """Where to go after a start."""
    if shell.dry_run:
        return
    played = find_sandbox_parts(project.values)
    shell.say("\nSmart Assistant is running.")
    if played.telegram:
        shell.say(f"  Chat page   {chat.page_url(project)}")
        shell.say("  Terminal    ./manage.py chat")
    else:
        code = project.values["OWNER_CODE"]
        shell.say(f"  Telegram    open the chat with your bot; its owner first sends  /start {code}")
    shell.say(f"  Swagger UI  {project.url('REST_SERVICE_PORT')}/docs  (Authorize: ADMIN_API_KEY in .env)")
    shell.say("  Keys        .env; after a change: ./manage.py start")
    if played.any:
        parts = {"Telegram": played.telegram, "the language model": played.llm, "Google": played.google}
        names = [name for name, sandbox in parts.items() if sandbox]
        shell.say(f"  Sandbox     plays {', '.join(names) or 'the weather'}: no key in .env")


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
