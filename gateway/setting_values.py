"""What the text of a setting may say: readers that turn it into a value, or raise `ValueError`.

What they raise is read behind the setting's name and source, so it says what is wrong and how to mend it.
They know no setting by name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def any_text(text: str) -> str:
    return text


def one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return text.lower()

    return read


def whole_number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return read


def switch(text: str) -> bool:
    try:
        return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither yes nor no; write 1 or 0") from None


def provider_names(text: str) -> tuple[str, ...]:
    """`deepgram/flux, openai/whisper-1`: in order of preference."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if not re.fullmatch(r"[\w.-]+(/[\x21-\x2b\x2d-\x7e]+)?", name):
            raise ValueError(f"{name!r} is no provider's name; write PROVIDER or PROVIDER/MODEL, commas between")
    return names


def named_keys(text: str) -> tuple[tuple[str, str], ...]:
    """`groq=…,together=…`"""
    keys: dict[str, str] = {}
    for entry in text.split(","):
        name, equals, key = entry.strip().partition("=")
        if not equals or not re.fullmatch(r"[\w.-]+", name):
            raise ValueError("is no list of name=key with commas between")
        keys[name] = secret(key)
    return tuple(keys.items())


def secret(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("has a blank or a character outside ASCII; copy it again, without quotes")
    return text


def account_sid(text: str) -> str:
    if not re.fullmatch(r"AC[0-9a-f]{32}", text):
        raise ValueError(f"{text!r} is not AC and 32 lower-case hex digits; copy it from the Twilio Console")
    return text


def public_url(text: str) -> str:
    """Kept byte for byte: Twilio signs the URL it was given, not one that means the same."""
    parts = _split(text)
    if parts.username is not None:
        raise ValueError("has a user or password; leave them out, the signature protects the webhooks")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(f"{text!r} is not https; Twilio opens media streams on TLS only, so give the https URL")
    if "?" in text or "#" in text:
        raise ValueError(f"{text!r} has a query or fragment; give the part before it")
    if text.endswith("/"):
        raise ValueError(f"{text!r} ends with a slash; give it without, as the paths begin with one")
    return text


def _split(text: str) -> SplitResult:
    example = "give it like https://voice.example.com"
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError(f"{text!r} has a blank or a character outside ASCII; {example}")
    try:
        parts = urlsplit(text)
        has_port = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ValueError(f"{text!r} is no URL ({error}); {example}") from error
    if parts.scheme not in ("https", "http") or not parts.hostname or not has_port:
        raise ValueError(f"{text!r} is no https URL with a host; {example}")
    return parts
