"""`<Dial>` of a number: somebody else is called, with the outcome the call's setup has for them.

https://www.twilio.com/docs/voice/twiml/dial. Nobody is really called, and what the two say to each other is
silence.
"""

from __future__ import annotations

from simulator.call_setup import DialOutcome, DialStatus
from simulator.verb import Dial
from simulator.verbs.stage import Next, Stage
from simulator.webhook import Asked

RING_S = 2.0
"""Until somebody answers, or is found to be busy."""


async def dial(stage: Stage, verb: Dial) -> Next:
    """The action with how it went; without an action the next verb."""
    outcomes = stage.setup.dials or (DialOutcome(DialStatus.COMPLETED),)
    outcome = outcomes[min(stage.dialled, len(outcomes) - 1)]
    stage.dialled += 1
    stage.note_verb("Dial", {"number": verb.number, "outcome": outcome.status.value})
    rings_s = verb.timeout_s if outcome.status is DialStatus.NO_ANSWER else min(RING_S, verb.timeout_s)
    await stage.pass_time(rings_s, attends=True)
    fields = {"DialCallStatus": outcome.status.value, "DialCallSid": f"CA{stage.new_id()}", "DialBridged": "false"}
    if outcome.status is DialStatus.COMPLETED:
        await stage.pass_time(outcome.talk_s, attends=True)
        fields |= {"DialCallDuration": str(round(outcome.talk_s)), "DialBridged": "true"}
    return None if verb.action is None else Asked(verb.action, verb.method, fields)
