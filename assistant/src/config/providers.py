"""Settings of the language models and their providers."""

import json
from collections.abc import Mapping
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from service_kit.settings import EnvironmentSettings

from ..core.providers.known import DEFAULT_PROVIDER, KNOWN
from ..core.thread_backend import OpenAIProtocol

ProviderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=40)]


def _address(value: str) -> str:
    parts = urlsplit(value)
    # a `port` that is none raises ValueError only when it is read
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        msg = "must be an address such as https://host/v1"
        raise ValueError(msg)
    return value


Address = Annotated[str, AfterValidator(_address)]
"""Of a server, up to and including /v1."""


class OwnProvider(BaseModel):
    """An entry of MODEL_PROVIDERS; what is not given is as known, or as most servers have it.

    The fields without a description are those of `core.providers.quirks.Quirks`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: Address | None = Field(default=None, description="Up to and including /v1.")
    api_key: SecretStr | None = None
    concurrency: int | None = Field(default=None, ge=1, description="Requests at once, of one process.")
    context_tokens: int | None = Field(default=None, ge=256)
    output_limit: Literal["max_tokens", "max_completion_tokens"] | None = None
    stream_options: bool | None = None
    tool_choice_none: bool | None = None
    strict_tools: bool | None = None


class ProviderSettings(EnvironmentSettings):
    """Which models answer, where they are, and how long they may take."""

    openai_api_key: SecretStr | None = Field(
        default=None, description="Key of the default provider; not needed by most local servers."
    )
    openai_base_url: Address = Field(
        default="https://api.openai.com/v1",
        description="The default provider, named `openai`: any server that speaks Chat Completions.",
    )
    openai_default_model: str = Field(
        default="gpt-6-luna", description="What the model name `default` stands for."
    )
    openai_api_protocol: OpenAIProtocol = Field(
        default=OpenAIProtocol.CONVERSATIONS,
        description="What `openai_api` assistants speak with the default provider.",
    )
    anthropic_api_key: SecretStr | None = Field(default=None, description="For models `anthropic/…`.")
    gemini_api_key: SecretStr | None = Field(default=None, description="For models `gemini/…`.")
    mistral_api_key: SecretStr | None = Field(default=None, description="For models `mistral/…`.")
    openrouter_api_key: SecretStr | None = Field(default=None, description="For models `openrouter/…`.")
    groq_api_key: SecretStr | None = Field(default=None, description="For models `groq/…`.")
    deepseek_api_key: SecretStr | None = Field(default=None, description="For models `deepseek/…`.")
    xai_api_key: SecretStr | None = Field(default=None, description="For models `xai/…`.")
    together_api_key: SecretStr | None = Field(default=None, description="For models `together/…`.")
    ollama_base_url: Address | None = Field(
        default=None, description="Where `ollama/…` is, if not on this machine."
    )
    lmstudio_base_url: Address | None = Field(
        default=None, description="Where `lmstudio/…` is, if not on this machine."
    )
    vllm_base_url: Address | None = Field(default=None, description="Where `vllm/…` is.")
    model_providers: Annotated[Mapping[ProviderName, OwnProvider], NoDecode] = Field(
        default_factory=dict, description="Further providers, as a JSON object by name; see OwnProvider."
    )

    openai_timeout: float = Field(
        default=60.0,
        gt=0,
        description="Seconds for one whole answer of a model, of whatever provider. While fallback models "
        "follow, a model gets at most an equal share of the time that the message has left.",
    )
    openai_connect_timeout: float = Field(default=5.0, gt=0, description="Seconds to reach a provider.")
    model_first_token_timeout: float = Field(
        default=30.0, gt=0, description="Seconds for the first piece of a streamed answer."
    )
    model_stall_timeout: float = Field(
        default=30.0, gt=0, description="Seconds between two pieces of a streamed answer."
    )
    model_concurrency: int = Field(
        default=1024, ge=1, description="Requests to one provider at once, of one process; more wait."
    )
    model_attempts: int = Field(
        default=3, ge=1, le=10, description="Tries at one model before the next fallback model."
    )

    @field_validator("model_providers", mode="before")
    @classmethod
    def _json(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as exc:
            # not `exc` itself: its text may hold a part of a key
            msg = 'is not JSON; it must be one object, such as {"corp": {"base_url": "https://host/v1"}}'
            raise ValueError(msg) from exc

    @model_validator(mode="after")
    def _own_providers_have_addresses(self) -> Self:
        known = {*KNOWN, DEFAULT_PROVIDER}
        for name, own in self.model_providers.items():
            if own.base_url is None and name not in known:
                msg = f"MODEL_PROVIDERS: {name}.base_url is missing"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _somebody_answers(self) -> Self:
        own = self.model_providers.get(DEFAULT_PROVIDER, OwnProvider())
        url, key = own.base_url or self.openai_base_url, own.api_key or self.openai_api_key
        provider, slash, _ = self.openai_default_model.partition("/")
        elsewhere = slash and provider != DEFAULT_PROVIDER
        if key is None and "api.openai.com" in url and not elsewhere:
            msg = (
                "set OPENAI_API_KEY, or OPENAI_BASE_URL of a server that needs no key, or "
                "OPENAI_DEFAULT_MODEL with the name of another provider in front"
            )
            raise ValueError(msg)
        return self
