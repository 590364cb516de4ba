"""What each process gets to see: addresses, keys, and the sandbox where a key is missing.

The rules of the sandbox stand here and nowhere else: whatever has no key in `.env` (nor an address
of its own) is pointed at the sandbox. No service knows that it exists.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops import envfile, ports, redis_users
from ops.errors import OpsError
from ops.project import Project
from ops.services import CALLERS_OF_CALENDAR, MIGRATION, OWN_KEYS, SERVICES

ENV_FILE = ".env"
TEMPLATE = ".env.example"

SANDBOX_BOT = 100_000
"""The bot of the sandbox, as the migration of its people knows it."""
SANDBOX_MODEL = "sandbox-demo"
SANDBOX_KEY = "sandbox"

REPLICA_PORTS = 8
"""How many consecutive ports are kept free for replicas when ports are chosen."""

FROM_THE_SYSTEM = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
"""What a process gets of the environment of whoever starts it."""


@dataclass(frozen=True)
class SandboxParts:
    """Which parts of the outside world the sandbox plays."""

    telegram: bool
    llm: bool
    google: bool
    weather: bool

    @property
    def any(self) -> bool:
        """Whether the sandbox is needed at all."""
        return self.telegram or self.llm or self.google or self.weather


def load(root: Path, process: Mapping[str, str], *, write: bool) -> tuple[Project, list[str]]:
    """The checkout's settings, and the names that were made up because `.env` lacks them.

    With `write`, `.env` is made or completed; without, nothing changes on disk, and only names,
    ports and passwords that nobody uses yet may differ next time. Raises OpsError.
    """
    template_path = root / TEMPLATE
    if not template_path.exists():
        msg = f"{TEMPLATE} is missing in {root}: restore it (git checkout {TEMPLATE})"
        raise OpsError(msg)
    template = envfile.read(template_path)
    known = envfile.values(template)
    path = root / ENV_FILE
    fill = {name: make() for name, make in envfile.GENERATORS.items() if not process.get(name)}
    if process.get("SERVICE_API_KEY"):  # whoever hands in the services' common key wants them to use it
        fill = {name: value for name, value in fill.items() if name not in OWN_KEYS.values()}
    fill["COMPOSE_PROJECT_NAME"] = project_name(root)
    if path.exists():
        lines, made = envfile.complete(envfile.read(path), template, fill)
    else:
        places = {name: value for name, value in process.items() if _is_place(name) and name in known}
        chosen = choose_ports({name: places.get(name) or value for name, value in known.items()})
        lines = [
            envfile.Line(envfile.render(line.name, new), line.name, new)
            if line.name and (new := {**places, **chosen}.get(line.name))
            else line
            for line in template
        ]
        lines, _ = envfile.complete(lines, template, fill)
        made = [ENV_FILE]
    if write and made:  # a look (`status`, `logs`) leaves the file as it is
        envfile.write(path, lines)
    settings = {**envfile.values(lines), **{name: process[name] for name in known if name in process}}
    return Project(root, settings), made


def project_name(root: Path) -> str:
    """From the folder's name and path: two checkouts on one machine never share it."""
    base = re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-") or "smart-assistant"
    return f"{base[:30]}-{hashlib.sha256(str(root).encode()).hexdigest()[:6]}"


def choose_ports(wanted: Mapping[str, str]) -> dict[str, str]:
    """A free port for each service: the one in `wanted`, or the next that is free."""
    taken: set[int] = set()
    chosen: dict[str, str] = {}
    for service in SERVICES.values():
        first = int(wanted[service.port_variable])
        count = REPLICA_PORTS if service.scalable else 1
        chosen[service.port_variable] = str(ports.choose(first, taken, count=count))
    return chosen


def find_sandbox_parts(values: Mapping[str, str]) -> SandboxParts:
    """Which parts have neither a key nor an address of their own."""
    telegram = not values.get("TELEGRAM_TOKEN") and not values.get("TELEGRAM_API_URL")
    provider, slash, _ = values.get("OPENAI_DEFAULT_MODEL", "").partition("/")
    elsewhere = slash and provider != "openai"  # such as anthropic/claude-…
    llm = not (values.get("OPENAI_API_KEY") or values.get("OPENAI_BASE_URL") or elsewhere)
    google = not (values.get("GOOGLE_CLIENT_ID") or values.get("GOOGLE_AUTH_URL"))
    weather_given = values.get("WEATHER_API_URL") or values.get("WEATHER_GEOCODING_URL")
    # Open-Meteo needs no key: only a machine that talks to nobody else keeps the weather at home as well.
    return SandboxParts(telegram, llm, google, weather=telegram and llm and not weather_given)


