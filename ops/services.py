"""The table of the suite's processes: what each is, needs and may see.

Least privilege: a service gets the variables named here and no others, so a leak in one does not
give away the keys of another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ops.errors import OpsError

_EVERY = ("LOG_LEVEL", "LOG_FORMAT", "DRAIN_TIMEOUT", "ALLOWED_HOSTS")
_REDIS = ("REDIS_HOST", "REDIS_PORT", "REDIS_DB", "REDIS_USER", "REDIS_PASSWORD")
_QUEUES = ("INPUT_QUEUE", "ASSISTANT_OUTPUT_QUEUE")
_REST = ("REST_SERVICE_URL", "SERVICE_API_KEY")
_DATABASE = (
    "POSTGRES_HOST",
    "POSTGRES_PORT",
    "POSTGRES_DB",
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "ASYNC_DATABASE_URL",
)

OWN_KEYS = {
    "assistant": "ASSISTANT_API_KEY",
    "tg_bot": "TG_BOT_API_KEY",
    "cron_service": "CRON_SERVICE_API_KEY",
    "google_calendar_service": "CALENDAR_API_KEY",
}
"""The variable with the key that a service shows as its SERVICE_API_KEY, where that is set."""
CALLERS_OF_CALENDAR = ("ADMIN_API_KEY", "SERVICE_API_KEY", "ASSISTANT_API_KEY", "TG_BOT_API_KEY")
"""The keys of those who may ask google_calendar_service, which gets their hashes alone."""


@dataclass(frozen=True)
class Service:
    """One kind of process."""

    name: str
    port_variable: str
    module: str | None = None
    """Started with `python -m`; None: a server that is not ours."""
    needs: tuple[str, ...] = ()
    """Services it works with: started with it, and stopped after it."""
    variables: tuple[str, ...] = ()
    """The environment variables it may see, besides where it listens."""
    scalable: bool = False
    """Whether several processes may share the work; they listen on consecutive ports."""
    browsable: bool = False
    """Whether people use its port."""


SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        Service("postgres", "POSTGRES_PORT"),
        Service("redis", "REDIS_PORT"),
        Service(
            "rest_service",
            "REST_SERVICE_PORT",
            module="rest_service.app.main",
            needs=("postgres", "redis"),
            variables=(
                *_EVERY,
                *_REDIS,
                *_DATABASE,
                "ADMIN_API_KEY",
                "SERVICE_API_KEY",
                *OWN_KEYS.values(),
                "CREDENTIALS_ENCRYPTION_KEYS",
                "CORS_ORIGINS",
                "FIRING_RETENTION_DAYS",
                "USAGE_RETENTION_DAYS",
                "DB_ECHO",
                "DB_POOL_SIZE",
                "DB_MAX_OVERFLOW",
                "SLOW_QUERY_MS",
                "DB_WAIT_SECONDS",
                "DEFAULT_ASSISTANTS_FILE",
            ),
            browsable=True,
        ),
        Service(
            "google_calendar_service",
            "GOOGLE_CALENDAR_SERVICE_PORT",
            module="google_calendar_service.src.main",
            needs=("rest_service", "redis"),
            variables=(
                *_EVERY,
                *_REDIS,
                *_REST,
                "CALLER_KEY_HASHES",
                "GOOGLE_CLIENT_ID",
                "GOOGLE_CLIENT_SECRET",
                "GOOGLE_REDIRECT_URI",
                "GOOGLE_AUTH_URL",
                "GOOGLE_TOKEN_URL",
                "CORS_ORIGINS",
            ),
            browsable=True,
        ),
        Service(
            "cron_service",
            "CRON_SERVICE_PORT",
            module="cron_service.app.main",
            needs=("rest_service", "redis"),
            variables=(
                *_EVERY,
                *_REDIS,
                *_QUEUES,
                *_REST,
                "JOBS_REFRESH_SECONDS",
                "MAX_RETRIES",
                "RETRY_DELAY",
            ),
        ),
        Service(
            "assistant",
            "ASSISTANT_PORT",
            module="assistant.src.main",
            needs=("rest_service", "redis"),
            variables=(
                *_EVERY,
                *_REDIS,
                *_QUEUES,
                *_REST,
                "GOOGLE_CALENDAR_SERVICE_URL",
                "OPENAI_API_KEY",
                "OPENAI_BASE_URL",
                "OPENAI_DEFAULT_MODEL",
                "OPENAI_API_PROTOCOL",
                "ANTHROPIC_API_KEY",
                "GEMINI_API_KEY",
                "MISTRAL_API_KEY",
                "OPENROUTER_API_KEY",
                "GROQ_API_KEY",
                "DEEPSEEK_API_KEY",
                "XAI_API_KEY",
                "TOGETHER_API_KEY",
                "OLLAMA_BASE_URL",
                "LMSTUDIO_BASE_URL",
                "VLLM_BASE_URL",
                "MODEL_PROVIDERS",
                "OPENAI_TIMEOUT",
                "OPENAI_CONNECT_TIMEOUT",
                "MODEL_FIRST_TOKEN_TIMEOUT",
                "MODEL_STALL_TIMEOUT",
                "MODEL_CONCURRENCY",
                "MODEL_ATTEMPTS",
                "MESSAGE_TIMEOUT",
                "MESSAGE_LONGEST_WAIT",
                "ASSISTANT_CONCURRENCY",
                "STREAM_REPLIES",
                "TOOL_TIMEOUT",
                "TOOL_OUTPUT_LIMIT",
                "MAX_TOOL_ROUNDS",
                "MAX_ASSISTANT_DEPTH",
                "HISTORY_TOKENS",
                "HISTORY_RETENTION_DAYS",
                "WEATHER_API_URL",
                "WEATHER_GEOCODING_URL",
            ),
            scalable=True,
        ),
        Service(
            "tg_bot",
            "TG_BOT_PORT",
            module="tg_bot.src.main",
            needs=("rest_service", "redis"),
            variables=(
                *_EVERY,
                *_REDIS,
                *_QUEUES,
                *_REST,
                "TELEGRAM_TOKEN",
                "TELEGRAM_API_URL",
                "TELEGRAM_RATE_LIMIT",
                "TELEGRAM_CHAT_RATE_LIMIT",
                "TELEGRAM_OPEN_ACCESS",
                "TELEGRAM_POLL_TIMEOUT",
                "TELEGRAM_TYPING_LIMIT",
                "INPUT_QUEUE_LIMIT",
                "OWNER_CODE",
            ),
        ),
        Service(
            "sandbox",
            "SANDBOX_PORT",
            module="sandbox.main",
            variables=(
                *_EVERY,
                "SANDBOX_STATE",
                "SANDBOX_MODEL_LATENCY",
                "SANDBOX_SECRET",
                "SANDBOX_TELEGRAM_TOKEN",
            ),
            browsable=True,
        ),
    )
}

MIGRATION_MODULE = "rest_service.app.migrate"
MIGRATION = Service(
    "migrate",
    "REST_SERVICE_PORT",
    module=MIGRATION_MODULE,
    variables=(
        *_EVERY,
        *_DATABASE,
        "POSTGRES_API_USER",
        "POSTGRES_API_PASSWORD",
        "DB_ECHO",
        "DB_POOL_SIZE",
        "DB_MAX_OVERFLOW",
        "SLOW_QUERY_MS",
        "DB_WAIT_SECONDS",
        "DEFAULT_ASSISTANTS_FILE",
    ),
)
"""The process that runs before rest_service does and is over then. It works as the owner of the tables; the
API does as a role that reads and writes rows."""


def check_names(names: Sequence[str], *, scalable: bool = False) -> None:
    """Raises OpsError, naming those there are, where a name is not a service's."""
    known = [name for name, service in SERVICES.items() if service.scalable or not scalable]
    for name in names:
        if name not in known:
            what = "can run more than once" if scalable else "is a service"
            msg = f"{name!r}: no such service; what {what}: {', '.join(known)}"
            raise OpsError(msg)


@cache
def needed_by(name: str) -> frozenset[str]:
    """`name` and everything it needs, directly or not."""
    return frozenset({name}).union(*(needed_by(other) for other in SERVICES[name].needs))


def with_needs(names: Sequence[str]) -> list[str]:
    """`names` (none: all) and what they need, in the table's order."""
    wanted = frozenset().union(*(needed_by(name) for name in names or SERVICES))
    return [name for name in SERVICES if name in wanted]


def stages(names: Sequence[str]) -> list[list[str]]:
    """`names` in groups: each group needs only earlier ones. Stopped in the reverse order.

    The sandbox plays the outside world: it comes first and goes last, like the world itself.
    """
    left = list(names)
    result: list[list[str]] = []
    while left:
        group = [name for name in left if not (needed_by(name) - {name}) & set(left)]
        result.append(group)
        left = [name for name in left if name not in group]
    return result
