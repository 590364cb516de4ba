"""The state of one run of the tool loop."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..core.model import AssistantMessage, Message, ModelBackend, ToolCall, ToolMessage
from ..core.run_context import RunContext
from ..storage.journal import Journal
from ..storage.turns import Turn
from ..tools.toolbox import call_signature

REPEATS = 3
"""The same call with the same arguments is not run this often."""


@dataclass(slots=True)
class RunState:
    """What has been said and called so far."""

    backend: ModelBackend
    context: RunContext
    journal: Journal
    history: tuple[Turn, ...]
    messages: list[Message]
    seen: Counter[str] = field(default_factory=Counter)
    """How often each call came, by its signature."""
    calls: int = 0
    rounds: int = 0
    overflowed: bool = False
    stop_calling: bool = False

    def all_messages(self) -> list[Message]:
        """History and run, oldest first, for the model."""
        return [message for turn in self.history for message in turn.messages] + self.messages

    def count_call(self, call: ToolCall) -> int:
        """How often this call has come, with this time; the REPEATS-th time ends the calling."""
        signature = call_signature(call)
        self.seen[signature] += 1
        if self.seen[signature] >= REPEATS:
            self.stop_calling = True
        return self.seen[signature]

    def resume_last_round(self) -> tuple[Sequence[ToolCall], dict[str, ToolMessage]]:
        """The calls and results of the last round in `messages`; both empty where no result is missing.

        Counts all rounds and calls there, and removes these results: they come back with the missing ones.
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
                    self.count_call(call)
                calls, results = message.tool_calls, {}
        if len(results) == len(calls):
            return (), {}
        # the results stand last: the journal is noted before a round's calls or after all of them
        del self.messages[len(self.messages) - len(results) :]
        return calls, results
