"""Which secretary answers now: rows of rest_service, cached until they change."""

from dataclasses import dataclass

import redis.asyncio as aioredis

from service_kit.changes import ChangeAwareCache, Topic, Versions
from service_kit.contracts.assistants import AssistantTree
from service_kit.errors import NotFoundError
from service_kit.logging import get_logger

from ..core import metrics
from ..core.errors import ConfigurationError, NoSecretaryError
from ..services.rest_service import RestServiceClient
from .base import BaseAssistant
from .factory import AssistantFactory

log = get_logger(__name__)

_KEY = "secretary"


@dataclass(frozen=True, slots=True)
class _Built:
    """A secretary, and the trees read for it: its own is the last, the others cannot be built."""

    trees: list[AssistantTree]
    secretary: BaseAssistant


class SecretaryInForce:
    """The default secretary, or the oldest other active one that can be built."""

    def __init__(self, rest: RestServiceClient, factory: AssistantFactory, redis: aioredis.Redis) -> None:
        self._rest = rest
        self._factory = factory
        self._cache: ChangeAwareCache[BaseAssistant] = ChangeAwareCache(redis, Topic.CONFIGURATION)
        self._built: _Built | None = None

    async def get(self, seen: Versions) -> BaseAssistant:
        """The secretary as configured at the versions `seen`; the last known one while rest_service is away.

        Raises:
            NoSecretaryError: there is none.
            KitError: rest_service is away, and none is known.
        """
        try:
            return await self._cache.get(_KEY, self._build, versions=seen)
        except NoSecretaryError:
            self._cache.drop(_KEY)  # or the former one would answer while rest_service is away
            raise

    async def _build(self) -> BaseAssistant:
        """Reads the rows, and builds of them only what differs from the last time."""
        left_out: list[str] = []
        trees: list[AssistantTree] = []
        for row in await self._rest.get_secretaries():
            try:
                trees.append(await self._rest.get_tree(row.id))
                if self._built is not None and self._built.trees[: len(trees)] == trees:
                    if len(trees) == len(self._built.trees):
                        return self._built.secretary
                    # the same broken tree as the last time
                    left_out.append(row.name)
                    continue
                secretary = self._factory.create_main_assistant(trees[-1], left_out)
            except NotFoundError:
                log.info("secretary_deleted", assistant=row.name)
            except ConfigurationError as exc:
                log.warning("secretary_skipped", assistant=row.name, reason=str(exc))
                left_out.append(row.name)
            else:
                log.info("secretary_ready", assistant=secretary.name, left_out=left_out)
                metrics.set_left_out(len(left_out))
                self._built = _Built(trees, secretary)
                return secretary
        metrics.set_left_out(len(left_out))
        raise NoSecretaryError("no active assistant with is_secretary that can be built")
