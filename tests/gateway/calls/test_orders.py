from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.calls.orders import Done, HangUp, Order, Refused, Say, Transfer, Whisper, unknown


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Say, {"text": "x" * 2_000, "interrupts": True}),
        (Whisper, {"text": "x", "answer": True}),
        (Transfer, {"to": "sales"}),
        (HangUp, {}),
    ],
)
def test_an_order_is_read_from_its_fields(kind: Any, fields: dict[str, Any]) -> None:
    order = msgspec.convert(fields, kind)
    assert msgspec.convert(msgspec.to_builtins(order), Order) == order


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Say, {}),
        (Say, {"text": "\t "}),
        (Say, {"text": "x" * 2_001}),
        (Say, {"text": "x", "interrupts": 1}),
        (Say, {"text": "x", "more": 1}),
        (Whisper, {"text": None}),
        (Transfer, {"to": ""}),
        (HangUp, {"farewell": "x" * 2_001}),
    ],
)
def test_what_is_none_is_refused(kind: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, kind)


def test_an_outcome_says_whether_it_waits_and_an_unknown_call_is_named_within_bounds() -> None:
    assert Done("waiting").is_waiting and not Done("told").is_waiting
    refused = unknown("CA" * 1_000)
    assert isinstance(refused, Refused) and len(refused.message) < 200 and refused.retry_after_s is None
