"""Errors of the gateway, and whose fault each is.

    GatewayError
    ├── SettingsError       the operator's: all faults told together, before anything starts
    ├── Refusal             the sender's: answered with its HTTP status and its words
    │   ├── SignatureRefused    403: not signed by Twilio, or not for the URL we know
    │   ├── TokenRefused        403: a media token that is unknown, expired or used
    │   └── FormRefused         400, 403, 408, 413, 415: a webhook's body we will not read or cannot believe
    └── IllegalStep         ours: a call was asked to do what its table of steps does not hold

A form that is signed but makes no sense is a `twiml.errors.WebhookError`, the sender's too.
"""

from __future__ import annotations

from collections.abc import Sequence


class GatewayError(Exception):
    """Any fault the gateway names."""


class SettingsError(GatewayError):
    """The settings are wrong; `faults` says for each what, where and how to fix it."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        count = "1 setting is" if len(self.faults) == 1 else f"{len(self.faults)} settings are"
        super().__init__("\n  ".join((f"{count} wrong:", *self.faults)))


class Refusal(GatewayError):
    """A request we turn away. `reason` is one of few words, fit for a metric's label."""

    def __init__(self, status_code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.reason = reason


class SignatureRefused(Refusal):
    """A request that Twilio did not sign, or not for the URL we know it by."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(403, reason, message)


class TokenRefused(Refusal):
    """A media token nobody may enter with; `reason` is `unknown`, `expired` or `used`."""

    def __init__(self, reason: str) -> None:
        super().__init__(403, reason, f"The media token is {reason}. Ask the voice webhook for a new one.")


class FormRefused(Refusal):
    """A webhook's body that we will not read to the end, or do not believe."""


class IllegalStep(GatewayError):
    """A call was asked for a step its table does not hold."""
