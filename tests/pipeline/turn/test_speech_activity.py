"""The shared instance: real model, real thread, real loop; scripted models where order or overload is the point."""

from __future__ import annotations

import asyncio
import logging
import threading

import numpy as np
import pytest

from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat
from pipeline.audio.g711 import ulaw_to_alaw
from pipeline.audio.resample import Resampler
from pipeline.reports import SpeechScored
from pipeline.turn.ear import NO_SLOT, Ear
from pipeline.turn.silero import Floats
from pipeline.turn.speech_activity import LATE_S, WINDOW_S, SpeechActivity
from pipeline.turn.speech_scorer import Booleans, Integers
from tests.pipeline.turn.clips import line, noise, pcm16, ulaw

pytestmark = pytest.mark.anyio

PATIENCE_S = 20.0
"""For a score that should be there in milliseconds."""


class Listener:
    """Keeps one call's scores and can wait for a number of them."""

    def __init__(self) -> None:
        self.scores: list[SpeechScored] = []
        self._changed = asyncio.Event()

    def __call__(self, score: SpeechScored) -> None:
        self.scores.append(score)
        self._changed.set()

    async def until(self, end: int) -> list[SpeechScored]:
        """Every score so far, once one reached `end`."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.scores or self.scores[-1].end < end:
                self._changed.clear()
                await self._changed.wait()
        return self.scores


class Gate:
    """A model that waits at a gate, says 0.4, and notes how many rows each batch had."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.may_go = threading.Event()
        self.batches: list[int] = []

    def score(self, sound: Floats, state: Floats, rate_hz: int) -> tuple[Floats, Floats]:
        self.batches.append(len(sound))
        self.entered.set()
        assert self.may_go.wait(PATIENCE_S)
        return np.full(len(sound), 0.4, dtype=np.float32), state


async def reached(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE_S)


async def heard_by(activity: SpeechActivity, format: AudioFormat, audio: bytes, end: int) -> list[SpeechScored]:
    listener = Listener()
    ear = activity.open(format, listener)
    ear.hear(audio)
    scores = list(await listener.until(end))
    ear.close()
    return scores


async def test_speech_is_found_in_every_format_at_the_same_place() -> None:
    sound = line("order", 8_000, 8_000)[:32_000]
    wide = Resampler(8_000, 16_000)
    wider = Resampler(8_000, 24_000)
    lines = {
        PCMU: ulaw(sound),
        PCMA: ulaw_to_alaw(ulaw(sound)),
        PCM_8K: pcm16(sound),
        PCM_16K: wide.push(pcm16(sound)) + wide.flush(),
        PCM_24K: wider.push(pcm16(sound)) + wider.flush(),
    }
    begins, ends = {}, {}
    async with SpeechActivity() as activity:
        for format, audio in lines.items():
            whole = 30_000 * format.rate_hz // 8_000
            scores = await heard_by(activity, format, audio, whole)
            begins[format] = format.ms_in(next(score.end for score in scores if score.probability >= 0.5))
            ends[format] = format.ms_in(scores[-1].loud_until)
    assert max(begins.values()) - min(begins.values()) <= 2 * 32
    assert max(ends.values()) - min(ends.values()) <= 3 * 8
    assert 1_000 < min(begins.values()) < 1_500


async def test_many_calls_get_what_one_alone_gets_each_window_in_order() -> None:
    audio = [ulaw(line("wait", 3_000, 3_000, seed=seed)[:16_000]) for seed in range(8)]
    async with SpeechActivity(early_look=False) as activity:
        alone = [await heard_by(activity, PCMU, each, 15_872) for each in audio]
        listeners = [Listener() for _ in audio]
        ears = [activity.open(PCMU, listener) for listener in listeners]
        for frame in range(0, 16_000, 160):
            for ear, each in zip(ears, audio, strict=True):
                ear.hear(each[frame : frame + 160])
            await asyncio.sleep(0)
        together = [await listener.until(15_872) for listener in listeners]
    for one, many in zip(alone, together, strict=True):
        assert [score.end for score in many] == [256 * (row + 1) for row in range(62)]
        assert [score.loud_until for score in many] == [score.loud_until for score in one]
        np.testing.assert_allclose(
            [score.probability for score in many], [score.probability for score in one], atol=1e-3
        )


