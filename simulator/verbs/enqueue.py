"""`<Enqueue>`: the caller waits, and the wait URL says what is heard, again and again, until a `<Leave>`.

https://www.twilio.com/docs/voice/twiml/enqueue. Nobody takes callers out of a queue from the other side.
"""

from __future__ import annotations

from simulator.call_result import EndReason
from simulator.verb import Document, Enqueue, Gather, Hangup, Leave, Pause, Play, Redirect, Say
from simulator.verbs.gather import gather
from simulator.verbs.stage import Next, Stage
from simulator.webhook import Asked

MAX_WAIT_DOCUMENTS = 10_000
"""More are a circle of redirects."""

SCHEMA_WARNING = 12200


async def enqueue(stage: Stage, verb: Enqueue) -> Next:
    """Until the caller leaves the queue: then the action, or the next verb."""
    stage.note_verb("Enqueue", {"name": verb.name, "wait_url": verb.wait_url})
    queues, queue_sid, name = stage.setup.queues, f"QU{stage.new_id()}", verb.name
    if queues.size(name) >= verb.max_size:
        return _left(stage, verb, {"QueueResult": "queue-full"})
    entered_s = stage.clock.now_s()
    queues.enter(name, stage.call_sid, entered_s)
    try:
        ended = await _wait(stage, verb, queue_sid)
    finally:
        queues.leave(name, stage.call_sid)
    if isinstance(ended, EndReason):
        return ended
    return _left(
        stage,
        verb,
        {
            "QueueResult": ended,
            "QueueSid": queue_sid,
            "QueueTime": str(int((stage.clock.now_s() - entered_s) * stage.setup.verb_speed)),
        },
    )


def _left(stage: Stage, verb: Enqueue, fields: dict[str, str]) -> Next:
    stage.chronicle.note("queue.left", {"result": fields["QueueResult"]})
    return None if verb.action is None else Asked(verb.action, verb.method, fields)


async def _wait(stage: Stage, verb: Enqueue, queue_sid: str) -> str | EndReason:
    """The QueueResult, or how the call ended meanwhile. Raises `CallerHungUp`."""
    if verb.wait_url is None:
        await stage.pass_time((stage.deadline_s - stage.clock.now_s()) * stage.setup.verb_speed, attends=True)
        return EndReason.TOO_LONG
    first = Asked(verb.wait_url, verb.wait_method, {})
    asked = first
    for _ in range(MAX_WAIT_DOCUMENTS):
        if stage.is_too_long:
            return EndReason.TOO_LONG
        fields = {**_standing(stage, verb, queue_sid), **asked.fields}
        document = await stage.document(Asked(asked.url, asked.method, fields))
        if document is None:
            return "error"
        began_s = stage.clock.now_s()
        following = await _hear(stage, document)
        if isinstance(following, str | EndReason):
            return following
        asked = following or first
        if following is None and stage.clock.now_s() == began_s:
            await stage.pass_time(1.0, attends=True)  # a document without sound does not make Twilio spin
    return EndReason.TOO_MANY_DOCUMENTS


async def _hear(stage: Stage, document: Document) -> Asked | str | EndReason | None:
    """One document in the queue: another one to ask, the queue's result, or None at its end."""
    for verb in document.verbs:
        match verb:
            case Say() | Play() | Pause():
                await stage.prompt(verb, attends=True)
            case Gather():
                following = await gather(stage, verb)
                if following is not None:
                    return following
            case Redirect(url=url, method=method):
                stage.note_verb("Redirect", {"url": url})
                return Asked(url, method, {})
            case Leave():
                stage.note_verb("Leave", {})
                return "leave"
            case Hangup():
                stage.note_verb("Hangup", {})
                return EndReason.HANGUP_VERB
            case _:
                name = type(verb).__name__
                stage.chronicle.complain(SCHEMA_WARNING, f"<{name}> cannot be heard in a queue; it is left out")
    return None


def _standing(stage: Stage, verb: Enqueue, queue_sid: str) -> dict[str, str]:
    """What a wait URL is told, in seconds of the verbs' time."""
    standing = stage.setup.queues.standing(verb.name, stage.call_sid, stage.clock.now_s())
    speed = stage.setup.verb_speed
    return {
        "QueueSid": queue_sid,
        "QueuePosition": str(standing.position),
        "QueueTime": str(int(standing.waited_s * speed)),
        "AvgQueueTime": str(int(standing.average_s * speed)),
        "CurrentQueueSize": str(standing.size),
        "MaxQueueSize": str(verb.max_size),
    }
