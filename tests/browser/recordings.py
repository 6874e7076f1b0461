"""Sound for a browser's microphone, and from its loudspeaker: WAV files of the shipped clips; what was heard."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import av
import numpy as np
from playwright.async_api import Page

from gateway.webrtc.payload import PCM_48K
from pipeline.audio.formats import PCM_8K, PCM_16K, AudioFormat
from pipeline.audio.transcode import transcode
from pipeline.provider import Speech
from pipeline.providers.pocketsphinx import PocketsphinxTranscriber
from simulator.voices import Voices

_VOICES = Voices()

SETTLING_MS: Final = 3000
"""Silence before the first word: a page needs half a second from its microphone to a connection, and more on a busy
machine; what is said before that is heard by nobody."""


def write_speech(path: Path, parts: Sequence[str | int], *, before_ms: int = SETTLING_MS) -> Path:
    """A WAV file (48 kHz, mono, PCM16, as Chromium's fake microphone wants it).

    `parts` in their order: the name of one of the simulator's clips, or so many milliseconds of silence. The file
    ends with silence long enough for the end of a turn; afterwards the microphone is silent for ever.
    """
    sound = bytes(PCM_48K.bytes_in(before_ms))
    for part in (*parts, 2000):
        if isinstance(part, int):
            sound += bytes(PCM_48K.bytes_in(part))
        else:
            sound += transcode(_VOICES.clip(part).pcm, PCM_8K, PCM_48K)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(PCM_48K.rate_hz)
        file.writeframes(sound)
    return path


_RECORD = """
(stream) => {
  const recorder = new MediaRecorder(stream, { mimeType: "audio/webm;codecs=opus" });
  const pieces = [];
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  recorder.onstop = async () => {
    const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    recorder.finished(btoa(text));
  };
  recorder.start();
  return recorder;
}
"""

_STOP = "(recorder) => new Promise((resolve) => { recorder.finished = resolve; recorder.stop(); })"


class Recorder:
    """Writes down what a remote track of a page plays. Begin with `record`."""

    def __init__(self, recorder: Any) -> None:
        self._recorder = recorder

    async def finish(self) -> bytes:
        """All that was heard since, as PCM16 at 16 kHz."""
        return _pcm_16k(base64.b64decode(cast(str, await self._recorder.evaluate(_STOP))))


async def record(page: Page, stream: str = "switchboard.remoteStream") -> Recorder:
    """Begins to record a `MediaStream` of the page, named by an expression."""
    return Recorder(await page.evaluate_handle(f"({_RECORD})({stream})"))


def _pcm_16k(webm: bytes) -> bytes:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=PCM_16K.rate_hz)
    with av.open(io.BytesIO(webm), "r") as container:
        frames = [made for frame in container.decode(audio=0) for made in resampler.resample(frame)]
    return b"".join(frame.to_ndarray().astype("<i2").tobytes() for frame in frames)


@dataclass
class ClipVoice:
    """Says one of the shipped clips, whatever it is given to say: a voice whose words a recogniser knows."""

    clip: str
    name: str = "clip"
    formats: tuple[AudioFormat, ...] = (PCM_8K,)

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """See `Voice`."""
        async for clause in clauses:
            yield Speech(_VOICES.clip(self.clip).pcm, clause)


def texts_of_clips() -> tuple[str, ...]:
    """What the shipped clips say: the phrases a recogniser has to choose between."""
    return tuple(clip.text for clip in _VOICES.clips)


async def words_in(pcm_16k: bytes) -> str:
    """What a recogniser understands of a recording."""

    async def sound() -> AsyncGenerator[bytes, None]:
        yield pcm_16k

    heard = PocketsphinxTranscriber(texts_of_clips()).transcribe(sound(), format=PCM_16K, language=None)
    async with aclosing(heard) as transcripts:
        return [one.text async for one in transcripts if one.is_final][-1]


def pitch_hz(pcm_16k: bytes) -> float:
    """The strongest frequency of a recording."""
    samples = np.frombuffer(pcm_16k, dtype="<i2").astype(np.float64)
    strengths = np.abs(np.fft.rfft(samples))
    return float(strengths.argmax() * PCM_16K.rate_hz / samples.size)
