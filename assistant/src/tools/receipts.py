"""Receipts: what users are told of a call's effect where no model tells them."""

from collections.abc import Mapping
from typing import Any

from ..utils.locale import speaks_russian
from ..utils.text import one_line

_SHOWN = 80
"""Characters of a reminder's text."""
_REMINDER = {
    False: {"created": "Reminder set", "changed": "Reminder changed", "cancelled": "Reminder cancelled"},
    True: {
        "created": "Напоминание создано",
        "changed": "Напоминание изменено",
        "cancelled": "Напоминание отменено",
    },
}
"""By whether the user speaks Russian."""


def format_reminder(answer: Mapping[str, Any], language: str | None) -> str:
    """Which reminder was set, changed or cancelled, by the tool's answer; empty where it only looked."""
    if "status" not in answer:
        return ""
    reminder = answer["reminder"]
    about = f"“{one_line(reminder['text'], _SHOWN)}”" if "text" in reminder else str(reminder["id"])
    if "next" in reminder and answer["status"] != "cancelled":
        moment = reminder["next"]
        about += f", {moment['date']} {moment['time']} ({moment['timezone']})"
    return f"{_REMINDER[speaks_russian(language, about)][answer['status']]}: {about}."


def format_done(tool: str, language: str | None) -> str:
    """It is done; of tools that do not say it better themselves."""
    return f"«{tool}»: выполнено." if speaks_russian(language) else f"“{tool}” was carried out."


def format_unsure(tool: str, language: str | None) -> str:
    """It was stopped in the middle."""
    if speaks_russian(language):
        return f"«{tool}»: неизвестно, выполнено ли это. Проверьте, прежде чем просить снова."
    return f"“{tool}” may or may not have been carried out. Please check before you ask again."
