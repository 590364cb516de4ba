"""What a user's language and zone say about where they are at home."""

import re
from zoneinfo import ZoneInfo

_CYRILLIC = re.compile("[а-яёА-ЯЁ]")
_US_ZONES = frozenset(
    {
        *("America/New_York", "America/Detroit", "America/Chicago", "America/Menominee", "America/Denver"),
        *("America/Boise", "America/Phoenix", "America/Los_Angeles", "America/Anchorage", "America/Juneau"),
        *("America/Sitka", "America/Metlakatla", "America/Yakutat", "America/Nome", "America/Adak"),
        *("Pacific/Honolulu",),
    }
)
_US_AREAS = ("America/Indiana/", "America/Kentucky/", "America/North_Dakota/", "US/")


def language_of(tag: str | None) -> str:
    """`ru` of `ru-RU`; English where nothing is known."""
    return (tag or "en").replace("_", "-").partition("-")[0].lower()


def speaks_russian(tag: str | None, text: str = "") -> bool:
    """By the user's language, or, where it is not known, by a text of theirs."""
    return language_of(tag) == "ru" if tag else bool(_CYRILLIC.search(text))


def at_home_in_us(tag: str | None, zone: ZoneInfo) -> bool:
    """Whether the user measures as the United States do.

    By the region in the language tag (`en-US`); where it has none, by the time zone.
    """
    regions = [part.upper() for part in (tag or "").replace("_", "-").split("-")[1:] if len(part) == 2]
    if regions:
        return "US" in regions
    return zone.key in _US_ZONES or zone.key.startswith(_US_AREAS)
