"""Tool calls that a model wrote into its text, in the format that it was trained on.

Small local models do so where their server does not read that format. Nobody can use such a text, and what it
asks for would stay undone. Marks within code are what an answer is about. What follows the first call is left
out of the text: models go on with results that they invent. Takes time in proportion to the text.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import islice, zip_longest

from ..providers import bounds
from .lenient_json import parse_lenient_object
from .reasoning import CodeSpans, remove_reasoning
from .tool_calls import RawCall

LONGEST = 2**16
"""Characters of a text that may hold calls."""

_NAME = r"([\w.:/-]{1,128})"
_HARMONY = re.compile(
    rf"(?:<\|start\|>assistant ?)?(?:<\|channel\|>\w{{1,20}} ?)?\bto={_NAME}"
    r"(?: ?<\|channel\|>\w{1,20})?(?: ?<\|constrain\|>)? ?\w{0,20}<\|message\|>(?=\s*\{)"
)
"""gpt-oss; the tool stands before the channel or behind it."""
_MARK = re.compile(
    r"<(?:tool_calls?|function_?calls?|tools)>(?=\s*[\[{])"  # Hermes, Qwen
    r"|\[TOOL_CALLS\](?=\s*[\[{])"  # Mistral
    r"|<\|(?:python_tag|tool_call)\|>(?=\s*[\[{])"  # Llama, Granite
    rf"|\[TOOL_CALLS\]\s*{_NAME}(?:\[CALL_ID\]\w{{1,64}})?(?:\[ARGS\])?(?=\s*\{{)"  # Mistral, newer
    rf"|<\|tool_call_begin\|>\s*{_NAME}\s*<\|tool_call_argument_begin\|>"  # Kimi
    rf"|<｜tool▁call▁begin｜>(?:function<｜tool▁sep｜>)?{_NAME}(?:<｜tool▁sep｜>)?(?:\s*```json)?"  # DeepSeek
    rf"|<function={_NAME}>"  # Llama with JSON, Qwen's coders with tags
    rf'|<invoke name="{_NAME}">'  # Claude, MiniMax
    rf"|<tool_call>\n?{_NAME}\s*(?=<arg_key>|</tool_call>)"  # GLM
)
"""Before JSON that holds name and arguments; or, with a name, before the arguments: JSON or tags."""
_BEFORE_MARK = re.compile(
    r"(?:<tool_call>|<function_calls>|<\|tool_calls_section_begin\|>|<｜tool▁calls▁begin｜>)\s*$"
)
_OPENING = re.compile(
    r"<(?:tool_?call|function_?call|tools>|function=|invoke |｜tool)|\[TOOL_CALLS\]"
    r"|<\|(?:tool_call|python_tag|start\|>assistant)"
)
"""What may become a mark; behind it, a text that is growing is not shown yet."""
_BROKEN_NAME = re.compile(rf"""["']name["']\s*:\s*["']{_NAME}["']""")
_END = re.compile(r"</(?:function|invoke|tool_call)>")
_PARAMETER = re.compile(
    r'<parameter=(\w{1,128})>|<parameter name="(\w{1,128})"[^>]{0,40}>'
    r"|<arg_key>(\w{1,128})</arg_key>\s*<arg_value>"
)
_END_OF_PARAMETER = re.compile(r"\n?</(?:parameter|arg_value)>")
_FENCE = re.compile(r"```(?:json)?\s*|\s*```")
_BARE = re.compile(r'\s*(?:```(?:json)?\s*)?\[?\s*\{\s*"(?:name|type|function)"\s*:')
_PARTS = frozenset({"name", "arguments", "parameters", "id", "type"})


def extract_calls(raw: str, tools: Collection[str] | None) -> tuple[str, list[RawCall]]:
    """The text for people, and the calls behind it; `raw` is the text with its reasoning.

    `tools` are the names that may be called: JSON without a mark is a call only with one of them. None: there
    can be no calls in the text.
    """
    if tools is None or len(raw) > LONGEST:
        return remove_reasoning(raw), []
    place, calls = _find_calls(raw, _HARMONY)
    if calls:
        return remove_reasoning(raw[:place]).rstrip(), calls
    text = remove_reasoning(raw)
    place, calls = _find_calls(text, _MARK)
    if calls:
        return text[:place].rstrip(), calls
    calls = _read_bare(text, tools)
    return ("" if calls else text), calls


