// The list of messages: bubbles, groups, days, the typing dots, and where the list is scrolled to.
import { render } from "./entities.js";
import { dayOf, texts, timeOf } from "./texts.js";

const GROUP_SECONDS = 300;
const NEAR_THE_END = 80;
const SVG = "http://www.w3.org/2000/svg";
const MARKS = { sent: "m2 12 5 5L17 7M11 16l1 1L22 7", waiting: "M12 7v5l3 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z" };

export class View {
  #list = document.getElementById("messages");
  #scroller = document.getElementById("scroller");
  #typing = document.getElementById("typing");
  #down = document.getElementById("down");
  #unread = document.getElementById("unread");
  #rows = new Map();
  #pending = [];
  #missed = 0;
  #following = true;
  #top = 0;

  /** `onCommand(text)`: a /command was clicked; `onPress(number, data)`: a button below a message. */
  constructor({ onCommand, onPress }) {
    this.onCommand = onCommand;
    this.onPress = onPress;
    this.#down.addEventListener("click", () => this.toEnd(true));
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // a keyboard that opens, or a composer that grows, must not hide the newest message
    new ResizeObserver(() => this.#following && this.toEnd(false)).observe(this.#scroller);
  }

  get empty() {
    return this.#rows.size === 0 && this.#pending.length === 0;
  }

  /** Whether the person has said nothing yet but commands. */
  get onlyCommands() {
    const said = [...this.#rows.values(), ...this.#pending].map((row) => row.message);
    return said.every((message) => message.from === "bot" || message.text.startsWith("/"));
  }

  clear() {
    this.#list.replaceChildren();
    this.#rows.clear();
    this.#pending = [];
    this.#missed = 0;
    this.setTyping(false);
    this.#showDown();
  }

  /** Shows messages from the server: new ones at the end, edited ones in their place. */
  show(messages, { animate }) {
    for (const message of messages) {
      const known = this.#rows.get(message.number);
      if (known) {
        this.#fillRow(known, message);
        continue;
      }
      const row = this.#takePending(message) ?? this.#newRow(message.from, animate);
      this.#rows.set(message.number, row);
      this.#fillRow(row, message);
      this.#place(row);
      if (message.from === "bot" && !this.#following) this.#missed += 1;
    }
    this.#arrange();
    if (this.#following) this.toEnd(animate);
    this.#showDown();
  }

  /** Shows a message that is on its way to the server. */
  showPending(text) {
    const row = this.#newRow("user", true);
    row.message = { from: "user", text, entities: [], date: Date.now() / 1000 };
    this.#fillRow(row, row.message, "waiting");
    this.#pending.push(row);
    this.#list.append(row);
    this.#arrange();
    this.toEnd(true);
    return row;
  }

  /** The message of `row` did not reach the server; `again` is called when the person wants to retry. */
  fail(row, again) {
    if (!this.#pending.includes(row)) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "failed";
    button.textContent = texts.failed;
    button.addEventListener("click", () => {
      this.#pending.splice(this.#pending.indexOf(row), 1);
      row.remove();
      again();
    });
    row.append(button);
    this.toEnd(true);
  }

  setTyping(on) {
    if (this.#typing.hidden !== on) return;
    this.#typing.hidden = !on;
    this.follow();
  }

  /** Keep the end in sight, if it is. */
  follow() {
    if (this.#following) this.toEnd(true);
  }

  toEnd(smooth) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#scroller.scrollTo({ top: this.#scroller.scrollHeight, behavior: smooth && !calm ? "smooth" : "instant" });
    this.#following = true;
    this.#missed = 0;
  }

  /** Only a person scrolls up; what the page does itself goes down. */
  #scrolled() {
    const { scrollTop } = this.#scroller;
    if (this.#nearEnd) this.#following = true;
    else if (scrollTop < this.#top) this.#following = false;
    this.#top = scrollTop;
    this.#showDown();
  }

  get #nearEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_THE_END;
  }

  #showDown() {
    if (this.#following) this.#missed = 0;
    this.#down.hidden = this.#following;
    this.#unread.hidden = this.#missed === 0;
    this.#unread.textContent = String(this.#missed);
  }

  #newRow(sender, animate) {
    const row = document.createElement("li");
    row.className = `row ${sender}${animate ? " new" : ""}`;
    row.addEventListener("animationend", () => row.classList.remove("new"), { once: true });
    return row;
  }

  #fillRow(row, message, mark = "sent") {
    row.message = message;
    const bubble = document.createElement("div");
    bubble.className = "bubble";
    const who = document.createElement("span");
    who.className = "visually-hidden";
    who.textContent = `${message.from === "user" ? texts.you : document.title}: `;
    const text = document.createElement("div");
    text.className = "text";
    text.dir = "auto";
    text.append(who, render(message.text, message.entities, this.onCommand), this.#meta(message, mark));
    bubble.append(text);
    row.replaceChildren(bubble, ...this.#keyboard(message));
  }

  #meta(message, mark) {
    const meta = document.createElement("span");
    meta.className = "meta";
    const time = document.createElement("time");
    time.dateTime = new Date(message.date * 1000).toISOString();
    time.textContent = (message.edited ? `${texts.edited} ` : "") + timeOf(message.date);
    meta.append(time);
    if (message.from === "user") meta.append(icon(MARKS[mark]));
    return meta;
  }

  #keyboard(message) {
    const rows = message.reply_markup?.inline_keyboard;
    if (!Array.isArray(rows)) return [];
    const keyboard = document.createElement("div");
    keyboard.className = "keyboard";
    for (const buttons of rows) {
      const line = document.createElement("div");
      for (const { text, url, callback_data: data } of buttons) line.append(this.#key(message, text, url, data));
      keyboard.append(line);
    }
    return [keyboard];
  }

  #key(message, text, url, data) {
    if (url && /^(https?|tg):/i.test(url)) {
      const element = document.createElement("a");
      Object.assign(element, { href: url, target: "_blank", rel: "noopener noreferrer", textContent: text });
      return element;
    }
    const element = document.createElement("button");
    element.type = "button";
    element.textContent = text;
    element.addEventListener("click", () => data && this.onPress(message.number, data));
    return element;
  }

  /** The pending bubble that this message from the server is. */
  #takePending(message) {
    if (message.from !== "user") return null;
    const index = this.#pending.findIndex((row) => row.message.text === message.text);
    return index < 0 ? null : this.#pending.splice(index, 1)[0];
  }

  /** Known messages stand in the order of their numbers, before those that are on their way. */
  #place(row) {
    row.classList.remove(row.isConnected ? "new" : "none"); // moving it would play the animation again
    let next = null;
    for (let other = this.#list.lastElementChild; other; other = other.previousElementSibling) {
      if (other === row || !other.message) continue;
      if ((other.message.number ?? Infinity) < row.message.number) break;
      next = other;
    }
    this.#list.insertBefore(row, next);
  }

  /** Day separators, groups and tails, from scratch: a glance over the list is cheap. */
  #arrange() {
    for (const day of this.#list.querySelectorAll(".day")) day.remove();
    let previous = null;
    for (const row of [...this.#list.children]) {
      const day = dayOf(row.message.date);
      const newDay = !previous || dayOf(previous.message.date) !== day;
      if (newDay) row.before(separator(day));
      const first = newDay || previous.message.from !== row.message.from
        || row.message.date - previous.message.date > GROUP_SECONDS;
      row.classList.toggle("first", first);
      if (previous) previous.firstChild.classList.toggle("tail", first);
      previous = row;
    }
    previous?.firstChild.classList.add("tail");
  }
}

function separator(day) {
  const element = document.createElement("li");
  element.className = "day";
  element.textContent = day;
  return element;
}

function icon(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}
