"""Every call of rest_service that a service makes, as data: written once, sent sync or async."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, TypeAdapter

from service_kit.contracts.assistants import AssistantRead, AssistantToolRead, AssistantTree
from service_kit.contracts.bots import BotPut, BotRead
from service_kit.contracts.calendar import (
    CalendarRead,
    CalendarTokens,
    CalendarTokensWrite,
    CalendarUpdate,
)
from service_kit.contracts.cron import (
    CronJobCreate,
    CronJobRead,
    CronJobUpdate,
    FiringClaim,
    FiringClaimed,
    FiringRead,
    FiringUpdate,
)
from service_kit.contracts.discards import DiscardRead
from service_kit.contracts.threads import UserThreadCreate, UserThreadRead, UserThreadUpdate
from service_kit.contracts.tools import ToolRead
from service_kit.contracts.usage import UsageCreate, UsageStored
from service_kit.contracts.users import UserCreate, UserRead, UserUpdate

T = TypeVar("T")

PAGE = 200
"""Rows a page; rest_service allows up to 500."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request and what its answer is parsed as.

    `idempotent` calls may be sent again when the answer is lost; the others only when the connection
    was never made.
    """

    method: str
    path: str
    answer: TypeAdapter[T]
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Any = None
    idempotent: bool = True


_user: TypeAdapter[UserRead] = TypeAdapter(UserRead)
_bot: TypeAdapter[BotRead] = TypeAdapter(BotRead)
_users: TypeAdapter[list[UserRead]] = TypeAdapter(list[UserRead])
_assistant: TypeAdapter[AssistantRead] = TypeAdapter(AssistantRead)
_assistants: TypeAdapter[list[AssistantRead]] = TypeAdapter(list[AssistantRead])
_tree: TypeAdapter[AssistantTree] = TypeAdapter(AssistantTree)
_tools: TypeAdapter[list[ToolRead]] = TypeAdapter(list[ToolRead])
_links: TypeAdapter[list[AssistantToolRead]] = TypeAdapter(list[AssistantToolRead])
_thread: TypeAdapter[UserThreadRead] = TypeAdapter(UserThreadRead)
_threads: TypeAdapter[list[UserThreadRead]] = TypeAdapter(list[UserThreadRead])
_job: TypeAdapter[CronJobRead] = TypeAdapter(CronJobRead)
_jobs: TypeAdapter[list[CronJobRead]] = TypeAdapter(list[CronJobRead])
_firing: TypeAdapter[FiringRead] = TypeAdapter(FiringRead)
_firing_claimed: TypeAdapter[FiringClaimed] = TypeAdapter(FiringClaimed)
_firings: TypeAdapter[list[FiringRead]] = TypeAdapter(list[FiringRead])
_calendar: TypeAdapter[CalendarRead] = TypeAdapter(CalendarRead)
_calendar_tokens: TypeAdapter[CalendarTokens] = TypeAdapter(CalendarTokens)
_discards: TypeAdapter[list[DiscardRead]] = TypeAdapter(list[DiscardRead])
_usage: TypeAdapter[UsageStored] = TypeAdapter(UsageStored)
_nothing: TypeAdapter[None] = TypeAdapter(None)


def _body(model: BaseModel) -> Any:  # noqa: ANN401 - JSON
    return model.model_dump(mode="json", exclude_unset=True)


# the bot and its users
def set_current_bot(bot: BotPut) -> Call[BotRead]:
    """Make this bot the current one: only its users are known then."""
    return Call("PUT", "/api/bot", _bot, json=_body(bot))


def user(user_id: int) -> Call[UserRead]:
    """404 where there is none."""
    return Call("GET", f"/api/users/{user_id}", _user)


def owner() -> Call[UserRead]:
    """404 where nobody has become it yet."""
    return Call("GET", "/api/users/owner", _user)


def user_by_telegram_id(telegram_id: int) -> Call[UserRead]:
    """404 where there is none."""
    return Call("GET", f"/api/users/by-telegram-id/{telegram_id}", _user)


def create_user(new: UserCreate) -> Call[UserRead]:
    """409 where the telegram_id is taken, or a second owner is asked for."""
    return Call("POST", "/api/users", _user, json=_body(new), idempotent=False)


def update_user(user_id: int, change: UserUpdate) -> Call[UserRead]:
    """Only the fields that are set change."""
    return Call("PATCH", f"/api/users/{user_id}", _user, json=_body(change))


def users(offset: int = 0, *, role: str | None = None) -> Call[list[UserRead]]:
    """A page of users, by id."""
    params: dict[str, str | int] = {"limit": PAGE, "offset": offset}
    if role:
        params["role"] = role
    return Call("GET", "/api/users", _users, params=params)


# assistants and tools
def assistants(offset: int = 0, *, secretaries_only: bool = False) -> Call[list[AssistantRead]]:
    """A page of assistants, oldest first; of secretaries the default one before all others."""
    params: dict[str, str | int] = {"limit": PAGE, "offset": offset}
    if secretaries_only:
        params |= {"is_secretary": "true", "is_active": "true"}
    return Call("GET", "/api/assistants", _assistants, params=params)


def assistant(assistant_id: UUID) -> Call[AssistantRead]:
    """404 where there is none."""
    return Call("GET", f"/api/assistants/{assistant_id}", _assistant)


def assistant_tree(assistant_id: UUID) -> Call[AssistantTree]:
    """The assistant and all it can reach; 404 where there is none."""
    return Call("GET", f"/api/assistants/{assistant_id}/tree", _tree)


def tools(offset: int = 0) -> Call[list[ToolRead]]:
    """A page of tools, by name."""
    return Call("GET", "/api/tools", _tools, params={"limit": PAGE, "offset": offset})


def links(assistant_id: UUID, offset: int = 0) -> Call[list[AssistantToolRead]]:
    """A page of an assistant's links."""
    params: dict[str, str | int] = {"assistant_id": str(assistant_id), "limit": PAGE, "offset": offset}
    return Call("GET", "/api/assistant-tools", _links, params=params)


