"""The record of a call that has ended: what it came to, for the operator's own systems. Pure.

Made of the call itself and of the events of its journal, whoever wrote them. The operator's endpoint gets numbers
in full. Never in it: keys that were pressed, what private tools were given and gave, and what providers say of
their failures, which may repeat a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from gateway.call_records.journal_event import at_ms, at_s, number, text
from gateway.call_records.transcript import Line, transcript_of
from gateway.calls.call import Call, EndReason
from gateway.calls.journal import JournalEvent
from pipeline import costs

KIND: Final = "call.ended"
FAILURES: Final = ("response.failed", "transcript.failed", "error")


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One media stream of the call. Times are milliseconds since `started_at`."""

    stream_sid: str
    from_ms: int
    to_ms: int | None = None
    """None: its worker was gone before it could say."""
    ended: str | None = None
    """Why: an `end_reason`, or `moved`, `stalled`, `stopped` and the like."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to the caller, and how long they waited for it."""

    at_ms: int
    item_id: str
    """What the caller said, as in the transcript."""
    response_id: str
    response_ms: float
    """From the caller's last word to the agent's first sound: all of `stages_ms`."""
    stages_ms: dict[str, float]
    """endpoint, stt, llm, tool, tts, send: those there were."""


class ToolUse(msgspec.Struct, frozen=True, kw_only=True):
    at_ms: int
    """When it was done."""
    name: str
    took_ms: float
    arguments: str
    """JSON, as the model wrote it; `(private)` of tools that handle keys."""
    output: str


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """The agent wished to connect the caller."""

    at_ms: int
    to: str
    """The name in the agent's file."""
    reason: str


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    at_ms: int
    event: str
    """response.failed, transcript.failed or error."""
    code: str | None


class RecordingPart(msgspec.Struct, frozen=True, kw_only=True):
    """Sound that was kept of one stream. It may still be on its way to its place."""

    part: int
    at_ms: int
    name: str
    """Of its file, wherever it is kept; its sidecar's ends in `.json`."""
    path: str
    """Of this gateway, for those with the scope `control`."""


