"""What was made, what was played, and which words were heard. One sample is one millisecond here."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.playback_ledger import MAX_ITEMS, SLOWEST_CHARS_PER_S, Heard, PlaybackLedger
from pipeline.provider import WordTime

RATE_HZ = 1_000
TIMES = (WordTime("We", 0), WordTime("are", 100), WordTime("open.", 300))


def ledger_with(
    samples: int = 500, *, words: tuple[WordTime, ...] = TIMES, finished: bool = True
) -> PlaybackLedger:
    ledger = PlaybackLedger(RATE_HZ)
    ledger.write("a", samples, "We are open.", words)
    if finished:
        ledger.finish("a")
    return ledger


@pytest.mark.parametrize(
    ("position", "heard"),
    [(0, ""), (99, ""), (100, "We"), (299, "We"), (300, "We are"), (499, "We are"), (500, "We are open.")],
)
def test_with_word_times_what_was_heard_is_exact_to_the_word(position: int, heard: str) -> None:
    ledger = ledger_with()
    ledger.play(position)
    assert ledger.heard("a") == Heard("a", position, heard, is_whole=position == 500)


@pytest.mark.parametrize(
    ("position", "heard"),
    [(0, ""), (166, ""), (167, "We"), (499, "We"), (500, "We are"), (999, "We are"), (1_000, "We are open.")],
)
def test_without_word_times_it_is_in_proportion_and_rounded_down(position: int, heard: str) -> None:
    ledger = ledger_with(1_000, words=())
    ledger.play(position)
    assert ledger.heard("a").text == heard


def test_a_clause_still_being_made_is_taken_to_be_spoken_at_an_ordinary_pace() -> None:
    ledger = ledger_with(200, words=(), finished=False)
    ledger.play(200)
    assert int(0.2 * SLOWEST_CHARS_PER_S) == len("We ")
    assert ledger.heard("a").text == "We"


def test_a_fast_voice_is_not_credited_with_words_ahead_of_the_proof() -> None:
    ledger = ledger_with(100, words=())
    ledger.play(99)
    assert ledger.heard("a").text == ""
    ledger.play(100)
    assert ledger.heard("a").text == "We are open.", "all of it was played, at whatever pace"


def test_the_last_word_of_a_clause_that_was_broken_off_is_not_proven() -> None:
    ledger = ledger_with(400, finished=False)
    ledger.play(400)
    assert ledger.heard("a").text == "We are"
    ledger.write("a", 100, "Today.")
    assert ledger.heard("a").text == "We are open.", "another clause begins where it ended"


def test_clauses_are_heard_one_after_the_other() -> None:
    ledger = ledger_with()
    ledger.write("a", 400, "All day.", (WordTime("All", 0), WordTime("day.", 200)))
    for position, heard in ((500, "We are open."), (650, "We are open."), (700, "We are open. All")):
        ledger.play(position)
        assert ledger.heard("a").text == heard


def test_sound_without_words_adds_to_the_clause_it_follows() -> None:
    ledger = ledger_with(250)
    ledger.write("a", 250)
    ledger.play(500)
    assert ledger.heard("a") == Heard("a", 500, "We are open.", is_whole=True)
    silent = PlaybackLedger(RATE_HZ)
    silent.write("b", 100)
    silent.play(50)
    assert silent.heard("b") == Heard("b", 50, "", is_whole=False)


def test_a_flush_cuts_what_was_not_heard_and_the_next_sound_begins_there() -> None:
    ledger = ledger_with()
    ledger.write("b", 500, "Hello.")
    assert ledger.flush(320) == [Heard("a", 320, "We are", is_whole=False), Heard("b", 0, "", is_whole=False)]
    assert (ledger.position, ledger.end, ledger.is_drained) == (320, 320, True)
    ledger.write("c", 200, "Goodbye.")
    ledger.finish("c")
    assert (ledger.end, ledger.is_drained) == (520, False)
    ledger.play(520)
    assert ledger.heard("c") == Heard("c", 200, "Goodbye.", is_whole=True)
    assert ledger.heard("a") == Heard("a", 320, "We are", is_whole=False)
    assert ledger.flush(520) == [], "nothing is cut twice"


def test_a_flush_leaves_alone_what_was_heard_to_its_end() -> None:
    ledger = ledger_with()
    ledger.write("b", 500, "Hello.")
    assert [cut.item_id for cut in ledger.flush(500)] == ["b"]
    assert ledger.heard("a").is_whole


def test_playback_never_goes_back_nor_past_what_was_made() -> None:
    ledger = ledger_with()
    ledger.play(300)
    ledger.play(200)
    assert ledger.position == 300
    ledger.play(9_999)
    assert ledger.position == 500
    assert ledger.flush(100) == []


def test_a_client_says_how_much_it_has_played_and_what_it_cut_never_comes_back() -> None:
    ledger = ledger_with()
    assert ledger.truncate("a", 310) == Heard("a", 310, "We are", is_whole=False)
    assert ledger.kept_ms("a") == 310
    assert ledger.truncate("a", 500) == Heard("a", 310, "We are", is_whole=False)
    assert ledger.truncate("a", 150) == Heard("a", 150, "We", is_whole=False)
    assert ledger.flush(0) == []


def test_truncating_at_the_end_keeps_all_words() -> None:
    assert ledger_with().truncate("a", 700) == Heard("a", 500, "We are open.", is_whole=False)


def test_what_was_made_of_an_item_is_all_that_can_be_heard_of_it() -> None:
    ledger = ledger_with(400, finished=False)
    assert ledger.made("a") == Heard("a", 400, "We are", is_whole=True)
    assert ledger.made("z") == Heard("z", 0, "", is_whole=False)
    assert (ledger.holds("a"), ledger.holds("z")) == (True, False)


def test_an_item_without_sound_is_unknown() -> None:
    ledger = PlaybackLedger(RATE_HZ)
    ledger.finish("z")
    assert ledger.kept_ms("z") is None
    with pytest.raises(KeyError):
        ledger.heard("z")
    with pytest.raises(KeyError):
        ledger.truncate("z", 0)


def test_old_items_are_forgotten() -> None:
    ledger = PlaybackLedger(RATE_HZ)
    for number in range(MAX_ITEMS + 1):
        ledger.write(f"item_{number}", 1)
    assert not ledger.holds("item_0")
    assert ledger.holds("item_1") and ledger.holds(f"item_{MAX_ITEMS}")


some_words = st.lists(st.sampled_from(["a", "we", "open", "tomorrow", "Schöneberg"]), min_size=1, max_size=5)
clauses = st.tuples(some_words, st.integers(1, 400), st.booleans())
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from("abc"), clauses),
        st.tuples(st.just("more"), st.sampled_from("abc"), st.integers(0, 300)),
        st.tuples(st.just("finish"), st.sampled_from("abc"), st.none()),
        st.tuples(st.just("play"), st.none(), st.integers(0, 3_000)),
        st.tuples(st.just("flush"), st.none(), st.integers(0, 3_000)),
        st.tuples(st.just("truncate"), st.sampled_from("abc"), st.integers(0, 2_000)),
    ),
    max_size=30,
)


@given(steps)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_nothing_is_heard_that_was_not_made_and_played(steps: list[tuple[str, str, object]]) -> None:
    """A ledger item is written once and not after a cut: what follows a flush is a new item, as in a session."""
    ledger = PlaybackLedger(RATE_HZ)
    generation = 0
    made: dict[str, tuple[int, list[str]]] = {}
    for kind, name, value in steps:
        item_id = f"{name}{generation}"
        before = ledger.position
        match kind, value:
            case "write", (list(words), int(word_ms), bool(is_timed)):
                samples, said = made.get(item_id, (0, []))
                times = tuple(WordTime(str(w), at * word_ms) for at, w in enumerate(words)) if is_timed else ()
                ledger.write(item_id, len(words) * word_ms, " ".join(map(str, words)), times)
                made[item_id] = (samples + len(words) * word_ms, [*said, *map(str, words)])
            case "more", int(count) if item_id in made:
                ledger.write(item_id, count)
                made[item_id] = (made[item_id][0] + count, made[item_id][1])
            case "finish", _:
                ledger.finish(item_id)
            case "play", int(position):
                ledger.play(position)
            case "flush", int(position):
                for cut in ledger.flush(position):
                    assert cut.ms <= made[cut.item_id][0]
                    assert not cut.is_whole
                assert ledger.is_drained
                generation += 1
            case "truncate", int(at_ms) if item_id in made:
                assert ledger.truncate(item_id, at_ms).ms <= min(at_ms, made[item_id][0])
                generation += 1
            case _:
                continue
        assert before <= ledger.position <= ledger.end
        for known, (samples, said) in made.items():
            heard = ledger.heard(known)
            words_heard = heard.text.split()
            assert heard.ms <= samples
            assert words_heard == said[: len(words_heard)]
            if heard.ms == 0:
                assert not words_heard


def test_what_is_still_to_be_heard_is_found_in_order() -> None:
    ledger = PlaybackLedger(8_000)
    for item_id in ("one", "two", "three"):
        ledger.write(item_id, 800, "Yes.")
        ledger.finish(item_id)
    assert ledger.unheard == ["one", "two", "three"]
    ledger.play(800)
    assert ledger.unheard == ["two", "three"]
    ledger.flush(1_000)
    assert ledger.unheard == []
    ledger.write("four", 800, "No.")
    assert ledger.unheard == ["four"]
    ledger.play(1_800)
    assert ledger.unheard == []
