"""The providers that a model's name may name, as the settings have them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import redis.asyncio as aioredis
from pydantic import SecretStr
from redis.exceptions import RedisError

from service_kit.contracts.providers import MODEL_PROVIDERS_KEY, ModelProviders
from service_kit.logging import get_logger

from ..config.providers import OwnProvider, ProviderSettings
from ..core.providers.cooldown import AccountCooldown, account_of
from ..core.providers.event_stream import Timeouts
from ..core.providers.known import DEFAULT_PROVIDER, KNOWN, KnownProvider, find_known_provider
from ..core.providers.provider import Provider
from ..core.providers.quirks import Quirks

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Providers:
    """Those that can be used by name, with their quirks; and what the other known ones lack."""

    usable: Mapping[str, Provider]
    quirks: Mapping[str, Quirks]
    lacking: Mapping[str, str]
    """By name, what the operator must do first."""

    def window_of(self, provider: str, model: str) -> int | None:
        """Tokens that the model takes, its answer included; None: not known."""
        quirks = self.quirks.get(provider)
        return quirks.window_of(model) if quirks else None

    async def aclose(self) -> None:
        """Close all connections."""
        for provider in self.usable.values():
            await provider.aclose()


async def announce_providers(redis: aioredis.Redis, providers: ModelProviders) -> None:
    """Let rest_service warn of models that nobody can answer as; without Redis it knows those of before."""
    try:
        await redis.set(MODEL_PROVIDERS_KEY, providers.model_dump_json())
    except RedisError as exc:
        log.warning("model_providers_not_announced", reason=type(exc).__name__)
    else:
        log.info("model_providers_announced", usable=providers.usable)


def build_providers(settings: ProviderSettings, redis: aioredis.Redis | None = None) -> Providers:
    """The providers; nothing is connected before the first request. Replicas share cooldowns in `redis`."""
    timeouts = Timeouts(
        connect=settings.openai_connect_timeout,
        first_token=settings.model_first_token_timeout,
        stall=settings.model_stall_timeout,
        whole=settings.openai_timeout,
    )
    usable: dict[str, Provider] = {}
    quirks: dict[str, Quirks] = {}
    lacking: dict[str, str] = {}
    known = {**KNOWN, DEFAULT_PROVIDER: find_known_provider(_find_default_url(settings))}
    for name in sorted(known.keys() | settings.model_providers.keys()):
        about = known.get(name, KnownProvider())
        own = settings.model_providers.get(name, OwnProvider())
        url = own.base_url or _read_setting(settings, about.url_setting) or about.base_url
        key = _reveal(own.api_key) or _read_setting(settings, about.key_setting)
        # a local server (Ollama, LM Studio) takes requests without a key
        if not url or (about.key_setting and not about.key_optional and not key):
            lacking[name] = f"set {about.key_setting if url else about.url_setting}"
            continue
        quirks[name] = _merge_quirks(about.quirks, own)
        usable[name] = Provider(
            name,
            base_url=url,
            api_key=key,
            timeouts=timeouts,
            concurrency=own.concurrency or settings.model_concurrency,
            cooldown=AccountCooldown(account_of(url, key), redis),
        )
    return Providers(usable, quirks, lacking)


def _find_default_url(settings: ProviderSettings) -> str:
    own = settings.model_providers.get(DEFAULT_PROVIDER, OwnProvider())
    return own.base_url or settings.openai_base_url


def _merge_quirks(known: Quirks, own: OwnProvider) -> Quirks:
    """What is known, with what the operator says otherwise."""
    given = own.model_dump(
        include={"output_limit", "stream_options", "tool_choice_none", "strict_tools", "context_tokens"},
        exclude_none=True,
    )
    if "context_tokens" in given:
        # the operator's one size counts for all models of the provider
        given["windows"] = {}
    return replace(known, **given)


def _read_setting(settings: ProviderSettings, variable: str | None) -> str | None:
    """The value of the setting that the environment calls `variable`."""
    value = getattr(settings, variable.lower()) if variable else None
    return _reveal(value) if isinstance(value, SecretStr) else value


def _reveal(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None
