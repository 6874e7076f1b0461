"""The voices of callers: shipped clips, a speech synthesiser of this machine, or a WAV file.

Reads files and starts `flite` or `espeak-ng`; so it blocks, and belongs before a call, not into one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import tomllib
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simulator.errors import VoiceError
from simulator.sound import Codec, Sound, read_wav, trim

CLIPS_DIR = Path(__file__).parent / "clips"
SPEAK_TIMEOUT_S = 30
"""A synthesiser needs well under a second for a sentence; a hanging one must not hang the test."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One line of clips.toml."""

    name: str
    text: str
    voice: str


class Voices:
    """Where a caller's sounds come from."""

    def __init__(
        self, clips_dir: Path = CLIPS_DIR, find_program: Callable[[str], str | None] = shutil.which
    ) -> None:
        """`find_program` answers as `shutil.which` does."""
        self._clips_dir = clips_dir
        self._find_program = find_program
        entries = tomllib.loads((clips_dir / "clips.toml").read_text())["clip"]
        self._clips = tuple(Clip(**entry) for entry in entries)

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The shipped clips, in the order of clips.toml."""
        return self._clips

    def clip(self, name: str) -> Sound:
        """A shipped clip by its name. Raises `VoiceError` with the names there are."""
        for clip in self._clips:
            if clip.name == name:
                return self._load(clip)
        names = ", ".join(clip.name for clip in self._clips)
        raise VoiceError(f"there is no shipped clip called {name!r}; there are: {names}")

    def speak(self, text: str) -> Sound:
        """A text as sound: a shipped clip of the same words, else flite, else espeak-ng; else `VoiceError`."""
        if not _words(text):
            raise VoiceError(f"there is nothing to say in {text!r}")
        for clip in self._clips:
            if _words(clip.text) == _words(text):
                return self._load(clip)
        if program := self._find_program("flite"):
            return self._synthesise(text, [program, "-voice", "rms", "-t", text, "-o"])
        if program := self._find_program("espeak-ng"):
            return self._synthesise(text, [program, "-s", "150", "-w"], says=text)
        texts = "".join(f"\n  {clip.text}" for clip in self._clips)
        raise VoiceError(
            f"no voice on this machine can say {text!r}.\n"
            "Install one with `apt install flite` (or espeak-ng), pass a recording with --wav FILE, "
            f"or use one of the shipped texts:{texts}"
        )

    def wav(self, path: Path) -> Sound:
        """A WAV file, whatever its rate, width and channels. Raises `VoiceError` naming the file."""
        try:
            pcm = read_wav(path.read_bytes())
        except OSError as error:
            raise VoiceError(f"{path}: cannot be read: {error.strerror}") from error
        except (wave.Error, EOFError) as error:
            raise VoiceError(
                f"{path}: is not an uncompressed WAV file: {str(error) or 'it ends too early'}"
            ) from error
        if not pcm:
            raise VoiceError(f"{path}: holds no sound")
        return Sound(path.name, pcm)

    def _load(self, clip: Clip) -> Sound:
        law = (self._clips_dir / f"{clip.name}.ulaw").read_bytes()
        return Sound(clip.text, Codec.PCMU.decode(law))

    def _synthesise(self, text: str, command: list[str], says: str | None = None) -> Sound:
        """Run `command FILE.wav`, the text in its arguments or, as `says`, on standard input."""
        with tempfile.TemporaryDirectory() as folder:
            spoken = Path(folder, "spoken.wav")
            try:
                subprocess.run(
                    [*command, str(spoken)],
                    input=(says or "").encode(),
                    capture_output=True,
                    check=True,
                    timeout=SPEAK_TIMEOUT_S,
                )
                pcm = trim(read_wav(spoken.read_bytes()))
            except (OSError, subprocess.SubprocessError, wave.Error, EOFError) as error:
                raise VoiceError(f"{command[0]} could not say {text!r}: {error}") from error
        if not pcm:
            raise VoiceError(f"{command[0]} said nothing audible for {text!r}")
        return Sound(text, pcm)


def _words(text: str) -> list[str]:
    """The words of a text for comparison: without case and punctuation, apostrophes dropped."""
    return re.findall(r"[a-z0-9]+", text.lower().replace("'", ""))