# provider-side threads
def threads(user_id: int, assistant_id: UUID) -> Call[list[UserThreadRead]]:
    """The thread of this pair, or an empty list."""
    params: dict[str, str | int] = {"user_id": user_id, "assistant_id": str(assistant_id)}
    return Call("GET", "/api/user-threads", _threads, params=params)


def user_threads(user_id: int) -> Call[list[UserThreadRead]]:
    """A page of a user's threads, one an assistant; 200 assistants are more than anybody has."""
    return Call("GET", "/api/user-threads", _threads, params={"user_id": user_id, "limit": PAGE})


def any_thread() -> Call[list[UserThreadRead]]:
    """One thread, whosever; an empty list where nobody has one."""
    return Call("GET", "/api/user-threads", _threads, params={"limit": 1})


def create_thread(new: UserThreadCreate) -> Call[UserThreadRead]:
    """409 where the pair has one already."""
    return Call("POST", "/api/user-threads", _thread, json=_body(new), idempotent=False)


def update_thread(thread_row_id: UUID, change: UserThreadUpdate) -> Call[UserThreadRead]:
    """404 where it is gone."""
    return Call("PATCH", f"/api/user-threads/{thread_row_id}", _thread, json=_body(change))


def delete_thread(thread_row_id: UUID) -> Call[None]:
    """404 where it is gone already."""
    return Call("DELETE", f"/api/user-threads/{thread_row_id}", _nothing)


def discards(offset: int = 0) -> Call[list[DiscardRead]]:
    """A page of what is to be forgotten elsewhere, oldest first."""
    return Call("GET", "/api/discards", _discards, params={"limit": PAGE, "offset": offset})


def delete_discard(discard_id: int) -> Call[None]:
    """It is forgotten; 404 where another has said so already."""
    return Call("DELETE", f"/api/discards/{discard_id}", _nothing)


