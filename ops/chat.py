"""`./manage.py chat`: the conversation in the terminal, through the sandbox."""

import itertools
import sys
import threading
from contextlib import suppress
from urllib.parse import urlencode

from ops import ansi
from ops.conversation import Conversation, Message
from ops.errors import OpsError
from ops.project import Project
from ops.sandbox_rules import find_sandbox_parts

WITH_TELEGRAM = """\
This suite talks to the real Telegram (TELEGRAM_TOKEN or TELEGRAM_API_URL is set): open the chat with your
bot there. The first to send it  /start {code}  becomes its owner."""

PROMPT = "you ▸ "
BOT = "bot ◂ "
DIM, PLAIN = "\x1b[2m", "\x1b[0m"
CLEAR_LINE = "\r\x1b[K"


def refuse_real_telegram(project: Project) -> None:
    """Raises OpsError (exit code 2) where the conversation takes place in Telegram itself."""
    if not find_sandbox_parts(project.values).telegram:
        raise OpsError(WITH_TELEGRAM.format(code=project.values["OWNER_CODE"]), exit_code=2)


def page_url(project: Project) -> str:
    """The chat page, with the secret that opens it and the code that makes its first visitor the owner."""
    link = {"key": project.values["SANDBOX_SECRET"], "start": project.values["OWNER_CODE"]}
    return f"{project.url('SANDBOX_PORT')}/?{urlencode(link)}"


def say(project: Project, text: str, name: str | None, timeout: float) -> None:
    """Ask one question and print the answer alone. Raises OpsError where none comes."""
    conversation = Conversation(project, name)
    conversation.admit(timeout)
    answers = conversation.ask(text, timeout)
    if not answers:  # the exit code tells a script
        msg = f"no answer within {timeout:.0f} s: ./manage.py status, ./manage.py logs --service assistant"
        raise OpsError(msg)
    for answer in answers:
        print(_render(answer))


def talk(project: Project, name: str | None, timeout: float) -> None:
    """A conversation until Ctrl-D."""
    with suppress(ImportError):  # line editing and history, where Python has it
        import readline  # noqa: F401, PLC0415 - importing it is what changes input()

    conversation = Conversation(project, name)
    print(f"Chat of {conversation.name}. The same in the browser: {page_url(project)}")
    print("Ctrl-D ends it, the suite goes on.\n")
    welcome = conversation.admit(timeout)
    if welcome:
        print(BOT + _render(welcome) + "\n")
    Terminal(conversation).run()


class Terminal:
    """Reads lines and prints whatever the bot says meanwhile, reminders too."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._leaving = threading.Event()
        self._typing = False
        self._printing = threading.Lock()

    def run(self) -> None:
        """Until the end of input."""
        for target in (self._listen, self._animate):
            threading.Thread(target=target, daemon=True).start()
        try:
            while True:
                line = input(PROMPT).strip()
                if line:
                    self._conversation.send(line)
        except EOFError:
            print()
        finally:
            self._leaving.set()

    def _listen(self) -> None:
        while not self._leaving.is_set():
            try:
                messages, self._typing = self._conversation.poll(after=self._conversation.seen, wait=20)
            except OpsError as exc:
                self._print(f"{DIM}(no connection: {exc}){PLAIN}")
                self._leaving.wait(3)
                continue
            for message in messages:
                self._conversation.seen = max(self._conversation.seen, message.number)
                if message.from_bot:
                    self._typing = False
                    self._print(BOT + _render(message))

    def _animate(self) -> None:
        """Dots below the person's line while the bot is typing."""
        if not sys.stdout.isatty():
            return
        shown = False
        for dots in itertools.cycle((".  ", ".. ", "...")):
            if self._leaving.wait(0.35):
                return
            with self._printing:
                if self._typing and not _input_so_far():
                    print(f"{CLEAR_LINE}{DIM}{BOT}{dots}{PLAIN}", end="", flush=True)
                    shown = True
                elif shown:
                    print(CLEAR_LINE + PROMPT + _input_so_far(), end="", flush=True)
                    shown = False

    def _print(self, text: str) -> None:
        """Print above the line that is being typed."""
        with self._printing:
            if sys.stdout.isatty():
                print(f"{CLEAR_LINE}{text}\n\n{PROMPT}{_input_so_far()}", end="", flush=True)
            else:
                print(f"\n{text}", flush=True)


def _render(message: Message) -> str:
    if sys.stdout.isatty():
        return ansi.render(message.text, message.entities)
    return ansi.safe(message.text)


def _input_so_far() -> str:
    """What stands on the line that is being edited."""
    readline = sys.modules.get("readline")
    return str(readline.get_line_buffer()) if readline else ""
