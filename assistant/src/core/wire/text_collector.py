"""A text that arrives in pieces, joined and shown in steps: the cost grows with the text, not its square."""

from collections.abc import Collection

from ...utils.text import well_formed
from ..model import TextSink
from .calls_in_text import extract_calls, hide_growing_call
from .reasoning import remove_reasoning
from .tool_calls import RawCall

STEP = 64
"""The text is shown again when it has grown by one part in so many, so a short one at each piece."""
SHOWN = 2**16
"""Characters up to which it is shown while it grows; nobody watches a longer one."""


class TextCollector:
    """What a model says, for people: without its reasoning, broken characters, and calls written into it.

    `tools` are the names that the model may call; None: a text cannot hold calls.
    """

    def __init__(self, tools: Collection[str] | None = None) -> None:
        self._tools = tools
        self.size = 0
        """Characters so far, reasoning included."""
        self._pieces: list[str] = []
        self.shown = ""
        """What was shown last."""
        self._shown_at = 0
        self._extracted: tuple[str, list[RawCall]] | None = None
        """Text and calls, where nothing was added since: both are asked for, and the text may be long."""

    def add(self, piece: str) -> None:
        """Add a piece."""
        self._extracted = None
        self._pieces.append(piece)
        self.size += len(piece)

    def clear(self) -> int:
        """Begin anew; returns the characters that are gone."""
        size, self.size, self._shown_at = self.size, 0, 0
        self._extracted = None
        self._pieces.clear()
        return size

    def text(self) -> str:
        """The text."""
        return self._extract()[0]

    def calls(self) -> list[RawCall]:
        """The calls in it."""
        return self._extract()[1]

    def _extract(self) -> tuple[str, list[RawCall]]:
        if self._extracted is None:
            text, calls = extract_calls(self.raw(), self._tools)
            self._extracted = well_formed(text), calls
        return self._extracted

    def raw(self) -> str:
        """All that came."""
        # joined once, not at every call
        self._pieces = ["".join(self._pieces)]
        return self._pieces[0]

    def _sure(self) -> str:
        """What is sure to be for people, while it grows."""
        text = self.raw()
        if text and "\ud800" <= text[-1] <= "\udbff":
            text = text[:-1]  # the other half of the character is to come
        text = remove_reasoning(text, growing=True)
        return well_formed(hide_growing_call(text) if self._tools is not None else text)

    def show(self, on_text: TextSink) -> None:
        """Show the text so far, if there is enough new."""
        if self.size > SHOWN or self.size - self._shown_at < max(1, self.size // STEP):
            return
        self._shown_at = self.size
        if (text := self._sure()) != self.shown:
            self.shown = text
            on_text(text)
