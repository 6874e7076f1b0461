/** One call: from the button to the last sound. Knows nothing of the page.
 *
 *     entering   asks the gateway for a client secret
 *     asking     waits for the visitor's word on the microphone
 *     connecting offer, answer, ICE and DTLS
 *     listening, hearing, thinking, speaking     the conversation, as its events tell it
 *     lost       the connection ended and nobody hung up
 */

import { Fault, ended, hungUp, lost, microphoneFault, noMedia, shaky } from "./faults.js";
import { answerTo, clientSecret, iceServers } from "./gateway.js";

const TALKING = ["listening", "hearing", "thinking", "speaking"];

/** From each step, the steps that may follow. What comes late, after the end of a call, changes nothing. */
const STEPS = {
  idle: ["entering"],
  entering: ["asking", "idle", "lost"],
  asking: ["connecting", "idle", "lost"],
  connecting: ["listening", "idle", "lost"],
  ...Object.fromEntries(TALKING.map((step) => [step, [...TALKING, "idle", "lost"]])),
  lost: ["entering", "idle"],
};

/** Candidates are sent with the offer, or not at all: there is no trickling. STUN servers may not answer. */
const GATHERING_LIMIT_MS = 1000;
/** The gateway gives up a peer that is not connected by then; a little more, so that its word comes first. */
const CONNECTING_LIMIT_MS = 12_000;

/** What the step is after an event; a function has the event and the step so far. */
const AFTER = {
  "session.created": () => "listening",
  "input_audio_buffer.speech_started": () => "hearing",
  "input_audio_buffer.speech_stopped": () => "thinking",
  "input_audio_buffer.timeout_triggered": () => "thinking",
  "conversation.item.input_audio_transcription.completed": (event, step) =>
    // Nothing was said, so nothing will be answered.
    step === "thinking" && !event.transcript.trim() ? "listening" : step,
  "response.created": (_event, step) => (step === "listening" ? "thinking" : step),
  "response.done": (_event, step) => (step === "thinking" ? "listening" : step),
  "output_audio_buffer.started": () => "speaking",
  "output_audio_buffer.stopped": (_event, step) => (step === "speaking" ? "listening" : step),
  "output_audio_buffer.cleared": (_event, step) => (step === "speaking" ? "listening" : step),
};

export class Call {
  step = "idle";
  sessionId = null;
  callId = null;
  microphone = null;
  voice = null;
  #peer = null;
  #channel = null;
  #abort = null;
  #limit = null;
  /** Of the last `error` event. */
  #lastError = null;
  /** The function that the agent asked for last, since the visitor spoke. */
  #lastTool = "";
  #isAnswering = false;
  #resumes = false;
  #told;

  /** `told` has the functions `step(step)`, `event(event, direction)`, `sound(stream, whose)` and `fault(fault)`;
   * a fault that is null says that the last one is over. */
  constructor(told) {
    this.#told = told;
  }

  get isTalking() {
    return TALKING.includes(this.step);
  }

