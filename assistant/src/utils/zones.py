"""Time zones by the names that people and models give them."""

import difflib
from collections import defaultdict
from functools import cache
from zoneinfo import ZoneInfo, available_timezones


def zone_or_none(name: str) -> ZoneInfo | None:
    """The zone with this IANA name, or None."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, not a name at all, or a folder of the database
        return None


@cache
def _by_city() -> dict[str, tuple[str, ...]]:
    """Names by their last part in lower case: `tokyo` → Asia/Tokyo. Reads the tz database once."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(available_timezones()):
        area, _, rest = name.partition("/")
        if rest and area not in {"Etc", "SystemV", "posix", "right"}:
            found[rest.rsplit("/", 1)[-1].replace("_", " ").lower()].append(name)
    return {city: tuple(names) for city, names in found.items()}


def zones_like(name: str) -> tuple[str, ...]:
    """IANA names that `name` may mean: all with this city, else those spelt alike, at most 5."""
    city = name.strip().rsplit("/", 1)[-1].replace("_", " ").lower()
    cities = _by_city()
    if city in cities:
        return cities[city]
    alike = difflib.get_close_matches(city, cities, n=3, cutoff=0.75)
    return tuple(zone for match in alike for zone in cities[match])[:5]