def point_to_sandbox(values: Mapping[str, str], *, inner: str, outer: str) -> dict[str, str]:
    """The variables that point services at the sandbox, for those parts that it plays.

    `inner` is the sandbox's address as the services see it, `outer` as the person's browser does.
    """
    played = find_sandbox_parts(values)
    result: dict[str, str] = {}
    if played.telegram:
        result["TELEGRAM_API_URL"] = f"{inner}/telegram"
    # a Bot API of the operator's own gets a made-up token too: the bot does not start without one
    if not values.get("TELEGRAM_TOKEN"):
        result["TELEGRAM_TOKEN"] = sandbox_token(values)
    if played.llm:
        result |= {
            "OPENAI_BASE_URL": f"{inner}/openai/v1",
            "OPENAI_API_KEY": SANDBOX_KEY,
            "OPENAI_DEFAULT_MODEL": SANDBOX_MODEL,
        }
    if played.google:
        result |= {
            "GOOGLE_CLIENT_ID": SANDBOX_KEY,
            "GOOGLE_CLIENT_SECRET": SANDBOX_KEY,
            # the browser opens this one; the service itself calls the other
            "GOOGLE_AUTH_URL": f"{outer}/google/o/oauth2/auth",
            "GOOGLE_TOKEN_URL": f"{inner}/google/token",
        }
    if played.weather:
        result |= {"WEATHER_API_URL": f"{inner}/weather", "WEATHER_GEOCODING_URL": f"{inner}/weather"}
    return result


def sandbox_token(values: Mapping[str, str]) -> str:
    """The token of the sandbox's bot; nobody else on the machine knows it."""
    return f"{SANDBOX_BOT}:{hashlib.sha256(values.get('SANDBOX_SECRET', '').encode()).hexdigest()[:35]}"


def service_environment(
    project: Project, service: str, *, sandbox: str, addresses: Mapping[str, str]
) -> dict[str, str]:
    """What every process of `service` gets in a runtime: of all values, those that its settings read.

    `sandbox` is the sandbox's address as the services see it, `addresses` the variables that say where the
    others are. A variable without a value is left out.
    """
    values = {
        **project.values,
        **point_to_sandbox(project.values, inner=sandbox, outer=project.url("SANDBOX_PORT")),
        **_derive_values(project),
        **addresses,
        **_make_logins(project.values, service),
    }
    entry = MIGRATION if service == MIGRATION.name else SERVICES[service]
    return {name: values[name] for name in entry.variables if values.get(name)}


def local_environment(project: Project, service: str, *, replica: int = 0) -> dict[str, str]:
    """What one process of `service` gets in the local runtime, besides `from_the_system`."""
    addresses = {
        "POSTGRES_HOST": "127.0.0.1",
        "REDIS_HOST": "127.0.0.1",
        "REST_SERVICE_URL": project.url("REST_SERVICE_PORT"),
        "GOOGLE_CALENDAR_SERVICE_URL": project.url("GOOGLE_CALENDAR_SERVICE_PORT"),
        "SANDBOX_STATE": str(project.local / "data" / "sandbox" / "state.sqlite"),
    }
    port_variable = (MIGRATION if service == MIGRATION.name else SERVICES[service]).port_variable
    return {
        **service_environment(project, service, sandbox=project.url("SANDBOX_PORT"), addresses=addresses),
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(project.port(port_variable) + replica),
        "SERVICE_SLOT": f"{service}-{replica}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",  # logs and what libraries read are UTF-8, whatever the locale is
    }


def _derive_values(project: Project) -> dict[str, str]:
    """The variables that follow from others and are the same for every service."""
    values = project.values
    # never the token of a bot at Telegram
    own_token = values.get("TELEGRAM_TOKEN") if values.get("TELEGRAM_API_URL") else None
    callers = [values[name] for name in CALLERS_OF_CALENDAR if values.get(name)]
    callback = f"{project.url('GOOGLE_CALENDAR_SERVICE_PORT')}/auth/callback"
    return {
        "SANDBOX_TELEGRAM_TOKEN": own_token or sandbox_token(values),
        "GOOGLE_REDIRECT_URI": values.get("GOOGLE_REDIRECT_URI") or callback,
        "CALLER_KEY_HASHES": ",".join(hashlib.sha256(key.encode()).hexdigest() for key in callers),
    }


def _make_logins(values: Mapping[str, str], service: str) -> dict[str, str]:
    """The variables that mean something else for each service: its own key and its own logins."""
    own = {"SERVICE_API_KEY": values.get(OWN_KEYS.get(service, "")) or values.get("SERVICE_API_KEY", "")}
    if service in redis_users.SERVICES:
        own |= {"REDIS_USER": service, "REDIS_PASSWORD": redis_users.password_of(service, values)}
    if service == "rest_service":
        own["POSTGRES_USER"] = values["POSTGRES_API_USER"]
        own["POSTGRES_PASSWORD"] = values["POSTGRES_API_PASSWORD"]
    return own


def from_the_system() -> dict[str, str]:
    """What of our own environment a service may see."""
    return {name: os.environ[name] for name in FROM_THE_SYSTEM if name in os.environ}


def _is_place(name: str) -> bool:
    """Whether a variable says where things are: then the first `.env` takes it from the environment."""
    return name in {"COMPOSE_PROJECT_NAME", "LOCAL_DATA_DIR"} or name in {
        service.port_variable for service in SERVICES.values()
    }
