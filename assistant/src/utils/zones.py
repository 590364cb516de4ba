"""Time zones by their own names."""

from zoneinfo import ZoneInfo

from service_kit.contracts.base import zone_names


def zone_or_none(name: str) -> ZoneInfo | None:
    """The zone with this IANA name, or None."""
    return ZoneInfo(name) if name in zone_names() else None
