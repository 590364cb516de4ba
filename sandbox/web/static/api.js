// The chat interface of the sandbox, and nothing else.
import { language } from "./texts.js";

/** The interface answered, but not with success. */
export class Refused extends Error {
  constructor(status, body) {
    super(body?.message ?? `HTTP ${status}`);
    this.status = status;
  }
}

async function call(path, body, signal) {
  const options = body === undefined
    ? { signal }
    : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal };
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

export const bot = () => call("/chat/bot");
export const people = () => call("/chat/people");
export const person = (name) => call("/chat/people", { name });
export const say = (id, text) => call(`/chat/people/${id}/messages`, { text, language });
export const press = (id, number, data) => call(`/chat/people/${id}/presses`, { number, data });

/** What is newer than revision `since`; waits on the server until there is something. */
export function news(id, { since, typing, wait }, signal) {
  const query = new URLSearchParams({ since, typing: typing ? 1 : 0, wait });
  return call(`/chat/people/${id}/messages?${query}`, undefined, signal);
}
