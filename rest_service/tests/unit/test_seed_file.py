import json

import pytest

from rest_service.app.seeding import DEFAULT, load_file
from rest_service.app.tool_types import BUILT_IN


def test_the_default_rows_are_right():
    file = load_file(DEFAULT)
    assert {tool.tool_type for tool in file.tools} <= BUILT_IN
    assert [a.name for a in file.assistants if a.is_secretary] == ["Secretary"]
    assert {(link.assistant, link.tool) for link in file.links} == {
        ("Secretary", "current_time"),
        ("Secretary", "get_weather"),
        ("Secretary", "reminders"),
        ("Secretary", "ask_planner"),
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"links": [{"assistant": "Nobody", "tool": "clock"}]}, "Nobody"),
        ({"assistants": []}, "assistants"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_file_is_refused_whole(tmp_path, change, reason):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(json.loads(DEFAULT.read_text()) | change))
    with pytest.raises(SystemExit, match=reason):
        load_file(path)


def test_a_file_may_have_types_that_no_assistant_could_announce_yet(tmp_path):
    path = tmp_path / "rows.json"
    tool = {"name": "stocks", "tool_type": "stock_prices", "description": "Tells prices."}
    path.write_text(json.dumps(json.loads(DEFAULT.read_text()) | {"tools": [tool], "links": []}))
    assert [tool.tool_type for tool in load_file(path).tools] == ["stock_prices"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SystemExit, match="cannot be read"):
        load_file(tmp_path / "nowhere.json")
