"""The door: who may come in, on every road into the gateway but Twilio's.

One for the whole process, because single-use tokens, client secrets and failures are counted in it. What was shown
is told apart by its look: `ek_…` is a client secret, three parts with dots a JWT, else it is an API key or the
operator's token. Unknown id and wrong secret are refused on the same path in the same words.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from gateway.credentials.access_tokens import LONGEST_TOKEN, AccessTokens, TokenFault
from gateway.credentials.client_secrets import PREFIX, ClientSecrets, SecretFault
from gateway.credentials.credential import ALL_SCOPES, Credential, Kind
from gateway.credentials.iw1 import SCHEME as IW1_SCHEME
from gateway.credentials.iw1 import Iw1Check, hosts_of
from gateway.credentials.keyring import ApiKey, Keyring, digest_of, load_keys
from gateway.credentials.origins import Origins
from gateway.credentials.shown import Scheme, Shown, header_values, what_is_shown
from gateway.credentials.signing_keys import SigningKey
from gateway.credentials.throttle import Throttle, may_be_proxy
from gateway.errors import CredentialRefused
from gateway.setting_values import is_loopback
from gateway.settings import Settings

OPERATOR: Final = "operator"
"""The owner of all that `SWITCHBOARD_TOKEN` opens."""

DEV: Final = Credential(owner="dev", scopes=ALL_SCOPES, kind=Kind.DEV)

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
"""As ASGI has them."""


class Door:
    """Lets in, or raises `CredentialRefused`. `now` gives Unix seconds, `draw` a text nobody can guess.

    Raises `SettingsError` with all faults of the file of API keys.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], float],
        draw: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        self._keyring = load_keys(settings.api_keys) if settings.api_keys else Keyring()
        self._operator = digest_of(settings.token) if settings.token else None
        self._is_dev = settings.insecure_dev and not self._keyring
        self._has_signing_keys = bool(settings.jwt_keys)
        self.now = now
        self.draw_id = draw
        self._throttle = Throttle()
        self._iw1 = Iw1Check(self._keyring, hosts_of(settings.public_url), now)
        self.origins = Origins(settings.realtime_origins, settings.public_url)
        self.client_secrets = ClientSecrets(now=now, make_text=draw)
        self.access_tokens = AccessTokens(
            settings.jwt_keys or (SigningKey("process", draw() + draw()),),
            max_life_s=settings.jwt_max_s,
            now=now,
            make_id=draw,
        )

    @property
    def has_keys(self) -> bool:
        """Whether there is anything that could open it."""
        return bool(self._keyring) or self._operator is not None or self._has_signing_keys

    def admit(
        self,
        headers: Headers,
        query: str = "",
        subprotocols: Sequence[str] = (),
        *,
        address: str = "",
        starts_session: bool = True,
    ) -> Credential:
        """Who asks. A gateway for development (`insecure_dev` and no API keys) lets in everybody on this machine.

        `address` is the client's, without its port. `starts_session` uses up what may be used once or a few times;
        False for an errand on the way, such as asking for ICE servers. What they may do, `Credential.demand` says.
        """
        self.origins.check(_origin(headers))
        shown = what_is_shown(headers, query, subprotocols)
        try:
            return self._braked(address, lambda: self._judge(shown, starts_session))
        except CredentialRefused as refused:
            return self._let_in_all_the_same(headers, refused)

    def identify(self, headers: Headers, *, address: str = "") -> Credential:
        """Who asks, where a credential is needed even on a gateway for development."""
        self.origins.check(_origin(headers))
        shown = what_is_shown(headers)
        return self._braked(address, lambda: self._judge(shown, False), is_dev=False)

    def admit_signer(self, headers: Headers, *, address: str = "") -> Credential:
        """Whose key signed the request as IW1-HMAC-SHA256 says."""
        self.origins.check(_origin(headers))
        values = header_values(headers, b"authorization")
        scheme, _, parameters = values[0].strip().partition(" ") if len(values) == 1 else ("", "", "")
        if scheme.upper() != IW1_SCHEME:
            raise CredentialRefused(401, "no_credential", f"Expected one `Authorization: {IW1_SCHEME} ApiKey=…`.")
        try:
            return self._braked(address, lambda: _of_key(self._iw1.check(parameters)))
        except CredentialRefused as refused:
            return self._let_in_all_the_same(headers, refused)

    def _braked(self, address: str, judge: Callable[[], Credential], *, is_dev: bool | None = None) -> Credential:
        """Counts failures. After too many, a client of the internet is not even looked at; behind an address that
        may be a proxy's stand others too, so there who has a right credential still comes in."""
        if self._is_dev if is_dev is None else is_dev:
            return judge()
        wait_s = self._throttle.wait_s(address, self.now())
        if wait_s and not may_be_proxy(address):
            raise _too_often(wait_s)
        try:
            return judge()
        except CredentialRefused as refused:
            if not refused.is_guess:
                raise
            self._throttle.note_failure(address, self.now())
            if wait_s:
                raise _too_often(wait_s) from None
            raise

    def _let_in_all_the_same(self, headers: Headers, refused: CredentialRefused) -> Credential:
        """Everybody on a gateway for development, except with what was ours and has had its time.

        Only under a name of this machine: a page can give its own name our address (DNS rebinding).
        """
        if not self._is_dev or not (refused.is_guess or refused.reason == "no_credential"):
            raise refused
        for host in header_values(headers, b"host"):
            if not is_loopback(_hostname(host)):
                raise CredentialRefused(
                    403,
                    "host_not_allowed",
                    "A gateway without keys answers as localhost or 127.0.0.1 only. Call it so, or set keys.",
                )
        return DEV

    def _judge(self, shown: Shown | None, starts_session: bool) -> Credential:
        if not self.has_keys and not self._is_dev:
            raise CredentialRefused(
                401,
                "no_keys",
                "This gateway has no keys yet and lets nobody in. Set SWITCHBOARD_API_KEYS to a file of keys "
                "(`switchboard key new` writes one), or SWITCHBOARD_TOKEN to a token of your own.",
            )
        if shown is None:
            raise CredentialRefused(
                401, "no_credential", "No API key was provided. Send `Authorization: Bearer` with a key or a token."
            )
        if len(shown.text) > LONGEST_TOKEN + len(PREFIX) or shown.scheme is Scheme.OTHER:
            raise _incorrect(shown)
        if shown.scheme is Scheme.BEARER:
            text = shown.text
            if text.removeprefix(PREFIX).count(".") == 2 and ":" not in text and not self._is_operator(text):
                return self._judge_token(shown, starts_session)
            if text.startswith(PREFIX):
                return self._judge_secret(shown, starts_session)
            if self._is_operator(text):
                return Credential(owner=OPERATOR, scopes=ALL_SCOPES, kind=Kind.KEY)
        if (key := self._keyring.find(shown.text)) is not None:
            return _of_key(key)
        raise _incorrect(shown)

    def _is_operator(self, text: str) -> bool:
        return self._operator is not None and hmac.compare_digest(digest_of(text), self._operator)

    def _judge_token(self, shown: Shown, starts_session: bool) -> Credential:
        """A JWT, which for OpenAI's browser SDK may have `ek_` in front."""
        try:
            token = self.access_tokens.read(shown.text.removeprefix(PREFIX))
            if starts_session:
                self.access_tokens.use(token)
            elif self.access_tokens.was_used(token):
                raise TokenFault("it was used before", is_ours=True)
        except TokenFault as fault:
            raise _incorrect(shown) if not fault.is_ours else _unusable("token", fault) from fault
        return Credential(
            owner=token.subject,
            scopes=token.scopes,
            kind=Kind.ACCESS_TOKEN,
            session_id=token.session_id,
            expires_at_s=token.expires_at_s,
            is_single_use=token.is_single_use,
        )

    def _judge_secret(self, shown: Shown, starts_session: bool) -> Credential:
        try:
            grant = (self.client_secrets.use if starts_session else self.client_secrets.read)(shown.text)
        except SecretFault as fault:
            raise _incorrect(shown) if not fault.is_ours else _unusable("client secret", fault) from fault
        return Credential(
            owner=grant.owner,
            scopes=grant.scopes,
            kind=Kind.CLIENT_SECRET,
            session=grant.session,
            dialect=grant.dialect,
            is_transcription=grant.is_transcription,
            expires_at_s=grant.expires_at_s,
            is_single_use=grant.max_uses == 1,
        )


def _of_key(key: ApiKey) -> Credential:
    return Credential(owner=key.id, scopes=key.scopes, kind=Kind.KEY)


def _origin(headers: Headers) -> str | None:
    """Sent twice, it is joined to something that is no origin."""
    return ", ".join(header_values(headers, b"origin")) or None


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _incorrect(shown: Shown) -> CredentialRefused:
    quoted = shown.quoted()
    words = f"Incorrect API key provided{f': {quoted}' if quoted else ''}."
    return CredentialRefused(401, "incorrect", words, is_guess=True)


def _unusable(what: str, fault: Exception) -> CredentialRefused:
    return CredentialRefused(401, "unusable", f"The {what} was refused: {fault}. Ask for a new one.")


def _too_often(wait_s: int) -> CredentialRefused:
    words = f"Too many wrong credentials came from this address. Try again in {wait_s} s."
    return CredentialRefused(429, "too_many_failures", words, retry_after_s=wait_s)
