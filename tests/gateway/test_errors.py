from __future__ import annotations

from gateway.errors import (
    ConfigRefused,
    CredentialRefused,
    JsonRefused,
    SettingsError,
    SignatureRefused,
    TokenRefused,
)


def test_all_faults_of_the_settings_are_told_together() -> None:
    assert str(SettingsError(["PORT: a", "LOG_LEVEL: b"])) == "2 settings are wrong:\n  PORT: a\n  LOG_LEVEL: b"
    assert str(SettingsError(["PORT: a"])) == "1 setting is wrong:\n  PORT: a"


def test_a_refusal_knows_its_status_and_a_short_reason() -> None:
    signature, token = SignatureRefused("bad_signature", "words"), TokenRefused("expired")
    assert (signature.status_code, signature.reason, str(signature)) == (403, "bad_signature", "words")
    assert (token.status_code, token.reason) == (403, "expired")
    assert "expired" in str(token)


def test_a_refused_credential_is_told_in_the_protocols_word() -> None:
    unknown = CredentialRefused(401, "incorrect", "words", is_guess=True)
    assert (unknown.code, unknown.reason, unknown.is_guess, unknown.retry_after_s) == (
        "invalid_api_key",
        "incorrect",
        True,
        None,
    )
    late = CredentialRefused(429, "too_many_failures", "words", retry_after_s=7)
    assert (late.code, late.is_guess, late.retry_after_s) == ("too_many_failures", False, 7)


def test_what_is_wrong_with_a_value_is_told_with_its_place() -> None:
    body, config = JsonRefused(400, "invalid_value", "words", "ttl"), ConfigRefused("invalid_value", "words", "x")
    assert (body.status_code, body.reason, body.param) == (400, "invalid_value", "ttl")
    assert (config.code, str(config), config.param) == ("invalid_value", "words", "x")
