"""The output audio buffer as its events tell it: one `started`, then one `stopped` or `cleared`."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.events.input_audio import InputAudioBufferCleared, SpeechStarted
from pipeline.events.output_audio import OutputAudioBufferCleared
from pipeline.events.response import OutputAudioDone
from pipeline.playout import Happened, Playout, in_order


def test_sound_starts_when_it_is_heard_and_stops_when_it_is_whole_and_heard() -> None:
    playout = Playout()
    playout.write("one", 0, 100)
    assert playout.play(0) == []
    assert playout.play(1) == [("started", "one")]
    assert playout.play(100) == [], "more may be made"
    playout.write("one", 100, 150)
    assert playout.finish("one", 100) == []
    assert playout.play(149) == []
    assert playout.play(150) == [("stopped", "one")]
    assert playout.play(150) == []


def test_what_was_heard_before_it_was_done_stops_when_it_is_done() -> None:
    playout = Playout()
    playout.write("one", 0, 100)
    assert playout.play(100) == [("started", "one")]
    assert playout.finish("one", 100) == [("stopped", "one")]


def test_one_report_may_pass_several_responses() -> None:
    playout = Playout()
    for number, name in enumerate(("one", "two", "three")):
        playout.write(name, 100 * number, 100 * number + 100)
        playout.finish(name, 0)
    assert playout.play(250) == [
        ("started", "one"),
        ("stopped", "one"),
        ("started", "two"),
        ("stopped", "two"),
        ("started", "three"),
    ]


def test_a_flush_clears_what_was_heard_in_part_and_forgets_what_was_not() -> None:
    playout = Playout()
    playout.write("one", 0, 100)
    playout.write("two", 100, 200)
    assert playout.flush(50) == [("started", "one"), ("cleared", "one")]
    playout.write("three", 50, 80)
    assert playout.play(60) == [("started", "three")]


def test_a_flush_finds_that_a_response_was_heard_to_its_end() -> None:
    playout = Playout()
    playout.write("one", 0, 100)
    playout.finish("one", 0)
    assert playout.flush(100) == [("started", "one"), ("stopped", "one")]


def test_sound_of_no_length_is_not_heard() -> None:
    playout = Playout()
    playout.write("one", 0, 0)
    playout.finish("one", 0)
    playout.write("two", 0, 10)
    assert playout.play(10) == [("started", "two")]


@given(st.lists(st.tuples(st.sampled_from(["write", "play", "finish", "flush"]), st.integers(0, 60)), max_size=40))
@settings(derandomize=True, max_examples=200, deadline=None)
def test_whatever_happens_each_start_has_one_end(steps: list[tuple[str, int]]) -> None:
    playout, happened, end, position, number = Playout(), list[Happened](), 0, 0, 0
    for kind, amount in steps:
        match kind:
            case "write":
                playout.write(str(number), end, end + amount)
                end += amount
            case "finish":
                happened += playout.finish(str(number), position)
                number += 1
            case "play":
                position = min(end, position + amount)
                happened += playout.play(position)
            case _:
                happened += playout.flush(position)
                end, number = position, number + 1
    happened += playout.flush(position)
    for name in {whose for _, whose in happened}:
        what = [what for what, whose in happened if whose == name]
        assert what in (["started", "stopped"], ["started", "cleared"])


def test_what_stops_our_sound_is_told_then_that_it_has_stopped_then_what_follows() -> None:
    spoke = SpeechStarted(event_id="spoke", audio_start_ms=0, item_id="item")
    cleared = OutputAudioBufferCleared(event_id="cleared", response_id="resp")
    closed = OutputAudioDone(event_id="closed", response_id="resp", item_id="item", output_index=0)
    cut = InputAudioBufferCleared(event_id="cut")
    assert in_order([spoke, closed], [cleared, cut]) == [spoke, cleared, closed, cut]
    assert in_order([closed], [cleared, cut]) == [cleared, closed, cut]
    assert in_order([], [cut]) == [cut]
