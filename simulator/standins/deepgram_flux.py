"""One connection to the stand-in's `/v2/listen`: the turns of Flux (Deepgram documentation, "Flux State Machine").

A turn goes from its first word to its end, by silence, by time or by `ForceEndTurn`; each is one transcript of the
script. It knows no sockets; what it has to say goes to a `Wire`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final

from simulator.standins.deepgram_query import Query
from simulator.standins.deepgram_wire import Wire
from simulator.standins.deepgram_words import ScriptedWords
from simulator.standins.energy import FRAME_MS, Energy
from simulator.standins.fault import Fault

UPDATE_MS: Final = 240
""""Update messages are sent for approximately every 0.25 seconds of transcribed audio", in whole frames."""

CERTAIN_MS: Final = 1_000
"""Silence after which the end of a turn is beyond doubt; before, confidence grows with the silence."""

REQUEST_ID: Final = "00000000-0000-4000-8000-000000000002"


class Turn(enum.Enum):
    """Where a turn stands."""

    NONE = "nobody has said a word"
    GOING_ON = "somebody speaks"
    MAY_BE_OVER = "an early end was announced"


_LEGAL: Final = {
    (Turn.NONE, "StartOfTurn"): Turn.GOING_ON,
    (Turn.NONE, "Update"): Turn.NONE,
    (Turn.GOING_ON, "Update"): Turn.GOING_ON,
    (Turn.GOING_ON, "EagerEndOfTurn"): Turn.MAY_BE_OVER,
    (Turn.GOING_ON, "EndOfTurn"): Turn.NONE,
    (Turn.MAY_BE_OVER, "Update"): Turn.MAY_BE_OVER,
    (Turn.MAY_BE_OVER, "TurnResumed"): Turn.GOING_ON,
    (Turn.MAY_BE_OVER, "EndOfTurn"): Turn.NONE,
}
"""Which event may be sent when, and what follows."""


class FluxTurns:
    """See the module's docstring. `next_turn` gives the transcript and the fault of one."""

    def __init__(self, query: Query, wire: Wire, next_turn: Callable[[], tuple[str, Fault]]) -> None:
        self._wire = wire
        self._next_turn = next_turn
        self._energy = Energy(query.encoding, query.rate_hz)
        self._threshold = query.eot_threshold
        self._eager_threshold = query.eager_eot_threshold
        self._timeout_ms = query.eot_timeout_ms
        self._turn = Turn.NONE
        self._turn_index = 0
        self._sequence_id = 0
        self._words: ScriptedWords | None = None
        self._heard_ms = 0
        self._turn_began_ms = 0
        self._told_ms = 0
        """When the last event was sent."""

    async def greet(self) -> None:
        await self._say("Connected")

    async def hear(self, sound: bytes) -> None:
        """More sound."""
        for is_voice in self._energy.frames(sound):
            self._heard_ms += FRAME_MS
            if is_voice and self._words is None:
                text, fault = self._next_turn()
                self._wire.begin(fault)
                self._words = ScriptedWords(text)
            has_more = self._words is not None and self._words.hear(is_voice)
            await self._follow(is_voice, has_more)
            if self._heard_ms - self._told_ms >= UPDATE_MS:
                await self._tell("Update")

    async def obey(self, message: dict[str, Any]) -> None:
        """A text message of the client."""
        match message.get("type"):
            case "ForceEndTurn" if self._turn is Turn.NONE:
                await self._warn()
            case "ForceEndTurn":
                await self._wire.wait()
                await self._end("manual")
            case "Configure":
                await self._configure(message)
            case "CloseStream":
                await self.close()
            case _:
                await self._say("Error", code="UNPARSABLE_CLIENT_MESSAGE", description="unknown message")
                await self._wire.close(1008, "UNPARSABLE_CLIENT_MESSAGE")

    async def close(self) -> None:
        """What was said and not yet told, then the end."""
        await self._wire.wait()
        if self._words is not None:
            self._words.show_all()
            if self._words.text():
                await self._tell("StartOfTurn" if self._turn is Turn.NONE else "Update")
        await self._wire.close(1000)

    async def _follow(self, is_voice: bool, has_more: bool) -> None:
        """What one frame does to the turn."""
        match self._turn:
            case Turn.NONE if has_more:
                await self._tell("StartOfTurn")
            case Turn.MAY_BE_OVER if is_voice:
                await self._tell("TurnResumed")
            case Turn.GOING_ON | Turn.MAY_BE_OVER if not is_voice:
                await self._doubt()

    async def _doubt(self) -> None:
        confidence = self._confidence()
        assert self._words is not None
        if self._words.silence_ms >= self._timeout_ms:
            await self._end("timeout")
        elif self._threshold < 1.0 and confidence >= self._threshold:
            await self._end("model")
        elif self._turn is Turn.GOING_ON and self._eager_threshold and confidence >= self._eager_threshold:
            self._words.show_all()
            await self._tell("EagerEndOfTurn")

    async def _end(self, trigger: str) -> None:
        assert self._words is not None
        self._words.show_all()
        await self._tell("EndOfTurn", trigger=trigger)
        self._words = None
        self._turn_index += 1
        self._turn_began_ms = self._heard_ms

    async def _warn(self) -> None:
        """ "Ignored, with a Warning" ("Force End Turn"). A word that was only begun stays for the next turn."""
        if self._words is not None and self._words.is_empty:
            self._words = None
        code = "FORCE_END_TURN_NO_ACTIVE_TURN"
        await self._say("Warning", code=code, description="there is no active turn")

    async def _configure(self, message: dict[str, Any]) -> None:
        wanted = message.get("thresholds") or {}
        try:
            self._threshold = float(wanted.get("eot_threshold", self._threshold))
            if "eager_eot_threshold" in wanted:
                self._eager_threshold = float(wanted["eager_eot_threshold"])
            self._timeout_ms = int(wanted.get("eot_timeout_ms", self._timeout_ms))
        except (TypeError, ValueError):
            await self._say("ConfigureFailure", request_id=REQUEST_ID, code="INVALID", description="not a number")
            return
        thresholds = {
            "eot_threshold": self._threshold,
            "eager_eot_threshold": self._eager_threshold,
            "eot_timeout_ms": self._timeout_ms,
        }
        keyterms = message.get("keyterms") or []
        await self._say("ConfigureSuccess", thresholds=thresholds, keyterms=keyterms)

    def _confidence(self) -> float:
        silence_ms = 0 if self._words is None else self._words.silence_ms
        return min(0.99, silence_ms / CERTAIN_MS)

    async def _tell(self, event: str, **more: Any) -> None:
        self._turn = _LEGAL[self._turn, event]
        self._told_ms = self._heard_ms
        words = self._words
        entries = words.entries(0, self._turn_began_ms) if words else []
        await self._say(
            "TurnInfo",
            is_half_way=event == "EndOfTurn" or (words is not None and words.shown > 0 and words.is_half_way),
            event=event,
            turn_index=self._turn_index,
            audio_window_start=self._turn_began_ms / 1000,
            audio_window_end=self._heard_ms / 1000,
            transcript=words.text() if words else "",
            words=entries,
            end_of_turn_confidence=self._confidence(),
            **more,
        )

    async def _say(self, type: str, *, is_half_way: bool = False, **fields: Any) -> None:
        message = {"type": type, "request_id": REQUEST_ID, "sequence_id": self._sequence_id, **fields}
        self._sequence_id += 1
        await self._wire.say(message, is_half_way=is_half_way)
