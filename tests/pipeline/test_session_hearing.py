"""A session whose answers are made by somebody who hears the caller: it waits for no words."""

from __future__ import annotations

from pipeline import commands
from pipeline.events import response as resp
from pipeline.events.items import InputAudio, Message
from pipeline.reports import Finished, Transcribed, TranscriptionFailed
from pipeline.session import Output, Session
from tests.fakes import Ids
from tests.pipeline.feeding import CONFIG, feed, turn


def hearing(apology: str = "Sorry.") -> Session:
    return Session(CONFIG, Ids(), plays=True, apology=apology, hears_sound=True)


def answers(outputs: list[Output]) -> list[str]:
    return [type(one).__name__ for one in outputs if isinstance(one, commands.Respond | resp.ResponseCreated)]


def test_what_is_said_is_answered_as_soon_as_it_is_committed() -> None:
    talk = hearing()
    begins, ends = turn(0)
    outputs = feed(talk, *begins, *ends)
    assert answers(outputs) == ["ResponseCreated", "Respond"]
    kinds = [type(one).__name__ for one in outputs]
    assert kinds.index("EndTranscription") < kinds.index("Respond")


def test_the_words_are_told_when_they_come_and_nothing_is_answered_twice() -> None:
    talk = hearing()
    begins, ends = turn(0)
    feed(talk, *begins, *ends)
    late = feed(talk, Transcribed("item_1", "A table.", True), Finished("resp_1"))
    assert answers(late) == []
    (item,) = [item for item in talk.conversation.items if item.id == "item_1"]
    assert isinstance(item, Message) and item.content == (InputAudio(transcript="A table."),)


def test_words_that_nobody_understood_are_no_reason_to_apologise() -> None:
    talk = hearing()
    begins, ends = turn(0)
    feed(talk, *begins, *ends, Finished("resp_1"))
    assert answers(feed(talk, TranscriptionFailed("item_1", "gone"))) == []
