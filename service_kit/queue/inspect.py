"""What an operator sees and does: `python -m service_kit.queue.inspect`, called by manage.py.

depth [--json] [QUEUE...]               how many messages stand where
dead list [QUEUE] [--limit N] [--json]    the newest dead letters; the index stays right while others come
dead requeue QUEUE INDEX | --all        back to the tail of the queue, as if new
dead drop QUEUE INDEX | --all           delete

Exit codes: 0 done, 1 Redis does not answer or refuses, 2 wrong arguments, 3 no such dead letter.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

import redis
from redis.exceptions import RedisError

from service_kit.logging import redact_text
from service_kit.queue import scripts
from service_kit.queue.base import Depth
from service_kit.queue.dead_letters import DeadLetter
from service_kit.redis import connect_sync
from service_kit.settings import QueueSettings, RedisSettings, ServiceSettings, load

SHOWN_CHARS = 300
"""Of a dead letter's message, in the list for people."""

Action = Literal["requeue", "drop"]


class Inspector:
    """Looks at queues in Redis and handles their dead letters. Methods raise `RedisError`."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def depth(self, queue: str) -> Depth:
        """How many messages stand where."""
        return Depth(*scripts.run_sync(self._redis, scripts.load("depth"), queue, ""))

    def dead(self, queue: str, limit: int) -> list[tuple[int, DeadLetter]]:
        """The newest `limit` dead letters with their indexes, oldest first."""
        # counted from the oldest, so that new letters do not move the indexes
        size = self._redis.llen(f"{queue}:dead")
        first = max(0, size - limit)
        entries = self._redis.lrange(f"{queue}:dead", first, size - 1) if size else []
        return [(first + i, DeadLetter.parse(_bytes(entry))) for i, entry in enumerate(entries)]

    def remove(self, queue: str, action: Action, index: int | None = None) -> int:
        """Requeue or drop one dead letter, or (no index) all there are now; returns how many."""
        first, count = (0, self._redis.llen(f"{queue}:dead")) if index is None else (index, 1)
        if count == 0:
            return 0
        return int(
            scripts.run_sync(
                self._redis, scripts.load("remove_dead_letters"), queue, "", first, count, action
            )
        )


def _bytes(entry: bytes | str) -> bytes:
    return entry.encode() if isinstance(entry, str) else entry


class Settings(ServiceSettings, RedisSettings, QueueSettings):
    """What the command reads from the environment."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    settings = load(Settings)
    try:
        with connect_sync(settings) as client:
            return _run(options, Inspector(client), settings)
    except (RedisError, OSError) as exc:
        sys.stderr.write(f"Redis does not answer as it should: {redact_text(str(exc))}\n")
        return 1


def _run(options: argparse.Namespace, inspector: Inspector, settings: Settings) -> int:
    both = [settings.input_queue, settings.assistant_output_queue]
    if options.command == "depth":
        _show_depths(
            {queue: inspector.depth(queue) for queue in options.queues or both}, as_json=options.json
        )
        return 0
    if options.action == "list":
        for queue in [options.queue] if options.queue else both:
            _show_dead(queue, inspector.dead(queue, options.limit), as_json=options.json)
        return 0
    index = None if options.all else options.index
    count = inspector.remove(options.queue, options.action, index)
    if index is not None and count == 0:
        sys.stderr.write(f"{options.queue} has no dead letter {index}; `dead list` shows them.\n")
        return 3
    sys.stdout.write(f"{'requeued' if options.action == 'requeue' else 'dropped'}: {count}\n")
    return 0


def _show_depths(depths: dict[str, Depth], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({queue: asdict(depth) for queue, depth in depths.items()}) + "\n")
        return
    for queue, depth in depths.items():
        counts = "  ".join(f"{name} {count}" for name, count in asdict(depth).items())
        sys.stdout.write(f"{queue}: {counts}\n")


def _show_dead(queue: str, letters: list[tuple[int, DeadLetter]], *, as_json: bool) -> None:
    if not as_json:
        sys.stdout.write(f"{queue}: {'dead letters, oldest first' if letters else 'no dead letters'}\n")
    for index, letter in letters:
        message = letter.raw.decode("utf-8", "backslashreplace")
        if as_json:
            shown = {"queue": queue, "index": index, "reason": letter.reason}
            shown |= {"attempts": letter.attempts, "by": letter.by}
            sys.stdout.write(json.dumps(shown | {"at": letter.at.isoformat(), "message": message}) + "\n")
            continue
        short = message if len(message) <= SHOWN_CHARS else message[:SHOWN_CHARS] + "…"
        sys.stdout.write(
            f"  {index}  {letter.at:%Y-%m-%d %H:%M:%S} UTC  attempts {letter.attempts}  {letter.reason}\n"
            f"      {_printable(short)}\n"
        )


def _printable(text: str) -> str:
    """A stranger's text must not steer the operator's terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service_kit.queue.inspect", description="The queues.")
    commands = parser.add_subparsers(dest="command", required=True)
    depth = commands.add_parser("depth", help="how many messages stand where")
    depth.add_argument("queues", nargs="*", metavar="QUEUE", help="default: both queues of the suite")
    depth.add_argument("--json", action="store_true", help="one JSON object, for scripts")
    actions = commands.add_parser("dead", help="the dead letters").add_subparsers(
        dest="action", required=True
    )
    listing = actions.add_parser("list", help="show the newest, with their indexes")
    listing.add_argument("queue", nargs="?", metavar="QUEUE", help="default: both queues of the suite")
    listing.add_argument("--limit", type=_count, default=20, help="how many (default: 20)")
    listing.add_argument("--json", action="store_true", help="one JSON object a line, messages in full")
    for action, text in (("requeue", "put back to the tail of the queue"), ("drop", "throw away")):
        command = actions.add_parser(action, help=text)
        command.add_argument("queue", metavar="QUEUE")
        which = command.add_mutually_exclusive_group(required=True)
        which.add_argument("index", nargs="?", type=_index, metavar="INDEX", help="as `dead list` shows it")
        which.add_argument("--all", action="store_true", help="all there are now")
    return parser


def _index(text: str) -> int:
    return _at_least(0, text)


def _count(text: str) -> int:
    return _at_least(1, text)


def _at_least(least: int, text: str) -> int:
    number = int(text) if text.isdecimal() else -1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} up")
    return number


if __name__ == "__main__":
    sys.exit(main())
