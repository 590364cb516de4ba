"""A new owner's code: in `.env` and in the bot before the present owner becomes a member."""

import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ops import environment, owner
from ops.errors import OpsError
from ops.project import Project
from ops.shell import Shell


class Suite:
    """A runtime and rest_service's users; notes what is done, in order."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.steps: list[str] = []
        self.port = 0

    def load(self) -> Project:
        project = environment.load(self.checkout, {}, write=False)[0]
        return Project(project.root, {**project.values, "REST_SERVICE_PORT": str(self.port)})

    def make(self, project: Project) -> "Suite":
        self.code = project.values[owner.VARIABLE]
        return self

    def restart(self, services: Sequence[str]) -> None:
        self.steps.append(f"restart {' '.join(services)} with {self.code}")

    def renew(self, *, dry_run: bool = False) -> None:
        owner.renew(Shell(self.checkout, dry_run=dry_run), self.load, self.make)  # type: ignore[arg-type]  # enough of one


@pytest.fixture
def suite(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    monkeypatch.delenv(owner.VARIABLE, raising=False)
    environment.load(checkout, {}, write=True)
    suite = Suite(checkout)

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            suite.steps.append(f"{self.command} {self.path} {body}".strip())
            data = b'[{"id": 7, "first_name": "Ada"}]' if self.command == "GET" else b"{}"
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = respond  # noqa: N815 - names of the base class

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket.setblocking(False)  # or a client that is gone before it was accepted blocks it
    suite.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield suite
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_bot_has_the_new_code_before_the_owner_is_dismissed(
    suite: Suite, capsys: pytest.CaptureFixture[str]
):
    old = suite.load().values[owner.VARIABLE]
    suite.renew()
    new = suite.load().values[owner.VARIABLE]
    assert new != old
    assert suite.steps == [
        f"restart tg_bot with {new}",
        "GET /api/users?role=owner",
        'PATCH /api/users/7 {"role": "member"}',
    ]
    printed = capsys.readouterr()
    assert f"/start {new}" in printed.out
    assert "Ada is a member now" in printed.err


def test_a_dry_run_changes_no_code(suite: Suite):
    old = suite.load().values[owner.VARIABLE]
    suite.renew(dry_run=True)
    assert suite.load().values[owner.VARIABLE] == old
    assert suite.steps == [f"restart tg_bot with {old}"]  # which only shows what it would do


def test_a_code_in_the_shell_is_not_ours_to_change(suite: Suite, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(owner.VARIABLE, "from-the-shell")
    with pytest.raises(OpsError, match="unset it first"):
        suite.renew()
    assert suite.steps == []
