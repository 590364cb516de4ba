"""Starts the five services (and the sandbox) as processes on throw-away servers, and kills them.

It plays the supervisor: a process that ends is started again at once, under the same slot, as
supervisord and compose do. Addresses are given by the variables that are a contract (SPEC §10), not by
manage.py, so that what a checker from outside does is done here too.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import psutil
import redis

from ops import redis_users
from service_kit.testing.servers import free_port

ROOT = Path(__file__).parents[2]
ADMIN_KEY = "test-admin-key-0123456789abcdef"
SERVICE_KEY = "test-service-key-0123456789abcdef"
OWNER_CODE = "test-owner-code-42"
FERNET_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
SANDBOX_SECRET = "test-sandbox-secret-0123456789"
BOT_TOKEN = "100000:harness-token-of-no-real-bot-000000"
MODULES = {
    "rest_service": "rest_service.app.main",
    "google_calendar_service": "google_calendar_service.src.main",
    "cron_service": "cron_service.app.main",
    "assistant": "assistant.src.main",
    "tg_bot": "tg_bot.src.main",
    "sandbox": "sandbox.main",
}
START_TIMEOUT = 60.0


class SuiteError(Exception):
    """A process does not start or does not become healthy; the text holds the end of its log."""


@dataclass
class Process:
    """One process of a service, with its life as the supervisor sees it."""

    name: str
    module: str
    port: int
    environment: dict[str, str]
    log: Path
    popen: "subprocess.Popen[bytes] | None" = None
    wanted: bool = False
    starts: int = 0
    cpu_before: float = 0.0
    """Processor seconds of lives that have ended."""

    def launch(self) -> None:
        """Start it; its output goes to its log file."""
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", self.module],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.starts += 1

    def health(self) -> int:
        """Status of `/health`, 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as exc:
            return exc.code
        except OSError:
            return 0

    def tail(self, size: int = 3000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-size:]


