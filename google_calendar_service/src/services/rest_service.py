"""What this service asks of rest_service."""

from service_kit.contracts.users import UserRead
from service_kit.rest import endpoints
from service_kit.rest.client import AsyncRestClient


class RestService:
    """A thin facade over the kit's client."""

    def __init__(self, client: AsyncRestClient) -> None:
        self._client = client

    async def get_user(self, user_id: int) -> UserRead:
        """The user.

        Raises:
            NotFoundError: there is none.
            RestUnavailableError: rest_service does not answer.
        """
        return await self._client.send(endpoints.user(user_id))
