"""A text that arrives in pieces, joined and shown in steps: the cost grows with the text, not its square."""

from ...utils.text import well_formed
from ..model import TextSink
from .thoughts import without_thoughts

STEP = 64
"""The text is shown again when it has grown by one part in so many, so a short one at each piece."""
SHOWN = 2**16
"""Characters up to which it is shown while it grows; nobody watches a longer one."""


class GrowingText:
    """What a model says, for people: without its reasoning and without broken characters."""

    def __init__(self) -> None:
        self.size = 0
        """Characters so far, reasoning included."""
        self._pieces: list[str] = []
        self.shown = ""
        """What was told last."""
        self._shown_at = 0

    def add(self, piece: str) -> None:
        """Add a piece."""
        self._pieces.append(piece)
        self.size += len(piece)

    def text(self, *, growing: bool = False) -> str:
        """The text; of one that is still `growing`, what is sure to be for people."""
        self._pieces = ["".join(self._pieces)]
        text = self._pieces[0]
        if growing and text and "\ud800" <= text[-1] <= "\udbff":
            text = text[:-1]  # the other half of the character is to come
        return well_formed(without_thoughts(text, growing=growing))

    def show(self, on_text: TextSink) -> None:
        """Tell the text so far, if there is enough new."""
        if self.size > SHOWN or self.size - self._shown_at < max(1, self.size // STEP):
            return
        self._shown_at = self.size
        if (text := self.text(growing=True)) != self.shown:
            self.shown = text
            on_text(text)