@dataclass
class Suite:
    """All processes; a context manager."""

    home: Path
    servers: Mapping[str, str]
    """`TEST_DATABASE_URL` and `TEST_REDIS_URL`, as `ThrowAwayServers.environment()` gives them."""
    outside: str | None = None
    """Base URL of whoever plays Telegram and the LLM; None: the sandbox is started."""
    replicas: int = 1
    extra: dict[str, str] = field(default_factory=dict)
    services: tuple[str, ...] = (
        "rest_service",
        "google_calendar_service",
        "cron_service",
        "assistant",
        "tg_bot",
    )
    processes: dict[str, Process] = field(default_factory=dict, init=False)
    _stopping: threading.Event = field(default_factory=threading.Event, init=False)
    _watcher: threading.Thread | None = field(default=None, init=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)
    """Held by whoever decides whether a process shall run."""

    def __enter__(self) -> Self:
        self._plan()
        try:
            self._migrate()
            for name in ("sandbox", "rest_service"):
                self._launch_and_wait([name])
            self._launch_and_wait(
                [name for name in self.processes if name not in ("sandbox", "rest_service")]
            )
        except BaseException:
            self.__exit__()
            raise
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stopping.set()
        if self._watcher:
            self._watcher.join(10)
        running = [process.popen for process in self.processes.values() if process.popen]
        for popen in running:
            if popen.poll() is None:
                popen.terminate()
        for popen in running:
            try:
                popen.wait(15)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()

    @property
    def rest_url(self) -> str:
        """Base URL of rest_service."""
        return f"http://127.0.0.1:{self.processes['rest_service'].port}"

    @property
    def sandbox_url(self) -> str:
        """Base URL of the sandbox."""
        return f"http://127.0.0.1:{self.processes['sandbox'].port}"

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        """Ask rest_service as the admin; the answer's JSON (None for 204)."""
        return call_json(method, self.rest_url + path, body, {"Authorization": f"Bearer {ADMIN_KEY}"})

    def sandbox(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the sandbox's chat interface or its control; the answer's JSON."""
        return ask_sandbox(self.sandbox_url, method, path, body)

    @property
    def assistants(self) -> list[str]:
        """The names of the assistant processes."""
        return [name for name, process in self.processes.items() if process.module == MODULES["assistant"]]

    def kill(self, name: str, *, again: bool = True) -> int:
        """`kill -9`; the watcher starts it again unless told not to. Returns the pid that was killed."""
        with self._turn:
            process = self.processes[name]
            process.wanted = again
            assert process.popen is not None
            process.popen.send_signal(signal.SIGKILL)
            process.popen.wait(15)
            return process.popen.pid

    def stop(self, name: str) -> None:
        """End it for good, gracefully."""
        process = self.processes[name]
        with self._turn:
            process.wanted = False
        if process.popen:
            process.popen.terminate()
            process.popen.wait(40)

    def start(self, name: str, **changed: str) -> None:
        """Start it (again), with these settings changed, and wait until it is healthy."""
        self.processes[name].environment |= changed
        self._launch_and_wait([name])

    def start_world(self, name: str, token: str) -> str:
        """Start another sandbox beside the first one, for the bot of `token`; its base URL."""
        port = free_port()
        own = {"HTTP_PORT": str(port), "SERVICE_SLOT": name, "SANDBOX_TELEGRAM_TOKEN": token}
        environment = self.processes["sandbox"].environment | own
        process = Process(name, MODULES["sandbox"], port, environment, self.home / f"{name}.log")
        process.log.touch()
        self.processes[name] = process
        self.start(name)
        return f"http://127.0.0.1:{port}"

    def logs(self, name: str | None = None, **fields: str) -> list[dict[str, Any]]:
        """All JSON log lines of all processes (or the one of this name) whose fields have these values."""
        found = []
        for process in [self.processes[name]] if name else self.processes.values():
            for line in process.log.read_text(errors="replace").splitlines():
                if line.startswith("{") and all(value in line for value in fields.values()):
                    event = json.loads(line)
                    if all(event.get(key) == value for key, value in fields.items()):
                        found.append(event)
        return found

    def cpu_seconds(self) -> dict[str, float]:
        """Processor seconds of each process so far, earlier lives not counted."""
        return {name: sum(_process(p).cpu_times()[:2]) for name, p in self.processes.items()}

    def memory(self) -> dict[str, int]:
        """Resident bytes of each process."""
        return {name: int(_process(p).memory_info().rss) for name, p in self.processes.items()}

    def _plan(self) -> None:
        ports = {name: free_port() for name in MODULES}
        outside = self.outside or f"http://127.0.0.1:{ports['sandbox']}"
        names = [*(["sandbox"] if self.outside is None else []), *self.services]
        for name in names:
            count = self.replicas if name == "assistant" else 1
            for number in range(count):
                label = name if count == 1 else f"{name}-{number}"
                port = ports[name] if number == 0 else free_port()
                self.processes[label] = Process(
                    name=label,
                    module=MODULES[name],
                    port=port,
                    environment=self._environment(label, port, outside, ports) | self._redis_user(name),
                    log=self.home / f"{label}.log",
                )
                self.processes[label].log.touch()

    def _environment(self, label: str, port: int, outside: str, ports: Mapping[str, int]) -> dict[str, str]:
        database = self.servers["TEST_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")
        password, address = self.servers["TEST_REDIS_URL"].removeprefix("redis://:").split("@")
        host, rest = address.split(":")
        redis_port, redis_db = rest.split("/")
        own = {
            "PATH": os.environ["PATH"],
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": str(port),
            "SERVICE_SLOT": label,
            "LOG_FORMAT": "json",
            "ASYNC_DATABASE_URL": database,
            "REDIS_HOST": host,
            "REDIS_PORT": redis_port,
            "REDIS_DB": redis_db,
            "REDIS_PASSWORD": password,
            "REST_SERVICE_URL": f"http://127.0.0.1:{ports['rest_service']}",
            "GOOGLE_CALENDAR_SERVICE_URL": f"http://127.0.0.1:{ports['google_calendar_service']}",
            "ADMIN_API_KEY": ADMIN_KEY,
            "SERVICE_API_KEY": SERVICE_KEY,
            "CREDENTIALS_ENCRYPTION_KEYS": FERNET_KEY,
            "OWNER_CODE": OWNER_CODE,
            "SANDBOX_SECRET": SANDBOX_SECRET,
            "TELEGRAM_TOKEN": BOT_TOKEN,
            "SANDBOX_TELEGRAM_TOKEN": BOT_TOKEN,
            "TELEGRAM_API_URL": f"{outside}/telegram",
            "OPENAI_API_KEY": "sk-harness-0000000000000000",
            "OPENAI_BASE_URL": f"{outside}/openai/v1",
            "OPENAI_DEFAULT_MODEL": "sandbox-demo",
            "GOOGLE_CLIENT_ID": "harness.apps.example",
            "GOOGLE_CLIENT_SECRET": "harness-google-secret",
            "GOOGLE_REDIRECT_URI": f"http://127.0.0.1:{ports['google_calendar_service']}/auth/callback",
            "GOOGLE_AUTH_URL": f"{outside}/google/o/oauth2/auth",
            "GOOGLE_TOKEN_URL": f"{outside}/google/token",
            "WEATHER_API_URL": f"{outside}/weather",
            "WEATHER_GEOCODING_URL": f"{outside}/weather",
        }
        return own | self.extra

    def _redis_user(self, service: str) -> dict[str, str]:
        """As in the local runtime each service has its own user, where the server has users."""
        if "TEST_REDIS_USERS" not in self.servers or service not in redis_users.SERVICES:
            return {}
        password = unquote(urlsplit(self.servers["TEST_REDIS_URL"]).password or "")
        own = redis_users.password_of(service, {"REDIS_PASSWORD": password})
        return {"REDIS_USER": service, "REDIS_PASSWORD": own}

    def denied(self) -> set[str]:
        """What Redis has denied to the services so far: a key or a command that `ops.redis_users` lacks."""
        client = redis.Redis.from_url(self.servers["TEST_REDIS_URL"], decode_responses=True)
        with client:
            entries = client.acl_log(128)
        return {f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in entries}

    def _migrate(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "rest_service.app.migrate"],
            cwd=ROOT,
            env=self.processes["rest_service"].environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_TIMEOUT,
        )
        if done.returncode:
            msg = f"the migration failed:\n{done.stderr[-3000:]}"
            raise SuiteError(msg)

    def _launch_and_wait(self, names: list[str]) -> None:
        started = [self.processes[name] for name in names if name in self.processes]
        for process in started:
            process.launch()
        deadline = time.monotonic() + START_TIMEOUT
        for process in started:
            while process.health() != 200:
                ended = process.popen is None or process.popen.poll() is not None
                if ended or time.monotonic() > deadline:
                    msg = f"{process.name} is not healthy:\n{process.tail()}"
                    raise SuiteError(msg)
                time.sleep(0.05)
            process.wanted = True

    def _watch(self) -> None:
        while not self._stopping.wait(0.05):
            for process in self.processes.values():
                with self._turn:
                    if process.wanted and process.popen and process.popen.poll() is not None:
                        process.launch()


def _process(process: Process) -> psutil.Process:
    assert process.popen is not None
    return psutil.Process(process.popen.pid)


def ask_sandbox(url: str, method: str, path: str, body: Any = None) -> Any:
    """One JSON request to the chat interface or the control of the sandbox at `url`."""
    return call_json(method, url + path, body, {"Authorization": f"Bearer {SANDBOX_SECRET}"})


def call_json(method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
    """One JSON request; raises `urllib.error.HTTPError` on 400 and above."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=data, method=method, headers={"Content-Type": "application/json", **(headers or {})}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        content = answer.read()
    return json.loads(content) if content else None
