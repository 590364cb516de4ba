"""`/api/bot`: which bot plays."""

from service_kit.contracts.bots import BotPut, BotRead

from ..access import BOT
from ..dependencies import WriteUnit
from ..repositories.bots import BotRepository
from ..routing import BODY
from ..routing import router as new_router

router = new_router("/bot", "users")


@router.put("", dependencies=BOT, responses=BODY)
async def play_bot(unit: WriteUnit, body: BotPut) -> BotRead:
    """This bot plays from now on: only its people are known, and only their jobs fire.

    The people of other bots, with all they have, are kept until their bot plays again. The first bot of all
    takes over the people who were there before it.
    """
    return await BotRepository(unit).play(body)
