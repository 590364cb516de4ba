"""The weather, where a weather tool is offered."""

import re

from ..cities import city_of_zone, find_cities
from ..conversation import Reply
from ..dates import read_when
from ..results import failure, plain_text, read_facts, read_object
from ..toolbox import Hints, call, find_tool
from ..turn import ToolResult, Turn
from .weather_words import report

NAME = r"weather|forecast|погод"
_ASKED = re.compile(
    r"\bweather\b|\bforecast\b|\btemperature\b|\bumbrella\b|will it (?:rain|snow)|is it (?:raining|cold"
    r"|warm|hot)"
    r"|погод\w*|прогноз\w*|температур\w*|\bзонт\w*|будет ли дождь|(?:пойдёт|пойдет) (?:дождь|снег)",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"\b(?:in|for|at)\s+([A-Z][\w'’.-]*(?:[ -][A-Z][\w'’-]*)*(?:,\s*[A-Z][\w ]+)?)"
    r"|\b[Вв]о?\s+([А-ЯЁA-Z][\w’'-]+(?: [А-ЯЁA-Z][\w’'-]+)*)"
)
_WEEK = re.compile(r"\bweek\b(?!end)|недел", re.IGNORECASE)
_WEEKEND = re.compile(r"\bweekend\b|выходны", re.IGNORECASE)
_DAYS = re.compile(r"\b(\d{1,2})[ -]days?\b|\b(\d{1,2}) (?:день|дня|дней)\b", re.IGNORECASE)
_NO_PLACE = re.compile(r"no place|not found|unknown (?:place|city|location)", re.IGNORECASE)
_MOST_DAYS = 16
_TEMPERATURE = ("temperature", "temperature_2m", "temp", "temperature_c")
_SKY = ("description", "conditions", "condition", "summary", "weather")


def ask(turn: Turn) -> Reply | None:
    """A question for the weather."""
    if not _ASKED.search(turn.request):
        return None
    tool = find_tool(turn.tools, NAME, r"\bweather\b|погод")
    if tool is None:
        return turn.say(
            "No weather tool is connected to me yet, so I cannot look outside. An administrator can add "
            "one in the Swagger UI.",
            "Инструмент погоды ко мне ещё не подключён, поэтому выглянуть на улицу я не могу. "
            "Администратор может добавить его в Swagger UI.",
        )
    places = _places(turn)
    if not places:
        return turn.say(
            "For which city? For example: *What is the weather in Paris?*",
            "Для какого города? Например: *Какая погода в Париже?*",
        )
    days = _days(turn)
    return Reply(
        calls=tuple(
            call(tool, Hints(city=city, text=city, action=("current", "now"), days=days)) for city in places
        )
    )


def tell(turn: Turn, result: ToolResult) -> str | None:
    """The sentences for a forecast; where it comes from is told elsewhere, once for all."""
    if not re.search(NAME, result.name, re.IGNORECASE):
        return None
    asked = str(result.arguments.get("city") or result.arguments.get("location") or "")
    reason = failure(result.text)
    if reason is not None:
        return _not_found(turn, asked) if _NO_PLACE.search(reason) else None
    answer = read_object(result.text)
    if isinstance(answer.get("current"), dict) and isinstance(answer.get("days"), list):
        return report(turn, answer, _days(turn) or 1, one_day=_asks_for_one_day(turn))
    facts = read_facts(result.text)
    degrees = next((facts[name] for name in _TEMPERATURE if name in facts), None)
    if degrees is None:
        return plain_text(result.text)
    place = facts.get("city") or facts.get("location") or facts.get("name") or asked
    sky = next((facts[name] for name in _SKY if name in facts), None)
    value = degrees if degrees.rstrip().endswith(("C", "F", "°")) else f"{degrees} °C"
    return f"{place}: **{value}**" + (f", {sky}." if sky else ".")


def _not_found(turn: Turn, place: str) -> str:
    return turn.pick(
        f"The weather service knows no place called “{place}”. Is it spelt so? A larger town nearby will do.",
        f"Места с названием «{place}» погодная служба не знает. Падежи незнакомых названий мне не даются: "
        "попробуйте английское название (*Погода в Tambov*) или город покрупнее рядом.",
    )


def _places(turn: Turn) -> list[str]:
    """Cities that the model knows by their English names, others as the user wrote them, else the user's own.

    The weather service knows more places than the model does.
    """
    named = [match[1] or match[2] for match in _PLACE.finditer(turn.request)]
    exact = [place for place in named if "," in place]
    if exact:
        return exact
    known = [city.english for city in find_cities(turn.request)]
    unknown = [place for place in named if not find_cities(f"in {place}")]
    if known or unknown:
        return known or unknown
    return [city_of_zone(turn.context.zone).english] if turn.context.zone not in {None, "UTC"} else []


def _days(turn: Turn) -> int | None:
    """How many days the forecast must reach, today included; None: as many as the tool likes."""
    counted = _DAYS.search(turn.request)
    if counted:
        return max(1, min(_MOST_DAYS, int(counted[1] or counted[2])))
    if _WEEK.search(turn.request):
        return 7
    if _WEEKEND.search(turn.request):
        return 7 - turn.now.weekday()
    when = read_when(turn.request, turn.now)
    if when is None or when.at is None:
        return None
    return max(1, min(_MOST_DAYS, (when.at.date() - turn.now.date()).days + 1))


def _asks_for_one_day(turn: Turn) -> bool:
    """Whether only the last of the days is meant: `tomorrow`, `on Friday`."""
    several = (_DAYS, _WEEK, _WEEKEND)
    return (_days(turn) or 1) > 1 and not any(pattern.search(turn.request) for pattern in several)