async def test_windows_that_wait_together_are_scored_together() -> None:
    gate = Gate()
    async with SpeechActivity(gate, early_look=False) as activity:
        first, others = Listener(), [Listener() for _ in range(5)]
        loud = ulaw(noise(256, -20.0))
        activity.open(PCMU, first).hear(loud)
        await reached(gate.entered)
        for listener in others:
            activity.open(PCMU, listener).hear(loud)
        gate.may_go.set()
        for listener in (first, *others):
            await listener.until(256)
    assert gate.batches == [1, 5]


async def test_an_early_look_tells_of_speech_before_its_window_is_full() -> None:
    gate = Gate()
    gate.may_go.set()
    listener = Listener()
    async with SpeechActivity(gate) as activity:
        ear = activity.open(PCMU, listener)
        ear.hear(ulaw(noise(256 + 160, -20.0)))
        await listener.until(416)
        ear.hear(ulaw(noise(96, -20.0)))
        await listener.until(512)
    assert [score.end for score in listener.scores] == [256, 416, 512]
    assert activity.counts.looks == 1


async def test_sound_short_of_a_window_waits_for_the_rest_of_it() -> None:
    gate = Gate()
    gate.may_go.set()
    listener, other = Listener(), Listener()
    async with SpeechActivity(gate, early_look=False) as activity:
        ear = activity.open(PCMU, listener)
        ear.hear(ulaw(noise(160, -20.0)))
        # The thread takes ears in order: once the other's score is here, it has seen the 160 samples.
        activity.open(PCMU, other).hear(ulaw(noise(256, -20.0)))
        await other.until(256)
        assert listener.scores == []
        ear.hear(ulaw(noise(96, -20.0)))
        assert (await listener.until(256))[0].end == 256


async def test_quiet_sound_is_measured_and_brings_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    gate.may_go.set()
    listener, measured = Listener(), threading.Event()
    async with SpeechActivity(gate) as activity:
        stirs = activity._scorer.stirs

        def noted(slots: Integers, newest: Floats) -> Booleans:
            answer = stirs(slots, newest)
            measured.set()
            return answer

        monkeypatch.setattr(activity._scorer, "stirs", noted)
        ear = activity.open(PCMU, listener)
        ear.hear(PCMU.silence * 416)
        await reached(measured)
        ear.hear(PCMU.silence * 96)
        await listener.until(512)
    assert [score.end for score in listener.scores] == [256, 512]
    assert activity.counts.looks == 0


class Doubtful:
    """Finds speech unlikely, or fails, and says when it was asked the second time: for the early look."""

    def __init__(self, fails: bool = False) -> None:
        self.was_asked_twice = threading.Event()
        self._fails = fails
        self._asked = 0

    def score(self, sound: Floats, state: Floats, rate_hz: int) -> tuple[Floats, Floats]:
        self._asked += 1
        if self._asked == 2:
            self.was_asked_twice.set()
        if self._fails:
            raise RuntimeError("no model today")
        return np.full(len(sound), 0.2, dtype=np.float32), state


async def test_a_look_that_finds_speech_unlikely_is_not_told() -> None:
    doubtful, listener = Doubtful(), Listener()
    async with SpeechActivity(doubtful) as activity:
        ear = activity.open(PCMU, listener)
        ear.hear(ulaw(noise(416, -20.0)))
        await reached(doubtful.was_asked_twice)
        ear.hear(ulaw(noise(96, -20.0)))
        await listener.until(512)
    assert [score.end for score in listener.scores] == [256, 512]
    assert activity.counts.looks == 1


