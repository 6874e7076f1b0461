"""Errors of TwiML and of Twilio's webhook forms.

TwimlError
├── DocumentError   ours: what we were about to answer, Twilio would refuse
└── WebhookError    the sender's: a form that does not say what Twilio's forms say
"""

from __future__ import annotations


class TwimlError(Exception):
    """Any fault of this package."""


class DocumentError(TwimlError):
    """A document that Twilio would refuse, with the rule it breaks."""


class WebhookError(TwimlError):
    """A form whose field is missing or is not what Twilio sends there."""

    def __init__(self, field: str, value: str | None, expectation: str) -> None:
        came = "nothing" if value is None else shorten(value)
        super().__init__(f"{field}: expected {expectation}, got {came}")
        self.field = field


def shorten(value: str, limit: int = 60) -> str:
    """The value as ASCII, quoted, escaped, and cut in the middle to about `limit` characters."""
    if len(value) > limit:
        half = limit // 2
        value = f"{value[:half]}...{value[-half:]}"
    return ascii(value)
