from __future__ import annotations

from gateway.errors import SettingsError, SignatureRefused, TokenRefused


def test_all_faults_of_the_settings_are_told_together() -> None:
    assert str(SettingsError(["PORT: a", "LOG_LEVEL: b"])) == "2 settings are wrong:\n  PORT: a\n  LOG_LEVEL: b"
    assert str(SettingsError(["PORT: a"])) == "1 setting is wrong:\n  PORT: a"


def test_a_refusal_knows_its_status_and_a_short_reason() -> None:
    signature, token = SignatureRefused("bad_signature", "words"), TokenRefused("expired")
    assert (signature.status_code, signature.reason, str(signature)) == (403, "bad_signature", "words")
    assert (token.status_code, token.reason) == (403, "expired")
    assert "expired" in str(token)
