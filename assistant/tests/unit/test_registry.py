import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import redis.asyncio as aioredis
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from assistant.src import tools
from assistant.src.assistants.base import BaseAssistant
from assistant.src.core.errors import UnknownToolTypeError
from assistant.src.core.wire.strict import strict_schema
from assistant.src.tools.base import BaseTool
from assistant.src.tools.registry import ToolSite, announce_tool_types, tool_kinds
from assistant.src.tools.rest_service_tool import RestServiceTool
from assistant.tests.fakes import link_row, tool_row, tool_services
from service_kit.contracts.tools import TOOL_TYPES_KEY, ToolType

OTHERS = {ToolType.CALENDAR, ToolType.SUB_ASSISTANT}
PARROT = """
from .base import BaseTool
from .registry import ToolKind

class ParrotTool(BaseTool):
    async def execute(self, arguments, context):
        return "hello"

def _build(source, site):
    schema = {"type": "object"}
    return ParrotTool(name=source.row.name, description=source.row.description, schema=schema)

TOOL_KIND = ToolKind("NAME", _build)
"""

AddFile = Callable[[str, str], None]


@pytest.fixture
def add_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AddFile]:
    """Puts a file beside the package's own; the types are looked for anew."""
    monkeypatch.setattr(tools, "__path__", [*tools.__path__, str(tmp_path)])
    added: list[str] = []

    def add(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        added.append(name)
        importlib.invalidate_caches()
        tool_kinds.cache_clear()

    yield add
    tool_kinds.cache_clear()
    for name in added:
        sys.modules.pop(f"{tools.__name__}.{name}", None)


def built(tool_type: str) -> BaseTool:
    row = tool_row("a_tool", tool_type)

    def nobody(_assistant_id: UUID) -> BaseAssistant:
        raise AssertionError

    site = ToolSite(nobody, tool_services())
    return RestServiceTool(row, link_row(row.id, row.id), site).to_tool()


def test_every_type_of_the_contract_but_the_calendar_is_here():
    assert tool_kinds().keys() >= set(ToolType) - {ToolType.CALENDAR}


@pytest.mark.parametrize("kind", sorted(set(ToolType) - OTHERS))
def test_a_row_becomes_a_tool_that_strict_mode_can_have(kind):
    tool = built(kind)
    assert (tool.name, tool.description) == ("a_tool", "a_tool does it.")
    assert strict_schema(tool.schema) is not None


def test_a_new_type_is_one_file(add_file):
    add_file("parrot_tool", PARROT.replace("NAME", "parrot"))
    assert built("parrot").name == "a_tool"


def test_other_files_are_no_tools(add_file):
    add_file("parrot", PARROT.replace("NAME", "parrot"))
    with pytest.raises(UnknownToolTypeError, match=r"known: .*weather"):
        built("parrot")


def test_two_files_of_one_type_are_refused(add_file):
    add_file("parrot_tool", PARROT.replace("NAME", "weather"))
    with pytest.raises(ValueError, match="'weather' is there already"):
        tool_kinds()


def test_a_type_without_a_proper_name_is_refused(add_file):
    add_file("parrot_tool", PARROT.replace("NAME", "My Parrot"))
    with pytest.raises(ValueError, match="no lower-case word"):
        tool_kinds()


async def test_without_redis_the_service_starts_all_the_same():
    class Gone(aioredis.Redis):
        async def sadd(self, *_names: object) -> int:
            raise RedisConnectionError("gone")

    with capture_logs() as logs:
        await announce_tool_types(Gone())
    assert [line["event"] for line in logs] == ["tool_types_not_announced"]


@pytest.mark.integration
async def test_the_types_are_made_known(redis_client):
    await announce_tool_types(redis_client)
    assert await redis_client.smembers(TOOL_TYPES_KEY) == {name.encode() for name in tool_kinds()}