def hide_growing_call(text: str) -> str:
    """What is sure to be for people of a text that is still growing."""
    if _BARE.match(text):
        return ""
    openings = list(islice(_OPENING.finditer(text), bounds.CALLS))
    code = CodeSpans(text) if openings else None
    start = next((one.start() for one in openings if code and not code.holds(one.start())), len(text))
    return text[:start]


def _find_calls(text: str, pattern: re.Pattern[str]) -> tuple[int, list[RawCall]]:
    """Where the first call begins, and all of them."""
    calls, first, place = list[RawCall](), 0, 0
    marks = list(islice(pattern.finditer(text), bounds.CALLS))
    if not marks:
        return 0, []
    code = CodeSpans(text)
    for mark in marks:
        if mark.start() < place or code.holds(mark.start()):
            continue
        found, place = _read_mark(text, mark)
        if found and not calls:
            first = len(_BEFORE_MARK.sub("", text[: mark.start()]))
        calls += found
    return first, calls


def _read_mark(text: str, mark: re.Match[str]) -> tuple[list[RawCall], int]:
    """The calls of one mark, and where they end."""
    name = next(filter(None, mark.groups()), None)
    if name is None:
        values, end = _read_values(text, mark.end())
        return (_select_calls(values), end) if values else _read_broken(text, mark.end())
    if text[mark.end() :].lstrip()[:1] == "{":
        values, end = _read_values(text, mark.end(), most=1)
        return [RawCall("", name, value) for value in values], end
    ends = _END.search(text, mark.end())
    end = ends.end() if ends else len(text)
    arguments = dict(_read_parameters(text[mark.end() : end]))
    return ([RawCall("", name, arguments)] if ends or arguments else []), end


def _read_broken(text: str, place: int) -> tuple[list[RawCall], int]:
    """The call in what is no JSON; with arguments that cannot be read, for the model to be told."""
    ends = _END.search(text, place)
    body = text[place : ends.start() if ends else len(text)].strip()
    if (value := parse_lenient_object(body)) is not None:
        return _select_calls([value]), place + len(body)
    name = _BROKEN_NAME.search(body, 0, 200)
    return ([RawCall("", name[1], body)] if name else []), place


def _read_values(text: str, place: int, *, most: int = bounds.CALLS) -> tuple[list[object], int]:
    """The JSON values that stand one after another from `place` on, and where they end."""
    decoder, values = json.JSONDecoder(strict=False), list[object]()
    while len(values) < most:
        start = place + len(text[place:]) - len(text[place:].lstrip(" \t\r\n,;"))
        if text[start : start + 1] not in {"{", "["}:
            break
        try:
            value, place = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            break
        values.append(value)
    return values, place


def _select_calls(values: list[object]) -> list[RawCall]:
    """The calls among JSON values; a list of them counts as they do."""
    calls: list[RawCall] = []
    for value in values:
        for one in value if isinstance(value, list) else [value]:
            call = one.get("function", one) if isinstance(one, dict) else None
            if isinstance(call, dict) and isinstance(name := call.get("name"), str) and name:
                calls.append(RawCall("", name, call.get("arguments", call.get("parameters"))))
    return calls


def _read_parameters(body: str) -> Iterator[tuple[str, object]]:
    """Arguments in tags: each is JSON where it reads so, else a text."""
    marks = list(_PARAMETER.finditer(body))
    for mark, following in zip_longest(marks, marks[1:]):
        end = following.start() if following else len(body)
        text = _END_OF_PARAMETER.split(body[mark.end() : end], maxsplit=1)[0].removeprefix("\n")
        yield next(filter(None, mark.groups())), _parse_or_keep(text)


def _parse_or_keep(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _read_bare(text: str, tools: Collection[str]) -> list[RawCall]:
    """The calls that the text is, and is nothing else; such JSON may be an answer, so it has to be exact."""
    if not _BARE.match(text):
        return []
    text = _FENCE.sub("", text.strip())
    values, end = _read_values(text, 0)
    if text[end:].strip():
        return []
    calls = _select_calls(values)
    items = [item for value in values for item in (value if isinstance(value, list) else [value])]
    exact = len(calls) == len(items) and all(
        call.name in tools and isinstance(call.arguments, Mapping) and _is_exact(item)
        for call, item in zip(calls, items, strict=True)
    )
    return calls if exact else []


def _is_exact(item: object) -> bool:
    """Whether it has the parts of a call and no other."""
    call = item.get("function", item) if isinstance(item, dict) else {}
    return isinstance(call, dict) and call.keys() <= _PARTS
