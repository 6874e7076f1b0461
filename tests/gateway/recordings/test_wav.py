"""The header, judged by readers of others."""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from pathlib import Path

import pytest

from gateway.recordings import wav
from pipeline.audio.formats import Encoding
from tests.gateway.recordings.support import sound


def test_pcm_is_read_by_the_standard_library() -> None:
    data = wav.header(Encoding.PCM16, 8_000, 100) + sound(400)
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (
            2,
            2,
            8_000,
            100,
        )
        assert file.readframes(100) == sound(400)


@pytest.mark.parametrize(("encoding", "name"), [(Encoding.ULAW, "8-bit u-law"), (Encoding.ALAW, "8-bit A-law")])
@pytest.mark.skipif(shutil.which("soxi") is None, reason="SoX is not installed")
def test_both_laws_are_read_by_sox(encoding: Encoding, name: str, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(wav.header(encoding, 8_000, 8_000) + sound(16_000))
    told = subprocess.run(["soxi", path], capture_output=True, text=True, check=True, timeout=30)
    assert name in told.stdout
    assert "Duration       : 00:00:01.00 = 8000 samples" in told.stdout
    assert told.stderr == ""


@pytest.mark.parametrize("encoding", list(Encoding))
def test_a_header_is_as_long_as_it_is_said_to_be_and_names_its_encoding(encoding: Encoding) -> None:
    header = wav.header(encoding, 8_000, 5)
    assert len(header) == wav.header_bytes(encoding) <= wav.HEAD_BYTES
    assert wav.encoding_of(header) is encoding
    assert int.from_bytes(header[4:8], "little") == len(header) - 8 + 5 * wav.frame_bytes(encoding)
    assert int.from_bytes(header[-4:], "little") == 5 * wav.frame_bytes(encoding)


@pytest.mark.parametrize(
    "head",
    [b"", b"RIFF" + bytes(60), wav.header(Encoding.PCM16, 8_000, 0).replace(b"\x01\x00\x02", b"\x03\x00\x02")],
)
def test_what_is_no_file_of_ours_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError, match="is no recording of ours"):
        wav.encoding_of(head)


def test_the_caller_is_left() -> None:
    assert wav.interleaved(b"\x01\x02", b"\x0a\x0b", 1) == b"\x01\x0a\x02\x0b"
    assert wav.interleaved(b"\x01\x02\x03\x04", b"\x0a\x0b\x0c\x0d", 2) == b"\x01\x02\x0a\x0b\x03\x04\x0c\x0d"
