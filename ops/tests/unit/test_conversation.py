"""The terminal chat against small stand-ins of the sandbox's chat interface and of rest_service."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ops import chat
from ops.conversation import Conversation
from ops.errors import OpsError
from ops.project import Project

CODE = "owner-code"
KEY = "admin-key"
SECRET = "secret-of-the-link"


class World:
    """Chat interface and user API in one, on one port. The bot answers `re: …`, but only to whom it knows."""

    def __init__(self) -> None:
        self.people: dict[str, int] = {}
        self.messages: dict[int, list[dict[str, Any]]] = {}
        self.users: list[dict[str, Any]] = []
        self.mute = False
        self.parts = 1

    def person(self, name: str) -> int:
        number = self.people.setdefault(name, 1001 + len(self.people))
        self.messages.setdefault(number, [])
        return number

    def add(self, person: int, sender: str, text: str) -> dict[str, Any]:
        message = {"number": len(self.messages[person]) + 1, "from": sender, "text": text, "entities": []}
        self.messages[person].append(message)
        return message

    def receive(self, person: int, text: str) -> dict[str, Any]:
        sent = self.add(person, "user", text)
        known = any(user["telegram_id"] == person for user in self.users)
        if text == f"/start {CODE}" and not any(user["role"] == "owner" for user in self.users):
            self.users = [user for user in self.users if user["telegram_id"] != person]
            self.users.append({"id": 1, "telegram_id": person, "role": "owner"})
            self.add(person, "bot", "Welcome!")
        elif known and not self.mute:
            for part in range(self.parts):
                self.add(person, "bot", f"re: {text}" + (f" ({part})" if self.parts > 1 else ""))
        return {"number": sent["number"], "update_id": 1}

    def answer(self, method: str, url: str, body: Any, key: str | None) -> tuple[int, Any]:
        parts, query = urlsplit(url).path.strip("/").split("/"), parse_qs(urlsplit(url).query)
        if key != f"Bearer {KEY if parts[0] == 'api' else SECRET}":
            return 401, {"code": "unauthorized"}
        match method, parts:
            case "POST", ["chat", "people"]:
                return 200, {"id": self.person(body["name"]), "name": body["name"]}
            case "POST", ["chat", "people", person, "messages"]:
                return 200, self.receive(int(person), body["text"])
            case "GET", ["chat", "people", person, "messages"]:
                newer = [m for m in self.messages[int(person)] if m["number"] > int(query["after"][0])]
                return 200, {"messages": newer, "typing": False}
            case "GET", ["api", "users", "by-telegram-id", person]:
                found = [user for user in self.users if user["telegram_id"] == int(person)]
                return (200, found[0]) if found else (404, {"code": "not_found"})
            case "GET", ["api", "users"]:
                return 200, [user for user in self.users if user["role"] == query["role"][0]]
            case "POST", ["api", "users"]:
                self.users.append({"id": len(self.users) + 1, **body})
                return 201, self.users[-1]
        return 404, {}


@pytest.fixture
def world() -> Iterator[tuple[World, int]]:
    world = World()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = world.answer(self.command, self.path, body, self.headers.get("Authorization"))
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = respond  # noqa: N815 - names of the base class

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket.setblocking(False)  # or a client that is gone before it was accepted blocks it
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield world, server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def suite(world: tuple[World, int], project: Project) -> Project:
    port = str(world[1])
    values = {"SANDBOX_PORT": port, "REST_SERVICE_PORT": port, "OWNER_CODE": CODE, "ADMIN_API_KEY": KEY}
    values["SANDBOX_SECRET"] = SECRET
    return Project(project.root, {**project.values, **values})


def test_the_first_person_becomes_the_owner(world: tuple[World, int], suite: Project):
    conversation = Conversation(suite, None)
    welcome = conversation.admit(5)
    assert welcome is not None
    assert welcome.text == "Welcome!"
    assert [user["role"] for user in world[0].users] == ["owner"]
    assert [answer.text for answer in conversation.ask("hi", 5)] == ["re: hi"]


def test_another_person_is_admitted_as_a_member(world: tuple[World, int], suite: Project):
    Conversation(suite, None).admit(5)
    conversation = Conversation(suite, "Ada")
    assert conversation.admit(5) is None
    assert world[0].users[-1] == {"id": 2, "telegram_id": 1002, "first_name": "Ada", "role": "member"}
    assert [answer.text for answer in conversation.ask("hi", 5)] == ["re: hi"]


def test_the_default_person_is_a_member_where_somebody_else_is_the_owner(
    world: tuple[World, int], suite: Project
):
    world[0].users.append({"id": 1, "telegram_id": 5, "role": "owner"})
    conversation = Conversation(suite, None)
    conversation.admit(5)
    assert world[0].users[-1]["role"] == "member"
    assert all(CODE not in message["text"] for message in world[0].messages[conversation.person_id])


def test_the_default_person_takes_the_place_of_an_owner_who_was_dismissed(
    world: tuple[World, int], suite: Project
):
    world[0].users.append({"id": 1, "telegram_id": world[0].person("You"), "role": "member"})
    assert Conversation(suite, None).admit(5) is not None
    assert [user["role"] for user in world[0].users] == ["owner"]


def test_somebody_blocked_is_told_how_to_change_it(world: tuple[World, int], suite: Project):
    world[0].users.append({"id": 7, "telegram_id": world[0].person("Eve"), "role": "blocked"})
    with pytest.raises(OpsError, match="/api/users/7"):
        Conversation(suite, "Eve").admit(5)


def test_say_prints_the_answer_alone(
    world: tuple[World, int], suite: Project, capsys: pytest.CaptureFixture[str]
):
    chat.say(suite, "What time is it?", None, 5)
    assert capsys.readouterr().out == "re: What time is it?\n"


def test_say_prints_all_parts_of_a_long_answer(
    world: tuple[World, int], suite: Project, capsys: pytest.CaptureFixture[str]
):
    world[0].parts = 3
    chat.say(suite, "long", None, 5)
    assert capsys.readouterr().out.splitlines() == ["re: long (0)", "re: long (1)", "re: long (2)"]


def test_say_ignores_what_was_said_before(
    world: tuple[World, int], suite: Project, capsys: pytest.CaptureFixture[str]
):
    chat.say(suite, "first", None, 5)
    capsys.readouterr()
    chat.say(suite, "second", None, 5)
    assert capsys.readouterr().out == "re: second\n"


def test_no_answer_is_an_error(world: tuple[World, int], suite: Project, capsys: pytest.CaptureFixture[str]):
    Conversation(suite, None).admit(5)
    world[0].mute = True
    with pytest.raises(OpsError, match="no answer within"):
        chat.say(suite, "anybody?", None, 0.3)
    assert capsys.readouterr().out == ""
