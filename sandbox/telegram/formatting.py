"""Texts and their entities, counted in UTF-16 units as Telegram does.

Checks and wording follow TDLib (`fix_formatted_text`). Of the parse modes only HTML is played, with
the tags of the Bot API; Markdown and MarkdownV2 are refused clearly, because a half-right parser would
hide mistakes.
"""

import re
from collections.abc import Sequence
from html import unescape
from typing import Any

from .errors import BadRequestError

MAX_TEXT = 4096
MAX_ENTITIES = 100
"""Telegram keeps the first hundred and drops the rest."""
_MAX_OFFSET = 1_000_000

Entity = dict[str, Any]
"""A MessageEntity as JSON: type, offset, length, and url, language or others."""

_TYPES = frozenset({
    "mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bold", "italic",
    "underline", "strikethrough", "spoiler", "blockquote", "expandable_blockquote", "code", "pre",
    "text_link", "text_mention", "custom_emoji", "date_time",
})  # fmt: skip
_NEEDS = {"text_link": "url", "text_mention": "user", "custom_emoji": "custom_emoji_id"}
_COMMAND = re.compile(r"(?<![\w/])/[A-Za-z0-9_]{1,32}(?:@\w{3,32})?(?![\w/])")
_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]}]")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)((?:\s+[^<>]*)?)>|<")
_ATTRIBUTE = re.compile(r"([a-zA-Z-]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+)))?")
_HTML_TYPES = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler",
    "span": "spoiler", "a": "text_link", "code": "code", "pre": "pre", "blockquote": "blockquote",
}  # fmt: skip


