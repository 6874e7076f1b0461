"""Fillers: the session's part of what is heard by somebody who is kept waiting. Pure.

The sound is there already, with its words, so nobody is asked for it. When it is time, and what is said, is
`patience.py`'s business.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline import reports
from pipeline.answers import Answers
from pipeline.conversation import Conversation
from pipeline.events.config import SessionConfig
from pipeline.events.event import ServerEvent
from pipeline.limits import LONGEST_SOUND_MS
from pipeline.output_line import OutputLine
from pipeline.phase import Phase
from pipeline.response import Response, ResponseState
from pipeline.turns import Turns


class Fillers:
    """Of one session, which makes it."""

    def __init__(
        self,
        conversation: Conversation,
        turns: Turns,
        answers: Answers,
        line: OutputLine,
        make_id: Callable[[str], str],
    ) -> None:
        self._conversation = conversation
        self._turns = turns
        self._answers = answers
        self._line = line
        self._make_id = make_id

    @property
    def _is_place(self) -> bool:
        """The caller does not speak, and nobody says goodbye."""
        return self._turns.listening.current is None and self._answers.phase is Phase.TALKING

    def are_welcome(self, config: SessionConfig) -> bool:
        """An answer is owed, the caller has finished, and hears nothing."""
        if not self._is_place or config.type != "realtime" or self._turns.is_over_answer:
            return False
        return self._answers.is_busy or self._turns.listening.has_unanswered or self._turns.is_owing_words

    def say(self, config: SessionConfig, text: str, sound: bytes) -> list[ServerEvent]:
        """These words, which sound so; nothing unless they are welcome."""
        return self._fill(config, text, sound) if self.are_welcome(config) else []

    def play(self, config: SessionConfig, sound: bytes) -> list[ServerEvent]:
        """Sound that says nothing; nothing while somebody speaks."""
        return self._fill(config, "", sound) if self._is_place else []

    def _fill(self, config: SessionConfig, text: str, sound: bytes) -> list[ServerEvent]:
        """An item of the answer under way if that has said nothing, or an answer of its own. In the middle of an
        answer it is heard, and told in no words."""
        response = self._answers.active
        is_own = response is None
        if response is None:
            response = Response(self._conversation, self._make_id, config)
        elif not response.speaks:
            return []
        elif response.spoken_item_id is not None:
            text = ""  # it has begun to say something else, into which these words do not fit
        events = [response.created()] if is_own else []
        if text:
            events += response.say(text)
        size = config.output_format.bytes_in(LONGEST_SOUND_MS)
        for at in range(0, len(sound), size):
            piece = sound[at : at + size]
            events += response.sound(piece)
            made = reports.AudioMade(response.id, piece, text if at == 0 else "")
            assert response.spoken_item_id is not None, "sound opens the message"
            self._line.write(response.id, response.spoken_item_id, made, config.output_format)
        if (text or is_own) and response.spoken_item_id is not None:
            self._line.ledger.finish(response.spoken_item_id)
            events += response.settle()
        if is_own:
            events += [*response.end(ResponseState.COMPLETED), *self._line.finish(response.id)]
        return events
