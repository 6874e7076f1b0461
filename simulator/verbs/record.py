"""`<Record>`: what the caller says after the tone.

https://www.twilio.com/docs/voice/twiml/record. The recording has an address and a length as at Twilio; its sound
is the caller's script, and is not served there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from simulator.verb import Record
from simulator.verbs.hand import CallerHungUp
from simulator.verbs.stage import Next, Stage
from simulator.webhook import API_VERSION, Asked

BEEP_S = 0.5


async def record(stage: Stage, verb: Record) -> Next:
    """The action with the recording; if there was nothing to record, the next verb.

    A caller who hangs up has finished: the action is told so, and its answer is of no use to anybody.
    """
    stage.note_verb("Record", {"action": verb.action, "max_length_s": verb.max_length_s})
    sid = f"RE{stage.new_id()}"
    url = f"https://api.twilio.com/{API_VERSION}/Accounts/{stage.setup.account_sid}/Recordings/{sid}"
    if verb.has_beep:
        await stage.pass_time(BEEP_S)
    take = _Take()
    try:
        await _listen(stage, verb, take)
    except CallerHungUp:
        take.ended_by = "hangup"
        if take.seconds:
            fields = _tell(stage, verb, sid, url, take)
            stage.status = "completed"
            await stage.tell(Asked(verb.action, verb.method, {**stage.form(), **fields}))
        raise
    fields = _tell(stage, verb, sid, url, take)
    return Asked(verb.action, verb.method, fields) if take.seconds else None


class _Take:
    """What was recorded so far."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.texts: list[str] = []
        self.ended_by = ""


async def _listen(stage: Stage, verb: Record, take: _Take) -> None:
    """Until a key, a silence or the longest length."""
    while take.seconds < verb.max_length_s and not stage.is_too_long:
        sound = stage.hand.speech()
        if sound is not None:
            length_s = min(sound.duration_ms / 1000, verb.max_length_s - take.seconds)
            await stage.pass_time(length_s)
            take.seconds += length_s
            take.texts.append(sound.text)
            continue
        key = await stage.pass_time(
            min(verb.timeout_s, verb.max_length_s - take.seconds), attends=True, takes_keys=True
        )
        if key is not None and key in verb.finish_on_key:
            take.ended_by = key
            return
        # A pause of the script may have ended within this silence, and the next sound is still in time.
        if key is None and not stage.hand.speaks_next:
            return


def _tell(stage: Stage, verb: Record, sid: str, url: str, take: _Take) -> dict[str, str]:
    """Writes the recording down and tells its status callback; gives the action's fields."""
    seconds = str(max(1, round(take.seconds)) if take.seconds else 0)
    status = "completed" if take.seconds else "absent"
    stage.chronicle.note(
        "recording", {"sid": sid, "url": url, "seconds": take.seconds, "text": " ".join(take.texts)}
    )
    if verb.status_callback is not None and status in verb.status_events:
        fields = {
            "AccountSid": stage.setup.account_sid,
            "CallSid": stage.call_sid,
            "RecordingSid": sid,
            "RecordingUrl": url,
            "RecordingStatus": status,
            "RecordingDuration": seconds,
            "RecordingChannels": "1",
            "RecordingSource": "RecordVerb",
            "RecordingStartTime": format_datetime(datetime.now(UTC)),
        }
        stage.callbacks.create_task(stage.tell(Asked(verb.status_callback, verb.status_callback_method, fields)))
    return {"RecordingSid": sid, "RecordingUrl": url, "RecordingDuration": seconds, "Digits": take.ended_by}
