"""What a reminder tool answered, in sentences."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ..dates import cron_in_words, date_in_words, day_and_time, read_when
from ..results import plain_text
from ..turn import Turn

Fields = Mapping[str, Any]


def confirmation(turn: Turn, answer: Fields, text: str) -> str:
    """For what was created, changed or cancelled; an answer of another shape is passed on."""
    reminder, status = answer.get("reminder"), answer.get("status")
    if not isinstance(reminder, dict) or status not in ("created", "changed", "cancelled"):
        return _pass_on(turn, plain_text(text))
    about = str(reminder.get("text") or reminder.get("id") or "")
    if status == "cancelled":
        return turn.pick(f"Cancelled: {about}.", f"Отменено: {about}.")
    timed = _when(turn, reminder)
    done = {
        "created": turn.pick(f"I will remind you {timed}: {about}.", f"Напомню {timed}: {about}."),
        "changed": turn.pick(f"Changed: {about}, {timed}.", f"Изменено: {about}, {timed}."),
    }[status]
    note = _note(turn, str(answer.get("note") or ""), reminder)
    return f"{done} {note}".rstrip()


def listing(turn: Turn, reminders: Sequence[Any], not_shown: object) -> str:
    """The reminders, one a line."""
    known = [one for one in reminders if isinstance(one, dict)]
    if not known:
        return turn.pick("You have no reminders.", "Напоминаний у вас нет.")
    lines = [f"- №{one.get('id')}: {one.get('text')}, {_when(turn, one)}" for one in known]
    head = turn.pick("Your reminders:", "Ваши напоминания:")
    more = turn.pick(f"…and {not_shown} more.", f"…и ещё {not_shown}.") if not_shown else ""
    return "\n".join([head, "", *lines, *([more] if more else [])])


def _when(turn: Turn, reminder: Fields) -> str:
    """`**today at 10:40**`; for a recurring one its pattern, and the next time."""
    moment, cron = _moment(reminder.get("next")), reminder.get("cron")
    now = turn.now if moment is None else turn.now.astimezone(moment.tzinfo)
    once = f"**{day_and_time(moment, now, russian=turn.russian)}**" if moment else ""
    if reminder.get("paused"):
        once = turn.pick("paused", "приостановлено")
    if not isinstance(cron, str):
        return once or turn.pick("at a time that I was not told", "время мне не назвали")
    pattern = f"**{cron_in_words(cron, russian=turn.russian)}**"
    following = turn.pick(f" (next: {once.strip('*')})", f" (ближайшее: {once.strip('*')})") if once else ""
    return pattern + following


def _moment(told: object) -> datetime | None:
    """Out of `{"date", "time", "timezone"}`."""
    if not isinstance(told, dict):
        return None
    try:
        zone = ZoneInfo(str(told.get("timezone")))
        return datetime.fromisoformat(f"{told.get('date')}T{told.get('time')}").replace(tzinfo=zone)
    except (ValueError, KeyError, OSError):  # KeyError: no such zone
        return None


def _note(turn: Turn, note: str, reminder: Fields) -> str:
    """What the tool wants said of the zone or of a clock change."""
    if not note:
        return ""
    moment = _moment(reminder.get("next"))
    zone = str(moment.tzinfo) if moment else "UTC"
    if "is not known" in note:
        return turn.pick(
            "The time is UTC: your time zone is not known to me, /timezone sets it.",
            "Время указано по UTC: ваш часовой пояс мне неизвестен, его задаёт /timezone.",
        )
    if "is kept as" in note:
        return turn.pick(
            f"From now on your time zone is {zone}; /timezone changes it.",
            f"Отныне ваш часовой пояс — {zone}; изменить его можно командой /timezone.",
        )
    return f"({note})"


def _pass_on(turn: Turn, answer: str) -> str:
    """A tool that answers with words of its own; the wished time beside them."""
    when = read_when(turn.request, turn.now)
    if when is None or when.at is None:
        return answer
    day = date_in_words(when.at, russian=turn.russian)
    return turn.pick(
        f"Done: {answer}\n\n({when.at:%H:%M}, {day})", f"Готово: {answer}\n\n({when.at:%H:%M}, {day})"
    )
