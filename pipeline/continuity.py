"""Continuity: where a session stands, for whoever may have to go on with it; and how it begins. Pure.

A snapshot is taken several times a second of each call, so nothing is encoded or copied for it: it refers to what
is there, and what has not changed since the last one is the same object.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pipeline.answers import Answers
from pipeline.conversation import Conversation
from pipeline.events.config import SessionConfig
from pipeline.events.items import AnyItem, FunctionCall, FunctionCallOutput, InputAudio, Message, OutputAudio
from pipeline.mcp_calls import McpCalls
from pipeline.opening import Act, Ending, Opening
from pipeline.output_line import OutputLine
from pipeline.phase import Phase
from pipeline.response import Response
from pipeline.snapshot import Snapshot, Spoken
from pipeline.turns import Output, Turns


class Continuity:
    """Of one session, which makes it."""

    def __init__(
        self,
        conversation: Conversation,
        turns: Turns,
        answers: Answers,
        line: OutputLine,
        mcp_calls: McpCalls,
    ) -> None:
        self._conversation = conversation
        self._turns = turns
        self._answers = answers
        self._line = line
        self._mcp_calls = mcp_calls
        self._drafts: dict[str, Message] = {}
        """Messages under way, as the last snapshot had them."""
        self._last: Snapshot | None = None
        self._listens = False
        """It began with a caller whose sentence may go on."""

    def begin(self, opening: Opening, config: SessionConfig) -> list[Output]:
        """What a session does first on our side, or later in its turn, while `is_free`."""
        if config.type != "realtime":
            return []
        self._listens = opening.act is Act.LISTEN
        if opening.ending is not None:
            self._answers.say_goodbye(opening.ending.transfer_to)
        self._turns.listening.has_unanswered |= opening.answers_then
        match opening.act:
            case Act.SAY:
                return self._answers.respond(config, script=opening.words)
            case Act.ANSWER:
                is_held = self._answers.listings.is_asking(config)
                return self._answers.respond(config, remark=opening.words, is_held=is_held)
            case Act.WAIT | Act.LISTEN:
                self._turns.wait()
                return [*self._answers.hang_up_if_due()]
            case _:
                return []

    def close(self, config: SessionConfig) -> None:
        """The session is about to close, which cuts short what is being said: it may go on elsewhere from here."""
        if self._last is None:
            self._last = self.snapshot(config)

    @property
    def is_free(self) -> bool:
        """An answer may begin now."""
        return self._answers.is_free

    @property
    def is_answering(self) -> bool:
        """An answer is being made."""
        return self._answers.active is not None

    def is_quiet(self, config: SessionConfig) -> bool:
        """Nobody speaks, nothing is being made or still to be heard, and no answer is owed."""
        active = self._answers.active
        is_heard = self._turns.listening.current is not None or self._turns.is_over_answer
        return not (is_heard or active is not None or self._owes_answer(active, config))

    def snapshot(self, config: SessionConfig) -> Snapshot:
        """Where it stands now. Of one that was closed: where it stood then, with what functions returned since."""
        if self._last is not None:
            return self._with_results(self._last)
        answers, active = self._answers, self._answers.active
        items = self._items(active)
        return Snapshot(
            items=items,
            config=config,
            spoken=tuple(self._spoken(active)),
            promised=(active.promised or "") if active is not None else "",
            owes_answer=self._owes_answer(active, config),
            is_speaking=self._turns.answers_turns and self._is_speaking,
            remark=active.remark if active is not None else "",
            unreturned=self._unreturned(items, config),
            keys=self._turns.listening.keys,
            ending=None if answers.phase is Phase.TALKING else Ending(answers.transfer_to),
        )

    @property
    def _is_speaking(self) -> bool:
        """Now, or when the stream before was lost and not again since."""
        listening = self._turns.listening
        return listening.current is not None or (self._listens and not listening.voice_edge)

    def _with_results(self, last: Snapshot) -> Snapshot:
        known = {item.id for item in last.items}
        news = tuple(item for item in self._conversation.items if item.id not in known)
        returned = {item.call_id for item in news if isinstance(item, FunctionCallOutput)}
        if not returned:
            return last
        unreturned = tuple(call_id for call_id in last.unreturned if call_id not in returned)
        return msgspec.structs.replace(last, items=(*last.items, *news), unreturned=unreturned)

    def _items(self, active: Response | None) -> tuple[AnyItem, ...]:
        """The conversation, with the words that are known so far of what is being said."""
        items, listening, drafts = self._conversation.items, self._turns.listening, dict[str, Message]()
        if active is not None and active.spoken_item_id is not None:
            self._draft(drafts, active.spoken_item_id, active.spoken_text, "assistant")
        for utterance in listening.waiting:
            if utterance.is_turn and (words := utterance.transcript.latest):
                self._draft(drafts, utterance.item_id, words, "user")
        current = listening.current
        if current is not None and (words := current.transcript.latest):
            self._draft(drafts, current.item_id, words, "user")
            items = (*items, drafts[current.item_id])
        self._drafts = drafts
        return _with(drafts, items) if drafts else items

    def _draft(self, drafts: dict[str, Message], item_id: str, words: str, role: str) -> None:
        before = self._drafts.get(item_id)
        if before is not None and before.text == words:
            drafts[item_id] = before
        elif role == "user":
            drafts[item_id] = Message(id=item_id, role="user", content=(InputAudio(transcript=words),))
        else:
            content = (OutputAudio(transcript=words),)
            drafts[item_id] = Message(id=item_id, role="assistant", content=content, status="in_progress")

    def _spoken(self, active: Response | None) -> Iterator[Spoken]:
        """A client that plays for itself tells later what it has heard: until then, all that was made."""
        ledger, holds = self._line.ledger, self._conversation.holds
        writing = active.spoken_item_id if active is not None else None
        if self._line.plays:
            for item_id in ledger.unheard:
                if item_id != writing and holds(item_id):
                    yield Spoken(item_id=item_id, heard=ledger.heard(item_id).text, is_whole=True)
        if active is None or writing is None or not holds(writing):
            return
        text = active.spoken_text
        if active.speaks:
            is_heard = self._line.plays and ledger.holds(writing)
            text = (ledger.heard(writing) if is_heard else ledger.made(writing)).text
        yield Spoken(item_id=writing, heard=text, is_whole=active.has_all_words)

    def _owes_answer(self, active: Response | None, config: SessionConfig) -> bool:
        if active is not None and not active.has_all_words:
            return True
        answers, turns = self._answers, self._turns
        if config.type != "realtime" or answers.phase is not Phase.TALKING:
            return False
        if active is not None and (active.calls or active.mcp_calls):
            return True
        if answers.own_calls.are_running or self._mcp_calls.is_calling or answers.queued is not None:
            return True
        if turns.listening.has_unanswered or turns.is_owing_words:
            return True
        return bool(turns.listening.keys) and turns.answers_turns

    def _unreturned(self, items: tuple[AnyItem, ...], config: SessionConfig) -> tuple[str, ...]:
        """Also of an answer that is not done: its calls may have begun by the time this is read."""
        called = [item for item in items if type(item) is FunctionCall]
        if not called:
            return ()
        returned = {item.call_id for item in items if type(item) is FunctionCallOutput}
        owns = self._answers.owns
        return tuple([item.call_id for item in called if item.call_id not in returned and owns(item.name, config)])


def _with(drafts: dict[str, Message], items: tuple[AnyItem, ...]) -> tuple[AnyItem, ...]:
    """The items, some of them as their drafts have them; those stand near the end."""
    mixed, left = list(items), len(drafts)
    for at in range(len(mixed) - 1, -1, -1):
        if (draft := drafts.get(mixed[at].id)) is not None:
            mixed[at] = draft
            left -= 1
            if not left:
                break
    return tuple(mixed)
