"""The watch over turns: what a session's events tell of its pace, as observations.

Cheap: nothing but the type of each event is looked at. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.events import response as resp
from pipeline.events.conversation import ConversationItemTruncated, TranscriptionCompleted
from pipeline.events.event import ServerEvent
from pipeline.events.input_audio import DtmfEventReceived, SpeechStarted, SpeechStopped
from pipeline.events.items import Message
from pipeline.observations import CutShort, Interrupted, Observation, TurnTimed
from pipeline.session import Session
from pipeline.stopwatch import Stage, Stopwatch


class TurnWatch:
    """Of one session."""

    def __init__(self, session: Session, observe: Callable[[Observation], None], now: Callable[[], float]) -> None:
        self._session = session
        self._observe = observe
        self._now = now
        self._has_flushed = False
        self._turn: tuple[SpeechStopped, float, Stopwatch] | None = None

    def flushed(self) -> None:
        """Sound was thrown away: somebody cut in."""
        self._has_flushed = True

    def lap(self, stage: Stage) -> None:
        """A stage of the turn is over."""
        if self._turn is not None:
            self._turn[2].lap(stage)

    def see(self, event: ServerEvent) -> None:
        """An event, as it leaves the session."""
        match event:
            case SpeechStarted(item_id=item_id):
                self._turn = None
                if self._has_flushed:
                    self._has_flushed = False
                    self._observe(Interrupted(item_id, self._session.s_since_voice))
            case DtmfEventReceived():
                self._has_flushed = False  # what a key has interrupted, the next word has not
            case SpeechStopped():
                self._turn = (event, self._session.s_since_voice, Stopwatch(self._now))
            case ConversationItemTruncated(item_id=item_id, audio_end_ms=heard_ms):
                item = self._session.conversation.find(item_id)
                self._observe(CutShort(item_id, heard_ms, item.text if isinstance(item, Message) else ""))
            case TranscriptionCompleted():
                self.lap("stt")
            case resp.ResponseCreated() if self._turn is not None and not self._turn[2].seconds:
                self.lap("stt")  # told or not, the words are known when an answer begins
            case resp.ResponseDone() if event.response.output:
                self.lap("llm")
            case resp.OutputAudioDelta(response_id=response_id) if self._turn is not None:
                stopped, silence_s, stopwatch = self._turn
                self._turn = None
                stopwatch.lap("tts")
                self._observe(
                    TurnTimed(stopped.item_id, response_id, silence_s, stopped.audio_end_ms, stopwatch.seconds)
                )
            case _:
                pass
