"""The state of one run of the tool loop."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..core.model import AssistantMessage, Message, ModelBackend, ToolCall, ToolMessage
from ..core.run_context import RunContext
from ..storage.journal import Journal
from ..storage.turns import Turn
from ..tools.toolbox import comparable

REPEATS = 3
"""The same call with the same arguments is not run this often."""


@dataclass(slots=True)
class Run:
    """What has been said and called so far."""

    backend: ModelBackend
    context: RunContext
    journal: Journal
    history: tuple[Turn, ...]
    messages: list[Message]
    seen: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    rounds: int = 0
    overflowed: bool = False
    stop_calling: bool = False

    def everything(self) -> list[Message]:
        """All messages for the model, oldest first."""
        return [message for turn in self.history for message in turn.messages] + self.messages

    def is_repeat(self, call: ToolCall) -> bool:
        """Counts the call; from the REPEATS-th same one on it is refused and ends the calling."""
        same = comparable(call)
        self.seen[same] += 1
        if self.seen[same] < REPEATS:
            return False
        self.stop_calling = True
        return True

    def taken_up(self) -> tuple[Sequence[ToolCall], dict[str, ToolMessage]]:
        """Counts what stands in `messages` already; takes out the results of the last round.

        Returns that round's calls with these results; both empty where the round lacks none.
        """
        calls: Sequence[ToolCall] = ()
        results: dict[str, ToolMessage] = {}
        for message in self.messages:
            if isinstance(message, ToolMessage):
                results[message.call_id] = message
            elif isinstance(message, AssistantMessage):
                self.rounds += 1
                self.calls += len(message.tool_calls)
                for call in message.tool_calls:
                    self.is_repeat(call)
                calls, results = message.tool_calls, {}
        if len(results) == len(calls):
            return (), {}
        del self.messages[len(self.messages) - len(results) :]
        return calls, results
