"""Whatever comes in, in whatever order: a session keeps the protocol's order and claims only what was heard.

The rules are in `judge.py`, the steps in `world.py`. hypothesis looks for the shortest sequence that breaks a rule;
the long walk goes far, because some states are many steps away.
"""

from __future__ import annotations

from random import Random
from typing import Final

import pytest
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.events.items import Message, OutputAudio
from tests.pipeline.world import CONFIGS, INPUTS, KINDS, Step, World

WALKS: Final = 16
"""Each with its own seed, so that a failure names one of them."""
STEPS_A_WALK: Final = 12_500
"""Together 200,000."""
LONGEST_LIFE: Final = 400
"""Steps of one session; then another begins."""

kinds = st.sampled_from(KINDS)
steps = st.lists(st.tuples(kinds, st.integers(0, 7), st.booleans()), max_size=80)
long_steps = st.lists(st.tuples(kinds, st.integers(0, 7), st.booleans()), min_size=40, max_size=120)
firsts = st.integers(0, len(CONFIGS) - 1)


@pytest.mark.parametrize("seed", range(WALKS))
def test_no_walk_however_long_breaks_a_rule(seed: int) -> None:
    chance = Random(seed)
    done = 0
    while done < STEPS_A_WALK:
        world = World(
            plays=chance.random() < 0.5,
            transcribes=chance.random() < 0.1,
            first=chance.randrange(len(CONFIGS)),
            apology=chance.choice(("", "So sorry about that.")),
        )
        life = min(chance.randrange(20, LONGEST_LIFE), STEPS_A_WALK - done)
        trace: list[Step] = []
        try:
            for _ in range(life):
                trace.append((chance.choice(KINDS), chance.randrange(8), chance.random() < 0.5))
                world.do(trace[-1])
            world.end()
        except Exception as error:
            error.add_note(f"after {trace[-12:]}")
            raise
        done += life


@given(steps | long_steps, st.booleans(), st.booleans(), firsts)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_no_order_of_events_and_reports_breaks_the_order_of_what_comes_out(
    steps: list[Step], plays: bool, transcribes: bool, first: int
) -> None:
    world = World(plays=plays, transcribes=transcribes, first=first)
    for step in steps:
        world.do(step)
    world.end()
    note(f"responses: {min(len(world.judge.responses.seen), 8)}")


@given(steps | long_steps)
@settings(derandomize=True, max_examples=200, deadline=None)
def test_of_an_answer_that_was_broken_off_only_words_with_sound_are_kept(steps: list[Step]) -> None:
    """Where we play the sound ourselves. Of a clause without word times a part may be kept, never more."""
    world = World(plays=True)
    for step in steps:
        if step[:2] != ("finish", 4):  # a model cut off by its limit is not broken off: its voice says it all
            world.do(step)
    world.end()
    for item in world.session.conversation.items:
        if isinstance(item, Message) and item.status == "incomplete" and isinstance(item.content[0], OutputAudio):
            kept = item.text.split()
            assert kept == world.voiced.get(item.id, [])[: len(kept)]


@given(steps, st.booleans(), firsts)
@settings(derandomize=True, max_examples=100, deadline=None)
def test_the_same_inputs_have_the_same_outputs(steps: list[Step], plays: bool, first: int) -> None:
    """No clock, no chance: a recorded call can be played again."""
    one, two = World(plays=plays, first=first), World(plays=plays, first=first)
    for step in steps:
        one.do(step)
        two.do(step)
    assert (one.judge.items, one.judge.responses) == (two.judge.items, two.judge.responses)
    assert one.session.conversation.items == two.session.conversation.items


def test_every_kind_of_step_has_something_to_do() -> None:
    """A step that never reaches the session would prove nothing."""
    world = World(plays=True)
    for step in (("hear", 2, False), ("respond", 5, True), ("think", 0, True)):
        world.do(step)
    assert [kind for kind in INPUTS if kind not in ("speak", "say") and not INPUTS[kind](world, 3, True)] == []
