from __future__ import annotations

import pytest

from simulator.caller import Caller, Dtmf, HangUp, Listen, Press, Say, Wait
from simulator.sound import Sound
from simulator.verbs.hand import CallerHungUp, Hand

YES = Sound("yes", bytes(1600))


def test_keys_are_pressed_one_by_one_where_keys_are_taken() -> None:
    hand = Hand(Caller((Dtmf("1w2"), HangUp())))
    assert hand.due_in_s(takes_keys=False) is None
    assert hand.due_in_s(takes_keys=True) == 0
    assert hand.act() == "1"
    assert (hand.due_in_s(takes_keys=False), hand.due_in_s(takes_keys=True)) == (None, 0)
    assert hand.act() == "2"
    assert hand.due_in_s(takes_keys=False) == 0
    with pytest.raises(CallerHungUp):
        hand.act()
    assert hand.due_in_s(takes_keys=True) is None


def test_a_pause_is_waited_for_in_pieces() -> None:
    hand = Hand(Caller((Wait(3_000), Wait(1_000), Press("5"))))  # type: ignore[arg-type]  # as a stream leaves it
    assert hand.due_in_s(takes_keys=True) == 3
    hand.wait(2)
    assert hand.due_in_s(takes_keys=True) == 1
    hand.wait(1)
    assert hand.act() is None
    assert hand.due_in_s(takes_keys=True) == 1
    hand.wait(1)
    assert hand.act() is None
    hand.wait(60)
    assert hand.act() == "5"


def test_an_agent_is_waited_for_and_a_sound_is_said_only_where_it_stands() -> None:
    caller = Caller((Listen(), Say(YES)))
    hand = Hand(caller)
    assert hand.due_in_s(takes_keys=True) is None
    assert (hand.speaks_next, hand.speech()) == (False, None)
    caller.take_step()
    assert hand.speaks_next
    assert hand.speech() is YES
    assert hand.speech() is None


def test_a_key_that_is_still_to_be_pressed_comes_before_a_sound() -> None:
    hand = Hand(Caller((Dtmf("12"), Say(YES))))
    assert hand.act() == "1"
    assert (hand.speaks_next, hand.speech()) == (False, None)
    assert hand.act() == "2"
    assert hand.speech() is YES
