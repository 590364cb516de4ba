"""The containers keep what they promise: one pattern, least privilege, nothing open to the network."""

import importlib
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops import environment, redis_users
from ops.container_env import container_environment
from ops.environment import local_environment
from ops.project import Project
from ops.services import MIGRATION, SERVICES, SET_FOR_EACH_PROCESS, Service

ROOT = Path(__file__).parents[2]
COMPOSE_FILES = ("docker-compose.yml", "docker-compose.test.yml")
OURS = [name for name, service in SERVICES.items() if service.module]
SECRETS = {
    "ADMIN_API_KEY": {"rest_service"},
    "ASSISTANT_API_KEY": {"rest_service"},
    "TG_BOT_API_KEY": {"rest_service"},
    "CRON_SERVICE_API_KEY": {"rest_service"},
    "CALENDAR_API_KEY": {"rest_service"},
    "CREDENTIALS_ENCRYPTION_KEYS": {"rest_service"},
    "GOOGLE_CLIENT_SECRET": {"google_calendar_service"},
    "OPENAI_API_KEY": {"assistant"},
    "ANTHROPIC_API_KEY": {"assistant"},
    "GEMINI_API_KEY": {"assistant"},
    "MISTRAL_API_KEY": {"assistant"},
    "OPENROUTER_API_KEY": {"assistant"},
    "GROQ_API_KEY": {"assistant"},
    "DEEPSEEK_API_KEY": {"assistant"},
    "XAI_API_KEY": {"assistant"},
    "TOGETHER_API_KEY": {"assistant"},
    "MODEL_PROVIDERS": {"assistant"},
    "POSTGRES_PASSWORD": {"migrate", "rest_service"},
    "POSTGRES_API_PASSWORD": {"migrate"},
    "SANDBOX_SECRET": {"sandbox"},
    "TELEGRAM_TOKEN": {"tg_bot"},
}


def compose(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return content


SUITE = compose("docker-compose.yml")["services"]
ALL = [(file, name) for file in COMPOSE_FILES for name in compose(file)["services"]]


@pytest.mark.parametrize("file", COMPOSE_FILES)
def test_ports_are_published_on_this_machine_alone(file: str):
    published = [port for service in compose(file)["services"].values() for port in service.get("ports", [])]
    assert published
    assert [
        port
        for port in published
        if not re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+_PORT:(-\d+|\?[^}]+)\}:\d+", port)
    ] == []


def test_only_what_people_use_is_published():
    published = {name for name, service in SUITE.items() if "ports" in service}
    assert published == {name for name, service in SERVICES.items() if service.browsable}


