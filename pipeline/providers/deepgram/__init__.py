"""Deepgram's live speech-to-text: Nova by `/v1/listen`; Flux, which knows turns too, by `/v2/listen`."""

from __future__ import annotations

from pipeline.provider import Transcriber
from pipeline.providers.deepgram.connection import KEY_SETTING  # first: it loads the SDK without its warnings
from pipeline.providers.deepgram.flux import FluxTranscriber
from pipeline.providers.deepgram.listen_v1 import NovaTranscriber
from pipeline.providers.source import Source


def transcriber(source: Source) -> Transcriber:
    """A transcriber of `source.model`: `flux`, `flux-general-en` and `flux-general-multi` are Flux, the rest Nova.

    Raises `ProviderError` if the key is missing or an option is wrong.
    """
    source.key(KEY_SETTING)
    return FluxTranscriber(source) if source.model.startswith("flux") else NovaTranscriber(source)