class CallRecord(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """See the module's docstring. `at_ms` is always milliseconds since `started_at`."""

    version: Literal[1] = 1
    """Of this format. A new field leaves it as it is; a field that changes its meaning, or goes, raises it."""
    call_sid: str
    from_: str
    """In full."""
    to: str
    agent: str
    started_at: str
    """UTC, ISO 8601."""
    ended_at: str
    duration_s: float
    end_reason: str
    """One of `EndReason`."""
    transferred_to: str | None
    """The number the caller was connected to at the end."""
    farewell: str | None
    """What Twilio was told to say at the end, because the agent could not."""
    moved: int
    """Times that the call was given to another worker, and went on there."""
    resumed: int
    """Times that its stream broke, by a crash or on the way, and it went on."""
    interruptions: int
    """Times that the caller cut the agent short."""
    streams: tuple[Stream, ...]
    transcript: tuple[Line, ...]
    turns: tuple[Turn, ...]
    tools: tuple[ToolUse, ...]
    transfers: tuple[Transfer, ...]
    failures: tuple[Failure, ...]
    recordings: tuple[RecordingPart, ...]
    costs: dict[str, Any]
    """`providers`, each with what was used of it, and `cost_usd` of all, null where a price is not known."""
    is_complete: bool
    """False: of what happened at the beginning, or in between, not all is known any more."""


class CallEnded(msgspec.Struct, frozen=True, kw_only=True):
    """The body of the webhook, in the shape that Standard Webhooks 1.0.0 recommends ("Payload structure")."""

    type: Literal["call.ended"] = KIND
    timestamp: str
    """When the call ended, not when this was sent."""
    data: CallRecord


def message_id(call_sid: str) -> str:
    """`webhook-id`: the same for every try, on every worker, so that whoever receives it can drop doubles."""
    return f"call.ended_{call_sid}".replace(".", "_")


def body_of(record: CallRecord) -> bytes:
    """The webhook's body, byte for byte what is signed."""
    return _encode(CallEnded(timestamp=record.ended_at, data=record))


def record_of(call: Call, events: Sequence[JournalEvent]) -> CallRecord:
    """Of a call that has ended, and all that is known of its journal, in any order.

    An event that came twice counts once; one that is of a kind or shape we do not know is left out.
    """
    assert call.ended_at_s is not None and call.end_reason is not None, "it has ended"
    told = list(_once(events))
    names = {event["event"] for event in told}
    began_s = call.started_at_s
    streams = _streams(told, began_s)
    moves = sum(stream.ended == "moved" for stream in streams)
    again = max(len(streams) - 1, 0)
    return CallRecord(
        call_sid=call.call_sid,
        from_=call.from_,
        to=call.to,
        agent=call.agent,
        started_at=_iso(began_s),
        ended_at=_iso(call.ended_at_s),
        duration_s=round(call.seconds(call.ended_at_s), 3),
        end_reason=call.end_reason.value,
        transferred_to=call.transfer_to if call.end_reason is EndReason.TRANSFERRED else None,
        farewell=call.farewell,
        moved=min(moves, again),
        resumed=again - min(moves, again),
        interruptions=sum(event["event"] == "interrupted" for event in told),
        streams=streams,
        transcript=transcript_of(told, began_s, call),
        turns=tuple(_turn(event, began_s) for event in told if event["event"] == "turn.timed"),
        tools=tuple(_tool(event, began_s) for event in told if event["event"] == "tool.done"),
        transfers=tuple(_transfer(event, began_s) for event in told if event["event"] == "transfer.asked"),
        failures=tuple(_failure(event, began_s) for event in told if event["event"] in FAILURES),
        recordings=tuple(_recordings(told, began_s, call.call_sid)),
        costs=costs.shown(call.tally.used),
        is_complete="call.started" in names and "journal.gap" not in names,
    )


def _once(events: Sequence[JournalEvent]) -> Iterator[JournalEvent]:
    """In the order of their times. A write whose answer was lost is made again, so an event may come twice."""
    seen: set[bytes] = set()
    for event in sorted(events, key=at_s):
        written = _encode(event)
        if written not in seen and text(event, "event"):
            seen.add(written)
            yield event


def _streams(events: Sequence[JournalEvent], began_s: float) -> tuple[Stream, ...]:
    """An end names no stream: it is that of the last which began."""
    streams: list[Stream] = []
    for event in events:
        if event["event"] == "stream.started":
            streams.append(Stream(stream_sid=text(event, "stream_sid"), from_ms=at_ms(event, began_s)))
        elif event["event"] == "stream.ended" and streams and streams[-1].ended is None:
            ended, to_ms = text(event, "reason"), at_ms(event, began_s)
            streams[-1] = msgspec.structs.replace(streams[-1], ended=ended, to_ms=to_ms)
    return tuple(streams)


def _turn(event: JournalEvent, began_s: float) -> Turn:
    stages_ms = {
        name.removesuffix("_ms"): number(event, name)
        for name in event
        if name.endswith("_ms") and name != "audio_end_ms"
    }
    return Turn(
        at_ms=at_ms(event, began_s),
        item_id=text(event, "turn_id"),
        response_id=text(event, "response_id"),
        response_ms=round(sum(stages_ms.values()), 1),
        stages_ms=stages_ms,
    )


def _tool(event: JournalEvent, began_s: float) -> ToolUse:
    return ToolUse(
        at_ms=at_ms(event, began_s),
        name=text(event, "name"),
        took_ms=number(event, "ms"),
        arguments=text(event, "arguments"),
        output=text(event, "output"),
    )


def _transfer(event: JournalEvent, began_s: float) -> Transfer:
    return Transfer(at_ms=at_ms(event, began_s), to=text(event, "to"), reason=text(event, "reason"))


def _failure(event: JournalEvent, began_s: float) -> Failure:
    return Failure(at_ms=at_ms(event, began_s), event=event["event"], code=text(event, "code") or None)


def _recordings(events: Sequence[JournalEvent], began_s: float, call_sid: str) -> Iterator[RecordingPart]:
    for event in events:
        if event["event"] == "recording.started" and (part := int(number(event, "part"))):
            path = f"/v1/calls/{call_sid}/recordings/{part}"
            yield RecordingPart(part=part, at_ms=at_ms(event, began_s), name=text(event, "name"), path=path)


def _iso(unix_s: float) -> str:
    moment = datetime.fromtimestamp(unix_s, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_encode = msgspec.json.Encoder(enc_hook=str).encode
