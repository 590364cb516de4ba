"""The Planner's own part: a numbered list of steps for a goal."""

import re
from datetime import timedelta

from ..conversation import Reply
from ..dates import weekday_names
from ..turn import Turn
from .delegation import PLANNING

_IS_PLANNER = re.compile(
    r"\b(?:you are|you're|act as|your role is)\b[^.\n]{0,60}?\bplann(?:er|ing)\b|^\W*planner\b"
    r"|\b(?:ты|вы)\b[^.\n]{0,60}?планировщик|^\W*планировщик",
    re.IGNORECASE | re.MULTILINE,
)
_GOAL = re.compile(
    r"(?:help me |please |can you |could you |помоги\w* |пожалуйста,? )*(?:to )?"
    r"(?:make|create|write|draw up|составь|напиши|сделай|создай)?\s*(?:мне |me )?(?:a |an |the )?"
    r"(?:plan(?:ning)?|organi[sz]e|break down|(?:с|рас|за)?планир(?:у|ова)\w+|план\w*)\s*(?:for|of|to|на|для"
    r"|по)?\s*(?P<goal>.*)",
    re.IGNORECASE | re.DOTALL,
)
_WEEK = re.compile(r"\bweek\b|недел", re.IGNORECASE)
_DAY = re.compile(r"\b(?:day|today|tomorrow|morning)\b|\bдень\b|сегодня|завтра|утро", re.IGNORECASE)
_TRIP = re.compile(
    r"\b(?:trip|travel|vacation|holiday|journey|visit)\b|поездк|путешеств|отпуск|командировк", re.IGNORECASE
)
_LEARN = re.compile(r"\b(?:learn|study|exam|course)\b|выучи|изуч|учить|экзамен|подготов", re.IGNORECASE)
_PARTY = re.compile(
    r"\b(?:party|birthday|wedding|dinner|event)\b|праздник|день рождения|свадьб|вечеринк|ужин", re.IGNORECASE
)

_TRIP_STEPS = (
    (
        "Fix the dates and the budget.",
        "Check passports, visas and insurance.",
        "Book the journey there and back, then the place to stay.",
        "Choose three things worth seeing a day, and leave the evenings free.",
        "Pack the day before; keep copies of the papers on your phone.",
    ),
    (
        "Определить даты и бюджет.",
        "Проверить паспорта, визы и страховку.",
        "Купить билеты туда и обратно, затем забронировать жильё.",
        "Выбрать по три места на день, вечера оставить свободными.",
        "Собрать вещи накануне, копии документов сохранить в телефоне.",
    ),
)
_LEARN_STEPS = (
    (
        "Write down what you want to be able to do at the end.",
        "Split it into topics and order them.",
        "Reserve a fixed half hour every day.",
        "Practise each topic on something real, the same day.",
        "Repeat on Sundays, and test yourself every second week.",
    ),
    (
        "Записать, что вы хотите уметь в конце.",
        "Разбить на темы и расставить их по порядку.",
        "Отвести на это постоянные полчаса каждый день.",
        "Каждую тему в тот же день применить на деле.",
        "По воскресеньям повторять, раз в две недели проверять себя.",
    ),
)
_PARTY_STEPS = (
    (
        "Choose the date, the place and the number of guests.",
        "Set a budget and keep a tenth of it in reserve.",
        "Send the invitations three weeks ahead.",
        "Decide on food, drinks and music.",
        "Prepare all you can the day before, and name somebody who helps.",
    ),
    (
        "Выбрать дату, место и число гостей.",
        "Определить бюджет и десятую часть оставить про запас.",
        "Разослать приглашения за три недели.",
        "Решить, что будет из еды, напитков и музыки.",
        "Подготовить всё возможное накануне и найти помощника.",
    ),
)
_DAY_STEPS = (
    (
        "Write down the three things that matter most.",
        "Do the hardest one first, before noon, without the phone.",
        "Group calls and messages into one hour after lunch.",
        "Take a walk before the second half.",
        "In the evening, note what is left for tomorrow.",
    ),
    (
        "Записать три самых важных дела.",
        "Самое трудное сделать первым, до полудня и без телефона.",
        "Звонки и сообщения собрать в один час после обеда.",
        "Перед второй половиной дня прогуляться.",
        "Вечером отметить, что осталось на завтра.",
    ),
)
_ANY_STEPS = (
    (
        "Say in one sentence what is finished when it is finished.",
        "List everything that is needed: people, money, time.",
        "Cut it into pieces of at most half a day.",
        "Order the pieces, and start with the one that others wait for.",
        "Look at the list every Friday and correct it.",
    ),
    (
        "Одним предложением описать, что должно получиться.",
        "Перечислить всё, что нужно: людей, деньги, время.",
        "Разбить на части не больше половины дня.",
        "Расставить по порядку, начать с того, чего ждут другие.",
        "Каждую пятницу просматривать список и поправлять его.",
    ),
)
_WEEK_THEMES = (
    ("the one task that matters most", "главное дело недели"),
    ("meetings and calls", "встречи и звонки"),
    ("quiet work, no meetings", "спокойная работа без встреч"),
    ("errands and papers", "поручения и бумаги"),
    ("finish what is open, look back", "закончить начатое, подвести итог"),
    ("sport and friends", "спорт и друзья"),
    ("rest, and a look at next week", "отдых и взгляд на следующую неделю"),
)


def is_planner(system: str) -> bool:
    """Whether the system prompt gives the model the Planner's part."""
    return bool(_IS_PLANNER.search(system))


def ask(turn: Turn) -> Reply | None:
    """A plan, where the request asks for one."""
    return plan(turn) if PLANNING.search(turn.request) else None


def plan(turn: Turn) -> Reply:
    """A plan for whatever is asked."""
    goal = _goal(turn)
    title = turn.pick(f"**A plan: {goal}**", f"**План: {goal}**")
    steps = _steps(turn)
    lines = [f"{number}. {step}" for number, step in enumerate(steps, start=1)]
    return Reply(text="\n".join([title, "", *lines]))


def _goal(turn: Turn) -> str:
    match = _GOAL.search(turn.request)
    goal = (match["goal"] if match else turn.request).strip(" .!?:\n")
    first_line = goal.splitlines()[0] if goal else ""
    return first_line[:120].strip() or turn.pick("your goal", "ваша цель")


def _steps(turn: Turn) -> tuple[str, ...]:
    text = turn.request
    # "a week in Rome" is a trip
    if _WEEK.search(text) and not _TRIP.search(text):
        return _week(turn)
    for pattern, (english, russian) in (
        (_TRIP, _TRIP_STEPS),
        (_LEARN, _LEARN_STEPS),
        (_PARTY, _PARTY_STEPS),
        (_DAY, _DAY_STEPS),
    ):
        if pattern.search(text):
            return russian if turn.russian else english
    return _ANY_STEPS[1] if turn.russian else _ANY_STEPS[0]


def _week(turn: Turn) -> tuple[str, ...]:
    """Seven days from tomorrow on."""
    names = weekday_names(russian=turn.russian)
    days = [(turn.now + timedelta(days=offset)).weekday() for offset in range(1, 8)]
    return tuple(f"**{names[day].capitalize()}**: {turn.pick(*_WEEK_THEMES[day])}" for day in days)
