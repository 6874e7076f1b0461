from __future__ import annotations

import math

from gateway.call_records.journal_event import at_ms, at_s, number, text


def test_what_an_event_says_is_read_and_nothing_else_raises() -> None:
    event = {"event": "x", "at_s": 12.5, "words": "hello", "ms": 7}
    assert (at_s(event), at_ms(event, 10.0), number(event, "ms"), text(event, "words")) == (
        12.5,
        2500,
        7.0,
        "hello",
    )
    odd = {"event": "x", "at_s": "soon", "ms": None, "words": 3}
    assert (at_s(odd), at_ms(odd, 10.0), number(odd, "ms"), text(odd, "words")) == (0.0, 0, 0.0, "")
    for strange in (math.inf, -math.inf, math.nan, 1e300, 10**400):
        assert number({"ms": strange}, "ms") == 0.0


def test_nothing_happens_before_the_call_however_clocks_differ() -> None:
    assert at_ms({"at_s": 9.9}, 10.0) == 0
