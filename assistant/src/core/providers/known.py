"""The providers that are known by name, as data; MODEL_PROVIDERS adds others and changes these."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .quirks import Quirks

DEFAULT_PROVIDER = "openai"
"""A bare model name is one of its models. Its address is a setting, so it may be any server."""
DEFAULT_KEY = "OPENAI_API_KEY"

OPENAI = Quirks(
    output_limit="max_completion_tokens",
    strict_tools=True,
    windows={
        "gpt-6": 1_050_000,
        "gpt-6.1-terra": 922_000,
        "gpt-5": 400_000,
        "gpt-4.1": 1_047_576,
        "gpt-4o": 128_000,
        "o3": 200_000,
        "o4": 200_000,
    },
)
"""OpenAI itself, and Azure's endpoint of the same protocol (…/openai/v1)."""
_OPENAI_HOSTS = ("api.openai.com", ".openai.azure.com", ".services.ai.azure.com")


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """What is known of a provider; the names of settings are those of the environment."""

    base_url: str | None = None
    """Of its Chat Completions, without the path; None: only the operator knows."""
    key_setting: str | None = None
    """None: it needs none."""
    key_optional: bool = False
    url_setting: str | None = None
    quirks: Quirks = field(default_factory=Quirks)


KNOWN: Mapping[str, KnownProvider] = {
    # platform.claude.com/docs, "OpenAI SDK compatibility": `strict` is ignored, a temperature above 1 capped
    "anthropic": KnownProvider(
        "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", quirks=Quirks(context_tokens=200_000)
    ),
    # ai.google.dev/gemini-api/docs/openai; and .../thought-signatures: a call of the current turn that
    # comes back without its signature is refused with 400
    "gemini": KnownProvider(
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "GEMINI_API_KEY",
        quirks=Quirks(call_extras=("extra_content",), windows={"gemini-": 1_048_576}),
    ),
    # docs.mistral.ai/api: unknown fields are refused with 422, `max_completion_tokens` and
    # `stream_options` among them (the usage comes unasked); ids of calls are [a-zA-Z0-9]{9}
    "mistral": KnownProvider(
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        quirks=Quirks(stream_options=False, short_call_ids=True, context_tokens=128_000),
    ),
    # openrouter.ai/docs, "Reasoning tokens": to be passed back unchanged while tools are called
    "openrouter": KnownProvider(
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        quirks=Quirks(message_extras=("reasoning_details",)),
    ),
    "groq": KnownProvider("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    # api-docs.deepseek.com/guides/thinking_mode: a message with tool calls without `reasoning_content` is
    # refused with 400, in earlier turns too
    "deepseek": KnownProvider(
        "https://api.deepseek.com/v1",
        "DEEPSEEK_API_KEY",
        quirks=Quirks(message_extras=("reasoning_content",), blank_extras=True, context_tokens=128_000),
    ),
    # docs.x.ai/docs/api-reference: `max_tokens` is deprecated
    "xai": KnownProvider(
        "https://api.x.ai/v1", "XAI_API_KEY", quirks=Quirks(output_limit="max_completion_tokens")
    ),
    "together": KnownProvider("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    # docs.ollama.com/api/openai-compatibility lists no way to forbid tools; docs.ollama.com/context-length:
    # 4k tokens below 24 GiB of video memory, and what is too long is cut without a word
    "ollama": KnownProvider(
        "http://127.0.0.1:11434/v1",
        url_setting="OLLAMA_BASE_URL",
        quirks=Quirks(tool_choice_none=False, context_tokens=4096),
    ),
    # lmstudio.ai/docs/developer/openai-compat
    "lmstudio": KnownProvider("http://127.0.0.1:1234/v1", url_setting="LMSTUDIO_BASE_URL"),
    # docs.vllm.ai, "OpenAI-Compatible Server"; its usual port is this suite's REST API's
    "vllm": KnownProvider(url_setting="VLLM_BASE_URL"),
}


def find_known_provider(url: str) -> KnownProvider:
    """The default provider at the address that the operator chose: its quirks are those of who is there."""
    host = urlsplit(url).hostname or ""
    if host.endswith(_OPENAI_HOSTS):
        return KnownProvider(url, DEFAULT_KEY, quirks=OPENAI)
    there = [some for some in KNOWN.values() if some.base_url and _place(some.base_url) == _place(url)]
    quirks = there[0].quirks if there else Quirks()
    return KnownProvider(url, DEFAULT_KEY, key_optional=True, quirks=quirks)


def _place(url: str) -> str:
    """Host and port; this machine has several names, in a container too."""
    place = urlsplit(url)
    here = place.hostname in {"localhost", "127.0.0.1", "host.docker.internal"}
    return f"127.0.0.1:{place.port}" if here else place.netloc
