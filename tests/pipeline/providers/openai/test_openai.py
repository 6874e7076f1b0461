"""The package: what it gives to the registry."""

from __future__ import annotations

import pytest

from pipeline.audio.formats import PCM_16K, PCM_24K
from pipeline.provider import Closes, KnowsVoices, Prepares, ProviderError
from pipeline.providers import openai, registry
from pipeline.providers.openai.chat import ChatModel
from pipeline.providers.openai.speech import SpeechVoice
from pipeline.providers.openai.transcription import RecordingTranscriber
from tests.pipeline.providers.openai.standing import source_at

URL = "http://127.0.0.1:1/v1"


def test_each_kind_is_made_from_a_source() -> None:
    source = source_at(URL, "m")
    hearing, thinking, speaking = openai.transcriber(source), openai.language_model(source), openai.voice(source)
    assert isinstance(hearing, RecordingTranscriber)
    assert isinstance(thinking, ChatModel)
    assert isinstance(speaking, SpeechVoice)
    assert (hearing.formats[0], speaking.formats) == (PCM_16K, (PCM_24K,))
    for provider in (hearing, thinking, speaking):
        assert provider.name == "openai/m"
        assert isinstance(provider, Prepares)
        assert isinstance(provider, Closes)
    assert isinstance(speaking, KnowsVoices)


@pytest.mark.parametrize("kind", registry.REMOTE)
def test_one_table_of_options_serves_all_kinds(kind: registry.Kind) -> None:
    make = getattr(openai, kind)
    make(source_at(URL, images=True, transcript_stream=False, voice="ash"))
    with pytest.raises(ProviderError, match="no option 'colour'"):
        make(source_at(URL, colour="red"))
