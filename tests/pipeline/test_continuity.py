"""A session may be gone on with from every instant of its life: nothing that was said or heard is lost.

`world.py` makes the lives. After each step a snapshot is taken, goes through JSON and back, and another session
goes on from it; then that one is lost as well, before it has said a word.
"""

from __future__ import annotations

from itertools import count
from random import Random
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import reports
from pipeline.audio.formats import PCMU
from pipeline.commands import HangUp, Respond
from pipeline.events.config import ServerVad
from pipeline.events.error import ErrorEvent
from pipeline.events.input_audio import TimeoutTriggered
from pipeline.events.items import AnyItem, FunctionCall, FunctionCallOutput, McpCall, Message
from pipeline.events.response import ResponseCreated
from pipeline.opening import Act, Ending, Opening
from pipeline.phase import Phase
from pipeline.provider import WordTime
from pipeline.reports import AudioMade, Finished, Flushed, Played, TextMade
from pipeline.resumption import Resumption, resumption
from pipeline.session import Output, Session
from pipeline.snapshot import Snapshot, decoded, decoded_item, encoded, encoded_item
from tests.pipeline.expected import said
from tests.pipeline.feeding import CONFIG, feed, turn, voice
from tests.pipeline.world import CONFIGS, KINDS, Step, World

OWN: Final = frozenset({"own", "farewell"})
OURS: Final = ("fill", "tone", "end_text", "theirs")
"""What happens beside what a world makes happen: a filler, a tone, the end of a text, a client's function."""
EVERY: Final = (*KINDS, *OURS, "fill", "end_text", "end_text")
LONGEST_LIFE: Final = 120

kinds = st.sampled_from(EVERY)
steps = st.lists(st.tuples(kinds, st.integers(0, 7), st.booleans()), max_size=60)


def do(world: World, step: Step) -> None:
    kind, number, _ = step
    match kind:
        case "fill":
            world._take(world.session.fill(f"Moment {number}.", voice(100 * (number + 1))))
        case "tone":
            world._take(world.session.play(voice(100)))
        case "end_text":
            world._give(reports.TextEnded(world.response(number)))
        case "theirs":
            call_id = f"call_theirs_{world.mine()}"
            world._give(reports.ToolRequested(world.response(number), call_id, "find_table", "{}"))
        case _:
            world.do(step)
            return
    world.judge.rest()


@given(steps, st.booleans(), st.integers(0, len(CONFIGS) - 1))
@settings(derandomize=True, max_examples=150, deadline=None)
def test_nothing_is_lost_at_any_instant(steps: list[Step], plays: bool, first: int) -> None:
    world = World(plays=plays, first=first)
    check(world)
    for step in steps:
        do(world, step)
        check(world)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_in_long_lives(seed: int) -> None:
    chance = Random(seed)
    for _ in range(8):
        world = World(plays=chance.random() < 0.9, first=chance.randrange(len(CONFIGS)))
        trace: list[Step] = []
        try:
            for _ in range(LONGEST_LIFE):
                trace.append((chance.choice(EVERY), chance.randrange(8), chance.random() < 0.5))
                do(world, trace[-1])
                check(world)
        except Exception as error:
            error.add_note(f"after {trace}")
            raise


def check(world: World) -> None:
    session = world.session
    snapshot = session.snapshot()
    again = session.snapshot()
    assert again == snapshot
    assert all(one is other for one, other in zip(again.items, snapshot.items, strict=True))
    assert again.config is snapshot.config
    read = written_and_read(snapshot)
    assert read == snapshot
    on = resumption(read)
    is_telling_all(session, snapshot)
    is_cut_where_heard(snapshot, on)
    is_every_word_of_the_callers_there(session, on)
    is_valid(session, on)
    goes_on(snapshot, on, plays=world.plays)
    if session.is_quiet:
        assert on.opening.act in (Act.WAIT, Act.LISTEN)


def written_and_read(snapshot: Snapshot) -> Snapshot:
    items = [decoded_item(encoded_item(item)) for item in reversed(snapshot.items)]
    return decoded(encoded(snapshot), items, snapshot.config)


def is_telling_all(session: Session, snapshot: Snapshot) -> None:
    """Every message whose sound is not heard to its end is among the spoken ones."""
    told = [each.item_id for each in snapshot.spoken]
    ledger = session.ledger
    for item in session.conversation.items:
        if not (isinstance(item, Message) and item.role == "assistant" and ledger.holds(item.id)):
            continue
        if session._line.plays and item.status == "completed" and not ledger.heard(item.id).is_whole:
            assert item.id in told
    assert len(told) == len(set(told))


