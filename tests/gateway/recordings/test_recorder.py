"""What records a process's calls, from the settings to the files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.recordings import recorder as recording
from gateway.recordings.recorder import Recorder, make_recorder
from gateway.recordings.sidecar import State
from pipeline.audio.formats import PCMA, PCMU
from tests.gateway.recordings.support import (
    CALL,
    STREAM,
    channels,
    finished,
    left_behind,
    new_folder,
    sidecar,
    sound,
)

pytestmark = pytest.mark.anyio


def made(
    place: Path | str, ends: list[State], record: str = "all", format: str = "g711", spool: str = ""
) -> Recorder:
    recorder = make_recorder(
        record=record,
        place=str(place),
        spool=spool,
        keep_days=0,
        format=format,
        count=ends.append,
        show_waiting=lambda _size: None,
    )
    assert recorder is not None
    return recorder


@pytest.mark.parametrize(("format", "encoding"), [("g711", "alaw"), ("pcm16", "pcm16")])
async def test_a_stream_is_recorded_for_as_long_as_it_lasts(tmp_path: Path, format: str, encoding: str) -> None:
    ends: list[State] = []
    recorder = made(tmp_path / "rec", ends, format=format)
    async with recorder.opened():
        with recorder.recorded(CALL, 2, STREAM, PCMA, 1.5, lambda: 0.0) as going_on:
            assert going_on is not None
    assert ends == [State.WHOLE]
    (part,) = recorder.shelf.parts(CALL)
    assert (part.part, part.offset_ms, part.stream_sid, part.encoding) == (2, 1_500, STREAM, encoding)


async def test_whoever_keeps_the_journal_is_told_which_part_it_became(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    finished(folder)  # the number is taken
    told: asyncio.Queue[dict[str, object]] = asyncio.Queue()
    recorder = made(folder.path, [])
    async with recorder.opened():
        with recorder.recorded(CALL, 1, STREAM, PCMU, 0.0, lambda: 0.0, note=told.put_nowait):
            async with asyncio.timeout(30):
                assert await told.get() == {"event": "recording.started", "part": 2, "name": f"{CALL}.2.wav"}


async def test_a_part_that_is_paused_before_its_first_frame_is_silent_from_the_first_sample(tmp_path: Path) -> None:
    recorder = made(tmp_path / "rec", [])
    async with recorder.opened():
        with recorder.recorded(CALL, 2, STREAM, PCMU, 0.0, lambda: 0.2) as going_on:
            assert going_on is not None
            going_on.pause()
            for number in range(10):
                going_on.hear(sound(160), number * 20, number * 0.02)
    (part,) = recorder.shelf.parts(CALL)
    assert set(channels(tmp_path / "rec" / part.name)[0]) == {0xFF}
    assert [(one.from_ms, one.to_ms) for one in part.pauses] == [(0, 200)]


def test_a_loop_that_is_closed_is_told_nothing() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    told: list[dict[str, object]] = []
    recording._tell(loop, told.append, sidecar())
    assert told == []


async def test_where_recording_is_off_what_was_recorded_is_still_seen_to(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    left_behind(folder)
    recorder = made(folder.path, [], record="off")
    async with recorder.opened():
        with recorder.recorded(CALL, 1, STREAM, PCMU, 0.0, lambda: 0.0) as going_on:
            assert going_on is None
    assert [part.state for part in recorder.shelf.parts(CALL)] == [State.PARTIAL]


async def test_a_call_whose_id_is_none_is_not_recorded(tmp_path: Path) -> None:
    recorder = made(tmp_path / "rec", [])
    with recorder.recorded("../../etc/passwd", 1, STREAM, PCMU, 0.0, lambda: 0.0) as going_on:
        assert going_on is None


async def test_a_folder_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="SWITCHBOARD_RECORDINGS"):
        async with made(tmp_path / "file", []).opened():
            raise AssertionError("it opened")


async def test_what_could_not_be_finished_in_time_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = made(tmp_path / "rec", [])
    async with recorder.opened():
        monkeypatch.setattr(recorder._writer, "stop", lambda: False)
        monkeypatch.setattr(recorder._upkeep, "stop", lambda: False)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_without_a_place_there_is_no_recorder() -> None:
    assert (
        make_recorder(record="all", place="", spool="", keep_days=0, format="g711", count=print, show_waiting=print)
        is None
    )


def test_a_bucket_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match=r"switchboard-voice\[s3\]"):
        made("s3://calls", [], spool=str(tmp_path))


def test_a_bucket_has_a_folder_on_the_way(tmp_path: Path) -> None:
    pytest.importorskip("obstore", reason="the extra `s3` is not installed")
    assert made("s3://calls/prefix", [], spool=str(tmp_path))._folder.path == tmp_path
    with pytest.raises(SettingsError, match="s3://BUCKET"):
        made("s3://", [], spool=str(tmp_path))
