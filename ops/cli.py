"""The commands of `./manage.py`: what may be typed, and who does it."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ops import commands
from ops.errors import OpsError
from ops.services import SERVICES

DESCRIPTION = """\
Runs Smart Assistant: in Docker where there is an engine, else as processes of this machine.

  ./manage.py chat      start everything if need be, and talk to the assistant
  ./manage.py test      run all tests on throw-away servers
"""


def main(argv: Sequence[str]) -> int:
    """Run one command; its exit code."""
    own, passed_on = _split(argv)
    args = _parser().parse_args(own)
    if passed_on and args.command != "test":
        print("manage.py: only `test` passes arguments on", file=sys.stderr)
        return 2
    args.passed_on = passed_on
    signal.signal(signal.SIGTERM, _terminate)
    root = Path(__file__).resolve().parent.parent
    try:
        return int(args.run(commands.Commands(root, args)) or 0)
    except OpsError as exc:
        print(f"manage.py: {exc}", file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        print("\nInterrupted. The same command may be given again at any time.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except PermissionError as exc:
        print(
            f"manage.py: no permission for {exc.filename}: run as the owner of this folder", file=sys.stderr
        )
        return 1
    except OSError as exc:  # a full disk, a folder where a file should be
        print(f"manage.py: {exc.filename or 'this machine'}: {exc.strerror or exc}", file=sys.stderr)
        return 1


def _terminate(_number: int, _frame: object) -> None:
    """SIGTERM ends us like an error does, so that whatever we have started is ended as well."""
    raise SystemExit(143)


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is ours, and what stands after `--`."""
    words = list(argv)
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="manage.py", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--runtime",
        choices=["docker", "local"],
        help="where the suite runs; default: where it runs already, else Docker if an engine answers",
    )
    common.add_argument(
        "--dry-run", action="store_true", help="only print the commands that would run; change nothing"
    )
    some = argparse.ArgumentParser(add_help=False)
    some.add_argument(
        "--service",
        dest="services",
        action="append",
        default=[],
        choices=list(SERVICES),
        metavar="NAME",
        help=f"only this one; may be repeated. Services: {', '.join(SERVICES)}",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_running(subparsers, [common, some])
    _add_looking(subparsers, common, some)
    _add_keeping(subparsers, common)
    _add_developing(subparsers, common)
    return parser


def _add_running(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    start = subparsers.add_parser("start", parents=parents, help="start the suite (or what has changed)")
    start.set_defaults(run=commands.Commands.start)
    stop = subparsers.add_parser("stop", parents=parents, help="stop it; the data stays")
    stop.set_defaults(run=commands.Commands.stop)
    restart = subparsers.add_parser("restart", parents=parents, help="stop and start again")
    restart.set_defaults(run=commands.Commands.restart)
    rebuild = subparsers.add_parser("rebuild", parents=parents, help="build or install anew, then start")
    rebuild.set_defaults(run=commands.Commands.rebuild)
    for parser in (start, rebuild):
        parser.add_argument(
            "--replicas",
            action="append",
            default=[],
            metavar="NAME=N",
            help="processes that share the work, for this start: --replicas assistant=3",
        )
    chat = subparsers.add_parser(
        "chat", parents=parents[:1], help="talk to the assistant; starts the suite if it does not run"
    )
    chat.add_argument("--say", metavar="TEXT", help="ask this and print the answer alone")
    chat.add_argument("--user", metavar="NAME", help="as this person, who is admitted if need be")
    chat.add_argument(
        "--timeout", type=float, default=120.0, metavar="SECONDS", help="how long to wait for an answer (120)"
    )
    chat.set_defaults(run=commands.Commands.chat)


def _add_looking(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
    some: argparse.ArgumentParser,
) -> None:
    status = subparsers.add_parser("status", parents=[common], help="services, addresses, health, queues")
    status.add_argument("--json", action="store_true", help="for scripts, on standard output")
    status.set_defaults(run=commands.Commands.status)
    logs = subparsers.add_parser("logs", parents=[common, some], help="what the services wrote")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    logs.add_argument("-n", "--lines", type=int, default=40, metavar="N", help="lines of each (40)")
    logs.set_defaults(run=commands.Commands.logs)
    dead = subparsers.add_parser("dead", parents=[common], help="messages that were given up")
    dead.add_argument("action", choices=["list", "requeue", "drop"])
    dead.add_argument(
        "queue", nargs="?", metavar="QUEUE", help="queue:to_secretary or queue:to_telegram; list: both"
    )
    which = dead.add_mutually_exclusive_group()
    which.add_argument("--index", type=int, metavar="N", help="the one that `list` shows as N")
    which.add_argument("--all", action="store_true", help="all of the queue")
    dead.set_defaults(run=commands.Commands.dead)


def _add_keeping(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    out = subparsers.add_parser(
        "export", parents=[common], help="write assistants, tools and links to a JSON file"
    )
    out.add_argument("file", metavar="FILE", help="the file; - is standard output")
    out.set_defaults(run=commands.Commands.export_file)
    into = subparsers.add_parser(
        "import", parents=[common], help="bring such a file in; --dry-run shows the difference"
    )
    into.add_argument("file", metavar="FILE", help="the file; - is standard input")
    into.set_defaults(run=commands.Commands.import_file)
    owner = subparsers.add_parser(
        "owner", parents=[common], help="a new code for whoever shall own the bot; prints it"
    )
    owner.set_defaults(run=commands.Commands.owner)
    rotate = subparsers.add_parser(
        "rotate-keys", parents=[common], help="encrypt the calendar tokens with another key"
    )
    instead = rotate.add_mutually_exclusive_group()
    instead.add_argument(
        "--drop-old", action="store_true", help="make no new key, but let go all others than the newest"
    )
    instead.add_argument(
        "--forget", action="store_true", help="a key is lost: remove the tokens that no key opens any more"
    )
    rotate.set_defaults(run=commands.Commands.rotate_keys)


def _add_developing(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    migrate = subparsers.add_parser(
        "migrate", parents=[common], help="write a migration from the changed models"
    )
    migrate.add_argument("message", metavar="MESSAGE", help="what changes, in a few words")
    migrate.set_defaults(run=commands.Commands.migrate)
    upgrade = subparsers.add_parser("upgrade", parents=[common], help="apply the migrations")
    upgrade.set_defaults(run=commands.Commands.upgrade)
    test = subparsers.add_parser(
        "test",
        parents=[common],
        help="run the tests on throw-away servers; what follows -- goes to pytest",
    )
    folders = [name for name, service in SERVICES.items() if service.module]
    test.add_argument(
        "--service",
        choices=[*folders, "service_kit", "ops", "tests"],
        metavar="NAME",
        help=f"only the tests of this folder: {', '.join(folders)}, service_kit, ops, tests",
    )
    test.set_defaults(run=commands.Commands.test)
    lock = subparsers.add_parser(
        "lock", parents=[common], help="write requirements*.txt from the requirements.in files"
    )
    how = lock.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="only say whether they would change (exit code 1)")
    how.add_argument("--upgrade", action="store_true", help="take the newest versions")
    lock.set_defaults(run=commands.Commands.lock)
