"""Who gets which settings: the sandbox's rules, least privilege, first and later starts."""

import importlib
import socket
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from ops import envfile, postgres_roles, redis_users
from ops.environment import REPLICA_PORTS, choose_ports, load, local_environment, project_name
from ops.errors import OpsError
from ops.project import Project
from ops.sandbox_rules import SANDBOX_MODEL, find_sandbox_parts, point_to_sandbox
from ops.services import CALLERS_OF_CALENDAR, OWN_KEYS, SERVICES

SETTINGS = {name: service.settings for name, service in SERVICES.items() if service.settings}


def world(**values: str) -> dict[str, str]:
    return point_to_sandbox(values, inner="http://in:1", outer="http://out:2")


def test_without_keys_the_sandbox_plays_everything():
    made = world()
    assert made["TELEGRAM_API_URL"] == "http://in:1/telegram"
    assert made["OPENAI_BASE_URL"] == "http://in:1/openai/v1"
    assert made["OPENAI_DEFAULT_MODEL"] == SANDBOX_MODEL
    assert made["WEATHER_API_URL"] == "http://in:1/weather"
    assert made["GOOGLE_TOKEN_URL"] == "http://in:1/google/token"


def test_the_browser_is_sent_to_an_address_it_can_reach():
    assert world()["GOOGLE_AUTH_URL"] == "http://out:2/google/o/oauth2/auth"


@pytest.mark.parametrize(
    ("given", "real"),
    [
        ({"TELEGRAM_TOKEN": "1:x"}, {"telegram", "weather"}),
        ({"OPENAI_API_KEY": "sk"}, {"llm", "weather"}),
        ({"OPENAI_BASE_URL": "http://ollama/v1"}, {"llm", "weather"}),
        ({"OPENAI_DEFAULT_MODEL": "ollama/llama3.2"}, {"llm", "weather"}),
        ({"GOOGLE_CLIENT_ID": "id"}, {"google"}),
        ({"WEATHER_API_URL": "http://w"}, {"weather"}),
    ],
)
def test_what_has_a_key_is_real(given: dict[str, str], real: set[str]):
    played = find_sandbox_parts(given)
    parts = {name for name in ("telegram", "llm", "google", "weather") if not getattr(played, name)}
    assert parts == real
    assert not set(given) & set(world(**given))


def test_a_default_model_of_openai_needs_openai():
    assert find_sandbox_parts({"OPENAI_DEFAULT_MODEL": "openai/gpt-6-luna"}).llm


def test_a_given_telegram_address_without_a_token_is_used_with_a_token_that_opens_nothing():
    made = world(TELEGRAM_API_URL="http://stand-in")
    assert "TELEGRAM_API_URL" not in made
    assert made["TELEGRAM_TOKEN"].startswith("100000:")


def test_with_all_keys_nothing_is_made_up():
    assert world(TELEGRAM_TOKEN="1:x", OPENAI_API_KEY="sk", GOOGLE_CLIENT_ID="id") == {}


def test_the_first_start_makes_everything_once(checkout: Path):
    project, made = load(checkout, {}, write=True)
    again, made_again = load(checkout, {}, write=True)
    assert (made, made_again) == ([".env"], [])
    assert project == again
    assert all(project.values[name] for name in envfile.GENERATORS)
    assert stat.S_IMODE((checkout / ".env").stat().st_mode) == 0o600


def test_looking_writes_nothing(checkout: Path):
    load(checkout, {}, write=False)
    assert not (checkout / ".env").exists()


def test_an_older_env_is_completed_and_what_stands_there_is_kept(checkout: Path):
    (checkout / ".env").write_text("REST_SERVICE_PORT=9999\nADMIN_API_KEY=mine\n")
    project, made = load(checkout, {}, write=True)
    assert project.values["REST_SERVICE_PORT"] == "9999"
    assert project.values["ADMIN_API_KEY"] == "mine"
    assert "SERVICE_API_KEY" in made
    assert "ADMIN_API_KEY" not in made


def test_the_environment_goes_before_the_file(checkout: Path):
    (checkout / ".env").write_text("LOG_LEVEL=INFO\nOPENAI_API_KEY=sk\n")
    project, _ = load(checkout, {"LOG_LEVEL": "DEBUG", "OPENAI_API_KEY": "", "UNKNOWN": "x"}, write=False)
    assert project.values["LOG_LEVEL"] == "DEBUG"
    assert find_sandbox_parts(project.values).llm, "an empty variable takes the key away"
    assert "UNKNOWN" not in project.values


