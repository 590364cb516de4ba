"""The file of a configuration, as people see it; rest_service itself is in tests/contract."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from ops import configuration
from ops.errors import OpsError
from ops.http_json import HttpError
from ops.project import Project

RESULT = {
    "dry_run": True,
    "created": 1,
    "changed": 1,
    "unchanged": 4,
    "changes": [
        {"kind": "tool", "name": "clock", "action": "created", "fields": []},
        {
            "kind": "assistant",
            "name": "Secretary",
            "action": "changed",
            "fields": [{"field": "instructions", "before": "Be brief.", "after": "x" * 200}],
        },
    ],
}


def answering(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[tuple[Any, ...]]:
    asked: list[tuple[Any, ...]] = []

    def call(*words: Any, **_: Any) -> Any:
        asked.append(words)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(configuration, "call", call)
    return asked


def test_a_difference_is_short_and_says_what_was_written():
    lines = configuration.difference(RESULT)
    assert lines[:2] == ["+ tool clock", "~ assistant Secretary"]
    assert lines[2].startswith('    instructions: "Be brief." → "xxx')
    assert len(lines[2]) < 120
    assert lines[-1] == "Would create 1, change 1; 4 unchanged. Nothing was written."
    written = configuration.difference({**RESULT, "dry_run": False})
    assert written[-1] == "Created 1, changed 1; 4 unchanged. In force for the next message."
    nothing = {"dry_run": False, "created": 0, "changed": 0, "unchanged": 6, "changes": []}
    assert configuration.difference(nothing) == ["Created 0, changed 0; 6 unchanged. Nothing to do."]


def test_what_cannot_work_is_warned_of():
    lines = configuration.difference({**RESULT, "warnings": ["Assistant 'Ada': there is no provider 'x'."]})
    assert lines[-1] == "Warning: Assistant 'Ada': there is no provider 'x'."


def test_of_long_texts_the_place_of_the_difference_is_shown():
    field = {"field": "instructions", "before": "a" * 300 + " be brief", "after": "a" * 300 + " be kind"}
    change = {"kind": "assistant", "name": "S", "action": "changed", "fields": [field]}
    shown = configuration.difference({**RESULT, "changes": [change]})[1]
    assert shown.endswith('aaaaa be brief" → …aaaaaaaaaaa be kind"')


@pytest.mark.parametrize(("dry_run", "path"), [(True, "/api/import?dry_run=true"), (False, "/api/import")])
def test_the_file_is_sent_as_it_is(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dry_run: bool, path: str
):
    asked = answering(monkeypatch, RESULT)
    file = tmp_path / "assistants.json"
    file.write_text('{"tools": []}')
    configuration.import_from(project, str(file), dry_run=dry_run)
    assert asked == [("POST", project.url("REST_SERVICE_PORT") + path, {"tools": []})]


def test_standard_input_and_output_are_a_dash(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    document = {"assistants": [{"name": "Секретарь"}], "tools": [], "links": []}
    answering(monkeypatch, document)
    configuration.export_to(project, "-")
    printed = capsys.readouterr().out
    assert json.loads(printed) == document
    assert "Секретарь" in printed
    asked = answering(monkeypatch, RESULT)
    monkeypatch.setattr("sys.stdin", io.StringIO(printed))
    configuration.import_from(project, "-", dry_run=False)
    assert asked[0][2] == document


def test_what_is_wrong_with_a_file_is_said(project: Project, tmp_path: Path):
    file = tmp_path / "assistants.json"
    with pytest.raises(OpsError, match="cannot be read"):
        configuration.import_from(project, str(file), dry_run=False)
    file.write_text('{"tools": [}')
    with pytest.raises(OpsError, match="line 1, column 12"):
        configuration.import_from(project, str(file), dry_run=False)
    file.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(OpsError, match="not UTF-8"):
        configuration.import_from(project, str(file), dry_run=False)


def test_a_byte_order_mark_is_no_part_of_the_document(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = answering(monkeypatch, RESULT)
    file = tmp_path / "assistants.json"
    file.write_text('{"tools": []}', encoding="utf-8-sig")
    configuration.import_from(project, str(file), dry_run=True)
    assert asked[0][2] == {"tools": []}


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": 1' + "0" * 10_000 + "}"])
def test_json_without_end_is_refused(project: Project, tmp_path: Path, text: str):
    file = tmp_path / "assistants.json"
    file.write_text(text)
    with pytest.raises(OpsError, match="is not valid JSON"):
        configuration.import_from(project, str(file), dry_run=True)


def test_each_finding_of_a_refusal_has_its_line(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "assistants.json"
    file.write_text("{}")
    details = [{"field": f"tools.{n}.name", "message": "is required"} for n in range(2)]
    answering(monkeypatch, HttpError(422, "POST … 422", {"message": "m", "details": details}))
    with pytest.raises(OpsError, match=r"nothing was written:\n  tools.0.name: is required\n  tools.1"):
        configuration.import_from(project, str(file), dry_run=False)
    answering(monkeypatch, HttpError(409, "POST … 409", {"message": "in a circle", "details": []}))
    with pytest.raises(OpsError, match=r"^in a circle$"):
        configuration.import_from(project, str(file), dry_run=False)


def test_a_suite_that_does_not_run_is_named(project: Project):
    with pytest.raises(OpsError, match=r"does not answer.*manage.py start"):
        configuration.export_to(project, "-")
