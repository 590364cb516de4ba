"""The bot's own texts, in English and Russian."""

from dataclasses import dataclass, fields

from ..client.models import Command


@dataclass(frozen=True, slots=True)
class Texts:
    """The bot's sentences in one language; `{…}` is filled in with `str.format`."""

    welcome: str
    welcome_back: str
    welcome_owner: str
    already_owner: str
    owner_taken: str
    wrong_code: str
    too_many_codes: str
    stranger: str
    help: str
    unknown_command: str
    not_text: str
    too_long: str
    group: str
    failed: str
    status: str
    zone_known: str
    zone_unknown: str
    zone_how: str
    zone_set: str
    zone_several: str
    zone_not_found: str
    zone_similar: str
    busy: str
    menu_start: str
    menu_help: str
    menu_new: str
    menu_timezone: str
    menu_status: str


ENGLISH = Texts(
    welcome="Hello, {name}! I am your assistant. Write to me as you would to a person: ask something, or "
    "hand me a task. /help shows what I can do.",
    welcome_back="Hello again, {name}! I am listening. /help shows what I can do.",
    welcome_owner="Hello, {name}! You are the owner of this assistant now; the code is used up. Write to me "
    "as you would to a person. /help shows what I can do.",
    already_owner="You are the owner of this assistant already. Just write to me.",
    owner_taken="This assistant has an owner already; the code is used up.",
    wrong_code="This code is not right. Please check it and try again.",
    too_many_codes="Too many wrong codes. Please try again in an hour.",
    stranger="Hello! This is a private assistant, and I do not know you yet. If it is yours, send "
    "/start and the owner's code.",
    help="Just write to me, in your own words and your own language.\n\n"
    "/new – start a new conversation; I forget what we talked about\n"
    "/timezone – your time zone\n"
    "/status – am I well?\n"
    "/help – this page",
    unknown_command="I do not know the command {command}. /help shows the ones I know; for everything else "
    "just write to me.",
    not_text="I can read text only, so far. Please write to me what it is about.",
    too_long="That is too long for me. Please send it in smaller pieces.",
    group="I talk in private chats only. Please write to me directly.",
    failed="Sorry, I could not handle this message. Please try again in a moment.",
    status="I am here. Messages waiting for an answer: {waiting}{busy}.\n{zone}",
    zone_known="Your time zone: {zone}, {time} now.",
    zone_unknown="Your time zone is not set, so I assume UTC.",
    zone_how="To set it, send your city, zone or offset: /timezone Berlin, /timezone America/New_York, "
    "/timezone UTC+3.",
    zone_set="Your time zone is {zone} now; it is {time} there.",
    zone_several="“{wish}” can be one of these time zones: {zones}. Please send one of them, such as "
    "/timezone {first}, or your city.",
    zone_not_found="I do not know the time zone “{wish}”.",
    zone_similar="Did you mean {zones}?",
    busy=" (a lot to do, answers may take longer)",
    menu_start="Say hello",
    menu_help="What I can do",
    menu_new="Start a new conversation",
    menu_timezone="Show or set your time zone",
    menu_status="Am I well?",
)

RUSSIAN = Texts(
    welcome="Здравствуйте, {name}! Я ваш ассистент. Пишите мне как человеку: спросите или поручите "
    "дело. Что я умею – /help.",
    welcome_back="Снова здравствуйте, {name}! Слушаю вас. Что я умею – /help.",
    welcome_owner="Здравствуйте, {name}! Теперь вы владелец этого ассистента; код больше не действует. "
    "Пишите мне как человеку. Что я умею – /help.",
    already_owner="Вы уже владелец этого ассистента. Просто напишите мне.",
    owner_taken="У этого ассистента уже есть владелец; код больше не действует.",
    wrong_code="Код неверный. Проверьте его и попробуйте ещё раз.",
    too_many_codes="Слишком много неверных кодов. Попробуйте через час.",
    stranger="Здравствуйте! Это личный ассистент, и мы ещё не знакомы. Если он ваш, отправьте /start и код "
    "владельца.",
    help="Просто пишите мне своими словами.\n\n"
    "/new – начать новый разговор; прежний я забуду\n"
    "/timezone – ваш часовой пояс\n"
    "/status – всё ли в порядке\n"
    "/help – эта страница",
    unknown_command="Я не знаю команды {command}. Что я знаю – /help; обо всём остальном просто напишите.",
    not_text="Пока я понимаю только текст. Пожалуйста, напишите словами, о чём речь.",
    too_long="Это слишком длинное сообщение. Пожалуйста, пришлите его частями.",
    group="Я разговариваю только в личных чатах. Напишите мне напрямую.",
    failed="Простите, с этим сообщением я не справился. Попробуйте ещё раз чуть позже.",
    status="Я на месте. Сообщений в ожидании ответа: {waiting}{busy}.\n{zone}",
    zone_known="Ваш часовой пояс: {zone}, сейчас {time}.",
    zone_unknown="Ваш часовой пояс не задан, поэтому считаю по UTC.",
    zone_how="Чтобы задать его, пришлите город, пояс или сдвиг: /timezone Москва, /timezone Europe/Berlin, "
    "/timezone UTC+3.",
    zone_set="Теперь ваш часовой пояс – {zone}; там сейчас {time}.",
    zone_several="«{wish}» – это один из этих часовых поясов: {zones}. Пришлите нужный, например "
    "/timezone {first}, или свой город.",
    zone_not_found="Я не знаю часового пояса «{wish}».",
    zone_similar="Может быть, {zones}?",
    busy=" (много дел, ответ может задержаться)",
    menu_start="Поздороваться",
    menu_help="Что я умею",
    menu_new="Начать новый разговор",
    menu_timezone="Показать или задать часовой пояс",
    menu_status="Всё ли в порядке",
)

MENU = tuple(field.name.removeprefix("menu_") for field in fields(Texts) if field.name.startswith("menu_"))
"""The commands in the bot's menu, without the slash."""


def texts_for(*languages: str | None) -> Texts:
    """The texts in the first language that is known (IETF tags such as `ru`, `en-GB`), else English."""
    for language in languages:
        if language:
            return RUSSIAN if language.lower().split("-")[0].split("_")[0] == "ru" else ENGLISH
    return ENGLISH


def menu(texts: Texts) -> list[Command]:
    """The bot's menu in one language."""
    return [Command(command=name, description=getattr(texts, f"menu_{name}")) for name in MENU]
