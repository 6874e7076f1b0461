from __future__ import annotations

from gateway.cli.bench_turns_options import clips
from simulator.turn_plan import SHORTEST_WORDS
from tests.gateway.cli.test_bench_turns_table import OPTIONS


def test_the_options_say_what_is_said_and_how_fast_it_is_answered() -> None:
    assert (OPTIONS.said.calls, OPTIONS.said.pause_share, OPTIONS.said.seed) == (2, 0.2, 1)
    pace = OPTIONS.pace
    assert (pace.stt_s, pace.first_token_s, pace.first_byte_s, pace.slow_share) == (0.15, 0.3, 0.12, 0.05)


def test_the_clips_are_long_enough_to_have_a_middle() -> None:
    assert len(clips()) > 1
    assert all(len(clip.text.split()) >= SHORTEST_WORDS for clip in clips())
