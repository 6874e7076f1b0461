"""Makes the caller's clips again: `python -m simulator.clips.make_clips` (needs Debian's `flite` on PATH).

Reads clips.toml beside this file, lets flite speak each text at 16 kHz, and writes NAME.ulaw: raw 8 kHz µ-law,
speech at -20 dBFS RMS, without quiet at either end. flite excites its voices with random noise, so two runs give
clips that differ in bytes and not to the ear; the shipped ones are the ones the tests have heard.
"""

from __future__ import annotations

import subprocess
import tempfile
import tomllib
from pathlib import Path

import numpy as np

from simulator.sound import Codec, pcm_of, read_wav, samples_of, trim

HERE = Path(__file__).parent
SPEECH_DBFS = -20.0


def level(pcm: bytes) -> bytes:
    """The same speech at `SPEECH_DBFS`, judged over its louder half so that pauses inside do not count."""
    waveform = samples_of(pcm) / 32768
    pieces = waveform[: waveform.size // 160 * 160].reshape(-1, 160)
    powers = np.sort((pieces**2).mean(axis=1))
    speech_rms = float(np.sqrt(powers[powers.size // 2 :].mean()))
    return pcm_of(waveform * (10 ** (SPEECH_DBFS / 20) / speech_rms))


def speak(text: str, voice: str) -> bytes:
    """PCM16 at 8 kHz of what flite says."""
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder, "spoken.wav")
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(spoken)], check=True)
        return read_wav(spoken.read_bytes())


def main() -> None:
    for clip in tomllib.loads((HERE / "clips.toml").read_text())["clip"]:
        sound = trim(level(trim(speak(clip["text"], clip["voice"]))))
        (HERE / f"{clip['name']}.ulaw").write_bytes(Codec.PCMU.encode(sound))
        print(f"{clip['name']}.ulaw  {len(sound) // 16} ms")


if __name__ == "__main__":
    main()
