"""The container's probe, against the health pages that services really have."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from service_kit.health import Health, HealthServer
from service_kit.healthcheck import probe


@pytest.fixture
def health() -> Health:
    return Health("tested")


@pytest.fixture
def port(health: Health) -> Iterator[int]:
    with HealthServer(health, "127.0.0.1", 0) as server:
        yield server.port


def test_a_ready_service_has_no_problem(health: Health, port: int):
    health.set("redis")
    assert probe(port) == (True, "")


def test_the_checks_that_fail_are_named(health: Health, port: int):
    health.set("rest_service")
    health.set("redis", "no answer in 3 s")
    assert probe(port) == (False, "redis: no answer in 3 s")


def test_nobody_listening_is_a_problem():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert probe(sock.getsockname()[1])[1].startswith("no answer: ")


def test_a_server_that_says_nothing_is_a_problem_in_time():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert probe(silent.getsockname()[1], timeout=0.05)[1].startswith("no answer: ")


def test_it_runs_as_a_program_with_its_answer_as_exit_code(health: Health, port: int):
    health.set("redis", "down")
    command = [sys.executable, "-m", "service_kit.healthcheck"]
    env = {**os.environ, "HTTP_PORT": str(port)}
    sick = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=30)
    health.set("redis")
    well = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=30)
    assert (sick.returncode, sick.stdout) == (1, "redis: down\n")
    assert (well.returncode, well.stdout) == (0, "")


def test_a_healthy_service_says_what_is_worth_a_note(health: Health, port: int):
    health.set("redis")
    health._notes["calendar"] = "the keys are wrong"
    assert probe(port) == (True, "calendar: the keys are wrong")
