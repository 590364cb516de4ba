r"""Converts LaTeX to a line of plain text: `\frac{a}{b}` becomes (a/b), `x^2` x², `\alpha` α.

telegramify-markdown has the tables of symbols, letters and environments. This module adds brackets to its
fractions and roots, which would be ambiguous on one line. What it cannot read stays as it is.
"""

import re
import unicodedata
from collections import Counter

from telegramify_markdown.latex_escape.helper import LatexToUnicodeHelper

_COMMAND = re.compile(r"\\(?:(?:begin|end)\s*\{[^{}]*\}|sqrt\s*\[[234]\]|[A-Za-z]+|.)", re.DOTALL)
_SILENT = re.compile(
    r"\\(?:displaystyle|textstyle|limits|nolimits|nonumber|notag|!|(?:color|label|hspace|vspace)\s*\{[^{}]*\})"
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_SYMBOLS = re.compile(r"[=<>]|[^\W\d_]")
_UNMISTAKABLE = re.compile(r"\\[A-Za-z]|[\^_]")
_FRACTIONS = {r"\dfrac", r"\tfrac", r"\cfrac"}
_VERBATIM = {
    r"\ce",
    r"\textbf",
    r"\textit",
    r"\mathrm",
    r"\bm",
    r"\boldsymbol",
    r"\tag",
    r"\textsf",
    r"\texttt",
}


def is_formula(text: str) -> bool:
    r"""Whether text between TeX's delimiters is mathematics: commands, indices, or letters with operators.

    Not a citation (`\[1\]`), words in escaped brackets, or a price.
    """
    if not text.strip() or not _is_balanced(text):
        return False
    return bool(_UNMISTAKABLE.search(text) or (_SYMBOLS.search(text) and not _WORD.search(text)))


def plain_formula(latex: str) -> str:
    """The formula as text, in several lines for a matrix or the like; `latex` itself where it is broken."""
    source = _SILENT.sub("", latex).strip()
    text = "\n".join(
        line.rstrip() for line in _Converter().convert(source).strip().splitlines() if line.strip()
    )
    return text if _is_balanced(source) and _has_all_of(source, text) else latex


def _is_balanced(text: str) -> bool:
    depths = Counter(text.replace(r"\{", "").replace(r"\}", ""))
    return depths["{"] == depths["}"]


def _has_all_of(source: str, text: str) -> bool:
    letters = Counter(filter(str.isalnum, _COMMAND.sub(" ", source)))
    return letters <= Counter(filter(str.isalnum, unicodedata.normalize("NFKD", text)))


class _Converter(LatexToUnicodeHelper):
    def handle_command(self, command: str, latex: str, index: int) -> tuple[str, int]:
        if command in _FRACTIONS:
            command = r"\frac"
        if command in _VERBATIM:
            text, end = self.parse_block(latex, index)
            return text, end
        shown, end = super().handle_command(command, latex, index)
        if shown == command and re.fullmatch(r"\\[A-Za-z]+", command):  # an unknown command
            return command[1:], end
        return shown, end

    @staticmethod
    def make_fraction(numerator: str, denominator: str) -> str:
        return f"({_add_brackets(numerator.strip())}/{_add_brackets(denominator.strip())})"

    @staticmethod
    def translate_sqrt(command: str, option: str, param: str) -> str:
        del command
        root = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(
            option.strip()
        ) or f"{_Converter.make_superscript(option)}√"
        return root + (param if len(param) == 1 or param.isdecimal() else f"({param})")


def _add_brackets(text: str) -> str:
    """Add brackets where a neighbouring operator would bind to only a part of the text."""
    plain = text.isalpha() or text.isdecimal() or (text.startswith("(") and text.find(")") == len(text) - 1)
    return text if plain else f"({text})"
