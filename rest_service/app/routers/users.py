"""`/api/users`."""

from typing import Annotated

from fastapi import Query, Response
from pydantic import Field

from service_kit.contracts.users import TelegramId, UserCreate, UserRead, UserRole, UserUpdate

from ..access import ADMIN, MEMBERS, PROFILE, USER, CallerScopes, Scope, require
from ..dependencies import Page, ReadUnit, RowPath, WriteUnit, set_total
from ..repositories.bots import OF_CURRENT_BOT
from ..repositories.users import UserRepository
from ..routing import BODY, CLASH, MISSING, TOTAL
from ..routing import router as new_router

router = new_router("/users", "users")

OF_THE_PROFILE = frozenset({"username", "first_name", "language", "timezone", "last_seen_at"})
"""Fields that `Scope.PROFILE` may change. Not the role: what a stranger writes must not make an owner."""


class UserFilter(Page):
    """Which users."""

    role: UserRole | None = None
    telegram_id: TelegramId | None = None
    is_active: bool | None = None
    bot_id: int | None = Field(
        default=None,
        ge=1,
        le=2**52,
        description="The users of this bot, instead of those of the current one.",
    )


@router.get("", dependencies=ADMIN, responses=TOTAL)
async def list_users(
    unit: ReadUnit, response: Response, query: Annotated[UserFilter, Query()]
) -> list[UserRead]:
    """Users, by id."""
    users = UserRepository(unit)
    wanted = users.equal(role=query.role, telegram_id=query.telegram_id, is_active=query.is_active)
    wanted += [OF_CURRENT_BOT] if query.bot_id is None else users.equal(bot_id=query.bot_id)
    rows, total = await users.page(query.window, wanted)
    set_total(response, total)
    return rows


@router.post("", status_code=201, dependencies=MEMBERS, responses=BODY | CLASH)
async def create_user(unit: WriteUnit, body: UserCreate) -> UserRead:
    """A new user of the current bot. Each Telegram account has one row, and there is at most one owner."""
    return await UserRepository(unit).insert(body.model_dump())


@router.get("/by-telegram-id/{telegram_id}", dependencies=USER, responses=MISSING)
async def get_user_by_telegram_id(unit: ReadUnit, telegram_id: TelegramId) -> UserRead:
    """The user of a Telegram account."""
    return await UserRepository(unit).by_telegram_id(telegram_id)


@router.get("/owner", dependencies=USER, responses=MISSING)
async def get_owner(unit: ReadUnit) -> UserRead:
    """The owner of the current bot, who gets the messages for an operator."""
    return await UserRepository(unit).owner()


@router.get("/{user_id}", dependencies=USER, responses=MISSING)
async def get_user(unit: ReadUnit, user_id: RowPath) -> UserRead:
    """One user."""
    return await UserRepository(unit).get(user_id)


@router.put("/{user_id}", dependencies=MEMBERS, responses=BODY | MISSING | CLASH)
async def replace_user(unit: WriteUnit, user_id: RowPath, body: UserCreate) -> UserRead:
    """The whole user anew; what is not sent takes its default."""
    return await UserRepository(unit).update(user_id, body.model_dump())


@router.patch("/{user_id}", dependencies=PROFILE, responses=BODY | MISSING | CLASH)
async def update_user(unit: WriteUnit, scopes: CallerScopes, user_id: RowPath, body: UserUpdate) -> UserRead:
    """The fields that are sent; the others stay. The assistant's key changes no role."""
    # the rule of a route cannot see the body
    if body.model_fields_set - OF_THE_PROFILE:
        require(Scope.MEMBERS, scopes)
    users = UserRepository(unit)
    return await users.update(user_id, users.changes(body))


@router.delete("/{user_id}", status_code=204, dependencies=ADMIN, responses=MISSING)
async def delete_user(unit: WriteUnit, user_id: RowPath) -> None:
    """The user with all threads, jobs and calendar credentials."""
    await UserRepository(unit).delete(user_id)
