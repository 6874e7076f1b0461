"""The microphone on a clock that jumps, and the ear."""

from __future__ import annotations

import asyncio
import audioop
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from av.frame import Frame

from simulator import webrtc_track
from simulator.sound import Sound
from simulator.webrtc_track import Ear, Microphone
from tests.virtual_time import virtual_loop

LOUD = np.full(160, 5_000, dtype="<i2").tobytes()
SILENCE = bytes(320)


def run(test: Callable[[Microphone], Awaitable[None]], rate_hz: int = 8_000) -> None:
    """With a microphone, in time that jumps."""

    async def with_microphone() -> None:
        await test(Microphone(rate_hz, asyncio.get_running_loop().time))

    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        runner.run(with_microphone())


def mono(frame: Frame) -> bytes:
    """Its left channel; both must be the same."""
    assert isinstance(frame, AudioFrame)
    pcm = frame.to_ndarray().tobytes()
    left, right = audioop.tomono(pcm, 2, 1, 0), audioop.tomono(pcm, 2, 0, 1)
    assert left == right
    return left


async def take(microphone: Microphone, count: int) -> list[bytes]:
    return [mono(await microphone.recv()) for _ in range(count)]


def test_it_is_silent_until_it_is_given_something_to_say() -> None:
    async def test(microphone: Microphone) -> None:
        assert await take(microphone, 2) == [SILENCE, SILENCE]
        microphone.speak(Sound("a", LOUD + LOUD[:100]))
        microphone.speak(Sound("b", LOUD))
        assert await take(microphone, 4) == [LOUD, (LOUD[:100]).ljust(320, b"\x00"), LOUD, SILENCE]

    run(test)


def test_frames_come_by_the_clock() -> None:
    async def test(microphone: Microphone) -> None:
        frames = []
        for number in range(1, 4):
            frames.append(await microphone.recv())
            assert asyncio.get_running_loop().time() == pytest.approx(0.020 * number)
        assert [frame.pts for frame in frames] == [0, 960, 1_920]
        assert [frame.sample_rate for frame in frames if isinstance(frame, AudioFrame)] == [48_000] * 3

    run(test, rate_hz=48_000)


def test_after_a_short_stall_the_recorded_frames_come_at_once() -> None:
    async def test(microphone: Microphone) -> None:
        await take(microphone, 1)
        await asyncio.sleep(0.5)
        await take(microphone, 25)
        assert asyncio.get_running_loop().time() == pytest.approx(0.520)
        await take(microphone, 1)
        assert asyncio.get_running_loop().time() == pytest.approx(0.540)

    run(test)


def test_after_a_long_stall_it_begins_anew() -> None:
    async def test(microphone: Microphone) -> None:
        await take(microphone, 1)
        await asyncio.sleep(5)
        await take(microphone, 1)
        assert asyncio.get_running_loop().time() == pytest.approx(5.040)

    run(test)


def test_it_tells_when_each_sound_began_and_ended() -> None:
    async def test(microphone: Microphone) -> None:
        microphone.speak(Sound("a", 2 * LOUD))
        await take(microphone, 1)
        (spoken,) = microphone.spoken
        assert spoken.sound.text == "a"
        ended_s = [spoken.ended_s]
        await take(microphone, 2)
        assert [*ended_s, spoken.began_s, spoken.ended_s] == [None, pytest.approx(0.020), pytest.approx(0.040)]

    run(test)


def test_it_can_be_waited_for_until_all_is_said() -> None:
    async def test(microphone: Microphone) -> None:
        await microphone.quiet()
        microphone.speak(Sound("a", LOUD))
        microphone.speak(Sound("b", LOUD))
        quiet = asyncio.create_task(microphone.quiet())
        await take(microphone, 1)
        assert not quiet.done()
        await take(microphone, 1)
        await quiet

    run(test)


