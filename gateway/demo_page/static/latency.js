/** How long the agent took to answer: from `speech_stopped` to `output_audio_buffer.started`, as they came. */

import { keepingTheEnd, made, seconds } from "./pieces.js";

/** The meter's whole length; a person waits no longer without wondering. */
const FULL_MS = 3000;

export class Latency {
  /** Of each turn, in ms. */
  turns = [];
  #list;
  #sum;
  #usualWords;
  #stoppedMs = null;

  constructor(list, sum) {
    this.#list = list;
    this.#sum = sum;
    this.#usualWords = sum.textContent;
  }

  clear() {
    this.turns = [];
    this.#stoppedMs = null;
    this.#list.replaceChildren();
    this.#sum.textContent = this.#usualWords;
  }

  follow(event, nowMs) {
    if (event.type === "input_audio_buffer.speech_stopped") this.#stoppedMs = nowMs;
    // Who speaks again has not been answered yet.
    if (event.type === "input_audio_buffer.speech_started") this.#stoppedMs = null;
    if (event.type === "output_audio_buffer.started" && this.#stoppedMs !== null) {
      this.#add(Math.round(nowMs - this.#stoppedMs));
      this.#stoppedMs = null;
    }
  }

  #add(ms) {
    this.turns.push(ms);
    const meter = made("meter");
    Object.assign(meter, { max: FULL_MS, value: Math.min(ms, FULL_MS) });
    meter.setAttribute("aria-hidden", "true");
    const number = made("span", { className: "dim", text: `${this.turns.length}.` });
    const row = made("li", { children: [number, meter, made("b", { text: seconds(ms) })] });
    keepingTheEnd(this.#list, () => this.#list.append(row));
    const count = this.turns.length === 1 ? "1 turn" : `${this.turns.length} turns`;
    this.#sum.textContent = `${count} · median ${seconds(median(this.turns))}`;
  }
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
