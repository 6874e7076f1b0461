"""What the registry asks for by name."""

from __future__ import annotations

import sys

import pytest

from pipeline.agent import Agent
from pipeline.provider import LanguageModel
from pipeline.providers import inworld, registry
from pipeline.providers.inworld.stt import InworldTranscriber
from pipeline.providers.inworld.tts import InworldVoice
from tests.pipeline.providers.inworld.places import KEY, source_at


def test_all_three_kinds_are_made_of_one_source() -> None:
    source = source_at("", language="de", temperature=0.3)
    assert isinstance(inworld.transcriber(source), InworldTranscriber)
    assert isinstance(inworld.voice(source), InworldVoice)
    model: LanguageModel = inworld.language_model(source)
    assert not model.takes_images


def test_the_registry_finds_them_with_their_models() -> None:
    access = registry.Access(keys={"inworld": KEY})
    agent = Agent("tester")
    assert registry.transcriber("inworld/inworld-stt-1", agent, access).name == "inworld/inworld-stt-1"
    assert registry.voice("inworld/inworld-tts-2", agent, access).name == "inworld/inworld-tts-2"
    assert registry.language_model("inworld/auto", agent, access).name == "inworld/auto"


def test_without_the_routers_library_the_others_still_speak_and_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pipeline.providers.inworld.router", raising=False)
    monkeypatch.setitem(sys.modules, "pipeline.providers.openai.chat", None)
    inworld.voice(source_at(""))
    inworld.transcriber(source_at(""))
    with pytest.raises(ModuleNotFoundError):
        inworld.language_model(source_at(""))
