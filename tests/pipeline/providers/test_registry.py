"""Providers by name, and what a person is told when there is none."""

from __future__ import annotations

import builtins
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.agent import Agent, load_agent
from pipeline.provider import ProviderError
from pipeline.providers import registry


def test_every_built_in_name_makes_a_provider_of_that_name() -> None:
    agent = load_agent("reception")
    for name in registry.BUILT_IN["transcriber"]:
        assert registry.transcriber(name, agent).name == name
    for name in registry.BUILT_IN["language_model"]:
        assert registry.language_model(name, agent).name == name
    for name in registry.BUILT_IN["voice"]:
        assert registry.voice(name, agent).name == name


def test_what_stands_behind_the_slash_is_the_model_and_tables_add_servers() -> None:
    agent = Agent("a", providers={"groq": {"wire": "openai", "base_url": "https://g/v1", "images": False}})
    access = registry.Access(keys={"groq": "k"}, base_urls={"openai": "http://elsewhere"})
    wire, source = registry.source_of("groq/llama-3.3", agent, access)
    assert (wire, source.label, source.api_key, source.base_url) == (
        "openai",
        "groq/llama-3.3",
        "k",
        "https://g/v1",
    )
    assert source.options == {"images": False}
    wire, source = registry.source_of("openai", agent, access)
    assert (wire, source.model, source.api_key, source.base_url) == ("openai", "", "", "http://elsewhere")


def test_a_wire_that_is_no_text_is_refused() -> None:
    with pytest.raises(ProviderError, match="are texts"):
        registry.voice("x", Agent("a", providers={"x": {"wire": 7}}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: registry.transcriber("pocketspinx", Agent("a")), "did you mean 'pocketsphinx'"),
        (
            lambda: registry.language_model("gpt", Agent("a")),
            "no such language model .*known are inworld, openai, scripted, stub",
        ),
        (lambda: registry.voice("espeak-ng", Agent("a")), "did you mean 'espeak'"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_or_all(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ProviderError, match=message) as failure:
        make()
    assert not failure.value.retryable


def test_the_scripted_model_needs_a_dialogue() -> None:
    with pytest.raises(ProviderError, match=r"agent 'a' has no \[dialogue\]"):
        registry.language_model("scripted", Agent("a"))


def missing(monkeypatch: pytest.MonkeyPatch, package: str, module: str) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.delitem(sys.modules, package, raising=False)
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **named: Any) -> Any:
        if name == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_a_library_that_is_not_installed_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    missing(monkeypatch, "pocketsphinx", "pipeline.providers.pocketsphinx")
    with pytest.raises(ProviderError, match=r"pip install 'switchboard-voice\[local\]'"):
        registry.transcriber("pocketsphinx", Agent("a"))


def test_any_other_missing_module_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    missing(monkeypatch, "numpy", "pipeline.providers.stub")
    with pytest.raises(ModuleNotFoundError, match="numpy"):
        registry.voice("stub", Agent("a"))


def test_no_library_is_loaded_before_its_provider_is_asked_for() -> None:
    code = "import sys, pipeline.providers.registry; print({'pocketsphinx', 'espeakng_loader'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "set()"
