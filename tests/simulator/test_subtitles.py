from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.sound import Codec
from simulator.subtitles import (
    MAGIC,
    MOST_UTTERANCES,
    MOST_WORDS,
    SUBTITLE_BYTES,
    SubtitleReader,
    subtitle,
    subtitled,
)
from simulator.voices import Voices

NUMBERS = st.tuples(st.integers(0, MOST_UTTERANCES - 1), st.integers(0, MOST_WORDS))


@given(st.lists(NUMBERS, max_size=6), st.integers(0, 99), st.lists(st.integers(1, 40), min_size=1))
def test_what_was_written_is_read_however_the_sound_is_cut(
    written: list[tuple[int, int]], gap: int, sizes: list[int]
) -> None:
    noise = random.Random(gap).randbytes(gap).replace(MAGIC[:1], b"\xff")
    sound = noise + b"".join(subtitle(*numbers) + noise for numbers in written)
    reader, read, at = SubtitleReader(), list[tuple[int, int]](), 0
    for number in range(len(sound) + 1):
        size = sizes[number % len(sizes)]
        read += reader.read(sound[at : at + size])
        at += size
    assert read == written


def test_a_subtitle_stands_at_the_end_of_each_word_and_the_sound_is_no_longer() -> None:
    sound = subtitled(b"\xff" * 1_000, 300, [400, 1_000])
    assert len(sound) == 1_000
    assert sound[390:400] == subtitle(300, 1)
    assert sound[-SUBTITLE_BYTES:] == subtitle(300, 2)


def test_what_only_begins_like_a_subtitle_is_none() -> None:
    assert SubtitleReader().read(MAGIC + b"\x12" * 20 + subtitle(1, 2)) == [(1, 2)]


@pytest.mark.parametrize("name", [clip.name for clip in Voices().clips])
def test_no_shipped_clip_has_one_by_chance(name: str) -> None:
    assert SubtitleReader().read(Codec.PCMU.encode(Voices().clip(name).pcm)) == []


def test_numbers_there_is_no_room_for_are_refused() -> None:
    for numbers in ((MOST_UTTERANCES, 0), (0, MOST_WORDS + 1)):
        with pytest.raises(AssertionError, match="no room"):
            subtitle(*numbers)
