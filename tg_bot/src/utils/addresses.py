"""Adds the addresses behind linked words to a text: a model reads only the text."""

from collections.abc import Sequence

_LOW_SURROGATES = range(0xDC00, 0xE000)


def add_addresses(text: str, entities: Sequence[object]) -> str:
    """Add each address in brackets after its words.

    `entities` are Telegram's (offsets in UTF-16 code units). One that does not fit the text is skipped.
    """
    wire = text.encode("utf-16-le", "surrogatepass")
    links = [link for entity in entities if (link := _link(entity, wire))]
    for end, url in sorted(links, reverse=True):
        wire = wire[: end * 2] + f" ({url})".encode("utf-16-le", "replace") + wire[end * 2 :]
    return wire.decode("utf-16-le", "surrogatepass")


def _link(entity: object, wire: bytes) -> tuple[int, str] | None:
    """The end of the linked words, in units, and their address."""
    match entity:
        case {"type": "text_link", "offset": int(offset), "length": int(length), "url": str(url)}:
            end = offset + length
        case _:
            return None
    fits = 0 <= offset < end <= len(wire) // 2 and not (_is_inside(wire, offset) or _is_inside(wire, end))
    if not fits or wire[offset * 2 : end * 2].decode("utf-16-le", "surrogatepass").strip() == url:
        return None
    return end, url


def _is_inside(wire: bytes, unit: int) -> bool:
    """Whether a cut at this unit would divide a character."""
    return int.from_bytes(wire[unit * 2 : unit * 2 + 2], "little") in _LOW_SURROGATES
