// The line to write in, the list of commands, and the Start button of a deep link.
import { language, texts } from "./texts.js";

const START = /^[A-Za-z0-9_-]{1,64}$/;

export class Composer {
  #form = document.getElementById("composer");
  #text = document.getElementById("text");
  #send = document.getElementById("send");
  #commands = document.getElementById("commands");
  #list = document.getElementById("command-list");
  #start = document.getElementById("start");

  /** `onSend(text)` gets what the person says. */
  constructor(onSend) {
    this.onSend = onSend;
    this.#text.placeholder = texts.placeholder;
    this.#text.setAttribute("aria-label", texts.placeholder);
    this.#send.setAttribute("aria-label", texts.send);
    this.#commands.setAttribute("aria-label", texts.commands);
    this.#form.addEventListener("submit", (event) => this.#submit(event));
    this.#text.addEventListener("input", () => this.#changed());
    this.#text.addEventListener("keydown", (event) => this.#key(event));
    this.#commands.addEventListener("click", () => this.#toggleCommands());
    this.#form.addEventListener("keydown", (event) => this.#escape(event));
    document.addEventListener("click", (event) => this.#form.contains(event.target) || this.#closeCommands());
    this.#offerStart();
    this.#changed();
  }

  focus() {
    // a phone would open its keyboard over the first screen
    if (matchMedia("(hover: hover)").matches && this.#start.hidden) this.#text.focus();
  }

  /** Whether the Start button of a deep link waits to be pressed. */
  get offersStart() {
    return !this.#start.hidden;
  }

  /** Commands that the bot registered, by language code. */
  setCommands(byLanguage) {
    const commands = byLanguage[language] ?? byLanguage[""] ?? [];
    this.#commands.hidden = commands.length === 0;
    this.#list.replaceChildren(...commands.map((command) => this.#command(command)));
  }

  #command({ command, description }) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    const name = document.createElement("b");
    name.textContent = `/${command}`;
    const what = document.createElement("span");
    what.textContent = description;
    button.append(name, what);
    button.addEventListener("click", () => {
      this.#closeCommands();
      this.onSend(`/${command}`);
    });
    item.append(button);
    return item;
  }

  #submit(event) {
    event.preventDefault();
    const text = this.#text.value.trim();
    if (!text) return;
    this.#text.value = "";
    this.#changed();
    this.#text.focus();
    this.onSend(text);
  }

  #changed() {
    this.#send.disabled = !this.#text.value.trim();
    if (this.#form.hidden) return; // what is not shown has no height
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
  }

  #key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#form.requestSubmit();
  }

  #escape(event) {
    if (event.key !== "Escape" || this.#list.hidden) return;
    this.#closeCommands();
    this.#text.focus();
  }

  #toggleCommands() {
    this.#list.hidden = !this.#list.hidden;
    this.#commands.setAttribute("aria-expanded", String(!this.#list.hidden));
    if (!this.#list.hidden) this.#list.querySelector("button")?.focus();
  }

  #closeCommands() {
    this.#list.hidden = true;
    this.#commands.setAttribute("aria-expanded", "false");
  }

  /** The link's code, left in a cookie, shows a button that sends `/start CODE`, as t.me links do. */
  #offerStart() {
    const code = document.cookie.match(/(?:^|; )start=([^;]*)/)?.[1];
    if (!code || !START.test(code)) return;
    this.#start.hidden = false;
    this.#form.hidden = true;
    this.#start.addEventListener("click", () => {
      this.#start.hidden = true;
      this.#form.hidden = false;
      this.#changed();
      document.cookie = "start=; max-age=0; path=/";
      this.onSend(`/start ${code}`);
      this.focus();
    });
  }
}
