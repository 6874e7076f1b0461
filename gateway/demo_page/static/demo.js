/** The page: what its buttons do, and what it shows of the call.
 *
 *     ?model=NAME   asks for another model than the agent's own
 *     ?raw=1        leaves the microphone's sound as it is, for tests that play a recording
 */

import { Call } from "./call.js";
import { EventList } from "./events.js";
import { endsSession, Fault } from "./faults.js";
import { Latency } from "./latency.js";
import { Levels } from "./levels.js";
import { at, made } from "./pieces.js";
import { Transcript } from "./transcript.js";

const WORDS = {
  idle: "Not connected",
  entering: "Knocking at the gateway",
  asking: "Asking for the microphone",
  connecting: "Connecting",
  listening: "Listening",
  hearing: "Hearing you",
  thinking: "Thinking",
  speaking: "Speaking",
  lost: "Connection lost",
};

/** Told by the gateway, and nothing a visitor should do something about. */
const HARMLESS = ["response_cancel_not_active", "conversation_already_has_active_response"];

const query = new URLSearchParams(location.search);
const options = { model: query.get("model") ?? "", raw: query.get("raw") === "1" };

const transcript = new Transcript(at("transcript"));
const events = new EventList(at("events"), at("events-count"), at("events-filter"));
const latency = new Latency(at("turns"), at("turns-sum"));
const levels = new Levels({ mic: at("mic-level"), agent: at("agent-level") });
const call = new Call({ step: showStep, event: showEvent, sound: showSound, fault: showFault });

/** Of this tab only: never written anywhere. */
let key = keyInAddress();

/** `switchboard demo` prints an address with the key behind the #, which no browser sends; nor does it stay there. */
function keyInAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key") ?? "";
  if (given) history.replaceState(null, "", location.pathname + location.search);
  return given;
}

function start({ resumes = false } = {}) {
  levels.wake();
  showFault(null);
  if (!resumes) for (const view of [transcript, events, latency]) view.clear();
  showEmptiness();
  call.start({ ...options, key, resumes });
}

/** A conversation in which nothing was said is kept by nobody, so there is nothing to ask for. */
function goOn() {
  start({ resumes: transcript.entries.length > 0 });
}

function showStep(step) {
  const isOver = step === "idle" || step === "lost";
  const hadFocus = document.activeElement;
  at("state").dataset.step = step;
  at("state-words").textContent = WORDS[step];
  at("start").hidden = !isOver;
  at("start").textContent = step === "lost" ? "Start anew" : "Talk to the agent";
  at("start").className = step === "lost" ? "" : "main";
  at("go-on").hidden = step !== "lost";
  at("hang-up").hidden = isOver;
  at("mute").hidden = !call.isTalking;
  for (const id of ["message", "send"]) at(id).disabled = !call.isTalking;
  if (isOver) forgetSound();
  if (hadFocus?.hidden) at(isOver ? (step === "lost" ? "go-on" : "start") : "hang-up").focus();
}

function showEvent(event, direction) {
  const nowMs = performance.now();
  events.add(event, direction, nowMs);
  if (direction === "in") {
    transcript.follow(event, nowMs);
    latency.follow(event, nowMs);
    showTrouble(event);
  }
  showEmptiness();
}

/** An error does not end a conversation, but who waits for an answer should know. */
function showTrouble(event) {
  const error = event.type === "error" ? event.error : event.response?.status_details?.error;
  if (error && !HARMLESS.includes(error.code) && !endsSession(error.code)) {
    showFault(new Fault(error.message ?? "The agent could not answer.", "The conversation goes on."));
  }
}

function showEmptiness() {
  at("no-words").hidden = transcript.entries.length > 0;
  at("no-events").hidden = events.kept.length > 0;
}

function showSound(stream, whose) {
  levels.listen(stream, whose);
  if (whose !== "agent") return;
  const voice = at("voice");
  voice.srcObject = stream;
  // A browser may want one more press before a page makes sound.
  voice.play().catch(() => addEventListener("pointerdown", () => voice.play(), { once: true }));
}

function forgetSound() {
  levels.forget("mic");
  levels.forget("agent");
  at("voice").srcObject = null;
  showMuted(false);
}

function showFault(fault) {
  const place = at("fault");
  place.hidden = !fault;
  place.replaceChildren(...(fault ? [made("strong", { text: fault.what }), ` ${fault.advice}`] : []));
  if (fault?.needsKey) askForKey(true);
}

/** One thing at a time: whoever enters a key calls with it. */
function askForKey(isAsked) {
  at("key-form").hidden = !isAsked;
  if (!isAsked) return;
  at("start").hidden = at("go-on").hidden = true;
  at("key").focus();
}

function showMuted(isMuted) {
  const button = at("mute");
  button.setAttribute("aria-pressed", String(isMuted));
  button.textContent = isMuted ? "Muted" : "Mute";
}

at("start").addEventListener("click", () => start());
at("go-on").addEventListener("click", goOn);
at("hang-up").addEventListener("click", (event) => {
  // It stands where the first button stood: the second half of a double click means nothing.
  if (event.detail < 2) call.hangUp();
});
at("mute").addEventListener("click", () => {
  const isMuted = at("mute").getAttribute("aria-pressed") !== "true";
  call.mute(isMuted);
  showMuted(isMuted);
});
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = at("key").value.trim();
  at("key").value = "";
  if (!key) return;
  askForKey(false);
  if (call.step === "lost") goOn();
  else start();
});
at("message-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("message").value.trim();
  if (!text || !call.isTalking) return;
  at("message").value = "";
  call.write(text);
});
// The gateway learns at once that nobody is there any more.
addEventListener("pagehide", () => call.hangUp());

/** For tests: what is, to be read and not to be changed. */
Object.defineProperty(globalThis, "switchboard", {
  value: Object.freeze({
    get step() {
      return call.step;
    },
    get sessionId() {
      return call.sessionId;
    },
    get callId() {
      return call.callId;
    },
    get events() {
      return events.kept.map((one) => ({ ...one }));
    },
    get transcript() {
      return transcript.entries;
    },
    get latenciesMs() {
      return [...latency.turns];
    },
    get remoteStream() {
      return call.voice;
    },
    loudness: (whose) => levels.loudness(whose),
    loudest: (whose) => levels.loudest(whose),
  }),
});
