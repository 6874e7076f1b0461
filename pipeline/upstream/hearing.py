"""Hearing: the caller's sound on its way to a remote Realtime service, and the words that come back.

Sound goes out while an utterance is open, in the session's own format wherever the protocol has it, so that G.711
passes untouched. What has not been understood yet is kept: a far session that takes another's place hears it from
its beginning. Used from the event loop only.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Callable
from typing import Final

from pipeline.audio.formats import PCM_24K, AudioFormat
from pipeline.audio.transcode import Transcoder
from pipeline.reports import Report, Transcribed, TranscriptionFailed
from pipeline.upstream import requests, wire
from pipeline.upstream.far_session import FarSession

PIECE_MS: Final = 100
"""Sound goes in pieces of this length: five frames at the price of one. Its end goes at once."""

MOST_KEPT_MS: Final = 120_000
"""Of one utterance. What is longer is not told a second time to a session that takes another's place."""

WORDS_LIMIT_S: Final = 10.0
"""From the end of an utterance to its words; nobody waits for them, but somebody may show them."""


class UtteranceState(enum.Enum):
    OPEN = "open"
    """It is being said."""
    SAID = "said"
    """All of it was sent; its words are not known yet."""
    OVER = "over"


LEGAL_STEPS: Final[dict[UtteranceState, frozenset[UtteranceState]]] = {
    UtteranceState.OPEN: frozenset({UtteranceState.SAID, UtteranceState.OVER}),
    UtteranceState.SAID: frozenset({UtteranceState.OVER}),
    UtteranceState.OVER: frozenset(),
}


class _Utterance:
    def __init__(self, item_id: str, format: AudioFormat) -> None:
        self.item_id = item_id
        self.state = UtteranceState.OPEN
        self.sound = bytearray()
        """In the remote's format, from its beginning."""
        self.sent = 0
        """Bytes of it that the present far session has."""
        self.is_kept = True
        self.words = ""
        self.deadline: asyncio.TimerHandle | None = None
        self._transcoder = Transcoder(format, requests.far(format))
        self._most_bytes = requests.far(format).bytes_in(MOST_KEPT_MS)
        self.piece_bytes = requests.far(format).bytes_in(PIECE_MS)

    def hear(self, audio: bytes) -> None:
        self.sound += self._transcoder.push(audio)
        if len(self.sound) > self._most_bytes:
            self.is_kept = False
        if not self.is_kept:
            del self.sound[: self.sent]
            self.sent = 0

    def finish(self) -> None:
        self.sound += self._transcoder.flush()
        self.step(UtteranceState.SAID)

    def step(self, state: UtteranceState) -> None:
        if state not in LEGAL_STEPS[self.state]:
            raise AssertionError(f"an utterance that is {self.state.value} cannot become {state.value}")
        self.state = state


class Hearing:
    """Of one session. `follow` names the far session that hears from then on."""

    def __init__(self, report: Callable[[Report], None]) -> None:
        self._report = report
        self._far: FarSession | None = None
        self._open: _Utterance | None = None
        self._said: dict[str, _Utterance] = {}
        """By item here."""
        self._committing: deque[_Utterance] = deque()
        """Sent to the present far session, and not yet acknowledged."""
        self._item_of: dict[str, str] = {}
        """Our item, by the remote's."""

    @property
    def is_settled(self) -> bool:
        """Nobody speaks, and all that was said is understood."""
        return self._open is None and not self._said

    def follow(self, far: FarSession) -> None:
        """Another far session hears from now on; `retell` tells it what the other has not understood."""
        self._far = far
        self._committing.clear()
        self._item_of.clear()
        far.listen(self)

    def retell(self) -> None:
        """All that the other far session heard and nobody has understood, and what is being said now."""
        for utterance in self._said.values():
            if utterance.is_kept:
                utterance.sent = 0
                self._send(utterance, 1)
                self._commit(utterance)
        if self._open is not None:
            self._open.sent = 0
            self._send(self._open, 1)

    def begin(self, item_id: str, audio: bytes, format: AudioFormat) -> None:
        self._open = _Utterance(item_id, format)
        if self._far is not None:
            self._far.mirror.utter(item_id)
        self.hear(audio)

    def hear(self, audio: bytes) -> None:
        """More of the caller's sound. The hot path; outside an utterance it is nobody's."""
        utterance = self._open
        if utterance is None:
            return
        utterance.hear(audio)
        self._send(utterance, utterance.piece_bytes)

    def end(self, item_id: str) -> None:
        utterance, self._open = self._open, None
        if utterance is None or utterance.item_id != item_id:
            self._open = utterance
            return
        utterance.finish()
        self._said[item_id] = utterance
        loop = asyncio.get_running_loop()
        utterance.deadline = loop.call_later(WORDS_LIMIT_S, self._fail, item_id, "no words came")
        self._send(utterance, 1)
        self._commit(utterance)

    def expect(self, item_id: str, theirs: str) -> None:
        """The words of an item that came with sound are wanted as well."""
        self._item_of[theirs] = item_id
        utterance = self._said[item_id] = _Utterance(item_id, PCM_24K)
        utterance.finish()
        utterance.is_kept = False
        loop = asyncio.get_running_loop()
        utterance.deadline = loop.call_later(WORDS_LIMIT_S, self._fail, item_id, "no words came")

    def drop(self, item_id: str) -> None:
        if self._open is not None and self._open.item_id == item_id:
            self._open = None
            if self._far is not None:
                self._far.send(requests.clear())

    def leave(self) -> None:
        """Nobody waits for any words any more."""
        self._open = None
        for item_id in list(self._said):
            self._take(item_id)

    # What the far session tells

    def committed(self, item_id: str) -> None:
        if self._committing and self._far is not None:
            utterance = self._committing.popleft()
            self._item_of[item_id] = utterance.item_id
            self._far.mirror.commit(utterance.item_id, item_id)

    def refused(self, message: str) -> None:
        """It heard nothing that is worth an item."""
        if self._committing:
            utterance = self._committing.popleft()
            if self._take(utterance.item_id):
                self._report(Transcribed(utterance.item_id, "", is_final=True))

    def words(self, words: wire.Words) -> None:
        item_id = self._item_of.get(words.item_id, "")
        utterance = self._said.get(item_id)
        if utterance is None:
            return
        utterance.words = words.text if words.replaces else utterance.words + words.text
        if words.is_final:
            self._take(item_id)
        self._report(Transcribed(item_id, utterance.words.strip(), words.is_final))

    def no_words(self, no_words: wire.NoWords) -> None:
        self._fail(self._item_of.get(no_words.item_id, ""), no_words.message)

    def _fail(self, item_id: str, message: str) -> None:
        if self._take(item_id):
            self._report(TranscriptionFailed(item_id, message))

    def _take(self, item_id: str) -> bool:
        """Nobody waits for its words any more; False: nobody did."""
        utterance = self._said.pop(item_id, None)
        if utterance is None:
            return False
        utterance.step(UtteranceState.OVER)
        if utterance.deadline is not None:
            utterance.deadline.cancel()
        return True

    def _send(self, utterance: _Utterance, least_bytes: int) -> None:
        """What the far session lacks of it, if that is enough to be worth a message."""
        if self._far is None or len(utterance.sound) - utterance.sent < least_bytes:
            return
        self._far.send(requests.append(bytes(memoryview(utterance.sound)[utterance.sent :])))
        utterance.sent = len(utterance.sound)

    def _commit(self, utterance: _Utterance) -> None:
        if self._far is None:
            return
        self._far.mirror.utter(utterance.item_id)
        self._committing.append(utterance)
        self._far.commit()
