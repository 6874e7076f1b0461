from __future__ import annotations

from gateway.realtime.floor import Floor


def test_an_error_concerns_who_speaks_and_everybody_if_nobody_does() -> None:
    floor, one, other = Floor(), object(), object()
    assert floor.concerns(one) and floor.concerns(other)
    floor.speaker = one
    assert floor.concerns(one) and not floor.concerns(other)
