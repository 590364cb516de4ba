"""Assistants as objects at a provider, for the classic protocol: made once, changed when a row changes.

Key: `remote_assistants` HASH, `<provider>:<assistant id>` → id there and digest of its definition, as
JSON. Of two replicas that make one at the same time, the second deletes its own and takes the first's.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, cast
from weakref import WeakValueDictionary

import redis.asyncio as aioredis
from pydantic import TypeAdapter, ValidationError

from service_kit.logging import get_logger
from service_kit.oom_safe_writer import OomSafeWriter

from ...utils.text import canonical_json
from ..errors import ModelError, ModelRefusedError
from ..providers.provider import Provider
from ..thread_backend import Definition, Identity
from ..wire.parsing import Made, parse_as
from .request import BETA

log = get_logger(__name__)

KEY = "remote_assistants"
PATH = "/assistants"


@dataclass(frozen=True, slots=True)
class _Remote:
    id: str
    digest: str


_remote: TypeAdapter[_Remote] = TypeAdapter(_Remote)


class RemoteAssistants:
    """The assistants that providers know; one for the process."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self._redis = redis
        self._writer = OomSafeWriter(redis)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ensure(self, provider: Provider, identity: Identity, definition: Definition) -> str:
        """The assistant's id at the provider, where it works as `definition` says.

        Raises:
            ModelError: the provider did not make or change it.
        """
        field = _field(provider, identity)
        body = _body(identity, definition)
        digest = blake2b(canonical_json(body).encode(), digest_size=16).hexdigest()
        if (known := await self._load(field)) is not None and _is_current(known, identity, digest):
            return known.id
        lock = self._locks.setdefault(field, asyncio.Lock())
        # one change at a time in this process; between replicas HSETNX decides
        async with lock:
            known = await self._load(field)
            if known is not None and _is_current(known, identity, digest):
                return known.id
            remote_id = identity.remote_id or (known.id if known else None)
            if remote_id is not None and await self._update(provider, remote_id, body, identity):
                await self._write(field, _Remote(remote_id, digest))
                return remote_id
            return await self._create(provider, field, body, digest)

    async def find_id(self, provider: Provider, identity: Identity) -> str | None:
        """Its id, however it works there; None where it is not known."""
        known = await self._load(_field(provider, identity))
        return known.id if known else None

    async def forget(self, provider: Provider, identity: Identity) -> None:
        """The provider does not know it any more."""
        await self._redis.hdel(KEY, _field(provider, identity))

    async def _load(self, field: str) -> _Remote | None:
        raw = await cast("Awaitable[bytes | None]", self._redis.hget(KEY, field))
        try:
            return None if raw is None else _remote.validate_json(raw)
        except ValidationError:
            return None

    async def _write(self, field: str, remote: _Remote) -> None:
        await self._writer.write(("HSET", KEY, field, _remote.dump_json(remote)))

    async def _update(
        self, provider: Provider, remote_id: str, body: dict[str, Any], identity: Identity
    ) -> bool:
        """Whether it is there, and changed now; one that we have made may be gone, a row's may not."""
        try:
            await provider.request("POST", f"{PATH}/{remote_id}", body, headers=BETA)
        except ModelRefusedError as exc:
            if exc.status != 404:
                raise
            if identity.remote_id is not None:
                msg = f"assistant {identity.name!r}: its openai_assistant_id is not known at {provider.name}"
                raise ModelRefusedError(msg) from exc
            await self.forget(provider, identity)
            return False
        return True

    async def _create(self, provider: Provider, field: str, body: dict[str, Any], digest: str) -> str:
        payload = await provider.request("POST", PATH, body, headers=BETA)
        made = _Remote(parse_as(Made, payload, "an assistant").id, digest)
        (is_first,) = await self._writer.write(("HSETNX", KEY, field, _remote.dump_json(made)))
        if is_first:
            return made.id
        first = await self._load(field)
        if first == made:
            # the reply to HSETNX was lost, and the client sent it again
            return made.id
        if first is None:
            await self._write(field, made)
            return made.id
        try:
            await provider.delete(PATH, made.id, headers=BETA)
        except ModelError as exc:  # one too many costs nobody an answer
            log.warning("assistant_left_at_provider", assistant_id=made.id, reason=str(exc))
        return first.id


def _field(provider: Provider, identity: Identity) -> str:
    return f"{provider.name}:{identity.key}"


def _is_current(known: _Remote, identity: Identity, digest: str) -> bool:
    return known.digest == digest and identity.remote_id in {None, known.id}


def _body(identity: Identity, definition: Definition) -> dict[str, Any]:
    return {
        "name": identity.name[:256],
        "model": definition.model,
        "instructions": definition.instructions,
        "tools": [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema},
            }
            for tool in definition.tools
        ],
    }
