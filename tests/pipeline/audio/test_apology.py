"""The recording that is left when the voice has failed."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.audio import g711
from pipeline.audio.apology import APOLOGY_FILE, apology
from pipeline.audio.formats import PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat


def test_on_a_telephone_it_is_the_recording_itself() -> None:
    assert apology(PCMU) == APOLOGY_FILE.read_bytes()


@pytest.mark.parametrize("format", [PCMU, PCMA, PCM_16K, PCM_24K])
def test_in_every_format_it_lasts_as_long_and_is_loud_enough_to_hear(format: AudioFormat) -> None:
    sound = apology(format)
    assert 3_000 < format.ms_in(format.samples_in(sound)) < 8_000
    samples = np.frombuffer(g711.decode(sound, format.encoding), "<i2").astype(float)
    assert np.sqrt((samples**2).mean()) > 1_000


def test_it_is_recoded_once_for_each_format() -> None:
    assert apology(PCM_24K) is apology(PCM_24K)
