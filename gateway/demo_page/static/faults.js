/** What can go wrong, in words a visitor can act on. */

export class Fault extends Error {
  /** `what` happened; `advice`: what to do. `needsKey`: an API key would help. */
  constructor(what, advice, { needsKey = false, isForgotten = false } = {}) {
    super(`${what} ${advice}`);
    Object.assign(this, { what, advice, needsKey, isForgotten });
  }
}

const MICROPHONE = {
  NotAllowedError: [
    "The microphone was refused.",
    "Allow it for this page, at the left end of the address bar, and press the button again.",
  ],
  NotFoundError: ["This machine has no microphone.", "Plug one in and press the button again."],
  NotReadableError: [
    "The microphone could not be opened.",
    "Another program may be using it: close that one and press the button again.",
  ],
};

export function microphoneFault(error) {
  if (!navigator.mediaDevices) {
    return new Fault(
      "This browser gives no page at this address a microphone.",
      "Open it over https, or as http://localhost on the gateway's own machine.",
    );
  }
  const [what, advice] = MICROPHONE[error.name] ?? [`The microphone failed: ${error.message}.`, "Try again."];
  return new Fault(what, advice);
}

export const unreachable = () =>
  new Fault("The gateway does not answer.", "See that it is running and that you are online, then try again.");

export const noMedia = () =>
  new Fault(
    "The gateway answered, but no sound came through to it.",
    "A firewall may be in the way of UDP: its operator can name a TURN server in SWITCHBOARD_REALTIME_ICE_SERVERS.",
  );

/** A refusal: its status, and the words of its body (Realtime reference, section H.1). */
export async function refusalFault(response, { hadKey = false } = {}) {
  const body = await response.json().catch(() => ({}));
  const said = body.error?.message ?? body.message ?? "";
  switch (response.status) {
    case 401:
      return new Fault(
        hadKey ? "The gateway does not know that API key." : "This gateway asks for an API key.",
        "Enter one that may open Realtime sessions.",
        { needsKey: true },
      );
    case 403:
      return new Fault("This may not be done with that key.", said || "Enter another key.", { needsKey: true });
    case 404:
    case 405:
    case 501:
      if (body.error?.code === "session_not_found") return forgotten();
      return new Fault("WebRTC is off on this gateway.", said || "Its operator can switch it on.");
    case 429:
      return new Fault("Too many at once.", said || "Wait a minute and try again.");
    case 503:
      return new Fault("The gateway takes no new calls just now.", said || "Try again in a minute.");
    default:
      return new Fault(`The gateway refused (${response.status}).`, said || "Its log says why.");
  }
}

const forgotten = () =>
  new Fault("That conversation is no longer there.", "Press the button to begin a new one.", { isForgotten: true });

export const shaky = () => new Fault("The connection is interrupted.", "It may come back by itself; wait a moment.");

export const hungUp = () => new Fault("The agent has hung up.", "Press the button to talk again.");

export const ended = (reason) => new Fault(reason, "Try again.");

/** Errors after which a session ends, by their codes; what the gateway says then is meant for programs. */
const ENDINGS = {
  server_stopping: "The gateway is stopping.",
  session_expired: "This conversation has had the longest time the gateway allows.",
};

export const endsSession = (code) => code in ENDINGS;

export const lost = (code) =>
  new Fault(ENDINGS[code] ?? "The connection was lost.", "Press “Go on” to take up the conversation where it was.");