def is_cut_where_heard(snapshot: Snapshot, on: Resumption) -> None:
    """What stays of a message is what was heard, up to half a word; the rest is said, or told to the model."""
    there = {item.id: item for item in on.history}
    made = {item.id: item for item in snapshot.items if isinstance(item, Message)}
    left, is_going = "", False
    for each in snapshot.spoken:
        kept = there.get(each.item_id)
        text, heard = letters(made[each.item_id].text), letters(each.heard)
        stays = letters(kept.text) if isinstance(kept, Message) else ""
        assert heard.startswith(stays)
        assert text.startswith(heard)
        assert not heard.removeprefix(stays), "no word here has two parts"
        if each.is_whole:
            left += text.removeprefix(stays)
        else:
            is_going = True
        if isinstance(kept, Message):
            assert (kept.status == "completed") == (each.is_whole and stays == text)
    left += letters(snapshot.promised)
    opening = on.opening
    owes = snapshot.owes_answer or is_going
    match opening.act:
        case Act.SAY:
            assert letters(opening.words) == left != ""
            assert opening.answers_then == owes
        case Act.ANSWER:
            assert owes
            assert left in letters(opening.words)
        case Act.WAIT:
            assert (left, owes, opening.words) == ("", False, "")
        case Act.LISTEN:
            assert (left, owes, snapshot.is_speaking, opening.ending) == ("", False, True, None)
            assert opening.words
        case Act.NOTHING:
            raise AssertionError("it is somebody's turn")
    assert opening.ending == snapshot.ending
    untouched = [item for item in made.values() if item.role == "assistant" and item.text]
    spoken = {each.item_id for each in snapshot.spoken}
    assert [there.get(item.id) for item in untouched if item.id not in spoken] == [
        item for item in untouched if item.id not in spoken
    ]


def is_every_word_of_the_callers_there(session: Session, on: Resumption) -> None:
    said = [item.text for item in on.history if isinstance(item, Message) and item.role == "user"]
    for item in session.conversation.items:
        if isinstance(item, Message) and item.role == "user" and item.text:
            assert item.text in said
    current = session._turns.listening.current
    if current is not None and current.transcript.latest:
        assert said[-1] == current.transcript.latest or session._turns.listening.keys
    if keys := session._turns.listening.keys:
        assert said[-1] == f"[keypad] {keys}"


def is_valid(session: Session, on: Resumption) -> None:
    ids = [item.id for item in on.history]
    assert len(set(ids)) == len(ids)
    returned = {item.call_id for item in on.history if isinstance(item, FunctionCallOutput)}
    for item in on.history:
        if isinstance(item, FunctionCall) and item.call_id not in returned:
            assert not session._answers.owns(item.name, session.config)
        if isinstance(item, McpCall):
            assert isinstance(item.output, str) or item.error is not msgspec.UNSET
        if isinstance(item, Message):
            assert item.status != "in_progress"


def goes_on(snapshot: Snapshot, on: Resumption, *, plays: bool) -> None:
    numbers = count(1)
    session = Session(
        snapshot.config,
        lambda prefix: f"{prefix}_next{next(numbers)}",
        plays=plays,
        own_tools=OWN,
        apology="Sorry.",
        history=on.history,
    )
    outputs = [*session.open(), *session.begin(on.opening)]
    assert not any(isinstance(output, ErrorEvent) for output in outputs)
    begun = [output for output in outputs if isinstance(output, ResponseCreated)]
    hung_up = [output for output in outputs if isinstance(output, HangUp)]
    assert len(begun) == (on.opening.act in (Act.SAY, Act.ANSWER))
    assert len(hung_up) == (on.opening.act is Act.WAIT and on.opening.ending is not None)
    for respond in (output for output in outputs if isinstance(output, Respond)):
        assert respond.script == (on.opening.words if on.opening.act is Act.SAY else None)
        assert on.opening.act is Act.SAY or on.opening.words in respond.prompt.instructions
    lost_again = resumption(written_and_read(session.snapshot()))
    assert lost_again.opening == on.opening
    assert without_listings(lost_again.history) == without_listings(on.history)
    session.close()
    after = resumption(written_and_read(session.snapshot()))
    assert (after.opening, without_listings(after.history)) == (on.opening, without_listings(on.history))


