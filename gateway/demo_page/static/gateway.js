/** The gateway's HTTP endpoints that a call needs (Realtime reference, section A.2). */

import { refusalFault, unreachable } from "./faults.js";

// Beside the page: a proxy may serve the gateway below a path of its own.
const address = (path) => new URL(`v1/realtime/${path}`, document.baseURI);

const bearer = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

async function ask(url, options, about) {
  const response = await fetch(url, { cache: "no-store", credentials: "omit", ...options }).catch((error) => {
    throw error.name === "AbortError" ? error : unreachable();
  });
  if (!response.ok) throw await refusalFault(response, about);
  return response;
}

/** A client secret `ek_…`, whose session writes down what the visitor says. `{value, session}` */
export async function clientSecret(key, model, signal) {
  const session = { type: "realtime", audio: { input: { transcription: {} } } };
  if (model) session.model = model;
  const headers = { "Content-Type": "application/json", ...bearer(key) };
  const options = { method: "POST", headers, body: JSON.stringify({ session }), signal };
  const response = await ask(address("client_secrets"), options, { hadKey: Boolean(key) });
  return response.json();
}

/** As `RTCConfiguration.iceServers` wants them. */
export async function iceServers(secret, signal) {
  const response = await ask(address("ice-servers"), { headers: bearer(secret), signal });
  return (await response.json()).ice_servers;
}

/**
 * The answer to an offer: `{sdp, callId}`. With a session's id its conversation goes on. Without a model the session is
 * the agent's own: it greets, and its tools are run by the gateway.
 */
export async function answerTo(offer, { secret, model, sessionId, signal }) {
  const url = address("calls");
  if (!model) url.searchParams.set("agent", "1");
  if (model) url.searchParams.set("model", model);
  if (sessionId) url.searchParams.set("session_id", sessionId);
  const headers = { "Content-Type": "application/sdp", ...bearer(secret) };
  const response = await ask(url, { method: "POST", headers, body: offer, signal });
  const callId = response.headers.get("Location")?.split("/").pop() ?? null;
  return { sdp: await response.text(), callId };
}
