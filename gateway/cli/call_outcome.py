"""What came of a placed call: the exit code, what to say when it never came about, and the result for programs.

Pure. The exit codes are those of the command line (`main.py`).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.cli.call_review import Exchange, Interruption, Review, p95
from gateway.cli.placed_call import PlacedCall
from gateway.cli.target import Target
from gateway.cli.verdict import Check
from simulator.call_result import CallResult
from simulator.webhook import CONNECTION_FAILURE, RETRIEVAL_FAILURE

OK: Final = 0
FAILED: Final = 1
WRONG_USE: Final = 2
UNREACHABLE: Final = 3
REFUSED: Final = 4
STOPPED: Final = 130


@dataclass(frozen=True, slots=True)
class NoCall:
    """The call never came about."""

    exit_code: int
    message: str


def no_call(result: CallResult, target: Target) -> NoCall | None:
    """Whether nobody was reached, or we were turned away; None for a call that was taken."""
    names = {one.name for one in result.happenings}
    if "twiml" not in names and result.complaints:
        first = result.complaints[0]
        if first.code in (CONNECTION_FAILURE, RETRIEVAL_FAILURE):
            return NoCall(
                UNREACHABLE,
                f"cannot reach {target.voice_url}\n"
                "Is the gateway running? Start it with `switchboard serve`, or say where it is with --url.",
            )
        if " answered 403" in first.message:
            return NoCall(
                REFUSED,
                f"{target.voice_url} refused the call with 403\n"
                "Sign with the gateway's own token: --auth-token, or TWILIO_AUTH_TOKEN; and call it by the URL it "
                "knows as its own: --url with its PUBLIC_URL.",
            )
    refusals = [one for one in result.happenings if one.name == "stream.refused"]
    if refusals and "start" not in names and refusals[0].detail["http_status"] == 403:
        return NoCall(
            REFUSED,
            f"{target.base_url} refused the media stream with 403\n"
            "The handshake is signed over the stream's wss URL. A proxy between must pass the path and the "
            "X-Twilio-Signature header on unchanged; else call the gateway by its PUBLIC_URL, with --url.",
        )
    return None


def result_line(
    placed: PlacedCall, review: Review, checks: Sequence[Check], exit_code: int, saved: Sequence[str]
) -> dict[str, Any]:
    """The last line of `--json`."""
    result, totals_ms = placed.result, review.totals_ms
    return {
        "event": "result",
        "ok": exit_code == OK,
        "exit_code": exit_code,
        "call_sid": result.call_sid,
        "end_reason": result.end_reason.value,
        "duration_s": round(result.duration_s, 3),
        "turns": [_turn(one) for one in review.exchanges],
        "interruptions": [_interruption(one) for one in review.interruptions],
        "median_ms": statistics.median(totals_ms) if totals_ms else None,
        "p95_ms": p95(totals_ms),
        "sent_bytes": result.received_bytes,
        "heard_bytes": result.heard_bytes,
        "underruns": len(result.underruns),
        "complaints": [{"code": one.code, "message": one.message} for one in result.complaints],
        "checks": [{"ok": one.is_met, "text": one.text} for one in checks],
        "no_journal": placed.no_journal,
        "saved": list(saved),
    }


def _turn(one: Exchange) -> dict[str, Any]:
    stages = one.stages
    return {
        "turn": one.number,
        "said": one.turn.text,
        "understood": one.understood,
        "answer_heard": one.words_heard,
        "tools": [tool.name for tool in one.tools],
        "total_ms": one.total_ms,
        "stages": None
        if stages is None
        else {
            "endpoint_ms": stages.endpoint_ms,
            "stt_ms": stages.stt_ms,
            "llm_ms": stages.llm_ms,
            "tool_ms": stages.tool_ms,
            "tts_ms": stages.tts_ms,
            "to_caller_ms": stages.to_caller_ms,
        },
    }


def _interruption(one: Interruption) -> dict[str, Any]:
    answer = one.answer
    return {
        "at_ms": one.at_ms,
        "cleared_after_ms": one.cleared_after_ms,
        "silent_after_ms": one.silent_after_ms,
        "heard_ms": one.heard_ms,
        "believed_heard_ms": None if answer is None else answer.heard_ms,
        "error_ms": one.error_ms,
        "heard": None if answer is None else answer.heard,
    }
