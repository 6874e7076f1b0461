from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.call_records.schedule import LONGEST_WAIT_S, Schedule

DAY_S = 86_400.0


def waits_s(spread: float) -> list[float]:
    """Of a receiver that never takes it, from one try to the next."""
    schedule, now_s, tries = Schedule(DAY_S), 0.0, 1
    waits = []
    while (
        next_s := schedule.next_try_s(tries=tries, put_at_s=0.0, now_s=now_s, wait_s=0, spread=spread)
    ) is not None:
        waits.append(next_s - now_s)
        now_s, tries = next_s, tries + 1
    assert now_s == DAY_S, "the last try is at the very end"
    return waits


def test_waits_double_up_to_an_hour_for_a_day() -> None:
    waits = waits_s(0.0)
    assert waits[:11] == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600]
    assert set(waits[11:-1]) == {LONGEST_WAIT_S}


def test_chance_shortens_a_wait_by_half_at_most() -> None:
    assert waits_s(1.0)[:3] == [2.5, 5, 10]


@given(
    tries=st.integers(1, 10**6), spread=st.floats(0, 1), wait_s=st.floats(0, 10**9), age_s=st.floats(0, 2 * DAY_S)
)
def test_the_next_try_is_later_as_the_receiver_asked_and_never_after_the_end(
    tries: int, spread: float, wait_s: float, age_s: float
) -> None:
    next_s = Schedule(DAY_S).next_try_s(tries=tries, put_at_s=0, now_s=age_s, wait_s=wait_s, spread=spread)
    if age_s >= DAY_S:
        assert next_s is None
    else:
        assert next_s is not None
        assert age_s < next_s <= DAY_S
        assert next_s == DAY_S or next_s - age_s >= min(wait_s, 2.5) - 1e-6
