"""`/timezone`: shows and sets the user's time zone."""

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from service_kit.contracts.users import UserRead, UserUpdate
from service_kit.zones import find_zones, label_of, similar_zones

from ..services.pending_update import Decision
from .base import Bot, Request


async def handle_timezone(bot: Bot, request: Request, user: UserRead, wish: str) -> Decision:
    """Reply to `/timezone` and `/timezone Berlin`.

    Raises:
        RestUnavailableError: rest_service did not accept the change; try again.
    """
    texts = request.texts
    if not wish:
        current = format_zone(texts.zone_known, user.timezone) if user.timezone else texts.zone_unknown
        return request.reply(f"{current}\n{texts.zone_how}")
    # in a thread: the first search loads Unicode's names of all zones
    zones = await asyncio.to_thread(find_zones, wish, datetime.now(UTC))
    if len(zones) == 1:
        await bot.rest.update_user(user, UserUpdate(timezone=zones[0]))
        return request.reply(format_zone(texts.zone_set, zones[0]))
    if zones:
        return request.reply(
            texts.zone_several.format(wish=wish[:64], zones=", ".join(zones), first=zones[0])
        )
    close = await asyncio.to_thread(similar_zones, wish)
    hint = texts.zone_similar.format(zones=", ".join(close)) if close else texts.zone_how
    return request.reply(f"{texts.zone_not_found.format(wish=wish[:64])} {hint}")


def format_zone(text: str, zone: str) -> str:
    """Fill the zone and its local time into `text`."""
    return text.format(zone=label_of(zone), time=f"{datetime.now(ZoneInfo(zone)):%H:%M}")
