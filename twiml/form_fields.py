"""The fields of Twilio's forms, each read strictly: the readers that the forms share.

What is missing or has another shape raises `WebhookError`, which names the field. Knows no form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from twiml.errors import WebhookError
from twiml.numbers import WITHHELD

TEXT_LIMIT_CHARS = 1_000
"""Longer than any name or message Twilio is known to send."""

# Matched with `fullmatch`: `re.match("^…$")` lets a trailing newline through.
CALL_SID = re.compile(r"CA[0-9a-f]{32}")
CALL_SID_SHAPE = "CA and 32 lower-case hex digits"
_ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}")
_COUNT = re.compile(r"[0-9]{1,9}")
_PARTY = re.compile(r"\+?[0-9]{2,20}|(?:client|sips?):[^\s\x00-\x1f\x7f]{1,500}")


def required(form: Mapping[str, str], field: str, shape: re.Pattern[str], expectation: str) -> str:
    value = form.get(field)
    if value is None or not shape.fullmatch(value):
        raise WebhookError(field, value, expectation)
    return value


def optional(form: Mapping[str, str], field: str, shape: re.Pattern[str], expectation: str) -> str | None:
    return required(form, field, shape, expectation) if form.get(field) else None


def optional_text(form: Mapping[str, str], field: str) -> str | None:
    value = form.get(field)
    if value is not None and len(value) > TEXT_LIMIT_CHARS:
        raise WebhookError(field, value, f"at most {TEXT_LIMIT_CHARS} characters")
    return value or None


def optional_count(form: Mapping[str, str], field: str) -> int | None:
    value = optional(form, field, _COUNT, "a whole number")
    return None if value is None else int(value)


def call_sid(form: Mapping[str, str]) -> str:
    return required(form, "CallSid", CALL_SID, CALL_SID_SHAPE)


def account_sid(form: Mapping[str, str]) -> str:
    return required(form, "AccountSid", _ACCOUNT_SID, "AC and 32 lower-case hex digits")


def party(form: Mapping[str, str], field: str) -> str:
    """Who is at one end; a withheld number comes as a word in any case, or empty."""
    value = form.get(field)
    if value is not None and (value == "" or value.lower() in WITHHELD):
        return value.lower() or "anonymous"
    return required(form, field, _PARTY, "+E.164, client:name, sip:user@host or anonymous")
