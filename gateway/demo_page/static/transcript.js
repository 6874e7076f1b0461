/** The transcript: who said what, growing as it is said; of an answer that was broken off, what was heard. */

import { keepingTheEnd, made, seconds } from "./pieces.js";

const WHO = { user: "You", assistant: "Agent" };

/** Voices speak 12 to 18 characters a second. Used until this voice has finished an answer. */
const USUAL_CHARS_PER_S = 15;

/** Characters shown of what was not heard: enough to see what it was about. */
const MOST_UNHEARD = 120;

export class Transcript {
  #list;
  #entries = new Map();
  #charsPerS = USUAL_CHARS_PER_S;
  /** The answer that is sounding: its entry, and since when (ms of the page's clock). */
  #sounding = null;
  /** From a response's id to the entry of its words. */
  #answers = new Map();

  constructor(list) {
    this.#list = list;
  }

  clear() {
    this.#entries.clear();
    this.#answers.clear();
    this.#list.replaceChildren();
  }

  /** Everything that one of the gateway's events changes. `nowMs` is the page's clock. */
  follow(event, nowMs) {
    const act = ACTS[event.type];
    if (act) keepingTheEnd(this.#list, () => act(this, event, nowMs));
  }

  /** The entry of an item; made at its place in the conversation when it is new. */
  entry(itemId, role, previousId = null) {
    const known = this.#entries.get(itemId);
    if (known) return known;
    const words = made("span", { className: "pending", text: "…" });
    const who = made("span", { className: "who", text: WHO[role] });
    const line = made("li", { className: role, children: [who, words] });
    line.dataset.item = itemId;
    const entry = { role, line, words, who, text: "", isCut: false };
    this.#entries.set(itemId, entry);
    const before = this.#entries.get(previousId);
    if (before) before.line.after(line);
    else this.#list.append(line);
    return entry;
  }

  add(item, previousId) {
    if (item.type !== "message" || !WHO[item.role]) return;
    const entry = this.entry(item.id, item.role, previousId);
    const text = item.content.map((part) => part.text ?? part.transcript ?? "").join(" ").trim();
    if (text) this.write(entry, text);
  }

  /** All the words of an entry so far; a reader aloud waits until they are all there. */
  write(entry, text, { grows = false } = {}) {
    if (entry.isCut) return;
    entry.text = text;
    entry.words.className = "";
    entry.words.textContent = text;
    entry.line.setAttribute("aria-busy", String(grows));
  }

  grow(event, role, delta) {
    const entry = this.entry(event.item_id, role);
    this.write(entry, entry.text + delta, { grows: true });
    if (event.response_id) this.#answers.set(event.response_id, entry);
  }

  /** The whole of what was said; nothing at all takes the entry away. */
  settle(itemId, role, text) {
    if (text.trim()) this.write(this.entry(itemId, role), text.trim());
    else if (!this.#entries.get(itemId)?.text) this.remove(itemId);
  }

  remove(itemId) {
    this.#entries.get(itemId)?.line.remove();
    this.#entries.delete(itemId);
  }

  begin(responseId, nowMs) {
    this.#sounding = { responseId, sinceMs: nowMs };
  }

  /** An answer was heard to its end: that tells how fast this voice speaks. */
  end(responseId, nowMs) {
    const text = this.#answers.get(responseId)?.text ?? "";
    const ms = this.#sounding?.responseId === responseId ? nowMs - this.#sounding.sinceMs : 0;
    if (ms > 1000 && text.length > 20) this.#charsPerS = (text.length * 1000) / ms;
  }

  /** Only the first `heardMs` of an answer were heard. The protocol tells the time, not the words: they are found
   * by how fast the voice speaks, to a word or two. */
  cut(itemId, heardMs) {
    const entry = this.#entries.get(itemId);
    if (!entry) return;
    const heard = wordsWithin(entry.text, (heardMs * this.#charsPerS) / 1000);
    entry.isCut = true;
    entry.line.classList.add("cut");
    entry.line.setAttribute("aria-busy", "false");
    entry.who.textContent = `${WHO[entry.role]} · cut off after ${seconds(heardMs)}`;
    const rest = entry.text.slice(heard.length);
    const unheard = made("del", { text: rest.length > MOST_UNHEARD ? `${rest.slice(0, MOST_UNHEARD)}…` : rest });
    unheard.title = "Not heard";
    entry.words.replaceChildren(made("span", { className: "heard", text: heard }), unheard);
  }

  /** For tests: `{role, text, heard}`; `heard` is less than `text` where it was cut. */
  get entries() {
    return [...this.#list.children].map((line) => {
      const { role, text, isCut, words } = this.#entries.get(line.dataset.item);
      return { role, text, isCut, heard: isCut ? words.firstChild.textContent : text };
    });
  }
}

/** The whole words among the first so many characters. */
function wordsWithin(text, chars) {
  if (chars >= text.length) return text;
  const end = text.lastIndexOf(" ", chars);
  return end < 0 ? "" : text.slice(0, end);
}

const SPOKEN = "conversation.item.input_audio_transcription";

const ACTS = {
  "conversation.item.added": (page, event) => page.add(event.item, event.previous_item_id),
  "conversation.item.deleted": (page, event) => page.remove(event.item_id),
  "conversation.item.truncated": (page, event) => page.cut(event.item_id, event.audio_end_ms),
  "input_audio_buffer.speech_started": (page, event) => page.entry(event.item_id, "user"),
  [`${SPOKEN}.delta`]: (page, event) => page.grow(event, "user", event.delta),
  [`${SPOKEN}.completed`]: (page, event) => page.settle(event.item_id, "user", event.transcript),
  [`${SPOKEN}.failed`]: (page, event) => page.settle(event.item_id, "user", "(could not be understood)"),
  "response.output_audio_transcript.delta": (page, event) => page.grow(event, "assistant", event.delta),
  "response.output_audio_transcript.done": (page, event) => page.settle(event.item_id, "assistant", event.transcript),
  "response.output_text.delta": (page, event) => page.grow(event, "assistant", event.delta),
  "response.output_text.done": (page, event) => page.settle(event.item_id, "assistant", event.text),
  "output_audio_buffer.started": (page, event, nowMs) => page.begin(event.response_id, nowMs),
  "output_audio_buffer.stopped": (page, event, nowMs) => page.end(event.response_id, nowMs),
};
