"""`./manage.py export` and `import`: the assistants, tools and links as a JSON file."""

import json
import sys
from pathlib import Path
from typing import Any

from ops.errors import OpsError
from ops.http_json import HttpError, call
from ops.project import Project

STANDARD = "-"
"""Stands for standard input or output."""
SHOWN = 70
CONTEXT = 15
"""Characters of a value that are shown, and how many of them before the difference."""


def export_to(project: Project, file: str) -> None:
    """Write all of it to `file`. Raises OpsError."""
    document = _ask(project, "GET", "/api/export")
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if file == STANDARD:
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as exc:
        msg = f"{file} cannot be written: {exc.strerror}"
        raise OpsError(msg) from exc
    counts = ", ".join(f"{len(document[name])} {name}" for name in ("assistants", "tools", "links"))
    print(f"Exported to {file}: {counts}.")


def import_from(project: Project, file: str, *, dry_run: bool) -> None:
    """Bring `file` in and print the difference; with `dry_run` only that. Raises OpsError."""
    document = _read(file)
    path = "/api/import?dry_run=true" if dry_run else "/api/import"
    print("\n".join(difference(_ask(project, "POST", path, document))))


def difference(result: dict[str, Any]) -> list[str]:
    """What an import has done, or would do, in lines for people."""
    lines = []
    for change in result["changes"]:
        lines.append(f"{'+' if change['action'] == 'created' else '~'} {change['kind']} {change['name']}")
        for field in change["fields"]:
            before, after = _excerpt(field["before"], field["after"])
            lines.append(f"    {field['field']}: {before} → {after}")
    done = "Would create" if result["dry_run"] else "Created"
    change = "change" if result["dry_run"] else "changed"
    end = "Nothing was written." if result["dry_run"] else "In force for the next message."
    if not result["changes"]:
        end = "Nothing to do."
    lines.append(
        f"{done} {result['created']}, {change} {result['changed']}; {result['unchanged']} unchanged. {end}"
    )
    lines += [f"Warning: {warning}" for warning in result.get("warnings", ())]
    return lines


def _excerpt(before: Any, after: Any) -> list[str]:  # noqa: ANN401 - JSON
    """Both as JSON; of long ones the part where they begin to differ."""
    texts = [json.dumps(value, ensure_ascii=False) for value in (before, after)]
    same = next((n for n, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    start = same - CONTEXT if same > SHOWN // 2 else 0
    return [
        f"{'…' if start else ''}{text[start : start + SHOWN]}{'…' if len(text) > start + SHOWN else ''}"
        for text in texts
    ]


def _read(file: str) -> Any:  # noqa: ANN401 - JSON
    name = "standard input" if file == STANDARD else file
    try:
        text = sys.stdin.read() if file == STANDARD else Path(file).read_text(encoding="utf-8")
        return json.loads(text.removeprefix("\ufeff"))  # Windows editors write it
    except OSError as exc:
        msg = f"{name} cannot be read: {exc.strerror}"
        raise OpsError(msg) from exc
    except UnicodeDecodeError as exc:
        msg = f"{name} is not UTF-8 text (byte {exc.start})"
        raise OpsError(msg) from exc
    except json.JSONDecodeError as exc:
        msg = f"{name} is not valid JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}"
        raise OpsError(msg) from exc
    except (ValueError, RecursionError) as exc:
        msg = f"{name} is not valid JSON: it nests too deeply or has a number that is too long"
        raise OpsError(msg) from exc


def _ask(project: Project, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    url = project.url("REST_SERVICE_PORT") + path
    try:
        return call(method, url, body, key=project.values["ADMIN_API_KEY"], timeout=60)
    except HttpError as exc:
        raise OpsError(_refusal(exc)) from exc
    except OpsError as exc:
        msg = f"rest_service does not answer ({exc}): ./manage.py start"
        raise OpsError(msg) from exc


def _refusal(error: HttpError) -> str:
    """Each finding on a line of its own."""
    body = error.body if isinstance(error.body, dict) else {}
    details = body.get("details") or []
    if len(details) < 2:
        return str(body.get("message") or error)
    lines = [f"  {detail['field']}: {detail['message']}" for detail in details]
    return "\n".join(["the document was refused, nothing was written:", *lines])
