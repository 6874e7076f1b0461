from __future__ import annotations

from typing import Any

import pytest

from gateway.credentials.signing_keys import SigningKey
from gateway.realtime.ice_servers import IceServer
from gateway.setting_declarations import BY_NAME, SETTINGS, Settings

SECRET = "s" * 32


def test_every_setting_has_a_name_of_its_own_by_which_it_is_found() -> None:
    assert list(BY_NAME.values()) == list(SETTINGS)
    assert len({setting.field for setting in SETTINGS}) == len(SETTINGS)
    assert BY_NAME["SWITCHBOARD_REALTIME_BETA"].field == "realtime_beta"


def test_every_default_is_what_its_own_text_is_read_as() -> None:
    told = {setting.name: text for setting, (_, text, _) in zip(SETTINGS, Settings().shown(), strict=True)}
    for setting in SETTINGS:
        if text := told[setting.name]:
            assert setting.read(text) == setting.default, setting.name


@pytest.mark.parametrize(
    ("changes", "secrets"),
    [
        ({"auth_token": "one", "auth_token_secondary": "two", "token": "three"}, ["one", "two", "three"]),
        ({"turn_secret": "north"}, ["north"]),
        (
            {"jwt_keys": (SigningKey("b", SECRET + "b"), SigningKey("a", SECRET + "a"))},
            [SECRET + "b", SECRET + "a"],
        ),
        ({"realtime_ice_servers": (IceServer("stun:s"), IceServer("turn:t", "u", "turn-pass"))}, ["turn-pass"]),
        ({"provider_keys": (("groq", "gsk"),), "openai_api_key": "sk"}, ["sk", "gsk"]),
        ({"public_url": "https://voice.example", "kept_sessions": "/var/kept"}, []),
    ],
)
def test_every_secret_is_listed_and_stands_in_no_repr(changes: dict[str, Any], secrets: list[str]) -> None:
    settings = Settings(**changes)
    assert list(settings.secrets) == secrets
    seen = repr(settings) + str(list(settings.shown()))
    assert not [secret for secret in secrets if secret in seen]
    assert seen.count("••••") == len(changes) if secrets else "••••" not in seen


def test_both_tokens_of_the_account_are_accepted() -> None:
    assert Settings(auth_token="one").auth_tokens == ("one",)
    assert Settings(auth_token="one", auth_token_secondary="two").auth_tokens == ("one", "two")


@pytest.mark.parametrize(
    ("http", "ws"), [("https://v.example/p", "wss://v.example/p"), ("http://[::1]", "ws://[::1]")]
)
def test_a_path_has_a_url_of_either_kind(http: str, ws: str) -> None:
    settings = Settings(public_url=http)
    assert (settings.http_url("/a"), settings.ws_url("/a")) == (http + "/a", ws + "/a")


def test_each_value_is_shown_with_its_source() -> None:
    shown = list(Settings(port=1, sources={"PORT": "env PORT"}).shown())
    assert ("PORT", "1", "env PORT") in shown
    assert ("SWITCHBOARD_STT", "pocketsphinx", "default") in shown
    assert len(shown) == len(SETTINGS)