def test_secrets_of_the_environment_are_not_written_to_the_file(checkout: Path):
    load(checkout, {"OPENAI_API_KEY": "sk-of-the-shell", "ADMIN_API_KEY": "of-the-shell"}, write=True)
    assert "of-the-shell" not in (checkout / ".env").read_text()


def test_two_checkouts_have_two_names():
    names = {project_name(Path(path)) for path in ("/a/suite", "/b/suite", "/a/Suite mit Ä")}
    assert len(names) == 3
    assert all(name.replace("-", "").isalnum() and name == name.lower() and name.isascii() for name in names)


def test_a_taken_port_is_stepped_over():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        taken = sock.getsockname()[1]
        chosen = choose_ports({service.port_variable: str(taken) for service in SERVICES.values()})
    numbers = sorted(int(port) for port in chosen.values())
    assert taken not in numbers
    assert len(set(numbers)) == len(SERVICES)
    base = int(chosen["ASSISTANT_PORT"])
    assert not set(range(base + 1, base + REPLICA_PORTS)) & set(numbers), "room for the replicas"


def test_a_port_that_is_none_is_named(project: Project):
    broken = Project(project.root, {**project.values, "TG_BOT_PORT": "80000"})
    with pytest.raises(OpsError, match="TG_BOT_PORT='80000'"):
        broken.port("TG_BOT_PORT")


@pytest.mark.parametrize(
    ("service", "forbidden"),
    [
        ("tg_bot", {"POSTGRES_PASSWORD", "ADMIN_API_KEY", "CALENDAR_API_KEY", "CREDENTIALS_ENCRYPTION_KEYS"}),
        (
            "assistant",
            {"POSTGRES_PASSWORD", "ADMIN_API_KEY", "TELEGRAM_TOKEN", "CREDENTIALS_ENCRYPTION_KEYS"},
        ),
        ("cron_service", {"POSTGRES_PASSWORD", "ADMIN_API_KEY", "TELEGRAM_TOKEN", "OPENAI_API_KEY"}),
        (
            "google_calendar_service",
            {"POSTGRES_PASSWORD", "TELEGRAM_TOKEN", "CREDENTIALS_ENCRYPTION_KEYS", "ADMIN_API_KEY"},
        ),
        ("rest_service", {"TELEGRAM_TOKEN", "OPENAI_API_KEY", "GOOGLE_CLIENT_SECRET", "OWNER_CODE"}),
        (
            "sandbox",
            {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "ADMIN_API_KEY", "SERVICE_API_KEY", "OWNER_CODE"},
        ),
    ],
)
def test_no_service_sees_keys_it_does_not_need(project: Project, service: str, forbidden: set[str]):
    full = Project(project.root, {name: value or "given" for name, value in project.values.items()})
    assert not set(local_environment(full, service)) & forbidden


def test_no_service_holds_the_operators_password_of_redis_or_the_owners_of_the_database(project: Project):
    full = Project(project.root, {name: value or f"of {name}" for name, value in project.values.items()})
    passwords = set()
    for service in redis_users.SERVICES:
        seen = local_environment(full, service)
        assert not {full.values["REDIS_PASSWORD"], full.values["POSTGRES_PASSWORD"]} & set(seen.values())
        assert seen["REDIS_USER"] == service
        passwords.add(seen["REDIS_PASSWORD"])
    assert len(passwords) == len(redis_users.SERVICES)


def test_migrations_work_as_the_owner_and_the_api_as_a_role_of_its_own(project: Project):
    migration, api = local_environment(project, "migrate"), local_environment(project, "rest_service")
    assert migration["POSTGRES_USER"] == project.values["POSTGRES_USER"]
    assert migration["POSTGRES_PASSWORD"] == project.values["POSTGRES_PASSWORD"]
    assert api["POSTGRES_USER"] == migration["POSTGRES_API_USER"] == "smart_assistant_api"
    assert api["POSTGRES_PASSWORD"] == migration["POSTGRES_API_PASSWORD"] != migration["POSTGRES_PASSWORD"]
    assert "POSTGRES_API_PASSWORD" not in api


@pytest.mark.parametrize("name", ["smart_assistant_superuser", "two\nlines"])
def test_a_name_that_no_role_can_have_is_refused(project: Project, name: str):
    with pytest.raises(OpsError, match="POSTGRES_USER"):
        postgres_roles.roles({**project.values, "POSTGRES_USER": name})


