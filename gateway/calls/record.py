"""A call as other workers may read it: the spare copy's facts as JSON. Pure.

The words of the conversation are not among the facts: they are kept beside them, item by item. Times are Unix
seconds, as in the `Call` itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from gateway.calls.call import Call, CallState, EndReason
from pipeline.costs import Tally, Used


class UnreadableRecord(Exception):
    """What should be a call's record is none, or one of a version we do not know."""


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a call, without those that scripts in Redis compare."""

    from_: str
    to: str
    agent: str
    started_at_s: float
    waiting_since_s: float
    resumed_at_s: tuple[float, ...] = ()
    ended_at_s: float | None = None
    end_reason: EndReason | None = None
    farewell: str | None = None
    transfer_to: str | None = None
    is_forgotten: bool = False
    is_recording_paused: bool = False
    used: tuple[Used, ...] = ()
    """What the providers were used for."""
    is_keying: bool = False
    v: Literal[1] = 1
    """Of this format."""


def facts_of(call: Call) -> bytes:
    """The facts, as JSON."""
    return _encode(
        CallRecord(
            from_=call.from_,
            to=call.to,
            agent=call.agent,
            started_at_s=call.started_at_s,
            waiting_since_s=call.waiting_since_s,
            resumed_at_s=tuple(call.resumed_at_s),
            ended_at_s=call.ended_at_s,
            end_reason=call.end_reason,
            farewell=call.farewell,
            transfer_to=call.transfer_to,
            is_forgotten=call.is_forgotten,
            is_recording_paused=call.is_recording_paused,
            used=call.tally.used,
            is_keying=call.is_keying,
        )
    )


def call_of(call_sid: str, fields: Mapping[bytes, bytes]) -> Call:
    """The call that a hash in Redis tells of. Raises `UnreadableRecord`."""
    try:
        record = _decode(fields[b"facts"])
        call = Call(
            call_sid=call_sid,
            from_=record.from_,
            to=record.to,
            agent=record.agent,
            started_at_s=record.started_at_s,
            state=CallState(fields[b"state"].decode()),
            generation=int(fields[b"generation"]),
            revision=int(fields[b"revision"]),
            holder=fields.get(b"holder", b"").decode(),
            ended_at_s=record.ended_at_s,
            end_reason=record.end_reason,
            farewell=record.farewell,
            transfer_to=record.transfer_to,
            is_forgotten=record.is_forgotten,
            is_recording_paused=record.is_recording_paused,
            tally=Tally(record.used),
            is_keying=record.is_keying,
        )
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        raise UnreadableRecord(f"The record of {call_sid} cannot be read: {error}") from error
    call.waiting_since_s = record.waiting_since_s
    call.resumed_at_s.extend(record.resumed_at_s)
    return call


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CallRecord).decode