# usage
def record_usage(records: Sequence[UsageCreate]) -> Call[UsageStored]:
    """Up to `MAX_RECORDS` of them; those that are known already are left as they are."""
    return Call("POST", "/api/usage", _usage, json=[_body(record) for record in records])


# jobs
def jobs(after_id: int = 0) -> Call[list[CronJobRead]]:
    """The jobs that fire, with larger ids, a page of them, by id."""
    params: dict[str, str | int] = {"limit": PAGE, "after_id": after_id}
    params |= {"is_active": "true", "status": "active", "is_reachable": "true"}
    return Call("GET", "/api/cron-jobs", _jobs, params=params)


def user_jobs(user_id: int, offset: int = 0) -> Call[list[CronJobRead]]:
    """A page of one user's jobs that may still fire, by id."""
    return Call(
        "GET",
        "/api/cron-jobs",
        _jobs,
        params={"limit": PAGE, "offset": offset, "user_id": user_id, "status": "active"},
    )


def job(job_id: int) -> Call[CronJobRead]:
    """404 where there is none."""
    return Call("GET", f"/api/cron-jobs/{job_id}", _job)


def create_job(new: CronJobCreate) -> Call[CronJobRead]:
    """A new job, or the one that was made with the same `idempotency_key`."""
    keyed = new.idempotency_key is not None
    return Call("POST", "/api/cron-jobs", _job, json=_body(new), idempotent=keyed)


def delete_job(job_id: int) -> Call[None]:
    """404 where it is gone already."""
    return Call("DELETE", f"/api/cron-jobs/{job_id}", _nothing)


def update_job(job_id: int, change: CronJobUpdate) -> Call[CronJobRead]:
    """Only the fields that are set change."""
    return Call("PATCH", f"/api/cron-jobs/{job_id}", _job, json=_body(change))


def claim_firing(job_id: int, scheduled_for: datetime, claimed_by: str) -> Call[FiringClaimed]:
    """409 where it is not the job's next firing (any more), or the job does not fire now."""
    body = _body(FiringClaim(scheduled_for=scheduled_for, claimed_by=claimed_by))
    return Call("POST", f"/api/cron-jobs/{job_id}/firings", _firing_claimed, json=body)


def open_firings(offset: int = 0) -> Call[list[FiringRead]]:
    """A page of what was claimed and never reported on, of all users who get messages, oldest first."""
    params: dict[str, str | int] = {"limit": PAGE, "offset": offset}
    params |= {"status": "running", "is_reachable": "true"}
    return Call("GET", "/api/cron-jobs/firings", _firings, params=params)


def report_firing(job_id: int, firing_id: int, change: FiringUpdate) -> Call[FiringRead]:
    """How the firing went."""
    return Call("PATCH", f"/api/cron-jobs/{job_id}/firings/{firing_id}", _firing, json=_body(change))


# calendar credentials
def calendar(user_id: int) -> Call[CalendarRead]:
    """Whether the user has linked a calendar; 404 where not."""
    return Call("GET", f"/api/calendar/{user_id}", _calendar)


def calendar_tokens(user_id: int) -> Call[CalendarTokens]:
    """The tokens in clear, for the services' key alone; 404 where there are none."""
    return Call("GET", f"/api/calendar/{user_id}/tokens", _calendar_tokens)


def store_calendar_tokens(user_id: int, tokens: CalendarTokensWrite) -> Call[CalendarRead]:
    """The outcome of a consent or a refresh; a stored refresh token stays where none is sent."""
    return Call("PUT", f"/api/calendar/{user_id}/tokens", _calendar, json=_body(tokens))


def update_calendar(user_id: int, change: CalendarUpdate) -> Call[CalendarRead]:
    """Note that the grant was revoked."""
    return Call("PATCH", f"/api/calendar/{user_id}", _calendar, json=_body(change))


def delete_calendar(user_id: int) -> Call[None]:
    """404 where it is gone already."""
    return Call("DELETE", f"/api/calendar/{user_id}", _nothing)