def test_it_can_be_hushed_in_the_middle_of_a_word() -> None:
    async def test(microphone: Microphone) -> None:
        microphone.hush()
        microphone.speak(Sound("a", 3 * LOUD))
        microphone.speak(Sound("b", LOUD))
        await take(microphone, 1)
        microphone.hush()
        await microphone.quiet()
        assert await take(microphone, 2) == [SILENCE, SILENCE]
        assert [spoken.ended_s for spoken in microphone.spoken] == [pytest.approx(0.020)]

    run(test)


def test_a_stopped_microphone_gives_no_frames_and_keeps_nobody_waiting() -> None:
    async def test(microphone: Microphone) -> None:
        microphone.speak(Sound("a", LOUD))
        microphone.stop()
        await microphone.quiet()
        with pytest.raises(MediaStreamError):
            await microphone.recv()

    run(test)


def test_a_sound_without_sound_and_too_many_sounds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc_track, "MOST_SOUNDS", 1)

    async def test(microphone: Microphone) -> None:
        with pytest.raises(ValueError, match="no sound in 'a'"):
            microphone.speak(Sound("a", b""))
        microphone.speak(Sound("b", LOUD))
        with pytest.raises(ValueError, match="1 sounds wait"):
            microphone.speak(Sound("c", LOUD))

    run(test)


def frame_of(pcm: bytes, pts: int | None, *, rate_hz: int = 8_000, layout: str = "mono") -> AudioFrame:
    channels = 2 if layout == "stereo" else 1
    frame = AudioFrame(format="s16", layout=layout, samples=len(pcm) // 2 // channels)
    frame.planes[0].update(pcm)
    frame.sample_rate, frame.pts = rate_hz, pts
    return frame


class Track:
    """Gives these frames, and ends."""

    def __init__(self, *frames: AudioFrame) -> None:
        self._frames = list(frames)

    async def recv(self) -> AudioFrame:
        if not self._frames:
            raise MediaStreamError
        return self._frames.pop(0)


@pytest.mark.anyio
async def test_an_ear_listens_until_the_track_ends() -> None:
    ear, track = Ear(), Track(frame_of(LOUD, 0), frame_of(SILENCE, 160))
    await ear.listen(track)  # type: ignore[arg-type]  # all of a track that is used
    assert [one.pcm for one in ear.heard] == [LOUD, SILENCE]
    assert ear.frames == 2


def test_frames_that_never_came_are_silence() -> None:
    ear = Ear()
    ear.hear(frame_of(LOUD, None), 1.0)
    ear.hear(frame_of(LOUD, 480), 2.0)
    assert ear.sound().pcm == LOUD + 2 * SILENCE + LOUD


def test_two_channels_are_one_and_48_khz_is_8_khz() -> None:
    ear = Ear()
    left, right = np.full(960, 4_000, dtype="<i2"), np.full(960, 2_000, dtype="<i2")
    ear.hear(frame_of(np.stack([left, right], axis=1).tobytes(), 0, rate_hz=48_000, layout="stereo"), 1.0)
    assert ear.heard[0].pcm == np.full(960, 3_000, dtype="<i2").tobytes()
    pcm = np.frombuffer(ear.sound().pcm, dtype="<i2")
    assert len(pcm) == 160
    assert np.abs(pcm[40:-40] - 3_000).max() < 100


def test_an_ear_answers_for_the_time_since_an_instant() -> None:
    ear = Ear()
    ear.hear(frame_of(SILENCE, 0), 1.0)
    ear.hear(frame_of(LOUD, 160), 2.0)
    ear.hear(frame_of(SILENCE, 320), 3.0)
    assert ear.sound(2.0).pcm == LOUD + SILENCE
    assert (ear.energy(2.0), ear.energy(3.0), ear.energy(4.0)) == (3535, 0, 0)
    assert (ear.audible_at_s(), ear.audible_at_s(3.0), ear.audible_at_s(least_rms=6_000)) == (2.0, None, None)
    assert ear.sound(4.0).pcm == b""
    assert (ear.received_ms(), ear.received_ms(3.0)) == (60, 20)
