from __future__ import annotations

from gateway.call_records.transcript import transcript_of
from gateway.calls.journal import JournalEvent
from gateway.calls.talk import Talk
from pipeline.events.config import SessionConfig
from pipeline.events.items import AnyItem, InputAudio, Message, OutputAudio
from pipeline.snapshot import Snapshot, Spoken, encoded
from tests.gateway.call_records.support import BEGAN_S, ended_call, happened


def agent(item_id: str, words: str, after_s: float = 1.0) -> JournalEvent:
    return happened("transcript.done", after_s, speaker="agent", item_id=item_id, text=words)


def caller(item_id: str, words: str, after_s: float = 1.0) -> JournalEvent:
    return happened("transcript.done", after_s, speaker="caller", item_id=item_id, text=words)


def agent_item(item_id: str, words: str) -> AnyItem:
    return Message(id=item_id, role="assistant", content=(OutputAudio(transcript=words),))


def caller_item(item_id: str, words: str) -> AnyItem:
    return Message(id=item_id, role="user", content=(InputAudio(transcript=words),))


def heard(
    *events: JournalEvent, items: tuple[AnyItem, ...] = (), spoken: tuple[Spoken, ...] = ()
) -> list[tuple[str, str, bool]]:
    """The same, whether the conversation is in this worker's memory or was read from another's copy."""
    here, there, nothing = ended_call(), ended_call(), ended_call()
    snapshot = Snapshot(items=items, config=SessionConfig(), spoken=spoken)
    here.snapshot, there.talk = snapshot, Talk(items, b"", encoded(snapshot))
    told = [transcript_of(events, BEGAN_S, call) for call in (here, there)]
    assert told[0] == told[1]
    if not items:
        assert transcript_of(events, BEGAN_S, nothing) == told[0]
    return [(line.speaker, line.text, line.is_cut_short) for line in told[0]]


def test_what_both_said_stands_in_the_order_it_was_said() -> None:
    assert heard(agent("a", "Hello."), caller("b", "Hi."), agent("c", "How can I help?")) == [
        ("agent", "Hello.", False),
        ("caller", "Hi.", False),
        ("agent", "How can I help?", False),
    ]


def test_of_a_sentence_the_caller_cut_into_stands_what_was_heard_whichever_is_told_first() -> None:
    cut = happened("transcript.truncated", item_id="a", heard_ms=900, heard="Our opening")
    assert heard(agent("a", "Our opening hours are"), cut) == [("agent", "Our opening", True)]
    assert heard(cut, agent("a", "Our opening hours are")) == [("agent", "Our opening", True)]


def test_a_sentence_of_which_nothing_was_heard_is_left_out() -> None:
    cut = happened("transcript.truncated", item_id="a", heard_ms=0, heard="")
    assert heard(agent("a", "Our opening hours are"), cut, caller("b", " ")) == []


def test_a_sentence_over_which_the_caller_hung_up_ends_where_they_did() -> None:
    item = agent_item("a", "Our opening hours are nine to five.")
    spoken = (Spoken(item_id="a", heard="Our opening", is_whole=True),)
    assert heard(agent("a", "Our opening hours are nine to five."), items=(item,), spoken=spoken) == [
        ("agent", "Our opening", True)
    ]


def test_what_the_stream_broke_off_is_told_as_far_as_it_was_heard_and_what_was_said_again_once() -> None:
    events = [
        caller("b", "When?"),
        agent("a", "We open at nine. We close at five."),
        agent("unheard", "On Sundays we rest."),
        agent("again", "We close at five. On Sundays we rest."),
        agent("newest", "Anything else?"),
    ]
    items = (caller_item("b", "When?"), agent_item("a", "We open at nine."), agent_item("again", "We close at…"))
    assert heard(*events, items=items)[:2] == [("caller", "When?", False), ("agent", "We open at nine.", True)]
    # "unheard" was dropped between two that were kept; "newest" may only not have been kept yet.
    assert [words for _, words, _ in heard(*events, items=items)[2:]] == ["We close at…", "Anything else?"]


def test_what_an_older_conversation_forgot_was_said_all_the_same() -> None:
    kept = (agent_item("c", "Three."),)
    events = (agent("a", "One."), agent("b", "Two."), agent("c", "Three."))
    assert [words for _, words, _ in heard(*events, items=kept)] == ["One.", "Two.", "Three."]
    assert [words for _, words, _ in heard(*events, items=(agent_item("z", "Else"),))] == ["One.", "Two.", "Three."]


def test_a_caller_is_never_cut_short() -> None:
    assert heard(caller("b", "When do you open?"), items=(caller_item("b", "When"),)) == [
        ("caller", "When do you open?", False)
    ]


def test_fillers_and_acknowledgements_were_heard_too_each_time() -> None:
    filler = happened("filler", 2.0, text="One moment.")
    lines = transcript_of([filler, happened("backchannel", 3.0, text="Mhm."), filler], BEGAN_S, ended_call())
    assert [(line.kind, line.text, line.item_id, line.at_ms) for line in lines] == [
        ("filler", "One moment.", "", 2000),
        ("backchannel", "Mhm.", "", 3000),
        ("filler", "One moment.", "", 2000),
    ]


def test_words_told_anew_stand_where_they_were_told_first() -> None:
    call = ended_call()
    lines = transcript_of([agent("a", "On", 1.0), caller("b", "Hm.", 2.0), agent("a", "One.", 3.0)], BEGAN_S, call)
    assert [(line.text, line.at_ms) for line in lines] == [("One.", 1000), ("Hm.", 2000)]


def test_a_conversation_that_cannot_be_read_changes_nothing() -> None:
    call = ended_call()
    call.talk = Talk((), b"", b"nonsense")
    assert [line.text for line in transcript_of([agent("a", "One.")], BEGAN_S, call)] == ["One."]
