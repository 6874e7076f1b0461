"""The end-of-turn model: where it comes from, and that asking it never costs a call more than its deadline."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import math
import threading
from importlib.metadata import PackagePath
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.audio.formats import PCM_16K, PCM_24K, PCMU, AudioFormat
from pipeline.audio.transcode import transcode
from pipeline.turn.end_of_turn import IN_WHEEL, MOST_PENDING, Counts, EndOfTurn, SmartTurn, model_path
from pipeline.turn.log_mel import log_mel
from pipeline.turn.silero import ModelMissing
from tests.pipeline.turn.tiny_onnx import mean_model

pytestmark = pytest.mark.anyio

Floats = npt.NDArray[np.float32]

LONG_S = 30.0
"""A deadline no test waits for."""


class Scripted:
    """Answers with what it is given, in turn; holds its thread until it is let go."""

    def __init__(self, *answers: float | Exception, is_held: bool = False) -> None:
        self.answers = list(answers)
        self.seen: list[Floats] = []
        self.began = threading.Event()
        self.may_go = threading.Event()
        if not is_held:
            self.may_go.set()

    def completeness(self, features: Floats) -> float:
        self.seen.append(features)
        self.began.set()
        assert self.may_go.wait(10)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def noise(format: AudioFormat, seconds: float) -> bytes:
    samples = np.random.default_rng(3).normal(0, 3_000, int(seconds * 16_000)).clip(-32_768, 32_767)
    return transcode(samples.astype("<i2").tobytes(), PCM_16K, format)


# Where the model comes from


async def test_without_a_model_there_is_no_judgement() -> None:
    async with EndOfTurn() as end_of_turn:
        assert not end_of_turn.is_there
        assert await end_of_turn.judge(noise(PCMU, 1), PCMU) is None
        assert end_of_turn.counts == Counts()


async def test_a_model_given_by_its_path_judges(tmp_path: Path) -> None:
    path = tmp_path / "smart-turn.onnx"
    path.write_bytes(mean_model())
    sound = noise(PCM_16K, 2)
    async with EndOfTurn(str(path), deadline_s=LONG_S) as end_of_turn:
        assert end_of_turn.is_there
        completeness = await end_of_turn.judge(sound, PCM_16K)
    expected = 1 / (1 + math.exp(-float(log_mel(sound).mean())))
    assert completeness == pytest.approx(expected, abs=1e-5)
    assert end_of_turn.counts == Counts(asked=1)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no model that onnxruntime can load"),
        (b"something else", "no model that onnxruntime can load"),
        (mean_model("sound"), "no smart-turn v3 model: expected input_features"),
        (mean_model(steps=1_600), r"got .*1600"),
    ],
    ids=["empty", "not a model", "another input", "another size"],
)
async def test_a_file_that_is_no_such_model_is_refused_at_the_start(
    tmp_path: Path, content: bytes, why: str
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelMissing, match=why):
        async with EndOfTurn(str(path)):
            raise AssertionError("it was not refused")


def test_a_path_without_a_file_is_named_with_what_else_may_be_said(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"nowhere\.onnx'.*no such file.*'pipecat'"):
        model_path(str(tmp_path / "nowhere.onnx"))


class Wheel:
    """An installed pipecat-ai with these files."""

    def __init__(self, place: Path, names: list[str]) -> None:
        self.place = place
        self.names = names

    def files(self, distribution: str) -> list[PackagePath]:
        assert distribution == "pipecat-ai"
        return [self._file(name) for name in self.names]

    def _file(self, name: str) -> PackagePath:
        file = PackagePath(name)
        file.dist = self  # type: ignore[assignment]  # all that `locate` asks of it is `locate_file`
        return file

    def locate_file(self, path: PackagePath) -> Path:
        return self.place / path


DATA = "pipecat/audio/turn/smart_turn/data"


def test_the_newest_model_in_an_installed_wheel_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["smart-turn-v3.1-cpu.onnx", "smart-turn-v3.2-cpu.onnx", "smart-turn-v3.9-gone.onnx", "other.onnx"]
    wheel = Wheel(tmp_path, [f"{DATA}/{name}" for name in names] + ["pipecat/version.py"])
    (tmp_path / DATA).mkdir(parents=True)
    for name in names:
        if "gone" not in name:
            (tmp_path / DATA / name).write_bytes(b"")
    monkeypatch.setattr(importlib.metadata, "files", wheel.files)
    assert model_path(IN_WHEEL) == tmp_path / DATA / "smart-turn-v3.2-cpu.onnx"


def test_a_wheel_that_is_missing_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none_installed(distribution: str) -> list[PackagePath]:
        raise importlib.metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr(importlib.metadata, "files", none_installed)
    with pytest.raises(ModelMissing, match=r"pip install --no-deps pipecat-ai"):
        model_path(IN_WHEEL)


def test_a_wheel_without_the_model_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "files", lambda distribution: None)
    with pytest.raises(ModelMissing, match="No smart-turn v3 model in pipecat-ai"):
        model_path(IN_WHEEL)


def test_the_tiny_model_of_these_tests_is_a_real_one(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(mean_model())
    model = SmartTurn(path)
    assert model.completeness(np.zeros((80, 800), dtype=np.float32)) == 0.5
    assert model.completeness(np.full((80, 800), 2, dtype=np.float32)) == pytest.approx(1 / (1 + math.exp(-2)))


# What it hears


@pytest.mark.parametrize("format", [PCMU, PCM_16K, PCM_24K], ids=["pcmu", "16 kHz", "24 kHz"])
async def test_it_hears_the_last_eight_seconds_at_16_khz(format: AudioFormat) -> None:
    model = Scripted(0.9, 0.8)
    sound = noise(format, 9.5)
    newest = sound[-8 * format.bytes_per_second :]
    async with EndOfTurn(model, deadline_s=LONG_S) as end_of_turn:
        assert await end_of_turn.judge(sound, format) == 0.9
        assert await end_of_turn.judge(newest, format) == 0.8
    np.testing.assert_array_equal(model.seen[0], log_mel(transcode(newest, format, PCM_16K)))
    np.testing.assert_array_equal(model.seen[1], model.seen[0])


async def test_half_a_sample_at_the_end_is_left_out() -> None:
    model = Scripted(0.9)
    sound = noise(PCM_24K, 9)
    async with EndOfTurn(model, deadline_s=LONG_S) as end_of_turn:
        assert await end_of_turn.judge(sound + b"\x01", PCM_24K) == 0.9
    np.testing.assert_array_equal(
        model.seen[0], log_mel(transcode(sound[-8 * PCM_24K.bytes_per_second :], PCM_24K, PCM_16K))
    )


# What it costs


async def test_a_judgement_past_its_deadline_is_none_and_the_loop_never_waits() -> None:
    model = Scripted(0.9, is_held=True)
    async with EndOfTurn(model, deadline_s=0.01) as end_of_turn:
        assert await end_of_turn.judge(noise(PCMU, 1), PCMU) is None
        assert end_of_turn.counts == Counts(asked=1, late=1)
        model.may_go.set()


async def test_what_has_not_begun_by_its_deadline_is_never_begun() -> None:
    model = Scripted(0.9, is_held=True)
    async with EndOfTurn(model, deadline_s=LONG_S) as end_of_turn:
        first = asyncio.create_task(end_of_turn.judge(b"", PCMU))
        await asyncio.to_thread(model.began.wait, 10)
        end_of_turn._deadline_s = 0.01
        assert await asyncio.gather(*(end_of_turn.judge(b"", PCMU) for _ in range(2))) == [None, None]
        model.may_go.set()
        assert await first == 0.9
    assert len(model.seen) == 1
    assert end_of_turn.counts == Counts(asked=3, late=2)


async def test_when_enough_wait_already_a_call_is_refused_at_once() -> None:
    model = Scripted(*[0.9] * (MOST_PENDING + 1), is_held=True)
    async with EndOfTurn(model, deadline_s=LONG_S) as end_of_turn, asyncio.TaskGroup() as group:
        waiting = [group.create_task(end_of_turn.judge(b"", PCMU)) for _ in range(MOST_PENDING)]
        await asyncio.to_thread(model.began.wait, 10)
        assert await end_of_turn.judge(b"", PCMU) is None
        assert end_of_turn.counts == Counts(asked=MOST_PENDING + 1, refused=1)
        model.may_go.set()
        assert [await task for task in waiting] == [0.9] * MOST_PENDING
        assert await end_of_turn.judge(b"", PCMU) == 0.9


async def test_one_under_way_that_nobody_waits_for_any_more_still_counts_as_waiting() -> None:
    model = Scripted(*[0.9] * MOST_PENDING, is_held=True)
    async with EndOfTurn(model, deadline_s=LONG_S) as end_of_turn, asyncio.TaskGroup() as group:
        left = group.create_task(end_of_turn.judge(b"", PCMU))
        await asyncio.to_thread(model.began.wait, 10)
        left.cancel()
        waiting = [group.create_task(end_of_turn.judge(b"", PCMU)) for _ in range(MOST_PENDING)]
        done, _ = await asyncio.wait(waiting, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == [None]
        assert end_of_turn.counts.refused == 1
        model.may_go.set()


async def test_a_caller_that_is_cancelled_leaves_the_others_alone() -> None:
    model = Scripted(0.9, 0.8, is_held=True)
    async with EndOfTurn(model, deadline_s=LONG_S) as end_of_turn:
        first = asyncio.create_task(end_of_turn.judge(b"", PCMU))
        await asyncio.to_thread(model.began.wait, 10)
        second = asyncio.create_task(end_of_turn.judge(b"", PCMU))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        model.may_go.set()
        assert await second == 0.8


@pytest.mark.parametrize(
    "answer", [RuntimeError("broken"), math.nan, 1.5], ids=["an error", "no number", "out of range"]
)
async def test_a_model_that_fails_is_logged_once_and_counted_each_time(
    answer: float | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with EndOfTurn(Scripted(answer, answer, 0.7), deadline_s=LONG_S) as end_of_turn:
        with caplog.at_level(logging.ERROR):
            assert await end_of_turn.judge(b"", PCMU) is None
            assert await end_of_turn.judge(b"", PCMU) is None
        assert await end_of_turn.judge(b"", PCMU) == 0.7
    assert end_of_turn.counts == Counts(asked=3, failed=2)
    assert [record.message.split(";")[0] for record in caplog.records] == ["The end-of-turn model failed"]


async def test_leaving_drops_what_waits_and_nothing_is_judged_afterwards() -> None:
    model = Scripted(0.9, 0.8, is_held=True)
    async with EndOfTurn(model, deadline_s=LONG_S) as end_of_turn:
        waiting = [asyncio.create_task(end_of_turn.judge(b"", PCMU)) for _ in range(2)]
        await asyncio.to_thread(model.began.wait, 10)
        asyncio.get_running_loop().call_soon(model.may_go.set)
    # The first was under way, the second had not begun.
    assert [await task for task in waiting] == [0.9, None]
    assert await end_of_turn.judge(b"", PCMU) is None
    assert not end_of_turn.is_there
