from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.prove_marks import Mark, marked, marks_in
from simulator.sound import Codec, Sound
from simulator.voices import Voices

HELLO = Voices().clip("hello")


@given(call=st.integers(0, 0xFFFF), turn=st.integers(0, 0xFF))
def test_a_mark_is_read_from_the_sound_as_it_goes_over_the_wire(call: int, turn: int) -> None:
    law = Codec.PCMU.encode(marked(HELLO, Mark(call, turn)).pcm)
    assert marks_in(law) == (Mark(call, turn),)


def test_a_part_of_the_turn_is_enough() -> None:
    law = Codec.PCMU.encode(marked(HELLO, Mark(7, 3)).pcm)
    assert marks_in(law[len(law) // 2 : len(law) // 2 + 8 * 120]) == (Mark(7, 3),)


def test_two_turns_in_one_breath_are_two_marks_in_order() -> None:
    both = b"".join(Codec.PCMU.encode(marked(HELLO, Mark(7, turn)).pcm) for turn in (4, 3))
    assert marks_in(both) == (Mark(7, 4), Mark(7, 3))


def test_speech_without_marks_has_none() -> None:
    voices = Voices()
    for clip in voices.clips:
        assert marks_in(Codec.PCMU.encode(voices.clip(clip.name).pcm)) == ()


def test_a_mark_that_was_damaged_is_none() -> None:
    sound = Sound("", bytes(2 * 8 * 20))
    law = bytearray(Codec.PCMU.encode(marked(sound, Mark(7, 3)).pcm))
    assert marks_in(bytes(law)) == (Mark(7, 3),)
    law[9] ^= 0x01
    assert marks_in(bytes(law)) == ()


def test_the_sound_keeps_its_words_and_its_length() -> None:
    sound = marked(HELLO, Mark(1, 1))
    assert (sound.text, len(sound.pcm)) == (HELLO.text, len(HELLO.pcm))


@pytest.mark.parametrize("mark", [Mark(0x10000, 1), Mark(1, 0x100), Mark(-1, 1)])
def test_a_number_without_room_is_refused(mark: Mark) -> None:
    with pytest.raises(ValueError, match="a mark has room for numbers below"):
        marked(HELLO, mark)
