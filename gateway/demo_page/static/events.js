/** The list of raw events: newest last, the last 500, narrowed by a part of their type. */

import { keepingTheEnd, made } from "./pieces.js";

const MOST_EVENTS = 500;
const ARROW = { in: "←", out: "→" };
const WORDS = { in: "received", out: "sent" };

/** A type with places to break its line, for narrow screens. */
const breakable = (type) => type.split(/(?<=[._])/).flatMap((part) => [part, made("wbr")]);

export class EventList {
  /** `{direction, atMs, event}`, oldest first; `atMs` counts from the beginning of the list. */
  kept = [];
  #list;
  #count;
  #sought = "";
  #beganMs = 0;

  constructor(list, count, filter) {
    this.#list = list;
    this.#count = count;
    filter.addEventListener("input", () => this.#seek(filter.value.trim().toLowerCase()));
  }

  clear() {
    this.kept = [];
    this.#list.replaceChildren();
    this.#tell();
  }

  add(event, direction, nowMs) {
    if (!this.kept.length) this.#beganMs = nowMs;
    const one = { direction, atMs: Math.round(nowMs - this.#beganMs), event };
    this.kept.push(one);
    keepingTheEnd(this.#list, () => {
      this.#list.append(this.#row(one));
      while (this.kept.length > MOST_EVENTS) {
        this.kept.shift();
        this.#list.firstChild.remove();
      }
    });
    this.#tell();
  }

  #row({ direction, atMs, event }) {
    const arrow = made("span", { text: ARROW[direction] });
    arrow.title = WORDS[direction];
    const time = made("time", { text: (atMs / 1000).toFixed(2).padStart(7, "\u2007") });
    const summary = made("summary", { children: [time, arrow, made("b", { children: breakable(event.type) })] });
    const details = made("details", { children: [summary] });
    // Written out only for who looks: most are never opened.
    const write = () => details.append(made("pre", { text: JSON.stringify(event, null, 2) }));
    details.addEventListener("toggle", write, { once: true });
    const row = made("li", { className: direction, children: [details] });
    row.hidden = !event.type.includes(this.#sought);
    return row;
  }

  #seek(sought) {
    this.#sought = sought;
    [...this.#list.children].forEach((row, index) => {
      row.hidden = !this.kept[index].event.type.includes(sought);
    });
    this.#tell();
  }

  #tell() {
    const shown = this.kept.filter(({ event }) => event.type.includes(this.#sought)).length;
    this.#count.textContent = this.#sought ? `${shown} of ${this.kept.length}` : String(this.kept.length);
  }
}
