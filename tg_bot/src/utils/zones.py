"""From what a person writes to an IANA time zone.

A zone's own name (`Europe/Berlin`, in any case), its city in English or Russian (from Unicode's CLDR, as
babel brings it), or an offset from UTC in whole hours (`UTC+3`).
"""

import difflib
import re
import unicodedata
from functools import cache
from zoneinfo import available_timezones

from babel.core import Locale, get_global

LANGUAGES = ("en", "ru")
SUGGESTIONS = 3

_OFFSET = re.compile(r"(?:utc|gmt)?\s*([+\-−–])\s*(\d{1,2})(?::?00)?", re.IGNORECASE)
_EAST, _WEST = 14, 12
"""Hours that the zones of whole hours reach from UTC."""


def find_zone(text: str) -> str | None:
    """The zone that `text` means; None where it means none."""
    if offset := _OFFSET.fullmatch(text.strip()):
        return _whole_hours(offset[1], int(offset[2]))
    return _names().get(_plain(text))


def similar_zones(text: str) -> list[str]:
    """Zones whose names are close to `text`, the closest first."""
    names = _names()
    close = difflib.get_close_matches(_plain(text), names, n=2 * SUGGESTIONS, cutoff=0.7)
    return list(dict.fromkeys(names[name] for name in close))[:SUGGESTIONS]


def _whole_hours(sign: str, hours: int) -> str | None:
    if hours == 0:
        return "UTC"
    if hours > (_EAST if sign == "+" else _WEST):
        return None
    # POSIX counts westwards: Etc/GMT-3 is three hours ahead of UTC
    return f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"


def _plain(text: str) -> str:
    """Without case, accents and the like: São Paulo is found as sao paulo."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(one for one in letters if not unicodedata.combining(one)).split("_")).strip()


@cache
def _names() -> dict[str, str]:
    """Plain name to zone; a zone's own name wins over a city's. Made once."""
    zones = sorted(zone for zone in available_timezones() if "/" in zone or zone in {"UTC", "GMT"})
    known = get_global("zone_territories")
    # a zone that Unicode gives a country is the living one of those that share a city
    cities = sorted((zone for zone in zones if not zone.startswith("Etc/")), key=lambda zone: zone in known)
    names = {_plain(zone.rpartition("/")[2]): zone for zone in cities}
    # Unicode keeps a zone under its first name for ever: Киев stands under Europe/Kiev
    today = get_global("zone_aliases")
    for language in LANGUAGES:
        for zone, about in Locale(language).time_zones.items():
            if "city" in about and today.get(zone, zone) in zones:
                names[_plain(about["city"])] = today.get(zone, zone)
    return names | {_plain(zone): zone for zone in zones}
