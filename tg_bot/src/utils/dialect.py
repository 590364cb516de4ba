r"""Converts the Markdown that models write to CommonMark of the same meaning.

Models mark text where CommonMark sees no mark (`**标签：**正文`, `\( x^2 \)`), and write signs that
CommonMark takes for marks (`2*3*4`, `a<b>`, `a || b`). `prepare` corrects both outside of code: it replaces a
sign that is not markup by a stand-in, and puts a joiner beside a mark that CommonMark would not accept. Both
are Unicode noncharacters; `restore` replaces the stand-ins in the rendered text, and the joiners are removed.
"""

import re

import pyromark

from .formulas import is_formula, plain_formula

JOINER = "\ufdd0"
"""Neither a letter nor punctuation: a mark beside it is read as one beside a letter."""
_ACTIVE = '\\`*_[]()#+-.!|<>~$&="'
_STAND_INS = {character: chr(0xFDD1 + number) for number, character in enumerate(_ACTIVE)}
_BACK = {ord(stand_in): character for character, stand_in in _STAND_INS.items()}
_GONE = dict.fromkeys([*_BACK, ord(JOINER)])
_OPTIONS = (
    pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_STRIKETHROUGH | pyromark.Options.ENABLE_TASKLISTS
)

_WIDE = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
"""Scripts that put no space between words."""
_FORMULA = re.compile(
    r"(?<!\\)\\\[(?P<display>(?:(?!\n\s*\n).){1,1000}?)\\\]"
    r"|(?<!\\)\\\((?P<inline>(?:(?!\n\s*\n).){1,1000}?)\\\)"
    r"|(?<![\\$])\$\$(?!\$)(?P<dollars>(?:(?!\n\s*\n)[^$]){1,1000})\$\$(?!\$)"
    r"|(?P<environment>\\begin\{(?P<name>equation\*?|align\*?|aligned|gather\*?|cases|[pbvBV]?matrix)\}.{1,1000}?\\end\{(?P=name)\})"
    r"|(?P<boxed>\\boxed\{[^{}\n]{1,200}\})"
    # money is no formula: "$5 and $10", "20$ or 30$" (pandoc's rule, and none beside letters or digits)
    r"|(?<![\\$\w])\$(?P<dollar>(?=\S)[^$\n]{1,500}(?<=[^\s\\]))\$(?![\w$])",
    re.DOTALL,
)
_URL = re.compile(r"\b(?:https?|ftp)://[^\s<>()\[\]\"'`]*[^\s<>()\[\]\"'`*_~|.,;:!?]", re.IGNORECASE)
_MARKS_AS_TEXT = str.maketrans({mark: _STAND_INS[mark] for mark in "*_~|$"})
_AS_TEXT = str.maketrans(_STAND_INS)
_SPOILER = re.compile(
    r"(?<![\\A-Za-z0-9_)\]|])\|\|(?=[^\s|])(?:(?!\|\||\n\s*\n).){0,1000}(?<=[^\s|\\])\|\|(?![A-Za-z0-9_(|])",
    re.DOTALL,
)
_TABLE = re.compile(r"^[ \t>]*\|?[ \t]*:?-+:?[ \t]*\|", re.MULTILINE)
_TABLE_RULE = re.compile(r"[ \t>]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_BAR = re.compile(r"(?<!\\)\|")
_TABLE_ROW = re.compile(r"^[ \t]*\|.*\|[ \t]*$", re.MULTILINE)
_SIGN = re.compile(
    rf"(?P<emphasis>(?:(?<![\w\\*])|(?<=[{_WIDE}]))\*(?![\s*])(?:[^*\n]*[^\s*\\])?\*(?!\*))"
    r"|(?<=\w)\*(?=\w)"
    r"|<(?!\w[\w+.-]*:[^\s<>]*>)"
    r"|\\?\$"
    r"|(?<=\w)\[(?=[^\[\]\n]*\]\((?!https?:|mailto:|tel:|tg:))"
)
"""`2*3*4` is a product, `a<b>` a comparison or a tag in words, `$5` money, `f[i](x)` a call."""
_NUMBER = re.compile(
    r"^(?P<indent>[ >]*)(?:(?P<number>[0-9]{1,9})(?P<sign>[.)])|[-*+])(?=[ \t])", re.MULTILINE
)
_NEW_BLOCK = re.compile(r"\n[ \t>]*\n[^\s>]")
_DEFINITION = re.compile(r"^[ >]*\[(?P<label>[^\[\]\n]+)\]:", re.MULTILINE)
"""Markdown hides it, as the address of `[label]` elsewhere."""
_MARKED = re.compile(
    r"(?P<mark>\*{1,3}|~~|_{1,3})(?![\s*~_])"
    r"(?P<inner>(?:(?!(?P=mark)|\n\s*\n).){1,500}?)(?<![\s\\])(?P=mark)(?![*~_])",
    re.DOTALL,
)
_BRACKETS = ")]}"


def prepare(markdown: str) -> str:
    """Convert `markdown` to CommonMark; code is not changed."""
    text = _keep_cells(_keep_numbers(markdown.translate(_GONE)))
    source = text.encode()
    parts: list[str] = []
    end = 0
    for start, stop in _code_regions(text):
        parts += [_prose(source[end:start].decode()), source[start:stop].decode()]
        end = stop
    parts.append(_prose(source[end:].decode()))
    return "".join(parts)


def restore(text: str) -> str:
    """Put back the signs that `prepare` has replaced; joiners stay."""
    return text.translate(_BACK)


def _code_regions(text: str) -> list[tuple[int, int]]:
    """The ranges that the parser sees as code, in bytes of UTF-8, in order."""
    if "`" not in text and "~~~" not in text and "    " not in text and "\t" not in text:
        return []
    regions: list[tuple[int, int]] = []
    for event, place in pyromark.events_with_range(text, options=_OPTIONS):
        begun = event.get("Start") if isinstance(event, dict) else None
        if (isinstance(begun, dict) and "CodeBlock" in begun) or (
            isinstance(event, dict) and "Code" in event
        ):
            regions.append((place["start"], place["end"]))
    return regions


def _prose(text: str) -> str:
    text = _URL.sub(lambda found: found[0].translate(_MARKS_AS_TEXT), text)
    text = _keep_bars(_FORMULA.sub(_formula, text))
    text = _DEFINITION.sub(lambda found: found[0] if _is_used(found) else found[0].translate(_AS_TEXT), text)
    text = _SIGN.sub(lambda found: found["emphasis"] or _STAND_INS[found[0][-1]], text)
    return _MARKED.sub(_add_joiners, text)


def _keep_numbers(text: str) -> str:
    """Escape a list's number that is out of order: Markdown would renumber it."""
    counts: dict[int, int] = {}
    """The last number that a reader has seen, by the list's indent."""
    last, end = 0, 0

    def keep_number(found: re.Match[str]) -> str:
        nonlocal last, end
        indent = len(found["indent"])
        is_new = bool(_NEW_BLOCK.search(text, end, found.start()))
        end = found.end()
        for other in [
            other for other in counts if is_new or other > indent or (other == indent and not found["number"])
        ]:
            del counts[other]
        if not found["number"]:
            return found[0]
        number = int(found["number"])
        count = counts.get(indent, number - 1) + 1
        follows = number == count or number == last == 1  # 1, 1, 1 is left to be counted
        last = number
        if follows:
            counts[indent] = count
            return found[0]
        return f"{found['indent']}{found['number']}{_STAND_INS[found['sign']]}"

    return _NUMBER.sub(keep_number, text)


def _keep_cells(text: str) -> str:
    """Join cells beyond the table's columns to the last cell: Markdown would drop them."""
    if not _TABLE.search(text):
        return text
    lines = text.split("\n")
    columns = 0
    for number, line in enumerate(lines):
        if _TABLE_RULE.fullmatch(line):
            columns = len(re.findall("-+", line))
        elif not line.strip():
            columns = 0
        elif columns:
            bars = [found.start() for found in _BAR.finditer(line.rstrip())]
            lead = bool(re.match(r"[ \t>]*\|", line))
            inner = bars[lead : len(bars) - line.rstrip().endswith("|")]
            for place in inner[columns - 1 :]:
                line = f"{line[:place]}{_STAND_INS['|']}{line[place + 1 :]}"  # noqa: PLW2901 - same length
            lines[number] = line
    return "\n".join(lines)


def _formula(found: re.Match[str]) -> str:
    latex = next(text for text in found.groups() if text is not None)
    is_checkbox = found["display"] is not None and len(latex.strip()) < 3
    if is_checkbox or not is_formula(latex):
        return found[0]
    return plain_formula(latex).translate(_AS_TEXT)


def _keep_bars(text: str) -> str:
    if "||" not in text:
        return text
    parts: list[str] = []
    end = 0
    for spoiler in _SPOILER.finditer(text):
        parts += [_without_bars(text[end : spoiler.start()]), spoiler[0]]
        end = spoiler.end()
    return "".join([*parts, _without_bars(text[end:])])


def _without_bars(text: str) -> str:
    if _TABLE.search(text):
        text = _TABLE_ROW.sub(lambda row: row[0].replace("||", "| |"), text)  # an empty cell
    return text.replace("||", 2 * _STAND_INS["|"])


def _is_used(definition: re.Match[str]) -> bool:
    label = f"[{definition['label']}]"
    address = re.match(r"\s*<?(?:https?|mailto|tel|tg):", definition.string[definition.end() :])
    return address is not None and definition.string.count(label) > 1


def _add_joiners(found: re.Match[str]) -> str:
    """Add joiners to marked text where CommonMark would not see its marks.

    By its rule a mark between a letter and punctuation belongs to the letter: `**标签：**正文` would not end.
    """
    mark, inner = found["mark"], found["inner"]
    before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    opens = _is_word(before) and _is_punctuation(inner[0]) and not inner[0].isascii()
    closes = (
        _is_word(after) and _is_punctuation(inner[-1]) and (not _is_word(before) or not inner[-1].isascii())
    )
    if closes and inner[-1] in _BRACKETS:
        closes = len(mark) > 1
    if not (opens or closes):
        return found[0]
    mark = mark.replace("_", "*")  # underscores never mark a part of a word
    return f"{mark}{JOINER if opens else ''}{inner}{JOINER if closes else ''}{mark}"


def _is_word(character: str) -> bool:
    return character.isalnum()


def _is_punctuation(character: str) -> bool:
    return not character.isalnum() and not character.isspace() and character not in _BACK_AND_JOINER


_BACK_AND_JOINER = {JOINER, *_STAND_INS.values()}
