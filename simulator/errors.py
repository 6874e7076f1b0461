"""What can go wrong on the phone company's side, and whose fault it is.

    SimulatorError
    ├── ScriptError      the caller's script is wrong: names the file and the key
    ├── VoiceError       a text cannot be spoken, or a sound file cannot be read, on this machine
    ├── TwimlRefused     a document came back that Twilio would not run
    ├── WebhookFailed    a document could not be fetched
    └── StreamRefused    the media socket could not be opened

The last three carry the number of Twilio's error dictionary (https://www.twilio.com/docs/api/errors).
"""

from __future__ import annotations


class SimulatorError(Exception):
    """Base of all; its text is meant for a person."""


class ScriptError(SimulatorError):
    """The caller's script is wrong."""


class VoiceError(SimulatorError):
    """No voice, or no readable sound."""


class TwimlRefused(SimulatorError):
    """A document Twilio would refuse to run."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class WebhookFailed(SimulatorError):
    """A webhook gave no usable answer."""

    def __init__(self, code: int, message: str, url: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.url = url


class StreamRefused(SimulatorError):
    """The media socket did not open."""

    def __init__(self, code: int, message: str, http_status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.http_status = http_status
        """What came instead of 101, when an HTTP answer came at all."""
