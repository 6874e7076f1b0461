from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.toxics import HEALTHY, MOST_HELD_BYTES, End, Ending, Send, Toxics, ToxicWay, Wait


def way(*pieces: bytes, drawn: float = 0.5) -> ToxicWay:
    one = ToxicWay(lambda: drawn)
    for piece in pieces:
        one.take(piece, 0.0)
    return one


def test_without_toxics_bytes_go_on_at_once_and_the_end_after_them() -> None:
    one = way(b"a", b"b")
    one.finish()
    steps = [one.step(HEALTHY, 0.0) for _ in range(3)]
    assert steps == [Send(b"a"), Send(b"b"), End(Ending.HALF_CLOSE)]
    assert one.passed_bytes == 2


def test_latency_holds_each_piece_from_when_it_came_and_jitter_spreads_it() -> None:
    toxics = Toxics(latency_ms=100, jitter_ms=50)
    assert way(b"a", drawn=0.0).step(toxics, 0.0) == Wait(0.05)
    assert way(b"a", drawn=1.0).step(toxics, 0.0) == Wait(0.15)
    one = way(b"a")
    assert one.step(toxics, 0.0) == Wait(0.1)
    assert one.step(toxics, 0.1) == Send(b"a")


def test_a_toxic_that_is_taken_away_holds_nothing_any_longer() -> None:
    one = way(b"a")
    assert one.step(Toxics(is_blackhole=True), 5.0) == Wait(None)
    assert one.step(Toxics(latency_ms=60_000), 5.0) == Wait(60.0)
    assert one.step(HEALTHY, 5.0) == Send(b"a")
    assert one.step(HEALTHY, 5.0) == Wait(None)


def test_a_bandwidth_sends_twenty_milliseconds_at_a_time() -> None:
    toxics = Toxics(bandwidth_kbps=8)
    one = way(b"x" * 50)
    assert one.step(toxics, 0.0) == Send(b"x" * 20)
    assert one.step(toxics, 0.0) == Wait(0.02)
    assert one.step(toxics, 0.02) == Send(b"x" * 20)
    assert one.step(toxics, 0.04) == Send(b"x" * 10)


def test_slices_have_a_gap_between_them() -> None:
    one = way(b"abc")
    assert one.step(Toxics(slice_bytes=2), 1.0) == Send(b"ab")
    assert one.step(Toxics(slice_bytes=2), 1.0) == Wait(1.001)
    assert one.step(Toxics(slice_bytes=2), 1.001) == Send(b"c")


@pytest.mark.parametrize("ending", Ending)
def test_an_ending_comes_after_its_bytes_and_drops_the_rest(ending: Ending) -> None:
    toxics = Toxics(ending=ending, after_bytes=3)
    one = way(b"ab", b"cd")
    assert [one.step(toxics, 0.0) for _ in range(3)] == [Send(b"ab"), Send(b"c"), End(ending)]
    one.take(b"more", 0.0)
    assert (one.held_bytes, one.passed_bytes) == (0, 3)


def test_an_ending_at_once_needs_no_bytes() -> None:
    assert way().step(Toxics(ending=Ending.RESET), 0.0) == End(Ending.RESET)


def test_a_way_that_holds_its_most_is_full_until_something_goes_on() -> None:
    one = way(b"x" * MOST_HELD_BYTES)
    assert one.is_full
    assert isinstance(one.step(HEALTHY, 0.0), Send)
    assert not one.is_full


@pytest.mark.parametrize(
    "wrong",
    [{"jitter_ms": 1}, {"latency_ms": -1}, {"bandwidth_kbps": 0}, {"slice_bytes": 0}, {"after_bytes": -1}],
)
def test_toxics_that_make_no_sense_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Toxics(**wrong)


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=200), max_size=20),
    latency_ms=st.floats(0, 50),
    share=st.floats(0, 1),
    bandwidth_kbps=st.none() | st.floats(1, 1000),
    slice_bytes=st.none() | st.integers(1, 50),
    seed=st.integers(0, 1000),
)
def test_bytes_are_neither_lost_nor_reordered(
    pieces: list[bytes],
    latency_ms: float,
    share: float,
    bandwidth_kbps: float | None,
    slice_bytes: int | None,
    seed: int,
) -> None:
    toxics = Toxics(
        latency_ms=latency_ms,
        jitter_ms=latency_ms * share,
        bandwidth_kbps=bandwidth_kbps,
        slice_bytes=slice_bytes,
    )
    one = ToxicWay(random.Random(seed).random)
    for place, piece in enumerate(pieces):
        one.take(piece, place / 100)
    one.finish()
    now_s, came = 0.0, b""
    while not isinstance(step := one.step(toxics, now_s), End):
        if isinstance(step, Send):
            came += step.data
        else:
            assert step.until_s is not None and step.until_s > now_s
            now_s = step.until_s
    assert came == b"".join(pieces)
