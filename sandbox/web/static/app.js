// The page: who talks, what is new, what is said.
import * as api from "./api.js";
import { Composer } from "./composer.js";
import { texts, translate } from "./texts.js";
import { View } from "./view.js";

const WAIT = 25;
const PATIENCE = 12_000;
const PAUSES = [500, 1000, 2000, 4000, 8000];
const KEY = "sandbox.person";
const DEFAULT = "You";
const $ = (id) => document.getElementById(id);

/** The default person is called by the reader's own word. */
const shown = (name) => (name === DEFAULT ? texts.you : name);

class Page {
  #person = null;
  #listening = null;
  #typing = false;
  #online = false;
  #poll = new AbortController();
  #wake = () => {};

  constructor() {
    translate(document);
    $("person").setAttribute("aria-label", texts.changePerson);
    $("messages").setAttribute("aria-label", texts.messages);
    $("down").setAttribute("aria-label", texts.down);
    $("new-name").placeholder = texts.newName;
    $("new-name").setAttribute("aria-label", texts.newName);
    this.view = new View({ onCommand: (text) => this.say(text), onPress: (number, data) => this.press(number, data) });
    this.composer = new Composer((text) => this.say(text));
    for (const id of ["chips", "suggestions"]) {
      $(id).append(...texts.questions.map((question) => this.#chip(question)));
    }
    $("retry").addEventListener("click", () => this.#askNow());
    addEventListener("online", () => this.#askNow());
    addEventListener("offline", () => this.#setOnline(false));
    $("person").addEventListener("click", () => this.#choosePerson());
    $("new-person").addEventListener("submit", () => this.#become($("new-name").value.trim()));
    this.#become(localStorage.getItem(KEY) ?? DEFAULT);
  }

  async say(text) {
    const row = this.view.showPending(text);
    this.#showWelcome();
    try {
      await api.say(this.#person.id, text);
    } catch {
      this.view.fail(row, () => this.say(text));
    }
  }

  async press(number, data) {
    try {
      await api.press(this.#person.id, number, data);
    } catch (error) {
      console.warn("press", error);
    }
  }

  /** Talk as `name` from now on. */
  #become(name) {
    if (!name) return;
    localStorage.setItem(KEY, name);
    $("person-name").textContent = shown(name);
    $("new-name").value = "";
    this.#listening?.abort();
    this.#listening = new AbortController();
    this.#person = null;
    this.view.clear();
    this.#setTyping(false);
    $("welcome").hidden = $("suggestions").hidden = true;
    this.#listen(name, this.#listening.signal);
    this.composer.focus();
  }

  /** Long polling until `signal`; every failure is told and tried again. */
  async #listen(name, signal) {
    let since = 0;
    let fresh = true; // what is there already comes at once and without animation
    let failures = 0;
    while (!signal.aborted) {
      this.#poll = new AbortController();
      try {
        if (!this.#person) {
          const person = await api.person(name);
          if (signal.aborted) return;
          this.#person = person;
          since = 0;
          fresh = true;
          this.view.clear();
          await this.#readBot();
        }
        const wait = fresh || failures ? 0 : WAIT;
        const limit = AbortSignal.any([signal, this.#poll.signal, AbortSignal.timeout(wait * 1000 + PATIENCE)]);
        const news = await api.news(this.#person.id, { since, typing: this.#typing, wait }, limit);
        if (news.revision < since) this.view.clear();
        this.view.show(news.messages, { animate: !fresh });
        since = news.revision;
        fresh = false;
        failures = 0;
        this.#setOnline(true);
        this.#setTyping(news.typing);
        this.#showWelcome();
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        if (this.#poll.signal.aborted) continue;
        if (error instanceof api.Refused && error.status === 404) this.#person = null;
        else this.#setOnline(false);
        await this.#pause(PAUSES[Math.min(failures, PAUSES.length) - 1]);
      }
    }
  }

  async #readBot() {
    const { name, commands } = await api.bot();
    document.title = name;
    $("bot-name").textContent = name;
    this.composer.setCommands(commands);
  }

  /** Do not wait for the pause or the poll that is under way. */
  #askNow() {
    this.#poll.abort();
    this.#wake();
  }

  #pause(milliseconds) {
    return new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, milliseconds);
    });
  }

  #setOnline(online) {
    $("offline").hidden = online;
    this.#online = online;
    this.#showStatus();
  }

  #setTyping(typing) {
    this.#typing = typing;
    this.view.setTyping(typing);
    this.#showStatus();
  }

  #showStatus() {
    const status = this.#online ? (this.#typing ? "typing" : "online") : "connecting";
    if ($("status").dataset.is === status) return;
    $("status").dataset.is = status;
    $("status").textContent = texts[status];
    $("status").classList.toggle("active", status !== "connecting");
  }

  #showWelcome() {
    const { empty, onlyCommands } = this.view;
    $("welcome").hidden = !empty;
    $("welcome-text").textContent = this.composer.offersStart ? texts.welcomeStart : texts.welcomeText;
    $("chips").hidden = this.composer.offersStart;
    $("suggestions").hidden = empty || !onlyCommands || this.#typing || this.composer.offersStart;
    if (!$("suggestions").hidden) this.view.follow();
  }

  #chip(question) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = question;
    button.addEventListener("click", () => this.say(question));
    return button;
  }

  async #choosePerson() {
    const dialog = $("people");
    dialog.showModal();
    const { people } = await api.people().catch(() => ({ people: [] }));
    $("people-list").replaceChildren(...people.map(({ name }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = shown(name);
      button.setAttribute("aria-current", String(name === this.#person?.name));
      button.addEventListener("click", () => {
        dialog.close();
        this.#become(name);
      });
      return button;
    }));
  }
}

new Page();
