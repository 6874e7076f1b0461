"""The sound of items, as much of it as may be kept."""

from __future__ import annotations

from pipeline.kept_audio import KeptAudio


def test_the_sound_of_an_item_grows_with_every_piece() -> None:
    kept = KeptAudio(100)
    kept.write("a", b"12")
    kept.write("b", b"x")
    kept.write("a", b"34")
    assert (kept.of("a"), kept.of("b"), kept.of("nobody")) == (b"1234", b"x", None)


def test_silence_of_no_length_is_no_sound() -> None:
    kept = KeptAudio(100)
    kept.write("a", b"")
    assert kept.of("a") is None


def test_nothing_is_kept_where_nothing_may_be() -> None:
    kept = KeptAudio(0)
    kept.write("a", b"12")
    kept.cut("a", 1)
    kept.drop("a")
    assert kept.of("a") is None


def test_the_oldest_item_goes_whole_when_there_is_no_room() -> None:
    kept = KeptAudio(10)
    for item_id in ("a", "b", "c"):
        kept.write(item_id, b"1234")
    assert [kept.of(item_id) for item_id in ("a", "b", "c")] == [None, b"1234", b"1234"]


def test_room_that_a_cut_has_made_is_used_again() -> None:
    kept = KeptAudio(10)
    kept.write("a", b"12345")
    kept.write("b", b"12345")
    kept.cut("a", 2)
    kept.cut("b", 9)
    kept.write("c", b"123")
    assert [kept.of(item_id) for item_id in ("a", "b", "c")] == [b"12", b"12345", b"123"]


def test_an_item_that_is_too_long_is_given_up_for_good() -> None:
    kept = KeptAudio(4)
    kept.write("a", b"1234")
    kept.write("a", b"5")
    kept.write("a", b"67")
    assert kept.of("a") is None, "its end alone would be taken for the whole"
    kept.write("b", b"1234")
    assert kept.of("b") == b"1234"


def test_an_item_that_was_pushed_out_while_it_grew_does_not_come_back_by_halves() -> None:
    kept = KeptAudio(6)
    kept.write("growing", b"1234")
    kept.write("other", b"123")
    kept.write("growing", b"5678")
    assert (kept.of("growing"), kept.of("other")) == (None, b"123")


def test_of_a_dropped_item_nothing_more_is_kept() -> None:
    kept = KeptAudio(6)
    kept.write("a", b"123456")
    kept.drop("a")
    kept.write("a", b"7")
    kept.write("b", b"123456")
    assert (kept.of("a"), kept.of("b")) == (None, b"123456")


def test_an_item_of_which_nothing_was_heard_has_no_sound() -> None:
    kept = KeptAudio(6)
    kept.write("a", b"12")
    kept.cut("a", 0)
    assert kept.of("a") is None
