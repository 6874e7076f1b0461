from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.caller import (
    Act,
    BargeIn,
    Caller,
    Dtmf,
    HangUp,
    Listen,
    LosePatience,
    Press,
    PutDown,
    Say,
    StartSpeaking,
    Step,
    StopSpeaking,
    Wait,
    conversation,
)
from simulator.sound import Sound, pcm_of

LOUD = pcm_of(0.3 * np.sin(np.arange(160)))


def words(text: str, duration_ms: int = 100) -> Sound:
    return Sound(text, (LOUD * (duration_ms // 20 + 1))[: duration_ms * 16])


def talk(caller: Caller, agent: str, until_ms: int = 60_000) -> list[tuple[int, Act]]:
    """Let the caller live 20 ms at a time; `agent` says for each whether the agent is audible (L) or not."""
    acts: list[tuple[int, Act]] = []
    for at in range(until_ms // 20):
        acts += [(at * 20, act) for act in caller.decide(at * 20)]
        if caller.has_hung_up:
            return acts
        caller.breath()
        caller.ear.hear(LOUD if agent[at : at + 1] == "L" else None, at * 20, 20)
    return acts


def test_a_polite_caller_waits_for_the_agents_word_and_for_quiet_after_it() -> None:
    acts = talk(Caller([Listen(quiet_ms=200), Say(words("hello", 100)), HangUp()]), "-" * 10 + "L" * 10)
    assert acts == [
        (600, StartSpeaking("hello", 600)),
        (700, StopSpeaking("hello", 700.0)),
        (700, PutDown()),
    ]


def test_the_end_of_a_sound_is_told_to_the_sample_even_if_noticed_a_frame_later() -> None:
    acts = talk(Caller([Say(Sound("x", LOUD + LOUD[:16])), HangUp()]), "")
    assert acts[:2] == [(0, StartSpeaking("x", 0)), (40, StopSpeaking("x", 21.0))]


def test_an_interrupting_caller_waits_until_so_much_of_the_agent_was_heard() -> None:
    acts = talk(Caller([BargeIn(300, words("stop")), HangUp()]), "-" * 5 + "L" * 40)
    assert acts[0] == (400, StartSpeaking("stop", 400))


def test_the_speech_to_interrupt_is_summed_over_pauses_but_needs_a_speaking_agent() -> None:
    acts = talk(Caller([BargeIn(300, words("stop")), HangUp()]), "L" * 10 + "-" * 40 + "L" * 40)
    assert acts[0] == (50 * 20 + 100, StartSpeaking("stop", 50 * 20 + 100))


def test_patience_ends_and_is_told() -> None:
    acts = talk(Caller([Listen(patience_ms=100), BargeIn(1, words("hey"), patience_ms=60), HangUp()]), "")
    assert acts[:3] == [(100, LosePatience(100)), (160, LosePatience(60)), (160, StartSpeaking("hey", 160))]


@pytest.mark.parametrize("quiet_ms", [200, 700])
def test_who_listens_to_a_long_answer_does_not_lose_patience(quiet_ms: int) -> None:
    steps: list[Step] = [Listen(quiet_ms=quiet_ms, patience_ms=1_000), HangUp()]
    assert talk(Caller(steps), "-" * 10 + "L" * 150) == [(160 * 20 + quiet_ms, PutDown())]


def test_an_agent_who_never_ends_is_borne_four_times_as_long() -> None:
    steps: list[Step] = [Listen(quiet_ms=200, patience_ms=1_000), HangUp()]
    assert talk(Caller(steps), "L" * 500)[0] == (4_000, LosePatience(4_000))


def test_the_tail_of_an_interrupted_utterance_is_not_taken_for_an_answer() -> None:
    steps: list[Step] = [BargeIn(200, words("no", 100)), Listen(quiet_ms=300), HangUp()]
    tail_then_answer = "L" * 20 + "-" * 50 + "L" * 10
    acts = talk(Caller(steps), tail_then_answer)
    assert acts[-1] == (80 * 20 + 300, PutDown())


def test_an_agent_who_speaks_on_over_the_caller_is_listened_to() -> None:
    steps: list[Step] = [BargeIn(200, words("no", 100)), Listen(quiet_ms=300), HangUp()]
    assert talk(Caller(steps), "L" * 100)[-1] == (2000 + 300, PutDown())


def test_keys_are_pressed_apart_and_w_is_a_pause() -> None:
    assert talk(Caller([Dtmf("1w#"), HangUp()]), "") == [
        (0, Press("1")),
        (700, Press("#")),
        (900, PutDown()),
    ]


def test_waiting_takes_its_time() -> None:
    assert talk(Caller([Wait(500), HangUp()]), "") == [(500, PutDown())]


def test_a_script_without_an_end_listens_once_more_and_hangs_up() -> None:
    assert talk(Caller([]), "L" * 5) == [(100 + 700, PutDown())]


def test_a_sound_cut_off_by_the_line_ends_there_and_the_script_goes_on() -> None:
    caller = Caller([Say(words("a long story", 1000)), HangUp()])
    caller.decide(0)
    assert caller.is_speaking
    assert caller.fall_silent(40) == [StopSpeaking("a long story", 40)]
    assert caller.fall_silent(40) == []
    assert caller.decide(60) == [PutDown()]
    assert caller.decide(80) == []


def test_the_breaths_of_a_sound_are_the_sound() -> None:
    sound = words("x", 50)
    caller = Caller([Say(sound), HangUp()])
    breaths = []
    for at_ms in range(0, 100, 20):
        caller.decide(at_ms)
        breaths.append(caller.breath())
    assert b"".join(breaths) == sound.pcm
    assert [len(breath) for breath in breaths] == [320, 320, 160, 0, 0]


@pytest.mark.parametrize("digits", ["", "12a", "1 2"])
def test_keys_no_phone_has_are_refused(digits: str) -> None:
    with pytest.raises(ValueError, match="got"):
        Dtmf(digits)


def test_a_conversation_waits_its_turns_interrupts_with_its_last_sound_and_then_dials() -> None:
    one, two = words("one"), words("two")
    assert conversation([one, two]) == (Listen(), Say(one), Listen(), Say(two), Listen(), HangUp())
    assert conversation([one, two], barge_in_s=1.5, dtmf="1") == (
        Listen(), Say(one), BargeIn(1500, two), Listen(), Dtmf("1"), Listen(), HangUp(),
    )  # fmt: skip


STEPS = st.one_of(
    st.builds(Listen, st.integers(0, 900), st.integers(0, 2000)),
    st.builds(lambda ms: Say(words("x", ms)), st.integers(20, 500)),
    st.builds(lambda after: BargeIn(after, words("y"), 1500), st.integers(0, 500)),
    st.builds(Dtmf, st.text("0123456789*#w", min_size=1, max_size=3)),
    st.builds(Wait, st.integers(0, 500)),
)


@given(st.lists(STEPS, max_size=6), st.text("L-", max_size=400))
def test_every_caller_hangs_up_in_the_end_and_stops_what_was_started(steps: list[Step], agent: str) -> None:
    acts = [act for _, act in talk(Caller(steps), agent)]
    assert acts[-1] == PutDown() and acts.count(PutDown()) == 1
    spoken = [act for act in acts if isinstance(act, StartSpeaking | StopSpeaking)]
    assert all(isinstance(one, StartSpeaking) for one in spoken[::2])
    assert all(isinstance(one, StopSpeaking) for one in spoken[1::2])
    assert len(spoken) == 2 * sum(isinstance(step, Say | BargeIn) for step in steps)
