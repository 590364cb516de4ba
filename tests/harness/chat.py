"""A person who chats through the sandbox, as the chat page and `./manage.py chat` do."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.harness.suite import OWNER_CODE, Suite, ask_sandbox

T = TypeVar("T")

ANSWER_TIMEOUT = 60.0


def wait_for(look: Callable[[], T], good: Callable[[T], bool], timeout: float = ANSWER_TIMEOUT) -> T:
    """What `look` returns, as soon as it is `good`."""
    deadline = time.monotonic() + timeout
    while True:
        seen = look()
        if good(seen):
            return seen
        if time.monotonic() > deadline:
            msg = f"still {seen!r} after {timeout:.0f} s"
            raise AssertionError(msg)
        time.sleep(0.1)


@dataclass
class Person:
    """Somebody at the other end of Telegram."""

    url: str
    id: int
    """In Telegram."""
    seen: int = 0
    user_id: int = 0
    """In rest_service; 0 as long as nobody has looked."""
    asked: int = 0
    """Messages that this person has sent."""

    @classmethod
    def join(cls, suite: Suite, name: str, *, url: str | None = None) -> "Person":
        """The person of this name, in the sandbox at `url` (None: the first); not yet known to the bot."""
        url = url or suite.sandbox_url
        return cls(url=url, id=ask_sandbox(url, "POST", "/chat/people", {"name": name})["id"])

    @classmethod
    def owner(cls, suite: Suite) -> "Person":
        """The default person, made owner by the one-time code."""
        person = cls.join(suite, "You")
        person.ask(f"/start {OWNER_CODE}")
        return person

    @classmethod
    def member(cls, suite: Suite, name: str, **fields: Any) -> "Person":
        """A person whom the admin has admitted; `fields` are further ones of the user."""
        person = cls.join(suite, name)
        user = {"telegram_id": person.id, "first_name": name, **fields}
        person.user_id = suite.rest("POST", "/api/users", user)["id"]
        return person

    def say(self, text: str) -> None:
        """Send without waiting."""
        self.asked += 1
        ask_sandbox(self.url, "POST", f"/chat/people/{self.id}/messages", {"text": text})

    def ask(self, text: str) -> str:
        """Send and wait for the next answer."""
        self.say(text)
        return self.next_answer()

    def next_answer(self, timeout: float = ANSWER_TIMEOUT) -> str:
        """The text of the next message from the bot that was not returned yet."""
        return str(self.next_message(timeout)["text"])

    def next_message(self, timeout: float = ANSWER_TIMEOUT) -> dict[str, Any]:
        """The next message from the bot that was not returned yet."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for message in self.history(after=self.seen, wait=2):
                self.seen = message["number"]
                if message["from"] == "bot":
                    return message
        msg = f"no answer within {timeout:.0f} s"
        raise AssertionError(msg)

    def history(self, *, after: int = 0, wait: int = 0) -> list[dict[str, Any]]:
        """Messages with a number above `after`."""
        path = f"/chat/people/{self.id}/messages?after={after}&wait={wait}"
        answer = ask_sandbox(self.url, "GET", path)
        messages: list[dict[str, Any]] = answer["messages"]
        return messages
