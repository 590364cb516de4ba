"""The weather, where a weather tool is offered."""

import re

from ..cities import city_of_zone, find_cities
from ..conversation import Reply
from ..results import failure, plain_text, read_facts
from ..toolbox import Hints, call, find_tool
from ..turn import ToolResult, Turn

NAME = r"weather|forecast|погод"
_ASKED = re.compile(
    r"\bweather\b|\bforecast\b|\btemperature\b|\bumbrella\b|will it (?:rain|snow)|is it (?:raining|cold"
    r"|warm|hot)"
    r"|погод\w*|прогноз\w*|температур\w*|\bзонт\w*|будет ли дождь|(?:пойдёт|пойдет) (?:дождь|снег)",
    re.IGNORECASE,
)
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
            "one in "
            "the Swagger UI.",
            "Инструмент погоды ко мне ещё не подключён, поэтому выглянуть на улицу я не могу. "
            "Администратор может "
            "добавить его в Swagger UI.",
        )
    places = [place.english for place in find_cities(turn.request)]
    if not places and turn.context.zone not in {None, "UTC"}:
        places = [city_of_zone(str(turn.context.zone)).english]
    if not places:
        return turn.say(
            "For which city? For example: *What is the weather in Paris?*",
            "Для какого города? Например: *Какая погода в Париже?*",
        )
    tomorrow = re.search(r"tomorrow|завтра", turn.request, re.IGNORECASE)
    return Reply(
        calls=tuple(
            call(tool, Hints(city=city, text=city, action=("current", "now"), days=2 if tomorrow else None))
            for city in places
        )
    )


def tell(_turn: Turn, result: ToolResult) -> str | None:
    """The sentence for a forecast."""
    if not re.search(NAME, result.name, re.IGNORECASE) or failure(result.text) is not None:
        return None
    facts = read_facts(result.text)
    degrees = next((facts[name] for name in _TEMPERATURE if name in facts), None)
    if degrees is None:
        return plain_text(result.text)
    asked = str(result.arguments.get("city") or result.arguments.get("location") or "")
    place = facts.get("city") or facts.get("location") or facts.get("name") or asked
    sky = next((facts[name] for name in _SKY if name in facts), None)
    value = degrees if degrees.rstrip().endswith(("C", "F", "°")) else f"{degrees} °C"
    return f"{place}: **{value}**" + (f", {sky}." if sky else ".")