@pytest.mark.parametrize(("file", "name"), ALL)
def test_no_container_may_gain_rights(file: str, name: str):
    service = compose(file)["services"][name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert "cap_add" not in service
    assert "privileged" not in service


@pytest.mark.parametrize("name", SUITE)
def test_every_container_of_the_suite_is_closed_and_bounded(name: str):
    service = SUITE[name]
    assert service["read_only"] is True
    assert service["stop_grace_period"] == "45s"
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")


def test_the_two_compose_files_use_the_same_servers():
    suite, tests = (
        {s["image"] for s in compose(f)["services"].values() if "image" in s} for f in COMPOSE_FILES
    )
    assert tests == {"postgres:16", "redis:7-alpine"}
    assert tests <= suite


def test_the_servers_cannot_reach_the_outside():
    assert compose("docker-compose.yml")["networks"]["backend"] == {"internal": True}
    assert SUITE["postgres"]["networks"] == SUITE["redis"]["networks"] == ["backend"]


def test_data_outlives_the_containers():
    volumes = compose("docker-compose.yml")["volumes"]
    for name in ("postgres", "redis", "sandbox"):
        (mount,) = SUITE[name]["volumes"]
        assert mount.split(":")[0] in volumes


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A checkout in which every setting has a value of its own."""
    shutil.copy(ROOT / ".env.example", tmp_path)
    values = environment.load(tmp_path, {}, write=False)[0].values
    named = {**values, **dict.fromkeys(SET_FOR_EACH_PROCESS, "")}  # somebody may write these into .env, too
    return Project(tmp_path, {name: value or f"of {name}" for name, value in named.items()})


@pytest.mark.parametrize("name", SUITE)
def test_a_container_gets_its_own_env_file_and_nothing_else_of_the_settings(name: str):
    assert SUITE[name]["env_file"] == f"${{LOCAL_DATA_DIR:-.local}}/env/{name}.env"
    assert "${" not in str(SUITE[name].get("environment"))


@pytest.mark.parametrize(
    "entry", [*(SERVICES[name] for name in OURS), MIGRATION], ids=lambda entry: entry.name
)
def test_every_setting_of_a_service_reaches_its_container(entry: Service, project: Project):
    fields = getattr(importlib.import_module(str(entry.settings)), entry.settings_class).model_fields
    names = {str(field.validation_alias or name).upper() for name, field in fields.items()}
    given = set(container_environment(project, entry.name))
    assert names - given == {*SET_FOR_EACH_PROCESS, *entry.withheld}
    assert given <= names


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_goes_only_to_those_who_need_it(secret: str, project: Project):
    seen = {name: container_environment(project, name) for name in SUITE}
    assert {name for name, variables in seen.items() if secret in variables} == SECRETS[secret]


@pytest.mark.parametrize("name", OURS)
def test_a_service_gets_the_same_variables_in_both_runtimes(name: str, project: Project):
    local = set(local_environment(project, name)) - {*SET_FOR_EACH_PROCESS, "PYTHONUNBUFFERED", "PYTHONUTF8"}
    assert set(container_environment(project, name)) == local


def test_the_api_and_the_migrations_work_as_different_roles(project: Project):
    api, migration = (container_environment(project, name) for name in ("rest_service", "migrate"))
    assert api["POSTGRES_USER"] == migration["POSTGRES_API_USER"] != migration["POSTGRES_USER"]
    assert api["POSTGRES_PASSWORD"] == migration["POSTGRES_API_PASSWORD"] != migration["POSTGRES_PASSWORD"]


def test_each_service_logs_in_to_redis_as_itself(project: Project):
    seen = {name: container_environment(project, name) for name in redis_users.SERVICES}
    assert [seen[name]["REDIS_USER"] for name in seen] == list(redis_users.SERVICES)
    passwords = {variables["REDIS_PASSWORD"] for variables in seen.values()}
    assert len(passwords) == len(seen)
    assert project.values["REDIS_PASSWORD"] not in passwords


MEMORY = {"m": 1, "g": 1024}


@pytest.mark.parametrize("name", SUITE)
def test_no_container_takes_the_machines_memory(name: str):
    limit = SUITE[name]["mem_limit"]
    assert 256 <= int(limit[:-1]) * MEMORY[limit[-1]] <= 2048


def test_redis_refuses_new_work_before_the_engine_ends_it():
    limit = SUITE["redis"]["mem_limit"]
    (own,) = re.findall(r"^maxmemory (\d+)mb$", SUITE["redis"]["entrypoint"][2], re.MULTILINE)
    assert 2 * int(own) <= int(limit[:-1]) * MEMORY[limit[-1]], "a rewrite may double it"


@pytest.mark.parametrize("name", OURS)
def test_a_service_waits_for_what_it_needs(name: str):
    needed = SUITE[name].get("depends_on", {})
    assert set(needed) - {"migrate"} == set(SERVICES[name].needs)
    assert all(
        condition["condition"]
        == ("service_completed_successfully" if other == "migrate" else "service_healthy")
        for other, condition in needed.items()
    )


def pattern(name: str) -> str:
    """A service's Dockerfile with all that is its own taken out."""
    text = (ROOT / name / "Dockerfile").read_text()
    module = SERVICES[name].module
    assert module is not None
    port = re.findall(r"HTTP_PORT=(\d+)", text)[0]
    return text.replace(module, "MODULE").replace(port, "PORT").replace(name, "SERVICE")


@pytest.mark.parametrize("name", OURS)
def test_one_pattern_for_all_images(name: str):
    assert pattern(name) == pattern(OURS[0])


def test_the_pattern_ends_in_an_image_without_root_or_tools():
    text = pattern(OURS[0])
    assert re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE) == [
        ("python:3.13-slim", "base"),
        ("base", "builder"),
        ("builder", "test"),
        ("base", "runtime"),
    ]
    runtime = text.split(" AS runtime\n")[1]
    assert "USER app" in runtime
    assert 'CMD ["python", "-m", "service_kit.healthcheck"]' in runtime
    assert runtime.rstrip().endswith('CMD ["python", "-m", "MODULE"]')
    assert "apt-get" not in text
    assert "syntax=" not in text
    assert "@sha256" not in text


@pytest.mark.parametrize("name", OURS)
def test_an_image_holds_its_service_and_the_kit_alone(name: str):
    lines = (ROOT / name / "Dockerfile.dockerignore").read_text().splitlines()
    assert lines[1:4] == ["*", "!service_kit", f"!{name}"]
    assert not any(line.startswith("!") for line in lines[4:])
    assert {"**/tests", "service_kit/testing"} <= set(lines)


def test_the_published_ports_lead_to_where_the_services_listen():
    for name, service in SUITE.items():
        for port in service.get("ports", []):
            inside = port.rsplit(":", 1)[1]
            assert f"HTTP_PORT={inside}" in (ROOT / name / "Dockerfile").read_text()


def test_no_settings_or_history_enter_the_test_image():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".git", ".env", ".env.*", ".local", "!.env.example"} <= set(ignored)
