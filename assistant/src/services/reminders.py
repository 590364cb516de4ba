"""The reminders of users: jobs of rest_service, as tools may see and change them.

Errors are those of tools, with texts for the model: NotFoundError of rest_service and a job of another
user are the same, `NoReminderError`; what rest_service refuses comes in its own words.
"""

from contextlib import suppress
from typing import TypeVar

from service_kit.contracts.cron import CronJobCreate, CronJobRead, CronJobUpdate
from service_kit.contracts.users import UserUpdate
from service_kit.errors import (
    AccessError,
    ContractError,
    KitError,
    NotFoundError,
    RestError,
    RestUnavailableError,
)
from service_kit.logging import get_logger
from service_kit.rest import endpoints
from service_kit.rest.client import AsyncRestClient

from ..core.errors import InvalidInputError, ToolExecutionError

log = get_logger(__name__)
T = TypeVar("T")


class NoReminderError(InvalidInputError):
    """The user has no such reminder."""

    def __init__(self, number: int | None) -> None:
        super().__init__(f"the user has no reminder {number or ''}; `list` tells which there are")


class Reminders:
    """All methods raise InvalidInputError and ToolExecutionError."""

    def __init__(self, rest: AsyncRestClient) -> None:
        self._rest = rest

    async def create(self, new: CronJobCreate) -> CronJobRead:
        """A new one, or the one made with the same idempotency key."""
        return await self._send(endpoints.create_job(new))

    async def of_user(self, user_id: int) -> list[CronJobRead]:
        """Those that may still fire, the next one first."""
        jobs: list[CronJobRead] = []
        while len(page := await self._send(endpoints.user_jobs(user_id, len(jobs)))) == endpoints.PAGE:
            jobs += page
        return sorted(jobs + page, key=lambda job: (job.next_run_at is None, job.next_run_at, job.id))

    async def one(self, user_id: int, job_id: int) -> CronJobRead:
        """This user's reminder with this id; NoReminderError for somebody else's."""
        job = await self._send(endpoints.job(job_id), missing=job_id)
        if job.user_id != user_id:
            raise NoReminderError(job_id)
        return job

    async def change(self, user_id: int, job_id: int, change: CronJobUpdate) -> CronJobRead:
        """This user's reminder, changed."""
        # rest_service lets the assistant change anybody's job: whose it is must be checked here
        await self.one(user_id, job_id)
        return await self._send(endpoints.update_job(job_id, change), missing=job_id)

    async def cancel(self, user_id: int, job_id: int) -> CronJobRead:
        """The reminder as it was."""
        job = await self.one(user_id, job_id)
        # the client repeats a request whose answer was lost: then the job is gone already
        with suppress(NoReminderError):
            await self._send(endpoints.delete_job(job_id), missing=job_id)
        return job

    async def remember_zone(self, user_id: int, zone: str) -> bool:
        """Remember the zone of a user who has told it just now; whether it is remembered."""
        try:
            await self._rest.send(endpoints.update_user(user_id, UserUpdate(timezone=zone)))
        except KitError as exc:
            log.warning("timezone_not_stored", user_id=user_id, reason=str(exc))
            return False
        return True

    async def _send(self, call: endpoints.Call[T], missing: int | None = None) -> T:
        try:
            return await self._rest.send(call)
        except (RestUnavailableError, ContractError) as exc:
            msg = "the reminders cannot be reached at the moment; do not say that it has worked"
            raise ToolExecutionError(msg) from exc
        except AccessError as exc:
            # a wrong key or scope: neither the model nor the user can do anything about it
            log.exception("reminders_forbidden")
            msg = "the reminders are not set up rightly; only the operator can mend that"
            raise ToolExecutionError(msg) from exc
        except NotFoundError as exc:
            raise NoReminderError(missing) from exc
        except RestError as exc:
            raise InvalidInputError(exc.body.message) from exc
