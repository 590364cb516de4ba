"""What each container gets: one env file per service, which docker-compose.yml names.

The files are written before every `docker compose` that manage.py runs. By hand it then works too,
with the settings of the last command.
"""

import re
from pathlib import Path

from ops import envfile, postgres_roles, redis_users
from ops.environment import service_environment
from ops.project import Project
from ops.services import MIGRATION, SERVICES

SANDBOX = "http://sandbox:8010"
"""The sandbox's address in the compose network."""
ADDRESSES = {
    "POSTGRES_HOST": "postgres",
    "POSTGRES_PORT": "5432",
    "REDIS_HOST": "redis",
    "REDIS_PORT": "6379",
    "REST_SERVICE_URL": "http://rest_service:8000",
    "GOOGLE_CALENDAR_SERVICE_URL": "http://google_calendar_service:8001",
    "SANDBOX_STATE": "/data/state.sqlite",
}
OUTSIDE = (
    "ASYNC_DATABASE_URL",
    "GOOGLE_TOKEN_URL",
    "LMSTUDIO_BASE_URL",
    "MODEL_PROVIDERS",
    "OLLAMA_BASE_URL",
    "OPENAI_BASE_URL",
    "TELEGRAM_API_URL",
    "VLLM_BASE_URL",
    "WEATHER_API_URL",
    "WEATHER_GEOCODING_URL",
)
"""Addresses that services connect to; on this machine they mean the machine, not the container."""
THIS_MACHINE = re.compile(r"(?<=[/@])(127\.0\.0\.1|localhost)(?=[:/]|$)")

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./*-]+")
_ESCAPES = {"\\": "\\\\", '"': "\\0042", "$": "\\$", "\n": "\\n", "\r": "\\r"}
"""Of a quote the octal code: releases of compose differ in how they read an escaped one."""


def container_environment(project: Project, service: str) -> dict[str, str]:
    """What the containers of `service` get, besides what the image sets."""
    values = project.values
    if service == "postgres":
        return {
            "DATABASE": values.get("POSTGRES_DB") or postgres_roles.DATABASE,
            "ROLES": "\n".join(postgres_roles.roles(values)),
            "TAKE_OVER": postgres_roles.take_over(values),
        }
    if service == "redis":
        return {"REDIS_PASSWORD": values["REDIS_PASSWORD"], "RULES": "\n".join(redis_users.rules(values))}
    seen = service_environment(project, service, sandbox=SANDBOX, addresses=ADDRESSES)
    outside = {name: seen[name] for name in OUTSIDE if name in seen}
    return seen | {name: THIS_MACHINE.sub("host.docker.internal", url) for name, url in outside.items()}


def write_env_files(project: Project) -> None:
    """Write each service's file, readable by its owner only; files of services that are gone are removed."""
    folder = project.local / "env"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = {folder / f"{service}.env": service for service in (*SERVICES, MIGRATION.name)}
    for path, service in files.items():
        lines = [render(name, value) for name, value in container_environment(project, service).items()]
        _write(path, lines)
    # a file of a service that was renamed would keep its secrets for ever
    for path in folder.glob("*.env"):
        if path not in files:
            path.unlink()


def render(name: str, value: str) -> str:
    """`NAME=value` as compose reads it in an env file: no variable of another one is put into the value."""
    if _PLAIN.fullmatch(value):
        return f"{name}={value}"
    return f'{name}="{"".join(_ESCAPES.get(character, character) for character in value)}"'


def _write(path: Path, lines: list[str]) -> None:
    """Replace the file where its content changes: another command may read it at the same time."""
    if not path.exists() or path.read_text(encoding="utf-8") != "".join(f"{line}\n" for line in lines):
        envfile.write(path, [envfile.Line(line) for line in lines])
