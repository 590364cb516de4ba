r"""`.env`: read it with errors that name the line, make it on the first start, complete it later.

The format is the common one of docker compose and python-dotenv without interpolation: `NAME=value`,
`'literal'`, `"with \n escapes"`, comments after ` #`. Values are never shown: most are secrets. What a word
processor or a web page has put in unseen (typographic quotes, invisible characters) is refused: as a part of
a key it would only show as a refusal by whoever the key is for.
"""

import base64
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.errors import OpsError

_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./*-]*")
_TYPOGRAPHIC = "“”„‟«»‹›‘’‚‛″′＂＇"
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}

GENERATORS: dict[str, Callable[[], str]] = {
    "ADMIN_API_KEY": lambda: secrets.token_hex(24),
    "SERVICE_API_KEY": lambda: secrets.token_hex(24),
    "ASSISTANT_API_KEY": lambda: secrets.token_hex(24),
    "TG_BOT_API_KEY": lambda: secrets.token_hex(24),
    "CRON_SERVICE_API_KEY": lambda: secrets.token_hex(24),
    "CALENDAR_API_KEY": lambda: secrets.token_hex(24),
    "POSTGRES_PASSWORD": lambda: secrets.token_hex(24),
    "POSTGRES_API_PASSWORD": lambda: secrets.token_hex(24),
    "REDIS_PASSWORD": lambda: secrets.token_hex(24),
    "SANDBOX_SECRET": lambda: secrets.token_urlsafe(24),
    "OWNER_CODE": lambda: secrets.token_hex(8),
    "CREDENTIALS_ENCRYPTION_KEYS": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
}
"""Variables that nobody should have to think up: made where `.env` leaves them empty."""


class EnvFileError(OpsError):
    """`.env` cannot be read; the text names the line."""


@dataclass(frozen=True)
class Line:
    """One line of the file; `name` is None for a comment or an empty one."""

    text: str
    name: str | None = None
    value: str = ""


def parse(text: str, *, source: str = ".env") -> list[Line]:
    """The lines of `text`. Raises EnvFileError naming the first line that is wrong."""
    lines: list[Line] = []
    seen: dict[str, int] = {}
    for number, raw in enumerate(
        text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1
    ):
        line = raw.strip()
        if not line or line.startswith("#"):
            lines.append(Line(raw))
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match is None:
            msg = f"{source}, line {number}: expected NAME=value (or a comment that begins with #)"
            raise EnvFileError(msg)
        name = match[1]
        if name in seen:  # parsers differ in which of two counts
            msg = f"{source}, line {number}: {name} is set a second time (first in line {seen[name]})"
            raise EnvFileError(msg)
        seen[name] = number
        try:
            lines.append(Line(raw, name, _value(match[2])))
        except ValueError as exc:
            msg = f"{source}, line {number}: the value of {name} {exc}"
            raise EnvFileError(msg) from None
    while lines and not lines[-1].text:
        lines.pop()
    return lines


def values(lines: list[Line]) -> dict[str, str]:
    """Name to value; an empty value means: not set."""
    return {line.name: line.value for line in lines if line.name}


def read(path: Path) -> list[Line]:
    """The lines of the file at `path`; EnvFileError where it cannot be read."""
    if path.exists() and not path.is_file():  # docker makes a folder where a file to mount is missing
        msg = f"{path} is no file: move it away (a new one is made), or put your own file there"
        raise EnvFileError(msg)
    try:
        return parse(path.read_text(encoding="utf-8"), source=path.name)
    except UnicodeDecodeError as exc:
        msg = f"{path.name} is not UTF-8 text (byte {exc.start}): save it as UTF-8"
        raise EnvFileError(msg) from None
    except PermissionError as exc:
        msg = f"{path} belongs to somebody else and cannot be read: run as its owner"
        raise EnvFileError(msg) from exc


def render(name: str, value: str) -> str:
    """`NAME=value`, quoted where it must be; `parse` gives the same value back."""
    if "\0" in value:
        msg = f"{name}: a value cannot hold a zero byte"
        raise EnvFileError(msg)
    if _PLAIN.fullmatch(value):
        return f"{name}={value}"
    if value.isprintable() and "'" not in value:
        return f"{name}='{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    for letter, character in _ESCAPES.items():
        escaped = escaped.replace(character, f"\\{letter}")
    return f'{name}="{escaped}"'


def complete(
    lines: list[Line], template: list[Line], fill: Mapping[str, str]
) -> tuple[list[Line], list[str]]:
    """`lines` with what they lack, and the names that were added or filled.

    A variable of `template` that is missing is appended with the comment above it; a variable of
    `fill` whose value is empty gets that value.
    """
    present = values(lines)
    missing = [name for name in values(template) if name not in present]
    result = list(lines)
    for name in missing:
        if not any(line.name in missing for line in result):
            result.append(Line(""))
        result += _block(template, name)
    filled = [name for name, value in values(result).items() if not value and fill.get(name)]
    result = [
        Line(render(line.name, fill[line.name]), line.name, fill[line.name]) if line.name in filled else line
        for line in result
    ]
    return result, [name for name in values(result) if name in missing or name in filled]


def replace_value(lines: list[Line], name: str, value: str) -> list[Line]:
    """`lines` with another value of `name`."""
    return [Line(render(name, value), name, value) if line.name == name else line for line in lines]


def write(path: Path, lines: list[Line]) -> None:
    """Replace the file at once, readable by its owner only; of a link, what it leads to."""
    path = path.resolve()
    # a crash while writing must not lose the keys: a new file, complete on disk, takes the place of the old
    handle, temporary = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # mode 600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("\n".join(line.text for line in lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def make_private(path: Path) -> bool:
    """Whether others could read the file, as they no longer can.

    Raises:
        EnvFileError: it is not ours to change.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & 0o077:
        return False
    try:
        path.chmod(0o600)
    except PermissionError as exc:
        msg = f"{path} holds secrets and others can read it (mode {mode:o}): its owner runs  chmod 600 {path}"
        raise EnvFileError(msg) from exc
    return True


def _block(template: list[Line], name: str) -> list[Line]:
    """The assignment of `name` with the comment lines directly above it."""
    end = next(i for i, line in enumerate(template) if line.name == name)
    start = end
    while start and template[start - 1].text.startswith("#"):
        start -= 1
    return template[start : end + 1]


def _value(raw: str) -> str:
    """The value behind the equals sign. Raises ValueError with the end of a sentence."""
    text = raw.strip()
    if text.startswith("'"):
        end = text.find("'", 1)
        if end < 0:
            msg = "has an opening ' without a closing one"
            raise ValueError(msg)
        return _before_comment(text[1:end], text[end + 1 :])
    if text.startswith('"'):
        match = re.match(r'"((?:[^"\\]|\\.)*)"', text)
        if match is None:
            msg = 'has an opening " without a closing one'
            raise ValueError(msg)
        value = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), match[1])
        return _before_comment(value, text[match.end() :])
    # within a value (a password, say) the sign is a part of it: a comment begins after a blank
    comment = re.search(r"\s#", raw)
    value = (raw[: comment.start()] if comment else raw).strip()
    if value[:1] in {*_TYPOGRAPHIC} or value[-1:] in {*_TYPOGRAPHIC}:
        msg = "has typographic quotes: write straight ones, ' or \", or none"
        raise ValueError(msg)
    if not value.isprintable():
        msg = "has an invisible character in it: type the line anew"
        raise ValueError(msg)
    return value


def _before_comment(value: str, rest: str) -> str:
    if rest.strip() and not rest.lstrip().startswith("#"):
        msg = "goes on after its closing quote: put the whole value in quotes"
        raise ValueError(msg)
    return value
