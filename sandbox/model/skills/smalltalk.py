"""Greetings, thanks, who are you, help, and the honest last word."""

import re

from ..conversation import Reply
from ..toolbox import find_tool
from ..turn import Turn

_HELLO = re.compile(
    r"^\W*(?:hello|hi|hey|good (?:morning|afternoon|evening|day)|greetings|/start|привет\w*|здравствуй\w*|хай"
    r"|добр\w+ (?:утро|день|вечер)|приветствую)\b",
    re.IGNORECASE,
)
_HOW = re.compile(r"how are you|how is it going|как (?:у тебя )?дела|как ты\b|как поживаешь", re.IGNORECASE)
_WHO = re.compile(
    r"who are you|what are you|what(?:'s|’s| is) your name|are you (?:a )?(?:real|human|bot|ai)"
    r"|introduce yourself"
    r"|(?:ты|вы) кто|кто (?:ты|вы)|как тебя зовут|ты (?:бот|человек|робот)|представься",
    re.IGNORECASE,
)
_THANKS = re.compile(r"\b(?:thanks|thank you|thx|cheers)\b|спасибо|благодарю", re.IGNORECASE)
_BYE = re.compile(
    r"^\W*(?:bye|goodbye|see you|good night|пока|до свидания|спокойной ночи|до встречи)\b", re.IGNORECASE
)
_HELP = re.compile(
    r"^\W*/?(?:help|помощь|помоги)\W*$|what can (?:you|i) (?:do|ask)|what do you (?:know|understand)"
    r"|how can you help"
    r"|что ты (?:умеешь|можешь|понимаешь)|чем (?:ты )?(?:можешь|поможешь)|что можно спросить",
    re.IGNORECASE,
)
_NAME_IN_PROMPT = (
    re.compile(
        r"\b(?:your name is|you are called|тебя зовут|вас зовут"
        r"|тво[её] имя\s*[:—–-]?)\s+[\"“«]?([\w][\w '-]{0,40}?)[\"”»]?(?=[.,;:!\n]|$)",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:you are|ты\s*[—–-]?|вы\s*[—–-]?)\s+(?:the\s+)?[\"“«]?(?-i:([A-ZА-ЯЁ][\w-]{1,40}))[\"”»]?",
        re.IGNORECASE,
    ),
)

_ALWAYS_EN = """\
- **Time:** *What time is it in Tokyo?*
- **Plans:** *Plan my week*, *Help me plan a trip to Rome* (a sub-assistant answers)
- **Memory:** *My name is Ada*, then *What is my name?*
- **Formatting:** *Show me markdown*
- **Echo:** *Repeat: any text*"""
_ALWAYS_RU = """\
- **Время:** *Который час в Токио?*
- **Планы:** *Спланируй мою неделю*, *Помоги спланировать поездку в Рим* (отвечает помощник)
- **Память:** *Меня зовут Ада*, потом *Как меня зовут?*
- **Разметка:** *Покажи разметку*
- **Эхо:** *Повтори: любой текст*"""
_WITH_TOOLS = (
    (
        "weather|погод",
        "- **Weather:** *What is the weather in Paris?*, *Will it rain in London tomorrow?*",
        "- **Погода:** *Какая погода в Париже?*, *Будет ли дождь завтра в Лондоне?*",
    ),
    (
        "remind|напомин",
        "- **Reminders:** *Remind me in 10 minutes to eat*, *… every weekday at 9 …*, *Show my reminders*",
        "- **Напоминания:** *Напомни через 10 минут поесть*, *… каждый день в 9 …*, *Покажи напоминания*",
    ),
    (
        "calendar|event|календар",
        "- **Calendar:** *What's on my calendar tomorrow?*, *Schedule a meeting with Bob tomorrow at 15:00*",
        "- **Календарь:** *Что у меня завтра?*, *Назначь встречу с Борисом завтра в 15:00*",
    ),
)
"""Which tools are wanted, by their names, and what can be asked where they are there."""
_CONNECT_EN = "To talk to a real model, put `OPENAI_API_KEY` into `.env` and run `./manage.py restart`."
_CONNECT_RU = (
    "Чтобы говорить с настоящей моделью, впишите `OPENAI_API_KEY` в `.env` и выполните `./manage.py restart`."
)


def ask(turn: Turn) -> Reply | None:
    """Small talk; a greeting that brings a question along is left to the other skills before this one."""
    text = turn.request
    if not text:
        return _hello(turn)
    if _HELP.search(text):
        return _help(turn)
    if _WHO.search(text):
        return _who(turn)
    if _HOW.search(text):
        return turn.say(
            "All my processes are healthy, thank you. What shall we do?",
            "Все мои процессы здоровы, спасибо. Чем займёмся?",
        )
    if _THANKS.search(text):
        return turn.say("You are welcome!", "Пожалуйста!")
    if _BYE.search(text):
        return turn.say("Goodbye! I am here whenever you write.", "До свидания! Пишите в любое время.")
    return _hello(turn) if _HELLO.search(text) else None


def fallback(turn: Turn) -> Reply:
    """The last word: what this model is, what it understands, how to connect a real one."""
    return turn.say(
        "I am only a demonstration model with a fixed set of requests, and this is not among them. "
        f"I understand:\n\n{_abilities(turn)}\n\n{_CONNECT_EN}",
        "Я всего лишь демонстрационная модель с заранее заданным набором запросов, и этого среди них нет. "
        f"Я понимаю:\n\n{_abilities(turn)}\n\n{_CONNECT_RU}",
    )


def _help(turn: Turn) -> Reply:
    return turn.say(
        f"I am a demonstration model. I understand:\n\n{_abilities(turn)}\n\n{_CONNECT_EN}",
        f"Я демонстрационная модель. Я понимаю:\n\n{_abilities(turn)}\n\n{_CONNECT_RU}",
    )


def _abilities(turn: Turn) -> str:
    """What can be asked now: tools that are not there are not praised."""
    there = [turn.pick(*lines) for name, *lines in _WITH_TOOLS if find_tool(turn.tools, name)]
    return "\n".join([turn.pick(_ALWAYS_EN, _ALWAYS_RU), *there])


def _hello(turn: Turn) -> Reply:
    name = f", {turn.context.name}" if turn.context.name else ""
    return turn.say(
        f"Hello{name}! I am {_self(turn)}. Ask me the time somewhere, or let me plan your week.",
        f"Здравствуйте{name}! Я {_self(turn)}. Спросите, который час в каком-нибудь городе, или попросите "
        "спланировать "
        "неделю.",
    )


def _who(turn: Turn) -> Reply:
    return turn.say(
        f"I am {_self(turn)}, played by a demonstration model: every service around me is real, only the "
        "thinking is "
        f"scripted. {_CONNECT_EN}",
        f"Я {_self(turn)}; играет меня демонстрационная модель: все сервисы вокруг настоящие, только мысли "
        "заданы "
        f"заранее. {_CONNECT_RU}",
    )


def _self(turn: Turn) -> str:
    """The name that the system prompt gives, so that a change of it is seen in the next answer."""
    for pattern in _NAME_IN_PROMPT:
        match = pattern.search(turn.system)
        if match:
            return match[1].strip()
    return turn.pick("your assistant", "ваш ассистент")