def without_listings(items: tuple[AnyItem, ...]) -> list[AnyItem]:
    return [item for item in items if item.id[:4] != "mcpl"]


def letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


WORDS: Final = tuple(f"word{number}" for number in range(12))
WORD_SAMPLES: Final = 1_600


def spoken_in(session: Session, response_id: str, script: str, played: int) -> list[str]:
    """The script is made and sounds until `played`; the words that were heard to their end."""
    words = script.split()
    times = tuple(WordTime(word, at * 200) for at, word in enumerate(words))
    feed(
        session,
        TextMade(response_id, script),
        AudioMade(response_id, voice(200 * len(words)), script, times),
        Finished(response_id),
        Played(played),
    )
    return words[: played // WORD_SAMPLES]


@given(st.lists(st.integers(0, 5 * WORD_SAMPLES), min_size=1, max_size=6))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_each_word_is_heard_once_however_often_the_line_is_lost(cuts: list[int]) -> None:
    numbers, script, heard = count(1), " ".join(WORDS), list[str]()
    history: tuple[AnyItem, ...] = ()
    opening = Opening(Act.SAY, script)
    for played in cuts:
        session = Session(CONFIG, lambda prefix: f"{prefix}_{next(numbers)}", plays=True, history=history)
        session.open()
        assert opening.act is Act.SAY
        (order,) = [output for output in session.begin(opening) if isinstance(output, Respond)]
        assert order.script is not None
        heard += spoken_in(session, order.response_id, order.script, played)
        on = resumption(written_and_read(session.snapshot()))
        history, opening = on.history, on.opening
        assert (heard + opening.words.split()) == list(WORDS)
        texts = [item.text for item in history if isinstance(item, Message)]
        assert " ".join(texts).split() == heard
        if opening.act is Act.WAIT:
            break


def test_a_farewell_that_broke_off_is_said_to_its_end_and_the_call_ends_as_was_meant() -> None:
    session = Session(CONFIG, Again("first"), plays=True, own_tools=OWN)
    session.begin(Opening(Act.SAY, "Goodbye and thank you."))
    feed(session, reports.ToolRequested("resp_first3", "call_1", "farewell", "{}"))
    spoken_in(session, "resp_first3", "Goodbye and thank you.", 3_000)
    feed(session, reports.ToolReturned("call_1", "{}", ends_call=True, transfer_to="+4930123456"))
    assert session.phase is Phase.ENDING
    on = resumption(session.snapshot())
    assert on.opening.words == "and thank you."
    next_one = Session(CONFIG, Again("next"), plays=True, own_tools=OWN, history=on.history)
    next_one.open()
    next_one.begin(on.opening)
    spoken_in(next_one, "resp_next3", "and thank you.", 0)
    outputs = feed(next_one, Played(3 * WORD_SAMPLES))
    assert outputs[-1] == HangUp(reason="transferred", transfer_to="+4930123456")


def test_a_farewell_that_was_heard_ends_the_call_at_once() -> None:
    session = Session(CONFIG, Again("first"), plays=True)
    assert session.begin(Opening(Act.WAIT, ending=Ending())) == [HangUp(reason="agent_hung_up")]
    assert session.snapshot().ending == Ending()


def test_a_caller_may_object_to_a_farewell_that_goes_on() -> None:
    session = Session(CONFIG, Again("first"), plays=True)
    session.begin(Opening(Act.SAY, "Goodbye.", ending=Ending()))
    feed(session, reports.DigitPressed("1"))
    assert session.phase is Phase.TALKING


def test_an_answer_follows_once_the_words_are_spoken() -> None:
    session = Session(CONFIG, Again("first"), plays=True)
    session.begin(Opening(Act.SAY, "One moment.", answers_then=True))
    assert session.snapshot().owes_answer
    outputs = feed(session, TextMade("resp_first3", "One moment."), Finished("resp_first3"))
    (order,) = [output for output in outputs if isinstance(output, Respond)]
    assert order.script is None


def test_a_session_that_only_transcribes_begins_nothing() -> None:
    session = Session(msgspec.structs.replace(CONFIG, type="transcription"), Again("first"), plays=True)
    assert session.begin(Opening(Act.SAY, "Hello.")) == []
    assert not session.snapshot().owes_answer


def test_the_callers_turn_begins_with_the_wait_for_it() -> None:
    """So that a caller who has finished while the line was gone is asked for, where agents do that."""
    idle = msgspec.structs.replace(CONFIG, turn_detection=ServerVad(idle_timeout_ms=5_000))
    outputs: dict[Act, list[Output]] = {}
    for act in (Act.WAIT, Act.NOTHING):
        session = Session(idle, Again("first"), plays=True)
        session.begin(Opening(act))
        outputs[act] = feed(session, *[PCMU.silence * PCMU.bytes_in(1_000)] * 6)
    assert any(isinstance(output, TimeoutTriggered) for output in outputs[Act.WAIT])
    assert outputs[Act.NOTHING] == []


def test_what_a_function_returned_after_the_session_was_closed_is_known() -> None:
    session = Session(CONFIG, Again("first"), plays=True, own_tools=OWN)
    session.begin(Opening(Act.ANSWER))
    feed(session, reports.ToolRequested("resp_first3", "call_1", "own", "{}"), Finished("resp_first3"))
    session.close()
    before = session.snapshot()
    assert (before.unreturned, before.owes_answer) == (("call_1",), True)
    feed(session, reports.ToolReturned("call_1", "done"))
    after = session.snapshot()
    assert (after.unreturned, after.owes_answer) == ((), True)
    outputs = [item.output for item in resumption(after).history if isinstance(item, FunctionCallOutput)]
    assert outputs == ["done"]
    session.close()
    assert session.snapshot() == after


def test_what_a_caller_has_said_so_far_is_there_before_it_is_certain() -> None:
    session = Session(CONFIG, Again("first"), plays=True)
    begins, ends = turn(0)
    feed(session, *begins)
    (item_id,) = [utterance.item_id for utterance in [session._turns.listening.current] if utterance]
    assert session.snapshot().items == ()
    feed(session, reports.Transcribed(item_id, "I would like", is_final=False))
    (item,) = session.snapshot().items
    assert (item, session.snapshot().owes_answer) == (said(item_id, "I would like"), False)
    assert session.snapshot().items[0] is item
    feed(session, reports.Transcribed(item_id, "I would like a table", is_final=False), *ends)
    waiting = session.snapshot()
    assert (waiting.items, waiting.owes_answer) == ((said(item_id, "I would like a table"),), True)
    feed(session, reports.Transcribed(item_id, "I would like a table.", is_final=True))
    assert session.snapshot().items[0] == said(item_id, "I would like a table.")


def test_an_answer_in_writing_was_read_as_far_as_it_was_written() -> None:
    session = Session(msgspec.structs.replace(CONFIG, output_modality="text"), Again("first"), plays=True)
    session.begin(Opening(Act.ANSWER))
    feed(session, TextMade("resp_first3", "Good mor"))
    (spoken,) = session.snapshot().spoken
    assert (spoken.heard, spoken.is_whole) == ("Good mor", False)


def test_sound_that_was_flushed_is_not_said_again() -> None:
    session = Session(CONFIG, Again("first"), plays=True)
    session.begin(Opening(Act.SAY, "One two three."))
    spoken_in(session, "resp_first3", "One two three.", 0)
    begins, _ = turn(0)
    feed(session, *begins, Flushed(WORD_SAMPLES))
    on = resumption(session.snapshot())
    assert on.opening.act is Act.LISTEN, "whoever cut in is speaking"
    assert [item.text for item in on.history if isinstance(item, Message)] == ["One"]


def test_a_session_is_quiet_while_nobody_speaks_or_waits() -> None:
    session = Session(CONFIG, Again("first"), plays=True)
    assert quiet(session)
    session.begin(Opening(Act.SAY, "One two three."))
    assert not quiet(session), "something is being made"
    spoken_in(session, "resp_first3", "One two three.", 2 * WORD_SAMPLES)
    assert not quiet(session), "something is still to be heard"
    feed(session, Played(3 * WORD_SAMPLES))
    assert quiet(session)
    begins, ends = turn(0)
    feed(session, *begins)
    assert not quiet(session), "the caller speaks"
    feed(session, *ends)
    assert not quiet(session), "the caller waits"


def quiet(session: Session) -> bool:
    """Asked anew each time; a type checker takes a property for what it was before."""
    return session.is_quiet


class Again:
    """Ids of one of several sessions of a conversation."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._numbers = count(1)

    def __call__(self, prefix: str) -> str:
        return prefix if prefix == "event" else f"{prefix}_{self._name}{next(self._numbers)}"
