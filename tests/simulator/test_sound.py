from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from simulator.sound import Codec, Sound, pcm_of, read_wav, resample, rms, samples_of, trim


def tone(hz: float, rate_hz: int, seconds: float = 0.5) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    times: np.ndarray[tuple[int], np.dtype[np.float64]] = np.arange(int(rate_hz * seconds)) / rate_hz
    return 0.5 * np.sin(2 * np.pi * hz * times)


def wav(samples: bytes, width: int, channels: int, rate_hz: int) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(samples)
    return content.getvalue()


@pytest.mark.parametrize("codec", Codec)
def test_each_law_survives_its_round_trip_and_its_silence_is_silent(codec: Codec) -> None:
    pcm = pcm_of(tone(440, 8000))
    error = samples_of(codec.decode(codec.encode(pcm))).astype(float) - samples_of(pcm)
    assert np.abs(error).max() < 600
    assert rms(codec.decode(codec.silence * 160)) <= 8


def test_the_codecs_have_twilios_names() -> None:
    assert [codec.encoding for codec in Codec] == ["audio/x-mulaw", "audio/x-alaw"]


@pytest.mark.parametrize("rate_hz", [6_000, 11_025, 16_000, 24_000, 44_100, 48_000])
def test_a_tone_keeps_its_pitch_and_level_at_any_rate(rate_hz: int) -> None:
    low = resample(tone(1000, rate_hz), rate_hz)
    assert low.size == pytest.approx(4000, abs=1)
    spectrum = np.abs(np.fft.rfft(low[:4000] * np.hanning(low[:4000].size)))
    assert np.argmax(spectrum) * 8000 / low[:4000].size == pytest.approx(1000, abs=4)
    assert np.sqrt((low[500:3500] ** 2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


def test_what_lies_above_the_telephone_band_does_not_fold_back() -> None:
    folded = resample(tone(5000, 16_000), 16_000)
    assert np.sqrt((folded[500:3500] ** 2).mean()) < 0.5 * 10 ** (-60 / 20)


def test_nothing_and_the_same_rate_stay_what_they_are() -> None:
    assert resample(np.zeros(0), 16_000).size == 0
    same = tone(440, 8000)
    assert resample(same, 8000) is same


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_wav_files_of_every_width_and_of_two_channels_are_read(width: int) -> None:
    waveform = tone(440, 8000)
    full = np.rint(waveform * 2**31).astype(np.int64)
    raw = b"".join(
        (int(value) >> (32 - 8 * width)).to_bytes(width, "little", signed=True)
        if width > 1
        else bytes([(int(value) >> 24) + 128])
        for value in np.repeat(full, 2)
    )
    error = samples_of(read_wav(wav(raw, width, 2, 8000))).astype(float) / 32768 - waveform
    assert np.abs(error).max() < (0.01 if width == 1 else 0.0001)


def test_trimming_leaves_speech_at_both_ends() -> None:
    speech = pcm_of(tone(440, 8000))
    assert trim(bytes(1600) + speech + bytes(800)) == speech
    assert trim(bytes(1600)) == b""


def test_a_sound_knows_its_length() -> None:
    assert Sound("", bytes(16 * 250)).duration_ms == 250
