"""Builds assistants from rows: the secretary and, through its tools, everything below it.

A broken branch (an unknown type, a broken schema, a deleted assistant, a cycle) is left out and logged; the
rest works.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from service_kit.contracts.assistants import AssistantRead, AssistantToolRead, AssistantTree, AssistantType
from service_kit.logging import get_logger

from ..core.errors import BrokenRowError, ConfigurationError, UnknownAssistantTypeError
from ..core.model import ModelBackend
from ..tools.base import BaseTool
from ..tools.registry import ToolServices, ToolSite
from ..tools.rest_service_tool import RestServiceTool
from ..tools.wrappers import DoneCalls, new_done_calls
from .base import BaseAssistant
from .memory import Memories
from .openai_assistant import OpenAIAssistant
from .openai_services import OpenAIServices
from .secretary import SecretaryLLMChat
from .sub_assistant import SubAssistantLLMChat
from .tool_loop import LoopLimits

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What all assistants built here are held to; a row's settings may narrow or widen the first."""

    tool_rounds: int = 8
    tool_timeout: float = 20.0
    tool_output_chars: int = 16_000
    depth: int = 4


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a tree an assistant is built: the rows by id, and the path down to it."""

    assistants: Mapping[UUID, AssistantRead]
    tree: AssistantTree
    path: tuple[UUID, ...] = ()
    built: dict[UUID, BaseAssistant] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    """Names of the branches that cannot be built."""

    def below(self, assistant_id: UUID) -> "_Place":
        """One level deeper."""
        return replace(self, path=(*self.path, assistant_id))


@dataclass(frozen=True, slots=True)
class AssistantSite:
    """What an assistant is built from besides its row."""

    is_main: bool
    """Whether users talk to it."""
    backend: ModelBackend
    openai: OpenAIServices
    memories: Memories
    tools: Sequence[BaseTool]
    limits: LoopLimits
    done: DoneCalls
    """Shared by all assistants of the process, also when they are built anew."""


AssistantBuilder = Callable[[AssistantRead, AssistantSite], BaseAssistant]
"""Makes an assistant of one type; raises BrokenRowError for a row that contradicts itself."""


def _build_llm(row: AssistantRead, site: AssistantSite) -> BaseAssistant:
    kind = SecretaryLLMChat if site.is_main else SubAssistantLLMChat
    memory = site.memories.of(row, backend=site.backend, tools=site.tools)
    return kind(
        row, backend=site.backend, tools=site.tools, memory=memory, limits=site.limits, done=site.done
    )


def _build_openai(row: AssistantRead, site: AssistantSite) -> BaseAssistant:
    return OpenAIAssistant(
        row.openai_assistant_id,
        row.instructions,
        row.name,
        row.model,
        tool_instances=site.tools,
        key=str(row.id),
        services=site.openai,
        memory=site.memories.of(row, backend=site.openai.stateless, tools=site.tools),
        limits=site.limits,
        settings=row.settings,
        done=site.done,
    )


ASSISTANT_TYPES: Mapping[str, AssistantBuilder] = {
    AssistantType.LLM: _build_llm,
    AssistantType.OPENAI_API: _build_openai,
}
"""Every type of assistant: a new one is a class in a file of its own, and a line here."""


class AssistantFactory:
    """Makes assistants of any known type."""

    def __init__(
        self,
        *,
        backend: ModelBackend,
        openai: OpenAIServices,
        memories: Memories,
        limits: Limits,
        services: ToolServices,
        types: Mapping[str, AssistantBuilder] = ASSISTANT_TYPES,
    ) -> None:
        self._backend = backend
        self._openai = openai
        self._memories = memories
        self._limits = limits
        self._services = services
        self._types = types
        self._done = new_done_calls()

    def create_main_assistant(self, tree: AssistantTree, left_out: list[str] | None = None) -> BaseAssistant:
        """The secretary at the tree's root, with all that works below it.

        The names of the branches that do not are added to `left_out`, as `assistant/tool`.

        Raises:
            ConfigurationError: the root itself cannot be built.
        """
        rows = {row.id: row for row in tree.assistants}
        place = _Place(rows, tree, left_out=[] if left_out is None else left_out)
        return self._create(_get_row(place, tree.root_id), place, is_main=True)

    def create_sub_assistant(self, assistant_id: UUID, place: _Place) -> BaseAssistant:
        """The sub-assistant with this id, built once however many tools lead to it.

        Raises:
            ConfigurationError: it is not in the tree, of an unknown type, above itself, or too deep.
        """
        # two tools may lead to one assistant; only a path back to itself has no end
        if assistant_id in place.path:
            names = " → ".join(_get_row(place, step).name for step in (*place.path, assistant_id))
            msg = f"sub-assistants in a circle: {names}"
            raise BrokenRowError(msg)
        # a tree may be deep without a cycle, and every level doubles what one message may cost
        if len(place.path) > self._limits.depth:
            msg = f"sub-assistants deeper than {self._limits.depth}"
            raise BrokenRowError(msg)
        # shared by the whole tree: `below` copies the path and keeps this dict
        if assistant_id not in place.built:
            row = _get_row(place, assistant_id)
            place.built[assistant_id] = self._create(row, place, is_main=False)
        return place.built[assistant_id]

    def _create(self, row: AssistantRead, place: _Place, *, is_main: bool) -> BaseAssistant:
        builder = self._types.get(row.assistant_type)
        if builder is None:
            msg = f"assistant {row.name!r}: unknown type {row.assistant_type!r}"
            raise UnknownAssistantTypeError(msg)
        site = AssistantSite(
            is_main=is_main,
            backend=self._backend,
            openai=self._openai,
            memories=self._memories,
            tools=self._build_tools(row, place.below(row.id)),
            limits=LoopLimits(self._limits.tool_rounds, self._limits.tool_output_chars),
            done=self._done,
        )
        return builder(row, site)

    def _build_tools(self, row: AssistantRead, place: _Place) -> list[BaseTool]:
        rows = {tool.id: tool for tool in place.tree.tools}
        site = ToolSite(
            sub_assistant=lambda assistant_id: self.create_sub_assistant(assistant_id, place),
            services=self._services,
            tool_timeout=self._limits.tool_timeout,
            max_depth=self._limits.depth,
        )
        tools: list[BaseTool] = []
        for link in _find_active_links(place.tree, row.id):
            tool_row = rows.get(link.tool_id)
            if tool_row is None or not tool_row.is_active:
                continue
            try:
                tools.append(RestServiceTool(tool_row, link, site).to_tool())
            except ConfigurationError as exc:
                # an admin's mistake in one row must not silence the assistant
                log.warning("tool_skipped", assistant=row.name, tool=tool_row.name, reason=str(exc))
                place.left_out.append(f"{row.name}/{tool_row.name}")
        return tools


def _get_row(place: _Place, assistant_id: UUID) -> AssistantRead:
    row = place.assistants.get(assistant_id)
    if row is None or not row.is_active:
        msg = f"assistant {assistant_id} is not there or not active"
        raise BrokenRowError(msg)
    return row


def _find_active_links(tree: AssistantTree, assistant_id: UUID) -> list[AssistantToolRead]:
    return [link for link in tree.links if link.assistant_id == assistant_id and link.is_active]
