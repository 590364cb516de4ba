"""One table from what a provider says on the wire to our errors, for every protocol.

Errors are logged, and some servers repeat the request in them: of what they say only the message is kept,
cut, and without what it quotes. Which error it is, the whole message decides.
"""

import re
from collections.abc import Mapping
from typing import Any

from ...utils.text import shorten
from ..errors import (
    ContentRefusedError,
    ContextOverflowError,
    FieldRefusedError,
    KeyRefusedError,
    ModelError,
    ModelRefusedError,
    ModelUnavailableError,
    NoCreditError,
    ToolsRefusedError,
    UnknownModelError,
)
from ..tool_mode import ToolMode
from .request_fields import fields_named
from .retry_after import read_wait_in_words

_RETRYABLE = frozenset({408, 409, 425, 429, 498, 499})
"""498: Groq, no capacity; 499: a proxy whose connection to the server broke."""
_OVERFLOW_CODES = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "model_max_prompt_tokens_exceeded"}
)
_OVERFLOW_WORDS = (
    "context length",  # OpenAI, vLLM, DeepSeek, OpenRouter, Ollama
    "context_length",
    "context window",  # MiniMax, Responses API
    "context size",  # llama.cpp
    "context limit",  # Anthropic
    "context the overflows",  # LM Studio
    "n_ctx",  # LM Studio
    "prompt is too long",  # Anthropic
    "prompt too long",  # Ollama
    "prompt length",  # xAI: "maximum prompt length is 131072 but the request contains …"
    "input token count",  # Gemini: "The input token count (…) exceeds the maximum number of tokens"
    "input is too long",  # Bedrock
    "too many tokens",  # Cohere
    "too large for model",  # Mistral: "Prompt contains … tokens … too large for model with …"
    "reduce the length of the messages",  # Groq
    "max_new_tokens` must be",  # Together
    "input tokens exceed",  # OpenAI: "Input tokens exceed the configured limit of 272000 tokens"
    "too many input tokens",
    "prompt tokens exceed",
)
_TOO_LARGE = "request too large for"
"""OpenAI (429) and Groq (413), of a request above the limit of tokens a minute: waiting never helps."""

_QUOTA_CODES = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "credits_exhausted"}
)
_QUOTA_WORDS = (
    "insufficient balance",
    "insufficient credits",
    "credit balance",
    "used all available credits",
)

_OF_TOOLS = frozenset({None, 400, 404, 422, 500, 501})
"""Statuses of a refusal of tools: 404 is OpenRouter's, 500 llama.cpp's, none is of a stream."""
_USE = r"[ _-](?:use|calls?|calling)"
_TOOLS = rf"(?:tools?(?:{_USE})?|functions?{_USE}|functions)(?![ _-]choice)"
_NO_TOOLS = re.compile(
    rf"(?:not|n't) support (?:the )?(?:use of )?(?:any )?(?:native )?{_TOOLS}\b"  # Ollama, DeepSeek, Bedrock
    rf"|\b{_TOOLS}\W{{0,2}} (?:is |are )?(?:un|not )(?:supported|enabled)\b"  # Groq, Gemini
    r"|no endpoints found that support tool use"  # OpenRouter
    r"|requires --enable-auto-tool-choice"  # vLLM
    r"|tools param requires --jinja"  # llama.cpp
    r"|(?:unsupported|unrecognized|unknown|unexpected) (?:request )?(?:param(?:eter)?|argument|field)"
    r"(?: supplied)?:? ['\"`]?tools\b(?![\[.])"  # llama.cpp of 2024, Azure
    r"|\bbody\.tools: extra inputs are not permitted"  # servers made with FastAPI
)

_REFUSALS: tuple[tuple[type[ModelRefusedError], frozenset[str], tuple[str, ...]], ...] = (
    (
        ContentRefusedError,
        frozenset({"content_filter", "content_policy_violation", "moderation_blocked"}),
        (
            "content policy",  # OpenAI
            "usage polic",  # OpenAI, Anthropic
            "safety system",  # OpenAI
            "content management policy",  # Azure
            "content filter",  # Azure, Bedrock
            "input was flagged",  # OpenRouter, with 403
            "prohibited_content",  # Gemini
            "data_inspection_failed",  # Alibaba
            "content exists risk",  # DeepSeek
        ),
    ),
    (
        KeyRefusedError,
        frozenset({"invalid_api_key", "authentication_error", "permission_error"}),
        ("api key not valid", "incorrect api key", "invalid api key", "api_key_invalid"),  # Gemini, xAI: 400
    ),
    (
        UnknownModelError,
        frozenset({"model_not_found", "invalid_model", "unknown_model"}),
        (
            "is not a valid model",  # OpenRouter: 400
            "model not exist",  # DeepSeek: 400
            "invalid model",  # Mistral: 400
            "unknown model",
            "model not found",  # Ollama, xAI
        ),
    ),
)
"""Refusals by who can do something about them: the provider's codes, and words of those that have none."""
_OF_STATUS: Mapping[int, type[ModelRefusedError]] = {
    401: KeyRefusedError,
    402: NoCreditError,
    403: KeyRefusedError,
}

LONGEST_REASON = 200
"""Characters of a provider's message."""
_REPEATED = re.compile(r"""(?:(\\{0,8}["'])(?:input|content|text|messages)\1\s*:|\binput(?:_value)?=).*""")
"""From where on a message repeats the request: JSON, or what validators print (Pydantic, in vLLM)."""
_QUOTED = re.compile(r"""(?<!\w)(["'`])(.*?)(?:\1(?!\w)|$)""")
_LONGEST_NAME = 64


