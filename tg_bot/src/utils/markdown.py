"""A reply as Telegram messages: the model's Markdown becomes text and entities.

Entities, not a parse mode: broken Markdown then cannot make Telegram refuse a message. The conversion is
telegramify-markdown's; what it reads as markup and a chat does not mean so is kept from it (`_shield`).
"""

import re
from dataclasses import dataclass, replace

from telegramify_markdown import RenderConfig, convert, split_entities
from telegramify_markdown.entity import MessageEntity

from ..client.models import Entity
from .defuse import defuse
from .split import MESSAGE_LIMIT, split_markdown, utf16_length

MAX_ENTITIES = 100
"""Telegram ignores further ones in one message."""
_SMALLEST_PIECE = 512
"""A piece that is still too rich when it is as short as this is sent with the entities it may have."""

_MARKUP = re.compile(
    r"[*_`~\[\]|\\]|^[ ]{0,3}(?:\#{1,6}\s|>|[-+]\s|-{3,}\s*$|={3,}\s*$)|<\w[\w+.-]*:|&\#?\w+;", re.MULTILINE
)
"""A text without any of this is the same before and after rendering."""


@dataclass(frozen=True, slots=True)
class Part:
    """One Telegram message."""

    text: str
    entities: tuple[Entity, ...] = ()


def render(text: str, *, markdown: bool = True) -> list[Part]:
    """`text` as messages in the order they are sent; the same for the same text, always.

    An empty list where there is nothing that could be shown.
    """
    parts = _rendered(text, MESSAGE_LIMIT) if markdown and _MARKUP.search(text) else []
    parts = parts or [Part(piece.strip()) for piece in split_markdown(text)]
    if not markdown:  # the bot's own words
        return parts
    texts = defuse([(part.text, part.entities) for part in parts])
    return [replace(part, text=text) for part, text in zip(parts, texts, strict=True)]


def _rendered(text: str, limit: int) -> list[Part]:
    parts: list[Part] = []
    for piece in split_markdown(text, limit):
        plain, entities = _convert(piece)
        if utf16_length(plain) <= MESSAGE_LIMIT and len(entities) <= MAX_ENTITIES:
            if plain.strip():
                parts.append(Part(plain, tuple(_entity(one) for one in entities)))
        elif limit > _SMALLEST_PIECE:
            parts += _rendered(piece, limit // 2)
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
    return config


_CONFIG = _config()
_LINK = re.compile(r"(?:https?|mailto|tel)://?\S|(?:mailto|tel):\S", re.IGNORECASE)


def _convert(markdown: str) -> tuple[str, list[MessageEntity]]:
    text, entities = convert(_shield(markdown), latex_escape=False, config=_CONFIG)
    kept: list[MessageEntity] = []
    for entity in entities:
        if entity.url is not None:
            entity.url = _unshield(entity.url)
            if not _LINK.match(entity.url):  # a footnote, a file of the model's imagination, tg://…
                continue
        if entity.language is not None:
            entity.language = _unshield(entity.language)
        if entity.length > 0:
            kept.append(entity)
    return _unshield(text), kept


_STAND_INS = {"*": "\ufdd0", "<": "\ufdd1", "$": "\ufdd2"}
"""Unicode noncharacters: one UTF-16 unit each, as what they stand for, so that no offset moves."""
_BACK = {ord(stand_in): character for character, stand_in in _STAND_INS.items()}
_GONE = dict.fromkeys(_BACK)
_SHIELDED = re.compile(r"(?<=\w)\*(?=\w)|<(?!\w[\w+.-]*:[^\s<>]*>)|\$")
"""`2*3*4` is a product, `a<b>` a comparison or a tag in words, `$5 or $6` money."""


def _shield(markdown: str) -> str:
    return _SHIELDED.sub(lambda found: _STAND_INS[found[0]], markdown.translate(_GONE))


def _unshield(text: str) -> str:
    return text.translate(_BACK)


def _entity(entity: MessageEntity) -> Entity:
    wire = Entity(type=entity.type, offset=entity.offset, length=entity.length)
    if entity.url is not None:
        wire["url"] = entity.url
    if entity.language:
        wire["language"] = entity.language
    return wire
