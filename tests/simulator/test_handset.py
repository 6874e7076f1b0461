from __future__ import annotations

import numpy as np

from simulator.caller import BargeIn, Caller, Dtmf, HangUp, Press, PutDown, Say, Step, Wait
from simulator.handset import Frame, Handset, MarkBack, Noted, Output
from simulator.messages import Clear, Mark, Media
from simulator.noise import ComfortNoise
from simulator.sound import Codec, Sound
from tests.simulator.throwaway_gateway import tone

WORD = Sound("word", Codec.PCMU.decode(tone(30)))


def pick_up(*steps: Step, opened_ms: int = 0, noise: ComfortNoise | None = None) -> Handset:
    return Handset(Caller(steps), Codec.PCMU, noise, start_s=10.0, opened_ms=opened_ms)


def noted(outputs: list[Output]) -> list[tuple[str, float]]:
    return [(one.name, one.media_ms) for one in outputs if isinstance(one, Noted)]


def frames(outputs: list[Output]) -> list[Frame]:
    return [one for one in outputs if isinstance(one, Frame)]


def test_a_frame_is_handed_over_when_its_time_is_over_and_bears_its_first_samples_time() -> None:
    handset = pick_up(Say(WORD), Wait(1000))
    assert noted(handset.begin()) == [("caller.speaks", 0)]
    assert handset.next_tick_s == 10.02
    outputs = handset.tick() + handset.tick() + handset.tick()
    assert [one.timestamp_ms for one in frames(outputs)] == [0, 20, 40]
    law = b"".join(one.law for one in frames(outputs))
    assert law == tone(30) + b"\xff" * 240
    assert noted(outputs) == [("caller.stops", 30.0)]


def test_a_later_stream_goes_on_in_the_calls_time_with_timestamps_of_its_own() -> None:
    handset = pick_up(Say(WORD), opened_ms=5000)
    assert noted(handset.begin()) == [("caller.speaks", 5000)]
    assert frames(handset.tick())[0].timestamp_ms == 0


def test_what_is_heard_makes_the_caller_interrupt_and_a_clear_tells_what_was_heard() -> None:
    handset = pick_up(BargeIn(40, WORD), Wait(1000))
    outputs = handset.begin() + handset.receive(Media(tone(200)), 10.0)
    outputs += handset.receive(Mark("m"), 10.0)
    for _ in range(3):
        outputs += handset.tick()
    assert noted(outputs) == [("agent.heard", 0), ("caller.speaks", 40), ("barge_in", 40)]
    cut, mark = handset.receive(Clear(), 10.07)
    assert isinstance(cut, Noted) and cut.name == "clear"
    assert cut.detail == {
        "media_ms": 70.0,
        "since_caller_spoke_ms": 30.0,
        "heard_bytes": 560,
        "utterance_heard_bytes": 560,
        "discarded_bytes": 1040,
        "marks": ["m"],
    }
    assert mark == MarkBack("m", is_played=False)


def test_marks_come_back_in_between_ticks() -> None:
    handset = pick_up(Wait(1000))
    handset.receive(Media(tone(33)), 10.0)
    assert handset.receive(Mark("m"), 10.0) == []
    assert handset.marks_due(10.0329) == []
    assert handset.marks_due(10.033) == [MarkBack("m", is_played=True)]


def test_keys_and_hanging_up_are_passed_on() -> None:
    handset = pick_up(Dtmf("7"), HangUp())
    outputs = handset.begin()
    for _ in range(10):
        outputs += handset.tick()
    assert [one for one in outputs if isinstance(one, Press | PutDown)] == [Press("7"), PutDown()]


def test_a_caller_who_loses_patience_is_noted() -> None:
    handset = pick_up(BargeIn(40, WORD, patience_ms=20))
    assert noted(handset.begin() + handset.tick()) == [("caller.impatient", 20), ("caller.speaks", 20)]


def test_the_end_of_the_stream_cuts_both_off_in_the_middle_of_a_frame() -> None:
    handset = pick_up(Say(Sound("long", WORD.pcm * 10)))
    handset.begin()
    handset.receive(Media(tone(200)), 10.0)
    handset.tick()
    outputs = handset.end(10.035)
    assert noted(outputs) == [("agent.silent", 35), ("caller.stops", 35.0)]
    sound = handset.sound()
    assert (sound.heard_bytes, sound.received_bytes, len(sound.spoken), len(sound.heard)) == (280, 1600, 320, 560)


def test_an_end_on_a_frames_edge_has_nothing_left_to_hear() -> None:
    handset = pick_up(Wait(1000))
    handset.begin()
    handset.tick()
    assert handset.end(10.02) == []


def test_noise_lies_under_every_frame() -> None:
    handset = pick_up(Wait(1000), noise=ComfortNoise(-40, np.random.default_rng(1)))
    handset.begin()
    first, second = frames(handset.tick() + handset.tick())
    assert len(set(first.law)) > 10 and first.law != second.law