def test_names_and_passwords_are_quoted():
    values = {"POSTGRES_USER": 'a"b', "POSTGRES_DB": "c'd", "POSTGRES_PASSWORD": "e'f"}
    statements = "\n".join(postgres_roles.roles(values))
    assert """CREATE ROLE "a""b";""" in statements
    assert """CREATE DATABASE "c'd" OWNER "a""b";""" in statements
    assert "PASSWORD 'e''f';" in statements


def test_each_service_shows_its_own_key_and_the_common_one_where_it_has_none(project: Project):
    full = Project(project.root, {name: value or f"of {name}" for name, value in project.values.items()})
    for service, variable in OWN_KEYS.items():
        own = Project(project.root, {**full.values, variable: ""})
        assert local_environment(full, service)["SERVICE_API_KEY"] == full.values[variable]
        assert local_environment(own, service)["SERVICE_API_KEY"] == full.values["SERVICE_API_KEY"]
    assert local_environment(full, "rest_service")["SERVICE_API_KEY"] == full.values["SERVICE_API_KEY"]


def test_the_calendar_service_knows_its_callers_without_holding_their_keys(project: Project):
    full = Project(project.root, {name: value or f"of {name}" for name, value in project.values.items()})
    seen = local_environment(full, "google_calendar_service")
    keys = [full.values[name] for name in CALLERS_OF_CALENDAR]
    assert seen["CALLER_KEY_HASHES"].split(",") == [sha256(key.encode()).hexdigest() for key in keys]
    assert not set(keys) & set(",".join(seen.values()).split(","))


def test_who_hands_in_a_common_key_gets_no_others(checkout: Path):
    project, _ = load(checkout, {"SERVICE_API_KEY": "of-the-shell"}, write=True)
    assert not any(project.values[name] for name in OWN_KEYS.values())
    assert local_environment(project, "assistant")["SERVICE_API_KEY"] == "of-the-shell"


@pytest.mark.parametrize("service", SETTINGS)
def test_what_a_service_gets_is_what_its_settings_accept(
    project: Project, service: str, monkeypatch: pytest.MonkeyPatch
):
    for name in project.values:
        monkeypatch.delenv(name, raising=False)
    for name, value in local_environment(project, service).items():
        monkeypatch.setenv(name, value)
    settings = importlib.import_module(SETTINGS[service]).Settings()
    assert settings.http_port == project.port(SERVICES[service].port_variable)
    assert settings.service_slot == f"{service}-0"


def test_replicas_have_slots_and_ports_of_their_own(project: Project):
    first, second = (local_environment(project, "assistant", replica=number) for number in (0, 1))
    assert first["SERVICE_SLOT"] != second["SERVICE_SLOT"]
    assert int(second["HTTP_PORT"]) == int(first["HTTP_PORT"]) + 1


def test_empty_values_are_left_out(project: Project):
    assert "LOG_LEVEL" not in local_environment(project, "assistant")


def test_what_the_runtime_sets_for_each_process_is_never_taken_from_the_file(project: Project):
    own = Project(project.root, {**project.values, "HTTP_PORT": "1", "SANDBOX_STATE": "x", "REDIS_USER": "y"})
    for service in SETTINGS:
        assert local_environment(own, service) == local_environment(project, service)


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_sandbox_sees_its_secret(project: Project, service: str):
    assert ("SANDBOX_SECRET" in local_environment(project, service)) == (service == "sandbox")


def test_the_bot_and_the_sandbox_share_a_token_that_is_made_from_the_secret(project: Project):
    given = local_environment(project, "tg_bot")["TELEGRAM_TOKEN"]
    assert local_environment(project, "sandbox")["SANDBOX_TELEGRAM_TOKEN"] == given
    other = Project(project.root, {**project.values, "SANDBOX_SECRET": "another"})
    assert local_environment(other, "tg_bot")["TELEGRAM_TOKEN"] != given


def test_the_sandbox_gets_no_token_of_a_real_bot_but_one_that_is_meant_for_it(project: Project):
    real = Project(project.root, {**project.values, "TELEGRAM_TOKEN": "5:real"})
    assert "5:real" not in local_environment(real, "sandbox").values()
    meant = Project(project.root, {**real.values, "TELEGRAM_API_URL": "http://127.0.0.1:8010/telegram"})
    assert local_environment(meant, "sandbox")["SANDBOX_TELEGRAM_TOKEN"] == "5:real"
