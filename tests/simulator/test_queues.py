from __future__ import annotations

from simulator.queues import Queues, Standing


def test_calls_stand_in_the_order_they_came_and_move_up() -> None:
    queues = Queues()
    queues.enter("q", "a", 10.0)
    queues.enter("q", "b", 14.0)
    queues.enter("other", "c", 14.0)
    assert queues.standing("q", "b", 20.0) == Standing(2, 6.0, 8.0, 2)
    queues.leave("q", "a")
    assert queues.standing("q", "b", 20.0) == Standing(1, 6.0, 6.0, 1)
    assert [queues.size(name) for name in ("q", "other", "unknown")] == [1, 1, 0]
