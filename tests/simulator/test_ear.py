from __future__ import annotations

import numpy as np

from simulator.ear import AgentHeard, AgentSilent, Ear
from simulator.sound import pcm_of

LOUD = pcm_of(0.3 * np.sin(np.arange(160)))
QUIET = bytes(320)


def listen(ear: Ear, windows: str) -> list[object]:
    """`L` loud, `q` quiet, `-` nothing playing; 20 ms each."""
    kinds = {"L": LOUD, "q": QUIET, "-": None}
    return [one for at, kind in enumerate(windows) for one in ear.hear(kinds[kind], at * 20, 20)]


def test_an_utterance_begins_with_the_first_audible_sound_and_ends_with_the_last() -> None:
    ear = Ear(gap_ms=60)
    assert listen(ear, "--qLLqL---L") == [AgentHeard(60), AgentSilent(60, 140), AgentHeard(200)]


def test_the_onset_is_found_inside_the_window() -> None:
    assert Ear().hear(bytes(160) + LOUD[:160], 100, 20) == [AgentHeard(110)]


def test_noise_below_the_threshold_is_not_heard() -> None:
    assert Ear().hear(pcm_of(0.001 * np.sin(np.arange(160))), 0, 20) == []


def test_it_counts_what_was_heard_over_all_utterances() -> None:
    ear = Ear(gap_ms=40)
    listen(ear, "LLqqLLLq")
    assert (ear.heard_ms, ear.utterance_ms, ear.onsets, ear.is_hearing) == (100, 60, 2, True)
    assert ear.quiet_ms(200) == 60


def test_a_closed_line_ends_what_is_being_heard_once() -> None:
    ear = Ear()
    listen(ear, "LL")
    assert ear.close() == [AgentSilent(0, 40)]
    assert (ear.close(), ear.is_hearing, ear.heard_ms, ear.utterance_ms) == ([], False, 40, 0)
