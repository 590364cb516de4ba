"""PostgreSQL and Valkey of a test run, and free ports."""

import contextlib
import itertools
import random
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ops import redis_users
from ops.embedded import (
    Account,
    Binaries,
    EmbeddedServerError,
    as_account,
    init_postgres,
    place_postgres,
    postgres_command,
    server_account,
    valkey_command,
    write_valkey_config,
)

START_TIMEOUT = 30.0
_CANDIDATES = itertools.cycle(random.sample(range(18_000, 32_000), 14_000))
"""Below the range of outgoing connections (Linux begins it at 32768). In an order of our own, so that no
port is given twice by us and rarely by two at once."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free at this moment.

    Never one that the system gives to outgoing connections: those of whatever starts meanwhile would
    take it before it is listened on.
    """
    while True:
        port = next(_CANDIDATES)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def wait_for_port(
    port: int, process: "subprocess.Popen[bytes] | None" = None, timeout: float = START_TIMEOUT
) -> None:
    """Return when something answers on 127.0.0.1:`port`."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            break
        with socket.socket() as sock:
            sock.settimeout(0.5)
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    msg = f"nothing answers on 127.0.0.1:{port} after {timeout:.0f} s"
    raise EmbeddedServerError(msg)


@dataclass
class ThrowAwayServers:
    """A PostgreSQL and a Valkey for a test run: own folder, own ports, gone afterwards. A context manager."""

    binaries: Binaries
    user: str = "test_user"
    password: str = "test_password"  # noqa: S105 - of servers that live as long as a test run
    database: str = "test_db"
    postgres_port: int = field(default_factory=free_port)
    valkey_port: int = field(default_factory=free_port)
    _home: Path = field(init=False)
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list, init=False)

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="smart-assistant-test-"))
        self._home.chmod(0o711)
        try:
            self._start_postgres()
            self._start_valkey()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        for process in self.processes:
            process.send_signal(2)  # SIGINT: PostgreSQL's fast stop
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """What the test run needs to find them."""
        login = f"{self.user}:{self.password}"
        return {
            "TEST_DATABASE_URL": f"postgresql://{login}@127.0.0.1:{self.postgres_port}/{self.database}",
            "TEST_REDIS_URL": f"redis://:{self.password}@127.0.0.1:{self.valkey_port}/0",
            "TEST_REDIS_USERS": "1",
        }

    def _start_postgres(self) -> None:
        account = server_account()
        bin_dir = place_postgres(self.binaries, self._home / "programs", account)
        data = self._home / "postgres"
        init_postgres(bin_dir, data, self.user, self.password, account)
        command = [
            *postgres_command(bin_dir, data, self.postgres_port),
            "-c",
            "fsync=off",
            "-c",
            "max_connections=200",
        ]
        self._launch(command, self.postgres_port, account)
        self._create_database(bin_dir)

    def _create_database(self, bin_dir: Path) -> None:
        client = ["-h", "127.0.0.1", "-p", str(self.postgres_port), "-U", self.user]
        deadline = time.monotonic() + START_TIMEOUT
        # the port opens a moment before queries are taken
        while self._run([str(bin_dir / "pg_isready"), *client]).returncode:
            if time.monotonic() > deadline:
                msg = f"PostgreSQL takes no queries after {START_TIMEOUT:.0f} s"
                raise EmbeddedServerError(msg)
            time.sleep(0.05)
        created = self._run([str(bin_dir / "createdb"), *client, self.database])
        if created.returncode:
            msg = f"the test database cannot be made: {created.stderr.strip()}"
            raise EmbeddedServerError(msg)

    def _run(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            env={"PGPASSWORD": self.password, "LC_ALL": "C"},
            capture_output=True,
            encoding="utf-8",
            check=False,
            cwd="/",
            timeout=60,
        )

    def _start_valkey(self) -> None:
        data = self._home / "valkey"
        config = self._home / "valkey.conf"
        users = redis_users.rules({"REDIS_PASSWORD": self.password}, redis_users.EVERYTHING)
        write_valkey_config(config, data, self.valkey_port, self.password, users)
        self._launch(valkey_command(self.binaries.valkey_server, config), self.valkey_port, None)

    def _launch(self, command: list[str], port: int, account: Account | None) -> None:
        with (self._home / f"{port}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
                **as_account(account),  # type: ignore[call-overload]  # a dict of the account's keywords
            )
        self.processes.append(process)
        try:
            wait_for_port(port, process)
        except EmbeddedServerError as exc:
            log_text = (self._home / f"{port}.log").read_text(encoding="utf-8", errors="replace")
            msg = f"{exc}\n{log_text[-2000:]}"
            raise EmbeddedServerError(msg) from exc
