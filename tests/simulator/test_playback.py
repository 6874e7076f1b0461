from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from simulator.playback import Cleared, Playback, Underrun

SILENCE = b"\xff"


def test_media_play_in_order_from_the_moment_they_arrive() -> None:
    playback = Playback(start_s=100.0)
    playback.receive(b"a" * 80, 100.010)
    playback.receive(b"b" * 80, 100.012)
    assert playback.sound(100.030, SILENCE) == SILENCE * 80 + b"a" * 80 + b"b" * 80


def test_a_mark_comes_back_when_the_sound_before_it_has_played_and_not_earlier() -> None:
    playback = Playback(0.0)
    playback.receive(b"a" * 800, 0.5)
    playback.mark("end", 0.5)
    assert playback.next_mark_s == 0.6
    assert playback.marks_due(0.5998) == []
    assert playback.marks_due(0.6) == ["end"]
    assert playback.marks_due(0.7) == [] and playback.next_mark_s is None


def test_a_mark_comes_back_at_once_when_nothing_is_buffered() -> None:
    playback = Playback(0.0)
    playback.mark("empty", 0.3)
    assert playback.marks_due(0.3) == ["empty"]


def test_a_clear_returns_all_outstanding_marks_at_once_and_nothing_more_is_heard() -> None:
    playback = Playback(0.0)
    playback.receive(b"a" * 800, 0.0)
    playback.mark("one", 0.0)
    playback.receive(b"b" * 800, 0.0)
    playback.mark("two", 0.0)
    assert playback.marks_due(0.150) == ["one"]
    cleared = playback.clear(0.150)
    assert cleared == Cleared(("two",), heard_bytes=1200, utterance_heard_bytes=1200, discarded_bytes=400)
    assert playback.heard_bytes(until_s=9.0) == 1200
    assert playback.buffered_bytes(0.150) == 0


def test_a_clear_counts_what_was_heard_of_the_utterance_alone() -> None:
    playback = Playback(0.0)
    playback.receive(b"a" * 800, 0.0)
    playback.receive(b"b" * 8000, 3.0)
    cleared = playback.clear(3.5)
    assert (cleared.heard_bytes, cleared.utterance_heard_bytes) == (4800, 4000)
    assert playback.clear(3.6) == Cleared((), 4800, 0, 0)


def test_a_clear_before_the_utterances_first_byte_heard_none_of_it() -> None:
    playback = Playback(0.0)
    playback.receive(b"a" * 800, 0.0)
    assert playback.clear(0.0) == Cleared((), 0, 0, 800)
    assert playback.sound(0.1, SILENCE) == SILENCE * 800


def test_media_after_a_clear_play_at_once() -> None:
    playback = Playback(0.0)
    playback.receive(b"a" * 8000, 0.0)
    playback.clear(0.1)
    playback.receive(b"b" * 80, 0.1)
    assert playback.sound(0.12, SILENCE) == b"a" * 800 + b"b" * 80 + SILENCE * 80
    assert playback.underruns == ()


def test_a_short_hole_is_an_underrun_and_a_long_one_is_a_new_utterance() -> None:
    playback = Playback(0.0)
    playback.receive(b"a" * 800, 0.0)
    playback.receive(b"b" * 800, 0.150)
    playback.receive(b"c" * 800, 1.250)
    assert playback.underruns == (Underrun(at_ms=100.0, gap_ms=50.0),)
    assert playback.clear(1.350).utterance_heard_bytes == 800


def test_what_was_heard_between_two_instants_leaves_out_the_holes() -> None:
    playback = Playback(0.0)
    playback.receive(b"a" * 800, 0.1)
    playback.receive(b"b" * 800, 0.3)
    assert playback.heard_ms(0.15, 0.35) == 100.0
    assert playback.heard_ms(0.35, 0.15) == 0.0


def test_an_empty_message_is_no_sound_and_no_underrun() -> None:
    playback = Playback(0.0)
    playback.receive(b"", 0.5)
    assert (playback.received_bytes, playback.sound(0.001, SILENCE)) == (0, SILENCE * 8)


def test_a_window_without_sound_is_none_and_its_holes_are_silence() -> None:
    playback = Playback(0.0)
    playback.receive(b"a" * 8, 0.001)
    playback.receive(b"b" * 8, 0.003)
    assert playback.window(16, 24, SILENCE) is None
    assert playback.window(4, 36, SILENCE) == SILENCE * 4 + b"a" * 8 + SILENCE * 8 + b"b" * 8 + SILENCE * 4


@dataclass
class NaivePhone:
    """A phone that moves every byte by hand, one millisecond (8 bytes) at a time."""

    buffered: list[int | str] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)

    def pass_ms(self) -> None:
        for _ in range(8):
            self.return_marks()
            self.heard.append(int(self.buffered.pop(0)) if self.buffered else 0xFF)
        self.return_marks()

    def return_marks(self) -> None:
        while self.buffered and isinstance(self.buffered[0], str):
            self.marks.append(str(self.buffered.pop(0)))

    def clear(self) -> None:
        self.marks += [one for one in self.buffered if isinstance(one, str)]
        self.buffered.clear()


ACTIONS = st.one_of(
    st.tuples(st.just("media"), st.integers(0, 400)),
    st.tuples(st.just("mark"), st.just(0)),
    st.tuples(st.just("clear"), st.just(0)),
    st.tuples(st.just("pass"), st.integers(1, 60)),
)


@given(st.lists(ACTIONS, max_size=40))
def test_it_agrees_with_a_phone_that_moves_every_byte_by_hand(actions: list[tuple[str, int]]) -> None:
    playback, naive = Playback(start_s=5.0), NaivePhone()
    now_ms, marks, received = 0, list[str](), 0
    for index, (action, amount) in enumerate(actions):
        now_s = 5.0 + now_ms / 1000
        match action:
            case "media":
                playback.receive(bytes([index]) * amount, now_s)
                naive.buffered += [index] * amount
                received += amount
            case "mark":
                playback.mark(str(index), now_s)
                naive.buffered.append(str(index))
                naive.return_marks()
            case "clear":
                heard = playback.heard_bytes(until_s=now_s)
                cleared = playback.clear(now_s)
                marks += cleared.marks
                naive.clear()
                assert cleared.heard_bytes == heard
            case _:
                for _ in range(amount):
                    naive.pass_ms()
                    now_ms += 1
        now_s = 5.0 + now_ms / 1000
        marks += playback.marks_due(now_s)
        assert marks == naive.marks
        assert playback.sound(now_s, SILENCE) == bytes(naive.heard)
        assert playback.heard_bytes(until_s=now_s) <= playback.received_bytes == received
    assert marks == sorted(marks, key=int)
