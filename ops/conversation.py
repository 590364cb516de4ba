"""A person's conversation with the bot through the sandbox's chat interface (docs/architecture.md)."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ops.errors import OpsError
from ops.http_json import HttpError, call
from ops.project import Project

DEFAULT_PERSON = "You"
LONG_POLL = 20
QUIET = 0.4
"""Seconds without news after an answer that mean: this was all of it."""
QUIET_LONG = 2.5
"""The same after a part as long as Telegram allows: the next part follows at the chat's rate limit."""
LONG_PART = 3000


@dataclass(frozen=True)
class Message:
    """One message of the conversation."""

    number: int
    from_bot: bool
    text: str
    entities: list[dict[str, Any]]


class Conversation:
    """One person at the sandbox's end of Telegram."""

    def __init__(self, project: Project, name: str | None) -> None:
        self.name = name or DEFAULT_PERSON
        self._default = name in {None, DEFAULT_PERSON}
        self._values = project.values
        self._rest = project.url("REST_SERVICE_PORT")
        self._secret = project.values["SANDBOX_SECRET"]
        sandbox = project.url("SANDBOX_PORT")
        made = call("POST", f"{sandbox}/chat/people", {"name": self.name}, key=self._secret)
        self.person_id = int(made["id"])
        self._messages = f"{sandbox}/chat/people/{self.person_id}/messages"
        self.seen = max((message.number for message in self.poll(after=0, wait=0)[0]), default=0)

    def admit(self, timeout: float) -> Message | None:
        """See to it that the bot knows the person; its welcome, if it had to be introduced.

        The first person is the owner and proves it with the code from `.env`; others become members.
        """
        user = self._user()
        if user is not None and user["role"] == "blocked":
            way = f"PATCH {self._rest}/api/users/{user['id']}"
            msg = f"{self.name} is blocked; the admin may change that: {way}"
            raise OpsError(msg)
        if self._default and not self._has_owner():
            welcome = next(iter(self.ask(f"/start {self._values['OWNER_CODE']}", timeout)), None)
            if self._user() is not None:
                return welcome
        if user is not None:
            return None
        body = {"telegram_id": self.person_id, "first_name": self.name[:256], "role": "member"}
        self._admin("POST", "/api/users", body)
        return None

    def ask(self, text: str, timeout: float) -> list[Message]:
        """Send `text`; the bot's answer in one or more messages, none after `timeout` seconds."""
        self.seen = max(self.seen, self.send(text))
        return list(self.answers(timeout))

    def send(self, text: str) -> int:
        """Send without waiting; the message's number."""
        return int(call("POST", self._messages, {"text": text}, key=self._secret)["number"])

    def answers(self, timeout: float) -> Iterator[Message]:
        """Messages of the bot, from the first until it has been quiet for a moment."""
        deadline = time.monotonic() + timeout
        answered = False
        while time.monotonic() < deadline:
            messages, typing = self.poll(after=self.seen, wait=min(LONG_POLL, deadline - time.monotonic()))
            for message in messages:
                self.seen = message.number
                if message.from_bot:
                    answered = True
                    quiet = QUIET_LONG if len(message.text) > LONG_PART else QUIET
                    deadline = time.monotonic() + quiet
                    yield message
            # the bot goes on typing between the parts of a long answer
            if answered and typing:
                deadline = max(deadline, time.monotonic() + QUIET)

    def poll(self, *, after: int, wait: float) -> tuple[list[Message], bool]:
        """Messages newer than number `after` and whether the bot is typing.

        Answered when there is news or `wait` seconds are over.
        """
        url = f"{self._messages}?after={after}&wait={max(wait, 0):.1f}"
        found = call("GET", url, key=self._secret, timeout=LONG_POLL + 10)
        messages = [
            Message(one["number"], one["from"] == "bot", one["text"], one.get("entities") or [])
            for one in found["messages"]
        ]
        return messages, bool(found["typing"])

    def _user(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._admin("GET", f"/api/users/by-telegram-id/{self.person_id}")
        except HttpError as exc:
            if exc.status == 404:
                return None
            raise
        return found

    def _has_owner(self) -> bool:
        return bool(self._admin("GET", "/api/users?role=owner&limit=1"))

    def _admin(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        return call(method, self._rest + path, body, key=self._values["ADMIN_API_KEY"])
