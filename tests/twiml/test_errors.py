from __future__ import annotations

from twiml.errors import WebhookError, shorten


def test_a_long_value_is_cut_in_the_middle() -> None:
    shown = shorten("a" * 100 + "z" * 100, limit=10)
    assert shown == "'aaaaa...zzzzz'"


def test_control_characters_are_escaped() -> None:
    assert shorten("a\x1b\nb\u202e") == r"'a\x1b\nb\u202e'"


def test_a_webhook_error_names_field_value_and_expectation() -> None:
    assert str(WebhookError("CallSid", None, "CA and hex")) == "CallSid: expected CA and hex, got nothing"
    assert str(WebhookError("CallSid", "x", "CA and hex")) == "CallSid: expected CA and hex, got 'x'"
