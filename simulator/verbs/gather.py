"""`<Gather>`: keys of the caller's, during the prompts and after them.

https://www.twilio.com/docs/voice/twiml/gather. Speech is not understood here: an input of speech alone hears
nothing.
"""

from __future__ import annotations

from simulator.verb import Gather
from simulator.verbs.stage import Next, Stage
from simulator.webhook import Asked


async def gather(stage: Stage, verb: Gather) -> Next:
    """The action with the keys; without keys the next verb, unless the action wants to be told all the same."""
    stage.note_verb("Gather", {"action": verb.action, "num_digits": verb.num_digits})
    key = None
    for prompt in verb.prompts:
        key = await stage.prompt(prompt, attends=True, takes_keys=True)
        if key is not None:
            break
    digits, finished_on = "", ""
    while True:
        if key is None:
            key = await stage.pass_time(verb.timeout_s, attends=True, takes_keys=True)
        if key is None:
            break
        if key in verb.finish_on_key:
            finished_on = key
            break
        digits, key = digits + key, None
        if len(digits) == verb.num_digits:
            break
    if not digits and not verb.action_on_empty:
        return None
    return Asked(verb.action, verb.method, {"Digits": digits, "FinishedOnKey": finished_on, "msg": "Gather End"})
