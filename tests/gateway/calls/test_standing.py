from __future__ import annotations

import msgspec

from gateway.calls.standing import NOBODY, Others, Standing, put_together


def test_what_others_tell_is_added_up_and_a_settled_call_is_reserved_no_longer() -> None:
    one = Standing(room=3, lines={"+1": 2}, reserved={"a": "+1", "b": "+2"})
    two = Standing(room=0, lines={"+1": 1, "+2": 1}, reserved={"a": "+1"}, settled=("b",))
    assert put_together([one, two], live=1) == Others(
        live=1, with_room=1, room=3, lines={"+1": 3, "+2": 1}, reserved={"a": "+1"}, settled=frozenset("b")
    )


def test_nobody_else_is_there() -> None:
    assert put_together([], live=0) == NOBODY


def test_a_worker_that_does_not_tell_of_it_counts_as_full() -> None:
    assert msgspec.json.decode(b"{}", type=Standing) == Standing(room=0)
    assert msgspec.json.encode(Standing()) == b"{}"
