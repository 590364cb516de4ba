"""The table of the suite's processes: what each is, needs and may see.

Least privilege: a service gets the variables that its settings class reads and no others, so a leak in one
does not give away the keys of another. A new setting is a field of that class and a line of `.env.example`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ops.errors import OpsError
from ops.settings_source import read_variables

SET_FOR_EACH_PROCESS = ("HTTP_HOST", "HTTP_PORT", "SERVICE_SLOT")
"""Where a process listens and its slot: set by the image or the local runtime, never from `.env`."""
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
    settings: str | None = None
    """The module of its settings class."""
    settings_class: str = "Settings"
    withheld: tuple[str, ...] = ()
    """Variables that its settings would read and that this suite does not give it."""
    scalable: bool = False
    """Whether several processes may share the work; they listen on consecutive ports."""
    browsable: bool = False
    """Whether people use its port."""

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables it may see, besides where it listens."""
        if self.settings is None:
            return ()
        unseen = {*SET_FOR_EACH_PROCESS, *self.withheld}
        return tuple(
            name for name in read_variables(self.settings, self.settings_class) if name not in unseen
        )


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
            settings="rest_service.app.config",
            browsable=True,
        ),
        Service(
            "google_calendar_service",
            "GOOGLE_CALENDAR_SERVICE_PORT",
            module="google_calendar_service.src.main",
            needs=("rest_service", "redis"),
            settings="google_calendar_service.src.config.settings",
            withheld=("ADMIN_API_KEY",),  # it gets the hashes of its callers' keys
            browsable=True,
        ),
        Service(
            "cron_service",
            "CRON_SERVICE_PORT",
            module="cron_service.app.main",
            needs=("rest_service", "redis"),
            settings="cron_service.app.config",
        ),
        Service(
            "assistant",
            "ASSISTANT_PORT",
            module="assistant.src.main",
            needs=("rest_service", "redis"),
            settings="assistant.src.config.settings",
            scalable=True,
        ),
        Service(
            "tg_bot",
            "TG_BOT_PORT",
            module="tg_bot.src.main",
            needs=("rest_service", "redis"),
            settings="tg_bot.src.config.settings",
        ),
        Service(
            "sandbox",
            "SANDBOX_PORT",
            module="sandbox.main",
            settings="sandbox.config",
            browsable=True,
        ),
    )
}

MIGRATION_MODULE = "rest_service.app.migrate"
MIGRATION = Service(
    "migrate",
    "REST_SERVICE_PORT",
    module=MIGRATION_MODULE,
    settings="rest_service.app.config",
    settings_class="MigrationSettings",
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
def find_needs(name: str) -> frozenset[str]:
    """`name` and everything it needs, directly or not."""
    return frozenset({name}).union(*(find_needs(other) for other in SERVICES[name].needs))


def add_needs(names: Sequence[str]) -> list[str]:
    """`names` (none: all) and what they need, in the table's order."""
    wanted = frozenset().union(*(find_needs(name) for name in names or SERVICES))
    return [name for name in SERVICES if name in wanted]


def group_by_needs(names: Sequence[str]) -> list[list[str]]:
    """`names` in groups: each group needs only earlier ones. Stopped in the reverse order.

    The sandbox plays the outside world: it comes first and goes last, like the world itself.
    """
    left = list(names)
    result: list[list[str]] = []
    while left:  # each round takes those whose needs are met
        group = [name for name in left if not (find_needs(name) - {name}) & set(left)]
        result.append(group)
        left = [name for name in left if name not in group]
    return result
