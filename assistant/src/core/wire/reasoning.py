"""Reasoning and marks of chat templates that a server leaves in its answers: not for people.

Reasoning stands between two marks, at whatever place; before a closing mark alone (the opening one was part
of the prompt); or behind an opening one at the start of a line that nothing closes. Marks within code are
what the answer is about. Takes time in proportion to the text, whatever a server sends.
"""

import re
from bisect import bisect_left

_TAGS = (
    "think|thinking|thought|thoughts|reasoning|reflection|scratchpad|thought_process|chain_of_thought"
    "|seed:think|mm:think|longcat_think"
)
_ATTRIBUTE = r"(?:\s\w{1,32}=[^<>]{0,64})?"
_PAIRS = (
    (rf"<(?:{_TAGS}){_ATTRIBUTE}\s?>", rf"</(?:{_TAGS})\s?>"),
    (r"\[think\]", r"\[/think\]"),  # Mistral
    (r"◁think▷", r"◁/think▷"),  # Kimi
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|start_thinking\|>", r"<\|end_thinking\|>"),  # Cohere
    (r"<\|channel>thought", r"<channel\|>"),  # Gemma
    (r"<unused94>", r"<unused95>"),  # the same where its tokens have no names yet
    (r"<\|think(?:ing)?\|>", r"<\|/think(?:ing)?\|>"),
    (r"<｜begin▁of▁thinking｜>", r"<｜end▁of▁thinking｜>"),
)
_MARK = re.compile(
    "|".join(f"(?P<open{n}>{one})|(?P<close{n}>{other})" for n, (one, other) in enumerate(_PAIRS)),
    re.IGNORECASE,
)
_SIGNS = "<[◁"
"""What marks begin with."""
_LONGEST_MARK = 32

_CHANNEL = re.compile(
    r"(?:<\|start\|>assistant)?<\|channel\|>(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>", re.IGNORECASE
)
"""Where a message of Harmony (gpt-oss) begins; of its channels only `final` is for people."""
_END_OF_MESSAGE = re.compile(r"<\|(?:end|return|call|start)\|>", re.IGNORECASE)
_START_OF_MESSAGE = re.compile(r"<\|start\|>[a-z]*$", re.IGNORECASE)
_BARE_HARMONY = re.compile(r"\s*analysis.*?assistantfinal", re.IGNORECASE | re.DOTALL)
"""The same where a server dropped the special tokens alone."""

_BEGIN_OF_TURN = re.compile(
    r"\s*(?:<\|im_start\|>assistant|<\|start_header_id\|>assistant<\|end_header_id\|>|<\|assistant\|>|<bos>)\s*"
)
_END_OF_TURN = re.compile(
    r"(?:<\|(?:im_end|im_start|eot_id|eom_id|end_of_text|endoftext|end|return)\|>"
    r"|<(?:end|start)_of_turn>|<eos>|<｜end▁of▁sentence｜>)(?=[ \t]*(?:\n|<|$))|</s>\s*$"
)
"""Where a server does not stop at them, models go on with what the user might say. Prose names them too."""
_BOX = re.compile(r"<\|(?:begin|end)_of_box\|>")
"""Around what GLM takes for the answer."""
_WRAPPED = re.compile(r"\s*<answer>(.*?)(?:</answer>\s*)?$", re.IGNORECASE | re.DOTALL)
_FENCE = re.compile("`+|~{3,}")


def remove_reasoning(text: str, *, growing: bool = False) -> str:
    """The text for people; of one that is still `growing`, what is sure to be for them."""
    if (bare := _BARE_HARMONY.match(text)) is not None:
        return text[bare.end() :].lstrip()
    if not any(sign in text for sign in _SIGNS):
        return text
    kept = _remove_marked(_keep_final_channel(text), growing=growing)
    kept = _keep_own_turn(kept)
    if growing:
        kept = _remove_partial_mark(kept)
    if kept == text:
        return text
    wrapped = _WRAPPED.match(kept)
    return (wrapped[1] if wrapped else kept).lstrip()


def _keep_own_turn(text: str) -> str:
    """The text without the marks of chat templates, and without what stands behind its end."""
    text = text[start.end() :] if (start := _BEGIN_OF_TURN.match(text)) else text
    code = CodeSpans(text)
    ends = (mark for mark in _END_OF_TURN.finditer(text) if not code.holds(mark.start()))
    end = next(ends, None)
    if end is not None and not (end[0].startswith("</s>") and "<s>" in text):  # struck out, in HTML
        text = text[: end.start()].rstrip()
    return _BOX.sub(lambda mark: mark[0] if code.holds(mark.start()) else "", text)


