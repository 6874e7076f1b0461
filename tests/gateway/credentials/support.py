"""What the tests of credentials share: settings, a clock, tokens signed as an attacker would."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.credentials.credential import Scope
from gateway.credentials.door import Door
from gateway.credentials.keyring import entry
from gateway.credentials.signing_keys import SigningKey
from gateway.errors import ConfigRefused
from gateway.settings import Settings
from pipeline.dialects import Dialect

NOW_S = 1_800_000_000.0
OLD, NEW = SigningKey("old", "o" * 32), SigningKey("new", "n" * 40)
SETTINGS = Settings(public_url="https://voice.example", auth_token="0" * 32, jwt_keys=(NEW, OLD))

SECRETS = {
    "web": "web-secret-0123456789abcdef",
    "ops": "ops-secret-0123456789abcdef",
    "root": "root-secret-0123456789abcdef",
    "unity": "unity-secret-0123456789abcdef",
}
SCOPES = {"web": Scope.REALTIME, "ops": Scope.CONTROL, "root": Scope.ADMIN, "unity": Scope.REALTIME}

NONCE = "0123456789a"

Header = tuple[bytes, bytes]


@dataclass
class Clock:
    now_s: float = NOW_S

    def __call__(self) -> float:
        return self.now_s


def key_text(id: str) -> str:
    return f"{id}:{SECRETS[id]}"


def key_file(directory: Path) -> Path:
    """A file of four keys; `unity` can sign."""
    path = directory / "keys.toml"
    path.write_text(
        "".join(entry(id, secret, [SCOPES[id]], keeps_secret=id == "unity") for id, secret in SECRETS.items())
    )
    return path


def door_with_keys(directory: Path, clock: Clock, **changes: Any) -> Door:
    return Door(replace(SETTINGS, api_keys=str(key_file(directory)), **changes), now=clock)


def bearer(text: str) -> list[Header]:
    return [(b"authorization", b"Bearer " + text.encode("latin-1"))]


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forge(
    claims: object,
    *,
    secret: str = NEW.secret,
    header: object = None,
    digest: str = "sha256",
) -> str:
    """A token as anybody could write one: any header, any claims, HMAC with any secret. Texts go in as they are."""
    head = {"alg": "HS256", "typ": "JWT", "kid": "new"} if header is None else header
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (head, claims)]
    signing_input = ".".join(b64(part.encode("utf-8", "surrogateescape")) for part in parts)
    signature = hmac.new(secret.encode(), signing_input.encode(), getattr(hashlib, digest)).digest()
    return f"{signing_input}.{b64(signature)}"


def good_claims(**changes: object) -> dict[str, object]:
    """Claims that are accepted, with some changed; None takes one away."""
    now_s = int(NOW_S)
    claims: dict[str, object] = {
        "iss": "switchboard",
        "aud": "switchboard-realtime",
        "sub": "web",
        "iat": now_s,
        "exp": now_s + 600,
        "jti": "one",
        "scope": "realtime",
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


def moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%d%H%M%S")


def client_signature(secret: str, date_time: str, host: str, nonce: str) -> str:
    """As Inworld's published example computes it, written out once more."""
    key = b"IW1" + secret.encode()
    key = hmac.new(key, date_time.encode(), hashlib.sha256).digest()
    key = hmac.new(key, host.encode(), hashlib.sha256).digest()
    key = hmac.new(key, b"ai.inworld.engine.WorldEngine/GenerateToken", hashlib.sha256).digest()
    key = hmac.new(key, nonce.encode(), hashlib.sha256).digest()
    return hmac.new(key, b"iw1_request", hashlib.sha256).hexdigest()


def iw1_header(
    *,
    key_id: str = "unity",
    secret: str = SECRETS["unity"],
    at_s: float = NOW_S,
    host: str = "voice.example",
    nonce: str = NONCE,
) -> str:
    date_time = moment(at_s)
    signature = client_signature(secret, date_time, host, nonce)
    return f"ApiKey={key_id},DateTime={date_time},Nonce={nonce},Signature={signature}"


def configure(session: object, dialect: Dialect, is_transcription: bool) -> dict[str, Any]:
    """A session's shape, as far as these endpoints care: an object with a voice, echoed with its type."""
    if session is not None and not isinstance(session, dict):
        raise ConfigRefused("invalid_type", f"Invalid type for 'session': {type(session).__name__}.", "session")
    if "color" in (session or {}):
        raise ConfigRefused("unknown_parameter", "Unknown parameter: 'session.color'.", "session.color")
    kind = "transcription" if is_transcription else "realtime"
    echo: dict[str, Any] = {"object": f"realtime.{kind}_session", "voice": "alloy", **(session or {})}
    return echo if dialect is Dialect.BETA else {"type": kind, **echo}
