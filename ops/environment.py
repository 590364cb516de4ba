"""The settings of a checkout, and what each process gets of them."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from ops import envfile, ports, redis_users
from ops.errors import OpsError
from ops.project import Project
from ops.sandbox_rules import point_to_sandbox, sandbox_token
from ops.services import CALLERS_OF_CALENDAR, MIGRATION, OWN_KEYS, SERVICES

ENV_FILE = ".env"
TEMPLATE = ".env.example"

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
