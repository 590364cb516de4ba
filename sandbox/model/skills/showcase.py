"""Formatting on show, and the echo."""

import re

from ..conversation import Reply
from ..turn import Turn

_ASKED = re.compile(r"\b(?:markdown|formatting)\b|разметк\w+|форматировани\w+", re.IGNORECASE)
_REPEAT = re.compile(
    r"^\s*(?:please\s+)?(?:repeat|echo|повтори)(?:\s+(?:after me|за мной))?\s*[:—–-]?\s+(.+)|^\s*(?:repeat"
    r"|echo|повтори):(.+)",
    re.IGNORECASE | re.DOTALL,
)
_SAY = re.compile(r"^\s*(?:please\s+)?(?:say|скажи)\s*:?\s+(.+)", re.IGNORECASE | re.DOTALL)

_ENGLISH = """\
# What a reply may hold

**bold**, *italic*, ~~struck out~~, ||hidden|| and `code`.

> A quotation keeps its line.

1. First
2. Second
   - with a part of its own

```python
def greet(name: str) -> str:
    return f"Hello, {name}!"
```

A [link](https://core.telegram.org/bots/api) ends the show."""
_RUSSIAN = """\
# Что бывает в ответе

**жирный**, *курсив*, ~~зачёркнутый~~, ||скрытый|| и `код`.

> Цитата остаётся цитатой.

1. Первое
2. Второе
   - со своей частью

```python
def greet(name: str) -> str:
    return f"Привет, {name}!"
```

В конце — [ссылка](https://core.telegram.org/bots/api)."""


def ask(turn: Turn) -> Reply | None:
    """A show of Markdown."""
    return turn.say(_ENGLISH, _RUSSIAN) if _ASKED.search(turn.request) else None


def repeat(turn: Turn) -> Reply | None:
    """`repeat: X` answers X exactly."""
    match = _REPEAT.match(turn.request)
    return Reply(text=(match[1] or match[2]).strip()) if match else None


def say(turn: Turn) -> Reply | None:
    """`say X` answers X; after all other skills, for "say what time it is" is a question."""
    match = _SAY.match(turn.request)
    return Reply(text=match[1].strip()) if match else None
