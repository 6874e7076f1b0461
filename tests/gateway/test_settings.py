from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import gateway
from gateway.errors import SettingsError
from gateway.settings import SETTINGS, Settings, env_example, read_settings

TOKEN = "0123456789abcdef" * 2
ENOUGH = {"TWILIO_AUTH_TOKEN": TOKEN}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory without a `.env`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def faults(environ: dict[str, str], **flags: str | int | bool | None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as error:
        read_settings(flags, environ)
    return error.value.faults


def test_a_token_is_enough_on_loopback() -> None:
    settings = read_settings(environ=ENOUGH)
    assert settings.public_url == "http://127.0.0.1:8080"
    assert dataclasses.replace(settings, public_url="") == Settings(auth_token=TOKEN)


def test_a_flag_wins_over_the_environment_and_that_over_the_file(nowhere: Path) -> None:
    (nowhere / ".env").write_text("PORT=1\nLOG_LEVEL=error\nSWITCHBOARD_AGENT=file\n")
    environ = ENOUGH | {"PORT": "2", "LOG_LEVEL": "debug", "SWITCHBOARD_AGENT": ""}
    settings = read_settings({"PORT": 3, "LOG_LEVEL": None}, environ)
    assert (settings.port, settings.log_level, settings.agent) == (3, "debug", "file")
    assert settings.sources == {
        "PORT": "--port",
        "LOG_LEVEL": "env LOG_LEVEL",
        "SWITCHBOARD_AGENT": ".env:3",
        "TWILIO_AUTH_TOKEN": "env TWILIO_AUTH_TOKEN",
    }


def test_the_environment_of_the_process_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("SWITCHBOARD_AGENT", "mine")
    assert read_settings().agent == "mine"


def test_a_flag_nobody_declared_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        read_settings({"port": 1}, ENOUGH)


def test_a_secret_may_stand_in_a_file(nowhere: Path) -> None:
    (nowhere / "token").write_text(TOKEN + "\n")
    settings = read_settings(environ={"TWILIO_AUTH_TOKEN_FILE": str(nowhere / "token")})
    assert settings.auth_token == TOKEN
    assert settings.sources["TWILIO_AUTH_TOKEN"] == "env TWILIO_AUTH_TOKEN_FILE"


def test_a_secret_in_two_places_or_an_unreadable_file_is_a_fault() -> None:
    both = faults({"TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_AUTH_TOKEN_FILE": "x"})
    assert both == (
        "TWILIO_AUTH_TOKEN: env TWILIO_AUTH_TOKEN and env TWILIO_AUTH_TOKEN_FILE are both set; unset one",
    )
    (unreadable,) = faults({"TWILIO_AUTH_TOKEN_FILE": "/nowhere/token"})
    assert "env TWILIO_AUTH_TOKEN_FILE: '/nowhere/token' cannot be read" in unreadable


def test_all_faults_are_told_at_once_with_their_places() -> None:
    told = faults({"PORT": "x", "PUBLIC_URL": "ftp://x"}, LOG_LEVEL="loud")
    assert [fault.split(":")[0] for fault in told] == [
        "PUBLIC_URL (env PUBLIC_URL)",
        "PORT (env PORT)",
        "LOG_LEVEL (--log-level)",
        "TWILIO_AUTH_TOKEN (not set)",
    ]


def test_an_ipv6_host_is_bracketed_in_its_url() -> None:
    assert read_settings({"SWITCHBOARD_HOST": "::1"}, ENOUGH).public_url == "http://[::1]:8080"


def test_a_faulty_line_or_a_missing_file_is_told_with_its_place(nowhere: Path) -> None:
    path = nowhere / "my.env"
    with pytest.raises(SettingsError, match="my.env: cannot be read"):
        read_settings(environ=ENOUGH, env_file=path)
    path.write_text("# fine\nnonsense\n")
    with pytest.raises(SettingsError, match="my.env:2: is no NAME=value"):
        read_settings(environ=ENOUGH, env_file=path)


def test_an_unknown_name_of_ours_is_warned_of_with_the_nearest(nowhere: Path) -> None:
    (nowhere / ".env").write_text("SWITCHBOARD_QQQQ=1\nOTHER=2\n")
    settings = read_settings(environ=ENOUGH | {"SWITCHBOARD_AGNT": "x", "SWITCHBOARD_PORT": "1"})
    assert settings.warnings == (
        "SWITCHBOARD_AGNT (env SWITCHBOARD_AGNT) is no setting of Switchboard; did you mean SWITCHBOARD_AGENT?",
        "SWITCHBOARD_PORT (env SWITCHBOARD_PORT) is no setting of Switchboard; did you mean PORT?",
        "SWITCHBOARD_QQQQ (.env:1) is no setting of Switchboard",
    )


def test_no_secret_is_in_a_repr_or_shown() -> None:
    environ = ENOUGH | {"SWITCHBOARD_TOKEN": "sw1tch", "TWILIO_AUTH_TOKEN_SECONDARY": "second"}
    settings = read_settings(environ=environ)
    assert settings.secrets == (TOKEN, "second", "sw1tch")
    assert settings.auth_tokens == (TOKEN, "second")
    seen = repr(settings) + str(list(settings.shown()))
    assert not [secret for secret in settings.secrets if secret in seen]
    assert ("TWILIO_AUTH_TOKEN", "••••", "env TWILIO_AUTH_TOKEN") in list(settings.shown())
    assert ("PORT", "8080", "default") in list(settings.shown())
    assert ("SWITCHBOARD_INSECURE_DEV", "0", "default") in list(settings.shown())


@pytest.mark.parametrize(
    ("public_url", "ws_url"),
    [
        ("https://voice.example/prefix", "wss://voice.example/prefix/twilio/media/t"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/twilio/media/t"),
    ],
)
def test_a_websocket_is_as_safe_as_the_public_url(public_url: str, ws_url: str) -> None:
    settings = Settings(public_url=public_url)
    assert settings.ws_url("/twilio/media/t") == ws_url
    assert settings.http_url("/twilio/voice") == public_url + "/twilio/voice"


def test_each_setting_has_a_help_and_a_name_of_its_own() -> None:
    assert all(setting.help.endswith(".") for setting in SETTINGS)
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)


def test_the_example_file_is_the_one_made_from_the_settings() -> None:
    written = (Path(gateway.__file__).parent.parent / ".env.example").read_text(encoding="utf-8")
    assert written == env_example(), (
        "write it again: python -c 'from gateway.settings import env_example; print(env_example(), end=\"\")'"
        " > .env.example"
    )


def test_the_example_file_is_itself_a_good_env_file(nowhere: Path) -> None:
    path = nowhere / "example"
    path.write_text(env_example().replace("\n#", "\n").replace("\n ", "\n# ").replace("TOKEN=", f"TOKEN={TOKEN}"))
    settings = read_settings(environ={}, env_file=path)
    assert dataclasses.replace(settings, public_url="", auth_token="", token="") == Settings()
    assert settings.warnings == ()