def classify_refusal(
    message: str,
    *,
    status: int | None = None,
    code: str | None = None,
    kind: str | None = None,
    param: str | None = None,
    retry_after: float | None = None,
) -> ModelError:
    """The error for what a provider answered instead of an answer.

    `status` is the HTTP status (None: an error in the middle of a stream), `code`, `kind` and `param` the
    error object's `code`, `type` and `param`, `retry_after` the wait its headers ask for in seconds.
    """
    text = f"{status or 'in the stream'} {code or kind or ''}: {_redact(message)}"
    words = message.lower()
    if {code, kind} & _QUOTA_CODES or any(some in words for some in _QUOTA_WORDS):
        return NoCreditError(text, status=status, code=code)
    if _is_overflow(status, {code, kind}, words):
        return ContextOverflowError(text, status=status, code=code)
    if modes := _other_tool_modes(status, _REPEATED.sub("", words)):
        return ToolsRefusedError(text, status=status, code=code, modes=modes)
    if kind_of := _refusal_kind(status, {code, kind}, _REPEATED.sub("", words)):
        return kind_of(text, status=status, code=code)
    if fields := fields_named(status, param, _REPEATED.sub("", words)):
        return FieldRefusedError(text, status=status, code=code, fields=fields)
    if status is None or status in _RETRYABLE or status >= 500:
        wait = read_wait_in_words(words) if retry_after is None else retry_after
        return ModelUnavailableError(text, status=status, code=code, retry_after=wait)
    return ModelRefusedError(text, status=status, code=code)


def _redact(message: str) -> str:
    """The message for the log; in quotes it names parameters, models and the like, or repeats a text."""
    text = _QUOTED.sub(_name_or_nothing, _REPEATED.sub("…", " ".join(message.split())))
    return shorten(text, LONGEST_REASON, "…")


def _name_or_nothing(quoted: re.Match[str]) -> str:
    is_name = " " not in quoted[2] and len(quoted[2]) <= _LONGEST_NAME
    return quoted[0] if is_name else f"{quoted[1]}…{quoted[1]}"


def _refusal_kind(status: int | None, codes: set[str | None], words: str) -> type[ModelRefusedError] | None:
    """Who can do something about a refusal, as far as it tells; None: it does not tell, or nobody can."""
    if status is not None and (status in _RETRYABLE or status >= 500):
        return None
    for kind, its_codes, its_words in _REFUSALS:
        if codes & its_codes or (status is not None and any(some in words for some in its_words)):
            return kind
    if status == 404 and "model" in words:
        return UnknownModelError
    return _OF_STATUS.get(status or 0)


def _is_overflow(status: int | None, codes: set[str | None], words: str) -> bool:
    if status == 413 or _TOO_LARGE in words or codes & _OVERFLOW_CODES:
        return True
    # llama.cpp's wording comes with 500 in older releases, others' in the middle of a stream
    return status in {None, 400, 422, 500} and any(some in words for some in _OVERFLOW_WORDS)


def _other_tool_modes(status: int | None, words: str) -> tuple[ToolMode, ...]:
    """How the tools might be taken, where the refusal is one of them; nothing where it is not."""
    if status not in _OF_TOOLS:
        return ()
    if "reasoning_effort" in words and "none" in words:
        if "tools" in words:
            return (ToolMode.WITHOUT_REASONING, ToolMode.RESPONSES)
        return (ToolMode.RESPONSES,) if "support" in words else ()
    if "v1/responses" in words:
        return (ToolMode.RESPONSES,)
    return (ToolMode.OMITTED,) if _NO_TOOLS.search(words) else ()


def classify_error_body(body: object, *, status: int | None, retry_after: float | None = None) -> ModelError:
    """The error in a decoded error body: an object with `error`, or a list of such (Gemini), or text.

    Of FastAPI's `detail` (vLLM, Mistral) places, messages and types count, for it repeats the input too; of
    any other object nothing does.
    """
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, Mapping):
        body = body.get("error", body)
    if not isinstance(body, Mapping):
        return classify_refusal(_message(body), status=status, retry_after=retry_after)
    return classify_refusal(
        _message(body.get("message", body)),
        status=status,
        code=_word(body.get("code")),
        kind=_word(body.get("type")),
        param=_word(body.get("param")),
        retry_after=retry_after,
    )


def is_unknown_path(refusal: ModelRefusedError) -> bool:
    """Whether the server may not know the path at all; a model that it does not know it names."""
    return refusal.status in {404, 405} and "model" not in str(refusal).lower()


def find_error(answer: object) -> ModelError | None:
    """The error that came with status 200, or in mid-stream, in the place of an answer; None: it is no error.

    Its `code` may be the status that it would have had.
    """
    if not isinstance(answer, Mapping):
        return None
    error = answer.get("error")
    if not error and "error" not in {answer.get("object"), answer.get("type")}:
        return None
    code = error.get("code") if isinstance(error, Mapping) else answer.get("code")
    return classify_error_body(answer, status=code if isinstance(code, int) else None)


def _message(said: object) -> str:
    if isinstance(said, Mapping):
        said = said.get("detail")
    if isinstance(said, list):
        said = "; ".join(_problem(one) for one in said if isinstance(one, Mapping))
    return said if isinstance(said, str) and said else "no reason given"


def _problem(detail: Mapping[Any, Any]) -> str:
    """One of FastAPI's, such as `body.messages.0.content: Field required (missing)`."""
    loc = detail.get("loc")
    place = ".".join(map(str, loc)) if isinstance(loc, list) else "body"
    return f"{place}: {detail.get('msg')} ({detail.get('type')})"


def _word(value: object) -> str | None:
    """Some servers repeat the status, a number, as `code`: it says nothing new."""
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME else None