def utf16_length(text: str) -> int:
    """How long Telegram thinks `text` is."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def format_text(
    text: str, entities: Sequence[Entity] | None, parse_mode: str | None
) -> tuple[str, list[Entity]]:
    """The text as it will be shown and its entities; raises BadRequestError as Telegram would."""
    if not text.isascii() and _LONE_SURROGATE.search(text):
        raise BadRequestError("strings must be encoded in UTF-8")
    if parse_mode:
        if parse_mode.lower() != "html":
            raise BadRequestError(
                f"unsupported parse_mode {parse_mode} (the sandbox plays entities and HTML; send entities)"
            )
        text, found = parse_html(text)
    else:
        found = _check_entities(text, entities or ())
    if not text.strip():
        raise BadRequestError("text must be non-empty" if text else "message text is empty")
    if utf16_length(text) > MAX_TEXT:
        raise BadRequestError("message is too long")
    return text, sorted(
        [*found, *_detect_entities(text, found)], key=lambda entity: (entity["offset"], -entity["length"])
    )[:MAX_ENTITIES]


def command_entities(text: str) -> list[Entity]:
    """`bot_command` entities of an incoming text."""
    return [
        {"type": "bot_command", "offset": utf16_length(text[: match.start()]), "length": len(match[0])}
        for match in _COMMAND.finditer(text)
    ]


def _detect_entities(text: str, given: Sequence[Entity]) -> list[Entity]:
    """Commands and addresses that Telegram finds by itself, outside code and links."""
    if "/" not in text:
        return []
    # an entity of the sender's goes before one that Telegram would find there
    taken = [
        (entity["offset"], entity["offset"] + entity["length"])
        for entity in given
        if entity["type"] in {"code", "pre", "text_link", "url", "bot_command"}
    ]
    found = command_entities(text)
    found += [
        {"type": "url", "offset": utf16_length(text[: match.start()]), "length": utf16_length(match[0])}
        for match in _URL.finditer(text)
    ]
    return [
        entity
        for entity in found
        if all(
            entity["offset"] + entity["length"] <= start or entity["offset"] >= end for start, end in taken
        )
    ]


def _check_entities(text: str, entities: Sequence[Entity]) -> list[Entity]:
    # Telegram leaves out an empty entity and refuses a wrong one
    kept: list[Entity] = []
    for entity in entities:
        if not isinstance(entity, dict):
            raise BadRequestError("can't parse entities: expected an Object")
        kind, offset, length = entity.get("type"), entity.get("offset"), entity.get("length")
        if kind not in _TYPES:
            raise BadRequestError("can't parse MessageEntity: Unsupported type specified")
        if not isinstance(offset, int) or not isinstance(length, int):
            name = "offset" if not isinstance(offset, int) else "length"
            raise BadRequestError(f'can\'t parse MessageEntity: Field "{name}" must be of type Number')
        if kind in _NEEDS and not entity.get(_NEEDS[kind]):
            raise BadRequestError(f"can't parse MessageEntity: Can't find field \"{_NEEDS[kind]}\"")
        if not 0 <= offset <= _MAX_OFFSET:
            raise BadRequestError(f"receive an entity with incorrect offset {offset}")
        if not 0 <= length <= _MAX_OFFSET:
            raise BadRequestError(f"receive an entity with incorrect length {length}")
        if length:
            kept.append(entity)
    if kept:
        _check_places(text, kept)
    return kept


def _check_places(text: str, entities: Sequence[Entity]) -> None:
    units = text.encode("utf-16-le")
    total = len(units) // 2
    for entity in entities:
        offset, end = entity["offset"], entity["offset"] + entity["length"]
        if offset >= total:
            raise BadRequestError(f"entity begins after the end of the text at UTF-16 offset {offset}")
        if end > total:
            raise BadRequestError(
                f"entity beginning at UTF-16 offset {offset} ends after the end of the text at UTF-16 "
                f"offset {end}"
            )
        if _inside_pair(units, offset):
            raise BadRequestError(f"entity begins in a middle of a UTF-16 symbol at byte offset {offset}")
        if _inside_pair(units, end):
            raise BadRequestError(
                f"entity beginning at UTF-16 offset {offset} ends in a middle of a UTF-16 symbol at byte "
                f"offset {end}"
            )


def _inside_pair(units: bytes, offset: int) -> bool:
    """Whether the unit at `offset` is the second half of a surrogate pair."""
    return 2 * offset + 1 < len(units) and 0xDC <= units[2 * offset + 1] <= 0xDF


def parse_html(source: str) -> tuple[str, list[Entity]]:
    """Text and entities of Telegram's HTML; raises BadRequestError for what Telegram refuses."""
    parts: list[str] = []
    entities: list[Entity] = []
    stack: list[tuple[str, Entity]] = []
    units = position = 0

    def add(raw: str) -> int:
        text = unescape(raw)
        parts.append(text)
        return utf16_length(text)

    for match in _TAG.finditer(source):
        units += add(source[position : match.start()])
        position = match.end()
        closing, name, attributes = match[1], (match[2] or "").lower(), match[3] or ""
        place = len(source[: match.start()].encode())
        if name not in _HTML_TYPES:
            raise BadRequestError(
                f'can\'t parse entities: Unsupported start tag "{name}" at byte offset {place}'
            )
        if not closing:
            stack.append((name, _html_entity(name, attributes, units)))
            continue
        if not stack:
            raise BadRequestError(f"can't parse entities: Unexpected end tag at byte offset {place}")
        opened, entity = stack.pop()
        if opened != name:
            raise BadRequestError(
                f'can\'t parse entities: Unmatched end tag at byte offset {place}, expected "</{opened}>", '
                f'found "</{name}>"'
            )
        entity["length"] = units - entity["offset"]
        if entity["length"] and (entity["type"] != "text_link" or entity["url"]):
            entities.append(entity)
    units += add(source[position:])
    if stack:
        raise BadRequestError(
            f"can't parse entities: Can't find end tag corresponding to start tag \"{stack[-1][0]}\""
        )
    return "".join(parts), entities


def _html_entity(name: str, attributes: str, offset: int) -> Entity:
    entity: Entity = {"type": _HTML_TYPES[name], "offset": offset, "length": 0}
    values = {
        match[1].lower(): match[2] or match[3] or match[4] or "" for match in _ATTRIBUTE.finditer(attributes)
    }
    if name == "a":
        entity["url"] = unescape(values.get("href", ""))
    if name == "blockquote" and "expandable" in values:
        entity["type"] = "expandable_blockquote"
    return entity
