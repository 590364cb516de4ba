"""The addresses behind linked words: a reader of the bare text, such as a model, would not see them."""

from collections.abc import Sequence

_LOW_SURROGATES = range(0xDC00, 0xE000)


def add_addresses(text: str, entities: Sequence[object]) -> str:
    """`text` with each address in brackets after the words that it stands behind.

    `entities` are Telegram's (offsets in UTF-16 code units); one that does not fit the text is passed over.
    """
    wire = text.encode("utf-16-le", "surrogatepass")
    links = [link for entity in entities if (link := _link(entity, wire))]
    for end, url in sorted(links, reverse=True):
        wire = wire[: end * 2] + f" ({url})".encode("utf-16-le", "replace") + wire[end * 2 :]
    return wire.decode("utf-16-le", "surrogatepass")


def _link(entity: object, wire: bytes) -> tuple[int, str] | None:
    """Where the linked words end, in units, and what they link to."""
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
    """Whether a cut there would divide a character."""
    return int.from_bytes(wire[unit * 2 : unit * 2 + 2], "little") in _LOW_SURROGATES
