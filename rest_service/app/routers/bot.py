"""`/api/bot`: the current bot."""

from service_kit.contracts.bots import BotPut, BotRead

from ..access import BOT
from ..dependencies import WriteUnit
from ..repositories.bots import BotRepository
from ..routing import BODY
from ..routing import router as new_router

router = new_router("/bot", "users")


@router.put("", dependencies=BOT, responses=BODY)
async def set_current_bot(unit: WriteUnit, body: BotPut) -> BotRead:
    """Make this bot the current one: only its users are known, and only their jobs fire.

    The users of other bots, with all they have, are kept until their bot is the current one again. The
    first bot of all takes over the users who were there before it.
    """
    return await BotRepository(unit).set_current(body)
