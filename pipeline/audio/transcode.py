"""From one way of writing sound to another, for one direction of one conversation.

Equal formats pass untouched and the two G.711 laws meet in a table; only what differs in rate is filtered.
"""

from __future__ import annotations

from pipeline.audio import g711
from pipeline.audio.formats import AudioFormat, Encoding
from pipeline.audio.resample import Resampler


class Transcoder:
    """A stream of sound from `source` to `target`. It keeps the filter's memory: one per direction and stream."""

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self.source = source
        self.target = target
        self._resampler = None if source.rate_hz == target.rate_hz else Resampler(source.rate_hz, target.rate_hz)
        self._odd_byte = b""

    def push(self, audio: bytes) -> bytes:
        """All that `audio` makes certain; half a PCM16 sample at its end waits for its other half."""
        if self.source == self.target:
            return audio
        if self.source.encoding is Encoding.PCM16:
            audio = self._odd_byte + audio
            whole = len(audio) & ~1
            audio, self._odd_byte = audio[:whole], audio[whole:]
        if self._resampler is None:
            return _recode(audio, self.source.encoding, self.target.encoding)
        pcm16 = self._resampler.push(g711.decode(audio, self.source.encoding))
        return g711.encode(pcm16, self.target.encoding)

    def flush(self) -> bytes:
        """What the filter held back. The stream is then as new."""
        self._odd_byte = b""
        if self._resampler is None:
            return b""
        return g711.encode(self._resampler.flush(), self.target.encoding)


def transcode(audio: bytes, source: AudioFormat, target: AudioFormat) -> bytes:
    """The whole of one finished recording."""
    stream = Transcoder(source, target)
    return stream.push(audio) + stream.flush()


def _recode(audio: bytes, source: Encoding, target: Encoding) -> bytes:
    match source, target:
        case Encoding.ULAW, Encoding.ALAW:
            return g711.ulaw_to_alaw(audio)
        case Encoding.ALAW, Encoding.ULAW:
            return g711.alaw_to_ulaw(audio)
        case _:
            return g711.encode(g711.decode(audio, source), target)
