"""Whether Twilio has signed what comes in; who else may come in, `credentials/` knows.

A signature is checked against the one configured public URL, never against a Host or X-Forwarded header, which
anybody can write. Whatever goes wrong inside the check is a refusal: a door that fails is shut.
How Twilio signs: https://www.twilio.com/docs/usage/security#validating-requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from twilio.request_validator import RequestValidator

from gateway.errors import SignatureRefused
from gateway.logs import masked
from gateway.settings import Settings
from twiml.errors import shorten

_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{27}=")
"""An HMAC-SHA1 in base64."""

_SHOWN_URL_CHARS = 300
_DEFAULT_PORTS = {"wss": 443, "ws": 80}


class SignatureCheck:
    """Twilio's signature on webhooks and on the handshake of a media stream.

    With `insecure_dev`, which the settings allow on loopback only, everything passes. Without a token, nothing.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._validators = [RequestValidator(token) for token in settings.auth_tokens]
        origin = settings.ws_url("")
        self._ws_origins = (origin, *_with_port(origin))

    @property
    def is_off(self) -> bool:
        return self._settings.insecure_dev

    def check_header(self, path_and_query: str, signature: str | None) -> None:
        """Refuses, at the price of a glance, what cannot be signed; to be asked before a body is read."""
        if not self.is_off:
            self._look(self._settings.http_url(path_and_query), signature)

    def check_webhook(self, path_and_query: str, form: Mapping[str, str], signature: str | None) -> None:
        """Checks a posted form. `path_and_query` is as it stood in the request line.

        `form` should have `getlist`, as Starlette's multi-dicts do: a repeated field is signed with all its values.
        """
        if not self.is_off:
            url = self._settings.http_url(path_and_query)
            self._check(url, (url,), form, self._look(url, signature))

    def check_handshake(self, path: str, signature: str | None) -> None:
        """Checks the handshake of a media stream. Twilio signs the wss URL of the TwiML, and no parameters.

        The default port is tried in words too, because the validator takes it for 80 on a wss URL.
        """
        if not self.is_off:
            candidates = tuple(origin + path for origin in self._ws_origins)
            self._check(candidates[0], candidates, {}, self._look(candidates[0], signature))

    def _look(self, url: str, signature: str | None) -> str:
        if signature is None:
            raise SignatureRefused("no_signature", self._words(url, "The X-Twilio-Signature header is missing."))
        if not _SIGNATURE.fullmatch(signature):
            raise SignatureRefused(
                "bad_signature", self._words(url, "The X-Twilio-Signature header is no signature of Twilio.")
            )
        return signature

    def _check(self, url: str, candidates: tuple[str, ...], form: Mapping[str, str], signature: str) -> None:
        for validator in self._validators:
            for candidate in candidates:
                try:
                    if validator.validate(candidate, form, signature):
                        return
                # The validator raises a dozen kinds of error on hostile input; each means: not signed.
                except Exception:
                    break
        raise SignatureRefused(
            "bad_signature", self._words(url, "The X-Twilio-Signature header does not match this request.")
        )

    def _words(self, url: str, complaint: str) -> str:
        count = len(self._validators)
        shown = shorten(masked(url), _SHOWN_URL_CHARS).strip("'\"")
        return (
            f"{complaint}\n"
            f"Checked over {shown} with {count} auth token{'' if count == 1 else 's'}.\n"
            "If Twilio was given another URL, set PUBLIC_URL to its part before /twilio; "
            "if the URL is right, set TWILIO_AUTH_TOKEN to the auth token of the account that owns the number.\n"
        )


def _with_port(origin: str) -> tuple[str, ...]:
    """The same origin with its default port in words; nothing if it has one."""
    parts = urlsplit(origin)
    if parts.port is not None or parts.scheme not in _DEFAULT_PORTS:
        return ()
    return (parts._replace(netloc=f"{parts.netloc}:{_DEFAULT_PORTS[parts.scheme]}").geturl(),)