  /** Calls. With `resumes`, the conversation that was lost. Ends in a step; never throws. */
  async start({ key = "", model = "", raw = false, resumes = false } = {}) {
    if (!this.#to("entering")) return;
    const abort = (this.#abort = new AbortController());
    this.#resumes = resumes;
    this.#lastError = null;
    this.#lastTool = "";
    if (!resumes) this.sessionId = null;
    try {
      await this.#connect({ key, model, raw, signal: abort.signal });
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#fail(error instanceof Fault ? error : new Fault(`The browser failed: ${error.message}.`, "Try again."));
    }
  }

  async #connect({ key, model, raw, signal }) {
    const secret = await clientSecret(key, model, signal);
    this.#to("asking");
    const microphone = await openMicrophone(raw);
    if (signal.aborted) return void stop(microphone);
    this.microphone = microphone;
    this.#told.sound(microphone, "mic");
    this.#to("connecting");
    this.#limit = setTimeout(() => this.#fail(noMedia()), CONNECTING_LIMIT_MS);
    const servers = await iceServers(secret.value, signal);
    const peer = this.#open(servers);
    await peer.setLocalDescription();
    await gathered(peer, signal);
    const { sdp, callId } = await answerTo(peer.localDescription.sdp, {
      secret: secret.value,
      model,
      sessionId: this.sessionId,
      signal,
    });
    this.callId = callId;
    signal.throwIfAborted();
    await peer.setRemoteDescription({ type: "answer", sdp });
  }

  #open(servers) {
    const peer = (this.#peer = new RTCPeerConnection({ iceServers: servers }));
    const channel = (this.#channel = peer.createDataChannel("oai-events", { ordered: true }));
    peer.addTrack(this.microphone.getAudioTracks()[0], this.microphone);
    peer.ontrack = ({ track, streams }) => {
      this.voice = streams[0] ?? new MediaStream([track]);
      this.#told.sound(this.voice, "agent");
    };
    peer.onconnectionstatechange = () => this.#follow(peer.connectionState);
    channel.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    channel.onclose = () => this.#lose();
    return peer;
  }

  #hear(event) {
    this.#told.event(event, "in");
    if (event.type === "session.created") {
      clearTimeout(this.#limit);
      this.sessionId = event.session.id;
    }
    if (event.type === "error") this.#lastError = event.error;
    if (event.type === "response.created") this.#isAnswering = true;
    if (event.type === "response.done") this.#isAnswering = false;
    if (event.type === "response.output_item.done" && event.item.name) this.#lastTool = event.item.name;
    if (event.type === "input_audio_buffer.speech_started") this.#lastTool = "";
    const next = AFTER[event.type]?.(event, this.step) ?? this.step;
    if (next !== this.step) this.#to(next);
  }

  /** Sends an event; nothing when there is nobody to send it to. */
  send(event) {
    if (this.#channel?.readyState !== "open") return;
    this.#channel.send(JSON.stringify(event));
    this.#told.event(event, "out");
  }

  /** A written message. It interrupts, as a spoken one does: one answer at a time. */
  write(text) {
    if (this.#isAnswering) this.send({ type: "response.cancel" });
    if (this.#isAnswering || this.step === "speaking") this.send({ type: "output_audio_buffer.clear" });
    const content = [{ type: "input_text", text }];
    this.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
    this.send({ type: "response.create" });
  }

  mute(isMuted) {
    for (const track of this.microphone?.getAudioTracks() ?? []) track.enabled = !isMuted;
  }

  hangUp() {
    this.#close();
    this.#to("idle");
  }

  #follow(connectionState) {
    if (connectionState === "failed") this.#lose();
    if (!this.isTalking) return;
    if (connectionState === "disconnected") this.#told.fault(shaky());
    if (connectionState === "connected") this.#told.fault(null);
  }

  /** The connection has ended and nobody hung up. */
  #lose() {
    const wasTalking = this.isTalking;
    this.#close();
    if (wasTalking && this.#lastTool === "hang_up") {
      this.#to("idle");
      this.#told.fault(hungUp());
    } else if (wasTalking) {
      this.#to("lost");
      this.#told.fault(lost(this.#lastError?.code));
    } else {
      this.#fail(this.#lastError ? ended(this.#lastError.message) : noMedia());
    }
  }

  /** A call that did not come about. A conversation that was to go on can be asked for again. */
  #fail(fault) {
    this.#close();
    this.#to(this.#resumes && !fault.isForgotten ? "lost" : "idle");
    this.#told.fault(fault);
  }

  #close() {
    clearTimeout(this.#limit);
    this.#abort?.abort();
    if (this.#channel) this.#channel.onclose = this.#channel.onmessage = null;
    if (this.#peer) this.#peer.onconnectionstatechange = this.#peer.ontrack = null;
    this.#peer?.close();
    stop(this.microphone);
    this.#peer = this.#channel = this.microphone = this.voice = null;
    this.#isAnswering = false;
  }

  /** False for a step that cannot follow. */
  #to(step) {
    if (!STEPS[this.step].includes(step)) return false;
    this.step = step;
    this.#told.step(step);
    return true;
  }
}

async function openMicrophone(raw) {
  // Tests play a recording into the microphone, which is to arrive as it is.
  const wanted = { echoCancellation: !raw, noiseSuppression: !raw, autoGainControl: !raw };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: wanted });
  } catch (error) {
    throw microphoneFault(error);
  }
}

function stop(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** Waits for the offer's candidates, but not for those of servers that do not answer. */
function gathered(peer, signal) {
  return new Promise((resolve, reject) => {
    const look = () => peer.iceGatheringState === "complete" && resolve();
    peer.addEventListener("icegatheringstatechange", look);
    setTimeout(resolve, GATHERING_LIMIT_MS);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    look();
  });
}