async def test_a_call_that_closes_while_its_window_is_scored_hears_nothing_and_its_slot_is_used_again() -> None:
    gate = Gate()
    async with SpeechActivity(gate, early_look=False) as activity:
        gone, stays, later = Listener(), Listener(), Listener()
        loud = ulaw(noise(256, -20.0))
        closing = activity.open(PCMU, gone)
        closing.hear(loud)
        await reached(gate.entered)
        slot = closing.slot
        closing.close()
        gate.may_go.set()
        staying = activity.open(PCMU, stays)
        staying.hear(loud)
        await stays.until(256)
        # The thread has been past the closing by now: the queue is in order.
        newcomer = activity.open(PCMU, later)
        newcomer.hear(loud)
        assert (await later.until(256))[0].end == 256
    assert gone.scores == []
    assert closing.slot == NO_SLOT
    assert newcomer.slot == slot or staying.slot == slot


async def test_an_ear_that_closes_before_it_heard_anything_needs_no_slot() -> None:
    gate = Gate()
    gate.may_go.set()
    async with SpeechActivity(gate) as activity:
        activity.open(PCMU, Listener()).close()
        scores = await heard_by(activity, PCMU, ulaw(noise(256, -20.0)), 256)
    assert scores[0].end == 256


async def test_a_burst_of_one_call_is_scored_whole() -> None:
    async with SpeechActivity(early_look=False) as activity:
        scores = await heard_by(activity, PCMU, PCMU.silence * (256 * 200), 256 * 200)
    assert [score.end for score in scores] == [256 * (row + 1) for row in range(200)]
    assert activity.counts.dropped_windows == 0


async def test_an_overloaded_thread_drops_all_but_the_newest_window_and_keeps_the_place() -> None:
    gate = Gate()
    gate.may_go.set()
    listener = Listener()
    async with SpeechActivity(gate, early_look=False) as activity:
        activity._late_s = LATE_S + 1.0
        ear = activity.open(PCMU, listener)
        ear.hear(ulaw(noise(256 * 20, -20.0)))
        await listener.until(256 * 20)
        ear.hear(ulaw(noise(256 * 20, -20.0)))
        await listener.until(256 * 40)
    assert [score.end for score in listener.scores] == [256 * row for row in range(20, 41)]
    assert activity.counts.dropped_windows == 19


def test_lateness_adds_up_over_slow_rounds_and_is_worked_off_by_quick_ones() -> None:
    activity = SpeechActivity(Gate())
    for _ in range(7):
        activity._note_round(2 * WINDOW_S)
    assert not activity._is_overloaded
    activity._note_round(0.0)
    activity._note_round(2.1 * WINDOW_S)
    assert not activity._is_overloaded
    activity._note_round(2 * WINDOW_S)
    overloaded = [activity._is_overloaded]
    activity._note_round(0.0)  # it has shed its load
    overloaded.append(activity._is_overloaded)
    assert overloaded == [True, False]


async def test_a_round_that_fails_is_logged_and_the_next_one_runs(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    gate.may_go.set()
    failed = threading.Event()

    def fail(ears: list[Ear]) -> bool:
        monkeypatch.undo()
        failed.set()
        raise RuntimeError("a bug")

    async with SpeechActivity(gate) as activity:
        monkeypatch.setattr(activity, "_round", fail)
        with caplog.at_level(logging.ERROR):
            activity.open(PCMU, Listener()).hear(bytes(160))
            await reached(failed)
            scores = await heard_by(activity, PCMU, ulaw(noise(256, -20.0)), 256)
    assert scores[0].end == 256
    assert "A round of speech scores was lost" in caplog.text


async def test_a_failing_model_leaves_calls_with_scores_by_level(caplog: pytest.LogCaptureFixture) -> None:
    broken, listener = Doubtful(fails=True), Listener()
    with caplog.at_level(logging.ERROR):
        async with SpeechActivity(broken) as activity:
            ear = activity.open(PCMU, listener)
            ear.hear(ulaw(noise(256, -70.0)) + ulaw(noise(160, -20.0)))
            await reached(broken.was_asked_twice)
            ear.hear(ulaw(noise(96, -20.0)))
            await listener.until(512)
    assert [(score.end, score.probability) for score in listener.scores] == [(256, 0.0), (512, 1.0)]
    assert activity.counts.scored_by_level == 2
    assert activity.counts.looks == 0
    assert len(caplog.records) == 1


async def test_leaving_ends_the_thread() -> None:
    async with SpeechActivity() as activity:
        assert activity._thread.is_alive()
    assert not activity._thread.is_alive()
