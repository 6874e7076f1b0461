"""OpenAI, and every server that speaks as it does: Ollama, vLLM, llama.cpp, LocalAI, Speaches, Groq …

Three requests over HTTP: chat completions, transcriptions, speech (https://platform.openai.com/docs/api-reference).
Which server, by what key and model is the `Source`'s; without a base URL it is OpenAI itself.
Importing this needs the `openai` package.
"""

from __future__ import annotations

from pipeline.provider import LanguageModel, Transcriber, Voice
from pipeline.providers.openai.chat import ChatModel
from pipeline.providers.openai.speech import SpeechVoice
from pipeline.providers.openai.transcription import RecordingTranscriber
from pipeline.providers.source import Source

__all__ = ["language_model", "transcriber", "voice"]


def transcriber(source: Source) -> Transcriber:
    """Raises `ProviderError` for an option it does not know, and for OpenAI without a key, as do the other two."""
    return RecordingTranscriber(source)


def language_model(source: Source) -> LanguageModel:
    return ChatModel(source)


def voice(source: Source) -> Voice:
    return SpeechVoice(source)
