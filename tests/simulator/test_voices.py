from __future__ import annotations

import stat
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simulator.errors import VoiceError
from simulator.sound import pcm_of, rms
from simulator.voices import Voices


def no_program(name: str) -> None:
    return None


def only(**programs: Path) -> Callable[[str], str | None]:
    return lambda name: str(programs[name.replace("-", "_")]) if name.replace("-", "_") in programs else None


def write_wav(path: Path, pcm: bytes, rate_hz: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm)
    return path


def program(folder: Path, name: str, body: str) -> Path:
    """A stand-in for a synthesiser: a shell script whose last argument is the file to write."""
    path = folder / name
    path.write_text(f"#!/bin/sh\nfor last; do :; done\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


TONE = pcm_of(0.3 * np.sin(np.arange(4000)))


@pytest.mark.parametrize("clip", Voices().clips, ids=lambda clip: clip.name)
def test_each_shipped_clip_is_speech_from_its_first_to_its_last_ten_milliseconds(clip: object) -> None:
    sound = Voices(find_program=no_program).clip(clip.name)  # type: ignore[attr-defined]
    assert 200 < sound.duration_ms < 3000
    assert rms(sound.pcm[:160]) >= 100 and rms(sound.pcm[-160:]) >= 100
    assert 1000 < rms(sound.pcm) < 6000


def test_a_shipped_text_is_found_whatever_its_case_and_punctuation() -> None:
    voices = Voices(find_program=no_program)
    assert voices.speak("What are your OPENING hours?") == voices.clip("opening-hours")


def test_another_text_is_spoken_by_flite_before_espeak(tmp_path: Path) -> None:
    sample = write_wav(tmp_path / "sample.wav", bytes(3200) + TONE + bytes(3200))
    flite = program(tmp_path, "flite", f'echo "$@" > {tmp_path}/args; cp {sample} "$last"')
    espeak = program(tmp_path, "espeak", "exit 1")
    sound = Voices(find_program=only(flite=flite, espeak_ng=espeak)).speak("my shoe is blue")
    assert sound.text == "my shoe is blue"
    assert abs(len(sound.pcm) - len(TONE)) <= 160
    assert "-voice rms -t my shoe is blue -o" in (tmp_path / "args").read_text()


def test_espeak_speaks_where_flite_is_missing_and_reads_the_text_from_its_input(tmp_path: Path) -> None:
    sample = write_wav(tmp_path / "sample.wav", TONE)
    espeak = program(tmp_path, "espeak", f'cat > {tmp_path}/text; cp {sample} "$last"')
    Voices(find_program=only(espeak_ng=espeak)).speak("--help me")
    assert (tmp_path / "text").read_text() == "--help me"


def test_without_a_voice_the_error_names_the_shipped_texts_and_the_cure() -> None:
    with pytest.raises(VoiceError, match="(?s)apt install flite.*what are your opening hours"):
        Voices(find_program=no_program).speak("my shoe is blue")


@pytest.mark.parametrize("body", ["exit 3", "true", "echo no > $last"])
def test_a_voice_that_fails_is_an_error_with_its_name(tmp_path: Path, body: str) -> None:
    flite = program(tmp_path, "flite", body)
    with pytest.raises(VoiceError, match="flite could not say"):
        Voices(find_program=only(flite=flite)).speak("my shoe is blue")


def test_a_voice_that_says_nothing_is_an_error(tmp_path: Path) -> None:
    sample = write_wav(tmp_path / "sample.wav", bytes(3200))
    flite = program(tmp_path, "flite", f'cp {sample} "$last"')
    with pytest.raises(VoiceError, match="nothing audible"):
        Voices(find_program=only(flite=flite)).speak("my shoe is blue")


def test_nothing_to_say_is_an_error() -> None:
    with pytest.raises(VoiceError, match="nothing to say in"):
        Voices(find_program=no_program).speak(" ?! ")


def test_a_wav_file_is_brought_to_the_telephones_rate(tmp_path: Path) -> None:
    sound = Voices().wav(write_wav(tmp_path / "q.wav", TONE, rate_hz=16_000))
    assert (sound.text, sound.duration_ms) == ("q.wav", 250)


def test_an_unreadable_wav_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("hello")
    (tmp_path / "short.wav").write_bytes(b"")
    write_wav(tmp_path / "empty.wav", b"")
    for name, fault in [
        ("none.wav", "cannot be read"),
        ("text.wav", "not an uncompressed WAV"),
        ("short.wav", "ends too early"),
        ("empty.wav", "holds no sound"),
    ]:
        with pytest.raises(VoiceError, match=f"{name}: .*{fault}"):
            Voices().wav(tmp_path / name)


def test_an_unknown_clip_is_an_error_with_the_names_there_are() -> None:
    with pytest.raises(VoiceError, match="called 'x'; there are: opening-hours, order-status"):
        Voices().clip("x")
