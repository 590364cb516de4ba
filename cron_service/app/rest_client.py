"""What this service asks of rest_service. All methods raise as `SyncRestClient.send` does."""

from datetime import datetime

from service_kit.contracts.cron import CronJobRead, FiringClaimed, FiringRead, FiringStatus, FiringUpdate
from service_kit.contracts.users import UserRead
from service_kit.rest import endpoints
from service_kit.rest.client import SyncRestClient


class RestClient:
    """A thin facade over the kit's client."""

    def __init__(self, client: SyncRestClient, name: str) -> None:
        """`name` is under which this scheduler claims, the same after a restart."""
        self._client = client
        self.name = name

    def fetch_scheduled_jobs(self) -> list[CronJobRead]:
        """All jobs that fire: active ones of users who get messages."""
        return self._client.all_after(endpoints.jobs)

    def fetch_open_firings(self) -> list[FiringRead]:
        """All firings that were claimed and not reported on, of users who get messages."""
        return self._client.all_pages(endpoints.open_firings)

    def claim_firing(self, job_id: int, scheduled_for: datetime) -> FiringClaimed:
        """Take a firing; ConflictError where it is another's, or not what the job has coming."""
        return self._client.send(endpoints.claim_firing(job_id, scheduled_for, self.name))

    def report_firing(self, firing: FiringRead, status: FiringStatus, error: str | None = None) -> None:
        """How the firing went."""
        change = FiringUpdate(status=status, error=error)
        self._client.send(endpoints.report_firing(firing.cron_job_id, firing.id, change))

    def get_user(self, user_id: int) -> UserRead:
        """The user."""
        return self._client.send(endpoints.user(user_id))
