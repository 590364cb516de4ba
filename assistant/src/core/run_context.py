"""Whatever belongs to one message and must never stand on a shared object."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

from service_kit.clock import Clock, SystemClock
from service_kit.contracts.users import UserRead

from ..utils.zones import zone_or_none
from .model import TextSink, Usage

DEFAULT_TIME = 90.0
SHARE_FOR_TOOLS = 2 / 3
"""Of a run's time; the rest is for the last answer, without tools."""
SHARE_FOR_SUB_ASSISTANT = 0.95
"""Of the time for tools of the run above it; the rest is for storing what it did and handing it over."""


@dataclass(frozen=True, slots=True)
class UserProfile:
    """What the assistants may know of the user."""

    id: int
    name: str | None = None
    language: str | None = None
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    timezone_known: bool = False

    @classmethod
    def of(cls, user: UserRead) -> "UserProfile":
        """The profile in a row of rest_service; a zone that this machine does not know counts as unknown."""
        zone = zone_or_none(user.timezone) if user.timezone else None
        return cls(
            id=user.id,
            name=user.first_name or user.username,
            language=user.language,
            timezone=zone or ZoneInfo("UTC"),
            timezone_known=zone is not None,
        )


@dataclass(slots=True)
class ModelUse:
    """What one assistant used of one model for one message; `seconds` are those of waiting for it."""

    assistant_id: str
    assistant: str
    model: str
    usage: Usage = field(default_factory=Usage)
    calls: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class RunTotals:
    """What one run of a message has cost so far, sub-assistants included."""

    uses: dict[tuple[str, str], ModelUse] = field(default_factory=dict)
    """By assistant's id and model."""
    tool_calls: int = 0
    without_tools: set[str] = field(default_factory=set)
    """Models that take no tools, and answered without those of their assistants."""
    run: str = field(default_factory=lambda: uuid4().hex[:12])
    """Tells the runs of one message apart: each has asked models, and each is counted, under this name."""
    earlier: "dict[str, RunTotals]" = field(default_factory=dict)
    """What runs before this one are known to have used, by their `run`. Whether they were counted before
    they ended is not known: they are counted again under their own names, which count once."""

    def add(self, *, assistant_id: str, assistant: str, model: str, usage: Usage, seconds: float) -> None:
        """One call of a model."""
        use = self.uses.setdefault((assistant_id, model), ModelUse(assistant_id, assistant, model))
        use.usage += usage
        use.calls += 1
        use.seconds += seconds

    def add_earlier(self, run: str, uses: Iterable[ModelUse]) -> None:
        """An earlier run had used this when it was noted; of several notes the one with more counts."""
        known = self.earlier.setdefault(run, RunTotals(run=run)).uses
        for use in uses:
            key = (use.assistant_id, use.model)
            # notes may arrive out of order: the one with more calls is the later
            if key not in known or known[key].calls < use.calls:
                known[key] = use

    @property
    def runs(self) -> "tuple[RunTotals, ...]":
        """This run and the earlier ones."""
        return (self, *self.earlier.values())

    @property
    def usage(self) -> Usage:
        """Tokens of all models."""
        return sum((use.usage for use in self.uses.values()), Usage())

    @property
    def model_calls(self) -> int:
        """Calls of all models."""
        return sum(use.calls for use in self.uses.values())


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run of one assistant for one message.

    `tools_until` and `deadline` are times of the event loop's clock: after the first the model gets
    no more tools, after the second the run ends with what it has.
    """

    user: UserProfile
    message_id: str
    deadline: float
    tools_until: float
    clock: Clock = field(default_factory=SystemClock)
    depth: int = 0
    path: str = ""
    """Which tool call led here, such as `2/1`: the first call of what the second call asked."""
    totals: RunTotals = field(default_factory=RunTotals)
    on_text: TextSink | None = None
    receipts: list[str] = field(default_factory=list)
    """What the calls made in this run have done, each as a sentence for the user (`BaseTool.receipt`)."""
    repeated: bool = False
    """This very call was begun by an earlier delivery of the message: its effect may be there already."""

    @classmethod
    def anonymous(cls, user_id: int) -> "RunContext":
        """For a caller that has nothing but the user's id; needs a running event loop."""
        now = asyncio.get_running_loop().time()
        return cls(
            user=UserProfile(user_id),
            message_id=f"anonymous:{uuid4().hex}",
            deadline=now + DEFAULT_TIME,
            tools_until=now + DEFAULT_TIME * SHARE_FOR_TOOLS,
        )

    @property
    def key(self) -> str:
        """Names this point of this message's work; the same when the message is delivered again.

        The idempotency key of a tool's outside effect, and the key of a stored turn.
        """
        return f"{self.message_id}:{self.path}" if self.path else self.message_id

    def local_now(self) -> datetime:
        """The current time where the user is."""
        return self.clock.now().astimezone(self.user.timezone)

    def utc_now(self) -> datetime:
        """The current time, aware, in UTC."""
        return self.clock.now().astimezone(UTC)

    def for_call(self, number: int, *, repeated: bool = False) -> "RunContext":
        """The context of this run's `number`-th tool call (from 1)."""
        path = f"{self.path}/{number}" if self.path else str(number)
        # a list of its own: calls run at the same time
        return replace(self, path=path, repeated=repeated, receipts=[])

    def for_sub_assistant(self) -> "RunContext":
        """The context of a sub-assistant's run, within the time for tools of the run above it.

        It ends a little before that time, so that it can still say what it has done. Its text is not the
        user's to see. Needs a running event loop.
        """
        now = asyncio.get_running_loop().time()
        # a sub-assistant's whole run is one tool call of the run above
        left = self.tools_until - now
        return replace(
            self,
            depth=self.depth + 1,
            deadline=now + left * SHARE_FOR_SUB_ASSISTANT,
            tools_until=now + left * SHARE_FOR_SUB_ASSISTANT * SHARE_FOR_TOOLS,
            on_text=None,
        )
