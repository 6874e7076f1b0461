/** @openai/agents-realtime's own browser build, unmodified, with its WebRTC transport, as its documentation shows it.
 *
 * `talk(url, key, model)` resolves to what `connect()` did; `agents` tells what was seen since.
 */

import { OpenAIRealtimeWebRTC, RealtimeAgent, RealtimeSession, tool } from "../packages/openai-realtime-agents.mjs";

const seen = { errors: [], types: [], history: [], interruptions: 0 };

/** What the client makes the page play, without an element of the document. */
const voice = document.createElement("audio");

const weather = tool({
  name: "get_weather",
  description: "The weather in a city",
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
  strict: true,
  execute: async ({ city }) => `It is sunny and warm in ${city}`,
});

function follow(session) {
  // What is told as an error may be an exception, an event or an object around either.
  session.on("error", (error) => seen.errors.push(JSON.stringify(error, Object.getOwnPropertyNames(error))));
  session.on("history_updated", (history) => (seen.history = JSON.parse(JSON.stringify(history))));
  session.on("audio_interrupted", () => (seen.interruptions += 1));
  session.on("transport_event", ({ type }) => seen.types.push(type));
}

async function talk(url, key, model) {
  const transport = new OpenAIRealtimeWebRTC({ baseUrl: `${url}/v1/realtime/calls`, audioElement: voice });
  const agent = new RealtimeAgent({ name: "Tester", instructions: "Answer in one sentence.", tools: [weather] });
  const session = new RealtimeSession(agent, { transport, model });
  follow(session);
  await session.connect({ apiKey: key });
  Object.assign(globalThis.agents, { session, transport });
  return { status: transport.status, callId: transport.callId ?? null };
}

globalThis.agents = {
  seen,
  talk,
  get voice() {
    return voice.srcObject;
  },
};
