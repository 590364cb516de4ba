// All words of the page, in English and Russian.
const TEXTS = {
  en: {
    online: "online",
    connecting: "connecting…",
    typing: "typing…",
    offline: "The connection is lost. Trying again…",
    retry: "Retry now",
    welcomeTitle: "What can this bot do?",
    welcomeText: "Ask it something. These are good first questions:",
    welcomeStart: "It tells the time anywhere, makes plans with you and remembers what you say. Press Start.",
    placeholder: "Message",
    send: "Send",
    commands: "Commands",
    start: "Start",
    people: "Who are you?",
    peopleHint: "Each person has a chat of their own with the bot.",
    newName: "Another name",
    add: "Talk",
    changePerson: "Change the person",
    messages: "Messages",
    down: "To the newest message",
    you: "You",
    failed: "Not sent. Try again",
    copy: "Copy",
    copied: "Copied",
    spoiler: "Hidden text: show it",
    edited: "edited",
    today: "Today",
    yesterday: "Yesterday",
    questions: ["What time is it in Tokyo?", "Plan my week", "What is the weather in Paris?", "What can you do?"],
  },
  ru: {
    online: "в сети",
    connecting: "соединение…",
    typing: "печатает…",
    offline: "Нет связи. Пробуем снова…",
    retry: "Повторить",
    welcomeTitle: "Что умеет этот бот?",
    welcomeText: "Спросите его о чём-нибудь. Для начала подойдёт:",
    welcomeStart: "Подскажет время в любом городе, составит план и запомнит сказанное. Нажмите «Начать».",
    placeholder: "Сообщение",
    send: "Отправить",
    commands: "Команды",
    start: "Начать",
    people: "Кто вы?",
    peopleHint: "У каждого человека свой чат с ботом.",
    newName: "Другое имя",
    add: "Войти",
    changePerson: "Сменить человека",
    messages: "Сообщения",
    down: "К последнему сообщению",
    you: "Вы",
    failed: "Не отправлено. Повторить",
    copy: "Копировать",
    copied: "Готово",
    spoiler: "Скрытый текст: показать",
    edited: "изменено",
    today: "Сегодня",
    yesterday: "Вчера",
    questions: ["Который час в Токио?", "Спланируй мою неделю", "Какая погода в Париже?", "Что ты умеешь?"],
  },
};

export const language = navigator.language.toLowerCase().startsWith("ru") ? "ru" : "en";
export const texts = TEXTS[language];

const clock = new Intl.DateTimeFormat(navigator.language, { hour: "numeric", minute: "2-digit" });
const sameYear = new Intl.DateTimeFormat(language, { day: "numeric", month: "long" });
const otherYear = new Intl.DateTimeFormat(language, { day: "numeric", month: "long", year: "numeric" });

/** The time of day of a Unix time. */
export function timeOf(date) {
  return clock.format(date * 1000);
}

/** "Today", "Yesterday" or the date. */
export function dayOf(date) {
  const day = new Date(date * 1000);
  const now = new Date();
  const midnight = (moment) => new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();
  const passed = Math.round((midnight(now) - midnight(day)) / 86_400_000);
  if (passed === 0) return texts.today;
  if (passed === 1) return texts.yesterday;
  return (day.getFullYear() === now.getFullYear() ? sameYear : otherYear).format(day);
}

/** Puts the words into the elements that ask for them. */
export function translate(root) {
  root.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-text]")) {
    element.textContent = texts[element.dataset.text];
  }
}
