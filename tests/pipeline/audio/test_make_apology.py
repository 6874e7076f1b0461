"""The script behind the recording, with a stand-in for flite."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import pytest

from pipeline.audio.apology import APOLOGY_TEXT
from pipeline.audio.formats import PCM_16K, PCMU
from pipeline.audio.make_apology import record
from pipeline.audio.transcode import transcode


def test_what_flite_speaks_becomes_ulaw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pcm16 = b"\x10\x20" * 1_600
    with wave.open(str(tmp_path / "spoken.wav"), "wb") as sound:
        sound.setparams((1, 2, PCM_16K.rate_hz, 0, "NONE", ""))
        sound.writeframes(pcm16)
    flite = tmp_path / "flite"
    flite.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/asked\ncat {tmp_path}/spoken.wav\n')
    flite.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert record(APOLOGY_TEXT) == transcode(pcm16, PCM_16K, PCMU)
    assert APOLOGY_TEXT in (tmp_path / "asked").read_text()
