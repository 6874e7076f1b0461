from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.target import ANY_ACCOUNT, Target, TargetError, read_target, target_at


def test_without_anything_said_the_settings_tell_where_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PORT=9000\nTWILIO_AUTH_TOKEN=secret\nSWITCHBOARD_TOKEN=sesame\n")
    base = "http://127.0.0.1:9000"
    assert read_target(None, None, None) == Target(
        base, f"{base}/twilio/voice", f"{base}/twilio/status", ANY_ACCOUNT, "secret", "sesame"
    )
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC" + "1" * 32)
    monkeypatch.setenv("PUBLIC_URL", "https://voice.example.com")
    target = read_target(None, None, None)
    assert (target.base_url, target.account_sid) == ("https://voice.example.com", "AC" + "1" * 32)


def test_flags_win_over_the_settings() -> None:
    Path(".env").write_text("TWILIO_AUTH_TOKEN=secret\nSWITCHBOARD_TOKEN=sesame\n")
    target = read_target("http://10.0.0.5:1", "mine", "ours")
    assert (target.base_url, target.auth_token, target.token) == ("http://10.0.0.5:1", "mine", "ours")


def test_a_bot_is_known_by_its_voice_url_alone() -> None:
    target = target_at("https://bot.example/incoming?x=1", ANY_ACCOUNT, "secret", "")
    assert (target.voice_url, target.status_url) == ("https://bot.example/incoming?x=1", None)
    assert target.base_url == "https://bot.example"
    assert target_at("http://a/", ANY_ACCOUNT, "", "").voice_url == "http://a/twilio/voice"


def test_without_a_token_to_sign_with_it_is_said_what_to_give() -> None:
    with pytest.raises(TargetError, match="--auth-token") as refused:
        read_target(None, None, None)
    assert "switchboard demo --call" in str(refused.value)


def test_a_gateway_that_checks_nothing_takes_any_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_INSECURE_DEV", "1")
    assert read_target(None, None, None).auth_token


def test_wrong_settings_are_told_as_the_gateway_tells_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "many")
    with pytest.raises(TargetError, match="'many' is not a whole number"):
        read_target(None, "secret", None)


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://a", "http://", "http://a:x", "http://[::1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(TargetError, match="--url: .*give it like http://127.0.0.1:8080"):
        target_at(url, ANY_ACCOUNT, "secret", "")
