"""What a stand-in's voice recites: how long, how loud, when each character begins."""

from __future__ import annotations

import pytest

from simulator.sound import Codec, rms
from simulator.standins.fault import Fault
from simulator.standins.recital import BIG_CHUNK_BYTES, CHUNK_MS, DRIP_CHUNK_MS, Recital, SoundForm

PCM_8K = SoundForm("pcm", 8_000)


def test_each_word_takes_its_time_and_is_cut_into_chunks() -> None:
    chunks, words = Recital(PCM_8K, Fault.NONE, word_ms=250).recite("one two ")

    assert [len(chunk.audio) for chunk in chunks] == [CHUNK_MS * 16] * 5
    assert [chunk.start_ms for chunk in chunks] == [0, 100, 200, 300, 400]
    assert [(word.text, word.start_ms, word.end_ms) for word in words] == [("one", 0, 250), ("two", 250, 500)]
    assert rms(chunks[1].audio) > 2_000


def test_texts_follow_one_another_and_silence_comes_once() -> None:
    recital = Recital(PCM_8K, Fault.NONE, word_ms=200, lead_ms=100)
    first, _ = recital.recite("one")
    second, words = recital.recite("two")

    assert rms(first[0].audio) == 0
    assert second[0].start_ms == 300 == words[0].start_ms


def test_every_character_is_in_the_chunk_in_which_it_begins() -> None:
    chunks, _ = Recital(PCM_8K, Fault.NONE, word_ms=200).recite("one two")

    assert "".join(char.text for chunk in chunks for char in chunk.chars) == "one two "
    for chunk in chunks:
        assert all(chunk.start_ms <= char.start_ms < chunk.start_ms + CHUNK_MS for char in chunk.chars)


def test_a_text_without_words_makes_no_sound() -> None:
    assert Recital(PCM_8K, Fault.NONE).recite("  ") == ([], [])


def test_speed_shortens_the_words() -> None:
    _, words = Recital(PCM_8K, Fault.NONE, word_ms=200, speed=2.0).recite("one two")

    assert words[1].start_ms == 100


@pytest.mark.parametrize(("encoding", "codec"), [("ulaw", Codec.PCMU), ("alaw", Codec.PCMA)])
def test_sound_is_written_as_it_is_asked_for(encoding: str, codec: Codec) -> None:
    linear, _ = Recital(PCM_8K, Fault.NONE).recite("one")
    law, _ = Recital(SoundForm(encoding, 8_000), Fault.NONE).recite("one")

    assert [chunk.audio for chunk in law] == [codec.encode(chunk.audio) for chunk in linear]


def test_faults_of_sound_change_how_it_is_cut() -> None:
    whole = b"".join(chunk.audio for chunk in Recital(PCM_8K, Fault.NONE).recite("one")[0])

    odd, _ = Recital(PCM_8K, Fault.ODD_PCM).recite("one")
    assert b"".join(chunk.audio for chunk in odd) == whole
    assert len(odd[0].audio) % 2 == 1

    dripped, _ = Recital(PCM_8K, Fault.SLOW_DRIP).recite("one")
    assert b"".join(chunk.audio for chunk in dripped) == whole
    assert len(dripped[0].audio) == DRIP_CHUNK_MS * 16

    big, _ = Recital(PCM_8K, Fault.BIG_CHUNK).recite("one")
    assert [len(chunk.audio) for chunk in big] == [len(whole) + BIG_CHUNK_BYTES]
