"""Make `apology.ulaw` and `one_moment.ulaw` anew: run `python -m pipeline.audio.make_apology` where Debian's
`flite` is installed.

The result differs a little each time, because flite's excitation is random; it is checked in so that nobody
who runs Switchboard needs flite.
"""

from __future__ import annotations

import io
import subprocess
import wave

from pipeline.audio.apology import APOLOGY_FILE, APOLOGY_TEXT, ONE_MOMENT_FILE, ONE_MOMENT_TEXT
from pipeline.audio.formats import PCMU, AudioFormat, Encoding
from pipeline.audio.transcode import transcode

FLITE_VOICE = "slt"


def record(text: str) -> bytes:
    """The text as flite speaks it, in 8 kHz µ-law. Raises `OSError` or `CalledProcessError` without flite."""
    command = ["flite", "-voice", FLITE_VOICE, "-t", text, "-o", "/dev/stdout"]
    spoken = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout
    with wave.open(io.BytesIO(spoken)) as sound:
        source = AudioFormat(Encoding.PCM16, sound.getframerate())
        return transcode(sound.readframes(sound.getnframes()), source, PCMU)


if __name__ == "__main__":
    APOLOGY_FILE.write_bytes(record(APOLOGY_TEXT))
    ONE_MOMENT_FILE.write_bytes(record(ONE_MOMENT_TEXT))
