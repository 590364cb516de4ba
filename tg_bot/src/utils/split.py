"""Splits long Markdown into pieces that Telegram accepts, at places where a reader would split it.

Pieces are cut before the Markdown is rendered: at a paragraph, else a line, else a word, else anywhere.
A cut inside a code fence closes it and opens it again, with its language, in the next piece. Lengths are
in UTF-16 code units, as Telegram counts.
"""

import re
from dataclasses import dataclass

MESSAGE_LIMIT = 4_096
"""UTF-16 units in one Telegram message (Bot API, sendMessage)."""

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})(.*)$")
_LONGEST_INFO = 32
"""Characters of a fence's language that is repeated; a longer one would take too much room."""
_LONGEST_MARKS = 32
"""A longer fence is not closed and opened again, for the same reason."""
_LEAST = 64
"""A piece of code is never cut shorter than this, however long its fence is."""


@dataclass(frozen=True, slots=True)
class _Fence:
    """A code fence that is open."""

    marks: str
    info: str

    @property
    def opening(self) -> str:
        return f"{self.marks}{self.info if len(self.info) <= _LONGEST_INFO else ''}\n"

    @property
    def closing(self) -> str:
        return f"\n{self.marks}"


def utf16_length(text: str) -> int:
    """Length in UTF-16 code units."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split_markdown(text: str, limit: int = MESSAGE_LIMIT) -> list[str]:
    """Pieces of at most `limit` units each (at least 256), without blank ones.

    All text is in the pieces, in order; only the whitespace at a cut outside of code is dropped.
    """
    pieces: list[str] = []
    opening, rest, fence = "", text, None
    while utf16_length(opening) + utf16_length(rest) > limit:
        cut, after = _cut(rest, fence, limit - utf16_length(opening))
        head, rest = rest[:cut], rest[cut:]
        if after:
            pieces.append(opening + head.removesuffix("\n") + after.closing)
            opening = after.opening
        else:
            pieces.append(opening + head.rstrip())
            opening, rest = "", rest.lstrip("\n") if head.endswith("\n") else rest.lstrip()
        fence = after
    if rest:
        pieces.append(opening + rest)
    return [piece for piece in pieces if piece.strip()]


def _cut(text: str, fence: _Fence | None, limit: int) -> tuple[int, _Fence | None]:
    """Where to cut `text`, which begins inside `fence`, and the fence that is open there.

    The best of the last paragraph, line and word ends that leave room to close an open fence.
    """
    end = _prefix(text, limit)
    lines = _line_ends(text, end, fence)
    paragraph = _last_fitting(text, [line for line in lines if line.ends_paragraph], limit)
    # a piece much shorter than the limit would scatter the reply over many messages
    if paragraph and paragraph.position > end // 4:
        return paragraph.position, None
    line = _last_fitting(text, lines, limit)
    if line and line.position > end // 8:
        return line.position, line.fence
    last = lines[-1].fence if lines else fence
    return _cut_line(text, last, limit, start=lines[-1].position if lines else 0), last


@dataclass(frozen=True, slots=True)
class _LineEnd:
    position: int
    fence: _Fence | None
    ends_paragraph: bool


def _line_ends(text: str, end: int, fence: _Fence | None) -> list[_LineEnd]:
    """The places right after each newline of `text[:end]`, and the fence that is open there."""
    found: list[_LineEnd] = []
    start = 0
    while (newline := text.find("\n", start, end)) >= 0:
        line = text[start:newline]
        fence = _after_line(line, fence)
        found.append(_LineEnd(newline + 1, fence, fence is None and not line.strip()))
        start = newline + 1
    return found


def _after_line(line: str, fence: _Fence | None) -> _Fence | None:
    mark = _FENCE.match(line)
    if mark is None:
        return fence
    marks, info = mark[1], mark[2].strip()
    if fence is None:
        opens = len(marks) <= _LONGEST_MARKS and not (marks[0] == "`" and "`" in info)
        return _Fence(marks, info) if opens else None
    closes = marks[0] == fence.marks[0] and len(marks) >= len(fence.marks) and not info
    return None if closes else fence


def _last_fitting(text: str, ends: list[_LineEnd], limit: int) -> _LineEnd | None:
    """The last of `ends` that leaves room for the fence's closing line."""
    for line in reversed(ends):
        if line.fence is None or utf16_length(text[: line.position]) + len(line.fence.closing) <= limit:
            return line
    return None


def _cut_line(text: str, fence: _Fence | None, limit: int, *, start: int) -> int:
    """A place inside the one line that is too long: after a word, else anywhere."""
    room = limit - (len(fence.closing) if fence else 0)
    end = max(_prefix(text, room), 1)
    space = max(text.rfind(" ", start, end), text.rfind("\t", start, end))
    return space + 1 if space > max(end // 2, start) else end


def _prefix(text: str, units: int) -> int:
    """How many characters of `text` fit in so many units."""
    end = min(len(text), max(units, _LEAST))
    while (over := utf16_length(text[:end]) - max(units, _LEAST)) > 0:
        end -= max(over // 2, 1)
    return end
