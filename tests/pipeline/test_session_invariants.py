"""Whatever comes in, in whatever order: a session keeps the protocol's order and claims only what was heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import reports
from pipeline.commands import CallTool, Flush, Respond, Transcribe
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import response as resp
from pipeline.events import session as sess
from pipeline.events.config import ServerVad
from pipeline.events.items import Message, OutputAudio
from pipeline.session import Output, Session
from tests.fakes import Ids
from tests.pipeline.expected import result, typed
from tests.pipeline.feeding import CONFIG, Input, feed, line, voice
from tests.pipeline.judge import Judge

CONFIGS: Final = (
    CONFIG,
    msgspec.structs.replace(CONFIG, turn_detection=ServerVad(interrupt_response=False, silence_duration_ms=100)),
    msgspec.structs.replace(CONFIG, turn_detection=ServerVad(create_response=False)),
    msgspec.structs.replace(CONFIG, turn_detection=None),
    msgspec.structs.replace(CONFIG, output_modality="text"),
)

Step: TypeAlias = tuple[str, int, bool]


class World:
    """What surrounds a session: workers who do as they are told, late or twice, and a peer who does as it likes."""

    def __init__(self, *, plays: bool) -> None:
        self.session = Session(
            CONFIG, Ids(), plays=plays, own_tools=frozenset({"own", "farewell"}), apology="So sorry about that."
        )
        self.judge = Judge()
        self.plays = plays
        self._responses: list[str] = ["resp_0"]
        self._utterances: list[str] = ["item_0"]
        self._calls: list[str] = ["call_0"]
        self._thoughts: dict[str, list[str]] = {}
        self._clauses: dict[str, list[str]] = {}
        """Words that got sound, by response."""
        self._made = 0
        self.voiced: dict[str, list[str]] = {}
        """Words that got sound, by item."""
        self.judge.see(self.session.open())

    def do(self, step: Step) -> None:
        kind, number, flag = step
        for each in INPUTS[kind](self, number, flag):
            self.take(feed(self.session, each))

    def end(self) -> None:
        self.take(self.session.close())
        self.judge.see_end([item.id for item in self.session.conversation.items])

    def take(self, outputs: list[Output], *, is_flush: bool = False) -> None:
        """Judge a list, and do what it commands as an engine would: a flush is answered at once."""
        self.judge.see(outputs, is_flush=is_flush)
        for output in outputs:
            match output:
                case Respond(response_id=response_id):
                    self._responses.append(response_id)
                case Transcribe(item_id=item_id):
                    self._utterances.append(item_id)
                case CallTool(call_id=call_id):
                    self._calls.append(call_id)
                case Flush():
                    position = self.judge.position + self._made % 3_000
                    self.judge.flushed(position)
                    self.take(feed(self.session, reports.Flushed(position)), is_flush=True)
                case _:
                    pass

    def response(self, number: int) -> str:
        """Mostly the newest; now and then one that is over."""
        return self._responses[-1 if number < 6 else number % len(self._responses)]

    def think(self, number: int, flag: bool) -> list[Input]:
        response_id = self.response(number)
        self._made += 1
        words = [f"word{self._made}", f"and{self._made}"]
        self._thoughts.setdefault(response_id, []).append(" ".join(words))
        return [reports.TextMade(response_id, " ".join(words) + " ")]

    def speak(self, number: int, flag: bool) -> list[Input]:
        response_id = self.response(number)
        self._made += 1
        thoughts = self._thoughts.get(response_id, [])
        clause = thoughts.pop(0) if thoughts and flag else ""
        made = reports.AudioMade(response_id, voice(100 * (number % 3)), clause)
        outputs = feed(self.session, made)
        self.take(outputs)
        for event in outputs:
            if isinstance(event, resp.OutputAudioDelta):
                self.voiced.setdefault(event.item_id, []).extend(clause.split())
        return []

    def call(self, number: int, flag: bool) -> list[Input]:
        self._made += 1
        name = ("own", "farewell", "theirs")[number % 3]
        return [reports.ToolRequested(self.response(number), f"call_{self._made}", name, "{}")]

    def return_tool(self, number: int, flag: bool) -> list[Input]:
        return [reports.ToolReturned(self._calls[-1 - number % len(self._calls)], "{}", ends_call=flag)]

    def transcribe(self, number: int, flag: bool) -> list[Input]:
        item_id = self._utterances[-1 - number % len(self._utterances)]
        if number == 7:
            return [reports.TranscriptionFailed(item_id, "gone")]
        return [reports.Transcribed(item_id, "words" if flag else "", number != 6)]

    def play(self, number: int, flag: bool) -> list[Input]:
        position = self.judge.position + number * 400
        self.judge.played(position)
        return [reports.Played(position)]

    def score(self, number: int, flag: bool) -> list[Input]:
        at = self.session._listening.buffer.heard  # the line's clock, which no event tells
        return [reports.SpeechScored(at, 0.9 if flag else 0.1, at if flag else 0)]

    def item(self, number: int) -> str:
        order = self.judge.order
        return order[-1 - number % len(order)] if order else "nobody"

    def create(self, number: int, flag: bool) -> list[Input]:
        self._made += 1
        item_id = f"mine_{self._made}" if number < 6 else "mine_again"
        created = typed(item_id, "typed") if number % 2 else result(item_id, "call_1", "{}")
        after = ("root", self.item(number), "nobody")[number % 3] if flag else None
        return [conv.ConversationItemCreate(item=created, previous_item_id=after)]


INPUTS: Final[dict[str, Callable[[World, int, bool], list[Input]]]] = {
    "think": World.think,
    "speak": World.speak,
    "call": World.call,
    "finish": lambda w, n, _: [reports.Finished(w.response(n))],
    "fail": lambda w, n, flag: [reports.Failed(w.response(n), "x", "gone", is_voiceless=flag)],
    "return": World.return_tool,
    "transcribe": World.transcribe,
    "play": World.play,
    "hear": lambda _, n, __: [line(50 * n)],
    "score": World.score,
    "press": lambda _, n, flag: [reports.DigitPressed("#" if flag else str(n))],
    "commit": lambda *_: [heard.InputAudioBufferCommit()],
    "clear": lambda *_: [heard.InputAudioBufferClear()],
    "create": World.create,
    "retrieve": lambda w, n, _: [conv.ConversationItemRetrieve(item_id=w.item(n))],
    "delete": lambda w, n, _: [conv.ConversationItemDelete(item_id=w.item(n))],
    "truncate": lambda w, n, _: [conv.ConversationItemTruncate(item_id=w.item(n), audio_end_ms=n * 50)],
    "respond": lambda *_: [resp.ResponseCreate()],
    "cancel": lambda w, n, flag: [resp.ResponseCancel(response_id=w.response(n) if flag else None)],
    "update": lambda _, n, __: [sess.SessionUpdate(session=CONFIGS[n % len(CONFIGS)])],
}

OFTEN: Final = (
    "respond",
    "think",
    "think",
    "speak",
    "speak",
    "finish",
    "hear",
    "score",
    "score",
    "transcribe",
    "play",
)
"""So that conversations get somewhere."""

kinds = st.sampled_from([*sorted(INPUTS), *OFTEN])
steps = st.lists(st.tuples(kinds, st.integers(0, 7), st.booleans()), max_size=80)
long_steps = st.lists(st.tuples(kinds, st.integers(0, 7), st.booleans()), min_size=40, max_size=120)


@given(steps | long_steps, st.booleans())
@settings(derandomize=True, max_examples=500, deadline=None)
def test_no_order_of_events_and_reports_breaks_the_order_of_what_comes_out(steps: list[Step], plays: bool) -> None:
    world = World(plays=plays)
    for step in steps:
        world.do(step)
    world.end()
    note(f"responses: {min(len(world.judge.seen), 8)}")


@given(steps | long_steps)
@settings(derandomize=True, max_examples=250, deadline=None)
def test_of_an_answer_that_was_broken_off_only_words_with_sound_are_kept(steps: list[Step]) -> None:
    """Where we play the sound ourselves. Of a clause without word times a part may be kept, never more."""
    world = World(plays=True)
    for step in steps:
        world.do(step)
    world.end()
    for item in world.session.conversation.items:
        if isinstance(item, Message) and item.status == "incomplete" and isinstance(item.content[0], OutputAudio):
            kept = item.text.split()
            assert kept == world.voiced.get(item.id, [])[: len(kept)]


@given(steps, st.booleans())
@settings(derandomize=True, max_examples=100, deadline=None)
def test_the_same_inputs_have_the_same_outputs(steps: list[Step], plays: bool) -> None:
    """No clock, no chance: a recorded call can be played again."""
    one, two = World(plays=plays), World(plays=plays)
    for step in steps:
        one.do(step)
        two.do(step)
    assert one.judge == two.judge
    assert one.session.conversation.items == two.session.conversation.items
