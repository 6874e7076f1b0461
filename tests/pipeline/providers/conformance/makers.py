"""All providers of each kind: how each is made at its stand-in, and in what it may differ from the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline.providers.registry import Kind
from tests.pipeline.providers.conformance.models import MODELS, ModelMaker
from tests.pipeline.providers.conformance.transcribers import TRANSCRIBERS, TranscriberMaker
from tests.pipeline.providers.conformance.voices import VOICES, VoiceMaker

MAKERS: Final[Mapping[Kind, tuple[TranscriberMaker | ModelMaker | VoiceMaker, ...]]] = {
    "transcriber": TRANSCRIBERS,
    "language_model": MODELS,
    "voice": VOICES,
}
"""Kind, then one line each. A new provider gets its line in the module of its kind, and with it every rule."""
