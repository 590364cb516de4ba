"""Renders a reply as Telegram messages: the model's Markdown becomes text and entities.

Entities and no parse mode: broken Markdown cannot make Telegram refuse a message. telegramify-markdown
converts; `dialect` prepares the text for it.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass, replace

from telegramify_markdown import RenderConfig, convert, split_entities
from telegramify_markdown.entity import MessageEntity

from ..client.models import Entity
from .dialect import JOINER, prepare, restore
from .sanitize import sanitize
from .split import MESSAGE_LIMIT, split_markdown, utf16_length

MAX_ENTITIES = 100
"""Telegram ignores further ones in one message."""
_SMALLEST_PIECE = 512
"""A piece of this length that has too many entities is sent with the first of them."""

_MARKUP = re.compile(
    r"[*_`~\[\]|\\$]|^[ ]{0,3}(?:\#{1,6}\s|>|[-+]\s|-{3,}\s*$|={3,}\s*$)|<\w[\w+.-]*:|&\#?\w+;", re.MULTILINE
)
"""A text without a match is the same before and after rendering."""


@dataclass(frozen=True, slots=True)
class Part:
    """One Telegram message."""

    text: str
    entities: tuple[Entity, ...] = ()


def render(text: str, *, markdown: bool = True) -> list[Part]:
    """Render `text` as messages, in order. A retry relies on it: the same text gives the same messages.

    Returns an empty list for a text without visible characters.
    """
    parts = _render_pieces(text, MESSAGE_LIMIT) if markdown and _MARKUP.search(text) else []
    parts = parts or [Part(piece.strip()) for piece in split_markdown(text)]
    if not markdown:  # the bot's own text needs no sanitizing
        return parts
    texts = sanitize([(part.text, part.entities) for part in parts])
    return [replace(part, text=text) for part, text in zip(parts, texts, strict=True)]


def _render_pieces(text: str, limit: int) -> list[Part]:
    parts: list[Part] = []
    for piece in split_markdown(text, limit):
        plain, entities = _convert(piece)
        if utf16_length(plain) <= MESSAGE_LIMIT and len(entities) <= MAX_ENTITIES:
            if plain.strip():
                parts.append(Part(plain, tuple(_entity(one) for one in entities)))
        elif limit > _SMALLEST_PIECE:
            parts += _render_pieces(piece, limit // 2)
        else:
            parts += [
                Part(chunk, tuple(_entity(one) for one in some[:MAX_ENTITIES]))
                for chunk, some in split_entities(plain, entities, MESSAGE_LIMIT)
            ]
    return parts


def _config() -> RenderConfig:
    config = RenderConfig.isolated()
    symbols = config.markdown_symbol
    symbols.heading_level_1 = symbols.heading_level_2 = symbols.heading_level_3 = ""
    symbols.heading_level_4 = symbols.image = symbols.link = ""
    symbols.unordered_list_item = "•"
    symbols.task_uncompleted = "☐"
    return config


_CONFIG = _config()
_LINK = re.compile(r"(?:https?|mailto|tel)://?\S|(?:mailto|tel):\S", re.IGNORECASE)


def _convert(markdown: str) -> tuple[str, list[MessageEntity]]:
    text, entities = convert(prepare(markdown), latex_escape=False, config=_CONFIG)
    kept: list[MessageEntity] = []
    for entity in entities:
        if entity.url is not None:
            entity.url = restore(entity.url).replace(JOINER, "")
            if not _LINK.match(entity.url):  # a footnote, a file that does not exist, tg://…
                continue
        if entity.language is not None:
            entity.language = restore(entity.language)
        if entity.length > 0:
            kept.append(entity)
    return _without_joiners(restore(text), kept)


def _without_joiners(text: str, entities: list[MessageEntity]) -> tuple[str, list[MessageEntity]]:
    if JOINER not in text:
        return text, entities
    places = [utf16_length(text[: found.start()]) for found in re.finditer(JOINER, text)]
    for entity in entities:
        end = entity.offset + entity.length
        entity.offset -= bisect_left(places, entity.offset)
        entity.length = end - bisect_left(places, end) - entity.offset
    return text.replace(JOINER, ""), [entity for entity in entities if entity.length > 0]


def _entity(entity: MessageEntity) -> Entity:
    wire = Entity(type=entity.type, offset=entity.offset, length=entity.length)
    if entity.url is not None:
        wire["url"] = entity.url
    if entity.language:
        wire["language"] = entity.language
    return wire
