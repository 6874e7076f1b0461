"""Sound and word times that come apart, joined into pieces of speech."""

from __future__ import annotations

import struct

from pipeline.audio.formats import PCM_8K, PCM_24K, PCMU
from pipeline.playback_ledger import PlaybackLedger
from pipeline.provider import Speech, WordTime
from pipeline.providers.spoken_answer import SpokenAnswer

LOUD = struct.pack("<h", 4_000)


def loud(ms: int) -> bytes:
    """PCM16 at 8 kHz."""
    return LOUD * 8 * ms


def quiet(ms: int) -> bytes:
    return bytes(16 * ms)


def test_word_times_are_relative_to_the_piece_that_carries_them() -> None:
    answer = SpokenAnswer(PCM_8K)
    answer.tell("one two three")
    answer.sound(loud(100))
    answer.time("one", 0)
    assert answer.made() == Speech(loud(100), "one", (WordTime("one", 0),))

    answer.time("two", 60)
    answer.time("three", 250)
    assert answer.made() == Speech(b"", "two three", (WordTime("two", -40), WordTime("three", 150)))
    assert answer.made() is None
    assert answer.end() is None


def test_word_times_move_with_the_silence_that_is_taken_away() -> None:
    answer = SpokenAnswer(PCM_8K)
    answer.tell("one two")
    answer.time("one", 150)
    answer.sound(quiet(150))
    assert answer.made() is None

    answer.time("two", 350)
    answer.sound(loud(400))
    assert answer.made() == Speech(quiet(20) + loud(400), "one two", (WordTime("one", 20), WordTime("two", 220)))
    assert answer.received_ms == 550


def test_a_word_timed_within_the_silence_begins_with_the_sound() -> None:
    answer = SpokenAnswer(PCM_8K)
    answer.tell("one")
    answer.time("one", 0)
    answer.sound(quiet(200) + loud(100))

    made = answer.made()
    assert made is not None and made.words == (WordTime("one", 0),)


def test_silence_stays_for_who_wants_it() -> None:
    answer = SpokenAnswer(PCM_8K, trims_silence=False)
    answer.sound(quiet(200) + loud(100))

    assert answer.made() == Speech(quiet(200) + loud(100))


def test_half_a_sample_waits_for_its_other_half() -> None:
    answer, sound = SpokenAnswer(PCM_24K), LOUD * 100
    made = b""
    for at in range(0, len(sound), 33):
        answer.sound(sound[at : at + 33])
        piece = answer.made()
        assert piece is not None and len(piece.audio) % 2 == 0
        made += piece.audio

    assert made == sound


def test_words_without_times_come_when_their_clause_is_over() -> None:
    answer = SpokenAnswer(PCM_8K)
    answer.tell("one two")
    answer.tell("six")
    answer.sound(loud(600))
    answer.end_clauses(1)
    assert answer.made() == Speech(loud(600), "one two", (WordTime("one", 0), WordTime("two", 300)))

    answer.sound(loud(300))
    assert answer.made() == Speech(loud(300))
    assert answer.end() == Speech(b"", "six", (WordTime("six", -300),))


def test_the_ledger_hears_every_word_of_an_answer_without_times() -> None:
    answer, ledger = SpokenAnswer(PCMU), PlaybackLedger(8_000)
    answer.tell("Nobody timed this.")
    answer.sound(b"\x20" * 8_000)
    for piece in (answer.made(), answer.end()):
        assert piece is not None
        ledger.write("item", len(piece.audio), piece.text, piece.words)
    ledger.finish("item")
    ledger.play(8_000)

    assert ledger.heard("item").text == "Nobody timed this."


def test_an_answer_that_is_all_silence_is_played_as_it_is() -> None:
    answer = SpokenAnswer(PCM_8K)
    answer.tell("hm")
    answer.sound(quiet(100))
    assert answer.made() is None
    assert not answer.lacks_sound
    assert answer.end() == Speech(quiet(100), "hm", (WordTime("hm", 0),))


def test_sound_is_missed_only_where_there_is_something_to_pronounce() -> None:
    answer = SpokenAnswer(PCM_8K)
    answer.tell("…")
    assert not answer.lacks_sound
    assert answer.end() == Speech(b"", "…", (WordTime("…", 0),))

    answer.tell("word")
    assert answer.lacks_sound
