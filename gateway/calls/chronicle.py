"""The chronicle: what happened in a call, told to its journal and to the metrics as it happens.

The journal's events are what `GET /v1/calls/{call_sid}/events` shows: names and times, words of both sides, nothing
that is a secret. Sound is not among them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gateway.calls.journal import Journal
from gateway.metrics import Metrics
from pipeline import costs
from pipeline.costs import Tally, Used
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import response as resp
from pipeline.events.backchannel import BackchannelSkipped
from pipeline.events.error import ErrorEvent
from pipeline.events.items import Message
from pipeline.legs.means import FAILED_LATELY, LATE
from pipeline.observations import (
    Anticipated,
    Backchannelled,
    CutShort,
    FellBack,
    FillerPlayed,
    Hedged,
    Interrupted,
    Observation,
    ProviderTimed,
    ToolNoted,
    ToolTimed,
    TurnTimed,
    TurnUsed,
    Wasted,
)

log = logging.getLogger(__name__)


FALLBACK_REASONS = {FAILED_LATELY: "failed_lately", LATE: "late"}
"""As a metric's label; any other words are a failure's own."""


class Chronicle:
    """Of one media stream. `at_s` is the gateway's own clock, in seconds."""

    def __init__(
        self,
        journal: Journal | None,
        metrics: Metrics,
        now: Callable[[], float],
        *,
        call_sid: str,
        tally: Tally | None = None,
    ) -> None:
        """`tally`: what the call has used on its streams before, and goes on using."""
        self._journal = journal
        self._metrics = metrics
        self._now = now
        self._call_sid = call_sid
        self._tally = Tally() if tally is None else tally

    def begin(self, stream_sid: str) -> None:
        self._write("stream.started", call_sid=self._call_sid, stream_sid=stream_sid)

    def end(self, reason: str) -> None:
        if self._tally.used:
            self._write("call.cost", **costs.shown(self._tally.used))
        self._write("stream.ended", reason=reason)

    def note(self, observation: Observation) -> None:
        """Called for every event of the session; most are none of its business."""
        match observation:
            case resp.OutputAudioDelta() | resp.TranscriptDelta():
                pass  # the most frequent two, first
            case heard.SpeechStarted(audio_start_ms=start_ms, item_id=item_id):
                self._write("speech.started", audio_start_ms=start_ms, item_id=item_id)
            case heard.SpeechStopped(audio_end_ms=end_ms, item_id=item_id):
                self._write("speech.stopped", audio_end_ms=end_ms, item_id=item_id)
            case heard.DtmfEventReceived(received_at=at_ms):
                self._write("dtmf", audio_ms=at_ms)  # which key is nobody's business but the agent's
            case conv.TranscriptionCompleted(item_id=item_id, transcript=transcript):
                self._write("transcript.done", speaker="caller", item_id=item_id, text=transcript)
            case conv.TranscriptionFailedEvent(item_id=item_id, message=message):
                log.warning("> transcription failed: %s", message)
                self._write("transcript.failed", item_id=item_id, message=message)
            case resp.OutputItemDone(response_id=response_id, item=Message(id=item_id) as item):
                self._write(
                    "transcript.done", speaker="agent", item_id=item_id, response_id=response_id, text=item.text
                )
            case CutShort(item_id=item_id, heard_ms=heard_ms, heard=text):
                self._write("transcript.truncated", item_id=item_id, heard_ms=heard_ms, heard=text)
            case resp.ResponseDone(response=response):
                self._finish(response)
            case ErrorEvent(error=error):
                self._write("error", code=error.code, message=error.message)
            case TurnTimed():
                self._time(observation)
            case Interrupted(item_id=item_id, clear_after_s=after_s):
                self._metrics.barge_in.inc()
                self._metrics.barge_in_clear_s.observe(after_s)
                self._write("interrupted", item_id=item_id, clear_after_ms=_ms(after_s))
            case ToolTimed(name=name, arguments=arguments, output=output, seconds=seconds):
                self._metrics.turn_stage_s["tool"].observe(seconds)
                self._write("tool.done", name=name, arguments=arguments, output=output, ms=_ms(seconds))
            case ToolNoted(event=event, fields=fields):
                self._write(event, **fields)
            case FillerPlayed(text=text):
                self._metrics.fillers.inc()
                self._write("filler", text=text)
            case Backchannelled(phrase=phrase, after_s=after_s):
                self._metrics.backchannels.inc()
                self._metrics.backchannel_s.observe(after_s)
                self._write("backchannel", text=phrase, after_ms=_ms(after_s))
            case BackchannelSkipped(reason=reason):
                self._metrics.backchannels_skipped.labels(reason).inc()
            case ProviderTimed(provider=provider, kind=kind, error=error_name, seconds=seconds):
                self._metrics.provider_request_s.labels(provider, kind).observe(seconds)
                if error_name is not None:
                    self._metrics.provider_errors.labels(provider, kind, error_name).inc()
            case TurnUsed(response_id=response_id, used=used):
                self._tally.add(*used)
                self._count(used)
                answer = {"response_id": response_id} if response_id else {}
                self._write("turn.cost", **answer, **costs.shown(used))
            case Hedged() | FellBack() | Wasted() | Anticipated():
                self._resort(observation)
            case _:
                pass

    def _resort(self, resort: Hedged | FellBack | Wasted | Anticipated) -> None:
        """More than one request was made for one thing."""
        match resort:
            case Hedged(kind=kind, provider=provider, won=has_won, saved_s=saved_s):
                self._metrics.hedges.labels(provider, kind, _yes_or_no(has_won)).inc()
                saved = {} if saved_s is None else {"saved_at_most_ms": _ms(saved_s)}
                self._write("provider.hedged", provider=provider, kind=kind, won=has_won, **saved)
            case FellBack(kind=kind, from_=provider, to=to, reason=reason):
                label = FALLBACK_REASONS.get(reason, "failed")
                self._metrics.fallbacks.labels(provider, kind, label).inc()
                self._write("provider.fell_back", provider=provider, kind=kind, to=to, reason=reason)
            case Wasted(provider=provider, input_tokens=came, output_tokens=went, is_estimated=is_estimated):
                # Counted with all else that was used, in `turn.cost`.
                self._write(
                    "provider.wasted",
                    provider=provider,
                    input_tokens=came,
                    output_tokens=went,
                    is_estimated=is_estimated,
                )
            case Anticipated(head_start_s=head_start_s, wasted_words=words):
                # What is begun and taken over has been in the making for some time, however short.
                is_wanted = head_start_s > 0
                self._metrics.anticipations.labels(_yes_or_no(is_wanted)).inc()
                told = {"head_start_ms": _ms(head_start_s)} if is_wanted else {"wasted_words": words}
                self._write("turn.anticipated", wanted=is_wanted, **told)

    def _count(self, used: tuple[Used, ...]) -> None:
        metrics = self._metrics
        for each in used:
            tokens = {
                "input": each.input_tokens,
                "cached": each.cached_tokens,
                "output": each.output_tokens,
                "input_audio": each.input_audio_tokens,
                "output_audio": each.output_audio_tokens,
            }
            for direction, count in tokens.items():
                if count:
                    metrics.provider_tokens.labels(each.provider, each.kind, direction).inc(count)
            if each.characters:
                metrics.provider_characters.labels(each.provider).inc(each.characters)
            if each.audio_s:
                metrics.provider_audio_s.labels(each.provider, each.kind).inc(each.audio_s)
            if each.wasted_tokens:
                metrics.wasted_tokens.labels(each.provider).inc(each.wasted_tokens)
            if each.cost_usd is not None:
                metrics.cost_usd.labels(each.provider, each.kind).inc(each.cost_usd)

    def _finish(self, response: resp.ResponseSnapshot) -> None:
        details = response.status_details
        if details is not None and details.type == "failed":
            log.warning("> response failed: %s: %s", details.code, details.message)
            self._write("response.failed", response_id=response.id, code=details.code, message=details.message)

    def _time(self, turn: TurnTimed) -> None:
        total_s = turn.silence_s + sum(turn.seconds.values())
        self._metrics.turn_response_s.observe(total_s)
        self._metrics.turn_stage_s["endpoint"].observe(turn.silence_s)
        for stage, seconds in turn.seconds.items():
            if stage != "tool":
                self._metrics.turn_stage_s[stage].observe(seconds)
        stages = {f"{stage}_ms": _ms(seconds) for stage, seconds in turn.seconds.items()}
        self._write(
            "turn.timed",
            turn_id=turn.item_id,
            response_id=turn.response_id,
            audio_end_ms=turn.audio_end_ms,
            endpoint_ms=_ms(turn.silence_s),
            **stages,
        )

    def _write(self, event: str, **fields: Any) -> None:
        if self._journal is not None:
            self._journal.append({"event": event, "at_s": round(self._now(), 4), **fields})


def _yes_or_no(fact: bool) -> str:
    return "yes" if fact else "no"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
