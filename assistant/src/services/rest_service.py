"""rest_service as this service needs it: a facade over the kit's client."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import TypeAdapter

from service_kit.contracts.assistants import AssistantRead, AssistantTree
from service_kit.contracts.health import HealthBody
from service_kit.contracts.tools import ToolRead
from service_kit.contracts.usage import UsageCreate
from service_kit.contracts.users import UserRead
from service_kit.rest import endpoints
from service_kit.rest.client import AsyncRestClient

_health: endpoints.Call[HealthBody] = endpoints.Call("GET", "/health", TypeAdapter(HealthBody))


class RestServiceClient:
    """Reads configuration and users, writes what was used.

    All methods raise RestUnavailableError and RestError.
    """

    def __init__(self, client: AsyncRestClient) -> None:
        self._client = client

    async def get_assistants(self) -> list[AssistantRead]:
        """All assistants, oldest first."""
        return await self._client.all_pages(endpoints.assistants)

    async def get_secretaries(self) -> list[AssistantRead]:
        """The active secretaries: the default one, then the others, oldest first."""
        return await self._client.send(endpoints.assistants(secretaries_only=True))

    async def get_assistant(self, assistant_id: UUID) -> AssistantRead:
        """One assistant; raises NotFoundError."""
        return await self._client.send(endpoints.assistant(assistant_id))

    async def get_assistant_tools(self, assistant_id: UUID) -> list[ToolRead]:
        """The active tools that this assistant may use."""
        tree = await self.get_tree(assistant_id)
        linked = {link.tool_id for link in tree.links if link.assistant_id == assistant_id}
        return [tool for tool in tree.tools if tool.id in linked]

    async def get_tools(self) -> list[ToolRead]:
        """All tools, by name."""
        return await self._client.all_pages(endpoints.tools)

    async def get_tree(self, assistant_id: UUID) -> AssistantTree:
        """The assistant and everything it can reach; raises NotFoundError."""
        return await self._client.send(endpoints.assistant_tree(assistant_id))

    async def get_user(self, user_id: int) -> UserRead:
        """The user with this internal id; raises NotFoundError."""
        return await self._client.send(endpoints.user(user_id))

    async def get_owner(self) -> UserRead:
        """Who is told what needs an operator; NotFoundError where nobody is the owner yet."""
        return await self._client.send(endpoints.owner())

    async def record_usage(self, records: Sequence[UsageCreate]) -> int:
        """Store up to MAX_RECORDS records; how many of them were new."""
        return (await self._client.send(endpoints.record_usage(records))).stored

    async def check(self) -> None:
        """Raises unless rest_service is ready and takes this service's key."""
        await self._client.send(_health)
        await self.get_secretaries()
