"""X-Twilio-Signature: how Twilio proves that a request is its own.

Written from the rule itself and not with the `twilio` package, which the gateway uses: so the two check each other.
Source: https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

SIGNATURE_HEADER = "X-Twilio-Signature"


def sign(auth_token: str, url: str, form: Mapping[str, str] | None = None) -> str:
    """The header's value for one request.

    `url` is the address exactly as Twilio was given it, query included. A POST adds its form fields, sorted by
    name, name and value run together. A GET adds nothing, and neither does a WebSocket handshake, which is
    signed over the `wss://` address as it stands in the TwiML.
    """
    signed = url + "".join(name + value for name, value in sorted((form or {}).items()))
    digest = hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()
