"""Errors of the gateway, and whose fault each is.

    GatewayError
    ├── SettingsError       the operator's: all faults told together, before anything starts
    ├── Refusal             the sender's: answered with its HTTP status and its words
    │   ├── SignatureRefused    403: not signed by Twilio, or not for the URL we know
    │   ├── TokenRefused        403: a media token that is unknown, expired or used
    │   ├── FormRefused         400, 403, 408, 413, 415: a webhook's body we will not read or cannot believe
    │   ├── CredentialRefused   401, 403, 429: who asks is not known, or may not do this, or failed too often
    │   └── JsonRefused         400, 408, 413, 415: a JSON body we will not read, or a value in it that will not do
    ├── ConfigRefused       the sender's: a session object that cannot be had, with the protocol's code and param
    ├── IllegalStep         ours: a call was asked to do what its table of steps does not hold
    ├── StoreUnavailable    nobody's here: the store of calls, in Redis, does not answer just now
    └── Outpaced            nobody's: another worker has changed the call since it was read; read it again

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


class CredentialRefused(Refusal):
    """A credential that opens no door, or not this one. The message holds at most seven characters of it."""

    def __init__(
        self,
        status_code: int,
        reason: str,
        message: str,
        *,
        is_guess: bool = False,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(status_code, reason, message)
        self.is_guess = is_guess
        """Whether it may have been made up; one that is ours, but expired or used, was not."""
        self.retry_after_s = retry_after_s
        """With status 429: when to come back."""

    @property
    def code(self) -> str:
        """The protocol's word for it."""
        return "invalid_api_key" if self.status_code == 401 else self.reason


class JsonRefused(Refusal):
    """A JSON body that we will not read to the end, or a value in it that will not do; `reason` is the code."""

    def __init__(self, status_code: int, reason: str, message: str, param: str | None = None) -> None:
        super().__init__(status_code, reason, message)
        self.param = param


class ConfigRefused(GatewayError):
    """A session object that cannot be had, in the words of the protocol's `error` event."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class IllegalStep(GatewayError):
    """A call was asked for a step its table does not hold."""


class StoreUnavailable(GatewayError):
    """The calls of other workers cannot be asked for: Redis does not answer. Calls that run here go on."""


class Outpaced(GatewayError):
    """Another worker was quicker to change a call; whoever wanted to looks at it again."""

    def __init__(self, call_sid: str) -> None:
        super().__init__(f"{call_sid} was changed by another worker in the meantime")
