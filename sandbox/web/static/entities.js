// Text with Telegram's entities as DOM nodes. Offsets count UTF-16 units, as JavaScript strings do.
// Nothing is ever parsed as HTML, and links lead only where LINKS says.
import { texts } from "./texts.js";

const LINKS = new Set(["http:", "https:", "tg:"]);
const BLOCKS = new Set(["pre", "blockquote", "expandable_blockquote"]);
const PLAIN = { bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", blockquote: "blockquote" };
const FOLD_AFTER_LINES = 3;

/** A fragment for `text`; `onCommand(command)` is called when a /command is clicked. */
export function render(text, entities, onCommand) {
  const fragment = document.createDocumentFragment();
  const sorted = (entities ?? [])
    .map((entity) => ({ ...entity, end: Math.min(entity.offset + entity.length, text.length) }))
    .filter((entity) => entity.offset >= 0 && entity.end > entity.offset)
    .sort((a, b) => a.offset - b.offset || b.end - a.end);
  fill(fragment, text, 0, text.length, sorted, onCommand);
  return fragment;
}

function fill(parent, text, from, to, entities, onCommand) {
  let position = from;
  const queue = [...entities];
  while (queue.length) {
    const entity = queue.shift();
    if (entity.end <= position) continue;
    const start = Math.max(entity.offset, position);
    const block = BLOCKS.has(entity.type);
    const gap = text.slice(position, start);
    addText(parent, block ? gap.replace(/\n$/, "") : gap);
    const inner = [];
    // what overlaps is cut at this entity's end; the rest follows it
    for (const other of queue.splice(0)) {
      if (other.offset < entity.end) inner.push({ ...other, end: Math.min(other.end, entity.end) });
      if (other.end > entity.end) queue.push({ ...other, offset: Math.max(other.offset, entity.end) });
    }
    const [outer, hole] = wrap(entity, text.slice(start, entity.end), onCommand);
    fill(hole, text, start, entity.end, inner, onCommand);
    parent.append(outer);
    position = entity.end;
    if (block && text[position] === "\n") position += 1;
  }
  addText(parent, text.slice(position, to));
}

function addText(parent, text) {
  if (text) parent.append(text);
}

/** The element for an entity, and the element that its content goes into. */
function wrap(entity, content, onCommand) {
  switch (entity.type) {
    case "pre":
      return codeBlock(entity, content);
    case "text_link":
      return both(link(entity.url));
    case "url":
      return both(link(/^[a-z]+:/i.test(content) ? content : `https://${content}`));
    case "email":
      return both(document.createElement("span"));
    case "spoiler":
      return both(spoiler());
    case "expandable_blockquote":
      return both(foldable(content));
    case "bot_command":
      return both(command(content, onCommand));
    default:
      return both(document.createElement(PLAIN[entity.type] ?? "span"));
  }
}

const both = (element) => [element, element];

function link(address) {
  let url = null;
  try {
    url = new URL(address);
  } catch {
    // not an address: shown as plain text
  }
  if (!url || !LINKS.has(url.protocol)) return document.createElement("span");
  const element = document.createElement("a");
  element.href = url.href;
  element.title = url.href;
  element.target = "_blank";
  element.rel = "noopener noreferrer";
  return element;
}

function spoiler() {
  const element = document.createElement("span");
  element.className = "spoiler";
  element.tabIndex = 0;
  element.setAttribute("role", "button");
  element.setAttribute("aria-label", texts.spoiler);
  const show = (event) => {
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    if (!element.classList.contains("shown")) event.preventDefault();
    element.classList.add("shown");
    element.removeAttribute("role");
    element.removeAttribute("aria-label");
  };
  element.addEventListener("click", show);
  element.addEventListener("keydown", show);
  return element;
}

function foldable(content) {
  const element = document.createElement("blockquote");
  if (content.split("\n").length > FOLD_AFTER_LINES || content.length > 160) {
    element.classList.add("folded");
    element.tabIndex = 0;
    const toggle = (event) => {
      if (event.type === "click" || event.key === "Enter") element.classList.toggle("folded");
    };
    element.addEventListener("click", toggle);
    element.addEventListener("keydown", toggle);
  }
  return element;
}

function command(content, onCommand) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "command";
  element.addEventListener("click", () => onCommand(content));
  return element;
}

function codeBlock(entity, content) {
  const outer = document.createElement("div");
  outer.className = "code";
  const head = document.createElement("div");
  head.className = "code-head";
  const language = document.createElement("span");
  language.textContent = entity.language ?? "";
  const copy = document.createElement("button");
  copy.type = "button";
  copy.textContent = texts.copy;
  copy.addEventListener("click", async () => {
    await copyText(content);
    copy.textContent = texts.copied;
    setTimeout(() => (copy.textContent = texts.copy), 1500);
  });
  head.append(language, copy);
  const pre = document.createElement("pre");
  outer.append(head, pre);
  return [outer, pre];
}

/** The clipboard interface exists only in secure contexts; a page under a bare host name has none. */
async function copyText(content) {
  try {
    await navigator.clipboard.writeText(content);
  } catch {
    const area = document.createElement("textarea");
    area.value = content;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