def _keep_final_channel(text: str) -> str:
    code = CodeSpans(text)
    messages = [mark for mark in _CHANNEL.finditer(text) if not code.holds(mark.start())]
    if not messages:
        return text
    ends = [*(mark.start() for mark in messages[1:]), len(text)]
    final = [
        _END_OF_MESSAGE.split(text[mark.end() : end], maxsplit=1)[0]
        for mark, end in zip(messages, ends, strict=True)
        if mark[1].lower() == "final"
    ]
    before = text[: messages[0].start()]
    # a prompt that ends with a channel's mark leaves its name and `<|message|>` at the start
    return "".join(final) if final or "<|message|>" in before else before


def _remove_marked(text: str, *, growing: bool) -> str:
    code = CodeSpans(text)
    kept: list[str] = []
    place = 0
    marks = [(mark, code.holds(mark.start())) for mark in _MARK.finditer(text)]
    closings = _ClosingMarks(marks)
    for number, (mark, in_code) in enumerate(marks):
        if mark.start() < place or in_code:
            continue
        kind = mark.lastgroup or ""
        if kind.startswith("close"):
            kept, place = [], mark.end()  # all before was reasoning
            continue
        end = closings.after(kind.removeprefix("open"), mark.end())
        if end is None:
            before = marks[number - 1][0].end() if number else 0
            if not growing and not _begins_line(text, before, mark.start()):
                continue  # prose about the mark
            end = len(text)
        kept.append(text[place : mark.start()])
        place = end
    return "".join([*kept, text[place:]])


def _begins_line(text: str, mark_before: int, place: int) -> bool:
    """Whether only white space is between the mark and its line's start, or the text's, or a mark."""
    return not text[mark_before:place].rpartition("\n")[2].strip()


def _remove_partial_mark(text: str) -> str:
    """The text without what may be the beginning of a mark at its end."""
    channel = text.rfind("<|channel|>")
    if channel >= 0 and "<|message|>" not in text[channel:]:
        text = text[:channel]
    tail = max(0, len(text) - _LONGEST_MARK)
    start = max(text.rfind(sign, tail) for sign in _SIGNS)
    if start >= 0 and not re.search(r"[\s>\]▷]", text[start:]):
        text = text[:start]
    return _START_OF_MESSAGE.sub("", text)


class _ClosingMarks:
    """The closing marks by kind, found without reading the text again for each opening one."""

    def __init__(self, marks: list[tuple[re.Match[str], bool]]) -> None:
        self._found: dict[tuple[str, bool], tuple[list[int], list[int]]] = {}
        for mark, in_code in marks:
            if (mark.lastgroup or "").startswith("close"):
                key = ((mark.lastgroup or "").removeprefix("close"), in_code)
                starts, ends = self._found.setdefault(key, ([], []))
                starts.append(mark.start())
                ends.append(mark.end())

    def after(self, kind: str, place: int) -> int | None:
        """Where the thought that begins at `place` is over; marks in code count where there are no others."""
        for in_code in (False, True):
            starts, ends = self._found.get((kind, in_code), ([], []))
            if (number := bisect_left(starts, place)) < len(starts):
                return ends[number]
        return None


class CodeSpans:
    """Where code stands in a text: between two equal rows of backticks or tildes, short ones on one line."""

    def __init__(self, text: str) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        fences = list(_FENCE.finditer(text))
        following: dict[str, int] = {}
        closed_by: list[int | None] = [None] * len(fences)
        for number in range(len(fences) - 1, -1, -1):
            closed_by[number] = following.get(fences[number][0])
            following[fences[number][0]] = number
        number = 0
        while number < len(fences):
            opening, closing = fences[number], closed_by[number]
            number += 1
            if closing is not None:
                end = fences[closing].start()
                if len(opening[0]) >= 3 or text.find("\n", opening.end(), end) < 0:
                    self._starts.append(opening.start())
                    self._ends.append(end)
                    number = closing + 1

    def holds(self, place: int) -> bool:
        """Whether the character at this place is code."""
        number = bisect_left(self._starts, place)
        return number > 0 and place < self._ends[number - 1]
