"""Users of Redis: one for each service, which reaches the keys and commands that it needs and no others.

Both runtimes hand the same rules to the server. A service's password is made from REDIS_PASSWORD, which is
the operator's (Redis' user `default`): whoever reads one service's environment reaches no other one's keys.
"""

import hashlib
import hmac
from collections.abc import Mapping

_DATA = "+@string +@list +@set +@hash +@sortedset +del +exists +expire +pexpire +pttl +ttl +time"
_SCRIPTS = "+eval +evalsha +script|load +multi +exec +discard"
_NEVER = "-@dangerous"
"""KEYS, FLUSHALL, CONFIG and their like; stands last, for the last rule on a command counts."""
OPERATOR = "~* &* +@all -flushall -flushdb -config -acl"
"""Nobody may empty the queues or change the settings that keep them."""
EVERYTHING = "~* &* +@all"
"""For servers of tests."""

_OF_QUEUES = f"{_DATA} {_SCRIPTS}"
_COMMANDS = {
    "rest_service": "+set +get +incrby +smembers",
    "google_calendar_service": "+set +getdel",
    "cron_service": _OF_QUEUES,
    "assistant": f"{_OF_QUEUES} +publish",
    "tg_bot": _OF_QUEUES,
}
_CHANGES = "%R~changes:*"
_KEYS = {
    "rest_service": "~changes:* %R~tool_types %R~model_providers",
    "google_calendar_service": "~google:consent:*",
    "cron_service": f"{_CHANGES} {{out}}",
    "assistant": (
        f"{_CHANGES} {{in}} {{out}} ~tool_types ~model_providers ~remote_assistants ~cool_down:* ~usage:* "
        "~trouble ~trouble_told:* "
        "~threads:* ~conversation:* ~conversations:* ~summary:* ~run:* &stream:to_telegram"
    ),
    "tg_bot": f"{_CHANGES} {{in}} {{out}} ~tg:* ~part:*",
}
"""Read-only where it begins with %R; `{in}` and `{out}` stand for the two queues."""
SERVICES = tuple(_COMMANDS)
"""Those with a user of their own, which has the service's name."""


def password_of(service: str, values: Mapping[str, str]) -> str:
    """The password of a service's user; whoever has it cannot tell REDIS_PASSWORD or another one's."""
    secret = values.get("REDIS_PASSWORD", "").encode()
    return hmac.new(secret, f"redis user {service}".encode(), hashlib.sha256).hexdigest()


def rules(values: Mapping[str, str], operator: str = OPERATOR) -> list[str]:
    """Lines for the server's configuration. They hold hashes of the passwords only."""
    queues = {
        "in": _queue(values.get("INPUT_QUEUE") or "queue:to_secretary"),
        "out": _queue(values.get("ASSISTANT_OUTPUT_QUEUE") or "queue:to_telegram"),
    }
    # nobody but the operator logs in without a user's name
    lines = [f"user default on #{_hash(values.get('REDIS_PASSWORD', ''))} {operator}"]
    for service in SERVICES:
        keys = _KEYS[service].format(**queues)
        login = f"user {service} on #{_hash(password_of(service, values))}"
        lines.append(f"{login} resetchannels {keys} -@all +@connection {_COMMANDS[service]} {_NEVER}")
    return lines


def _queue(name: str) -> str:
    return f"~{name} ~{name}:*"


def _hash(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
