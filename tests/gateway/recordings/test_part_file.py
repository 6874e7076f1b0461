"""The files of a part: right while it grows, and what becomes of them when the disk will not have it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
import wave
from pathlib import Path

import pytest

from gateway.recordings import wav
from gateway.recordings.part_file import CHECKPOINT_S, PARTS_TRIED, PartFile
from gateway.recordings.sidecar import State
from gateway.recordings.two_tracks import Pause
from pipeline.audio import g711
from pipeline.audio.formats import PCMU
from tests.gateway.recordings.support import CALL, channels, mode_of, new_folder, sidecar, sound, stretch


def test_a_part_holds_both_channels_and_says_that_it_is_whole(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    file = PartFile(folder.path, sidecar(), PCMU)
    file.write(stretch(0, 300), 0.0)
    file.write(stretch(300, 500), 1.0)
    assert file.finish(800, [Pause(80, 160)]) is State.WHOLE
    assert channels(folder.path / f"{CALL}.1.wav") == (sound(800), sound(800, 100))
    told = json.loads((folder.path / f"{CALL}.1.json").read_text())
    assert (told["state"], told["duration_ms"], told["reasons"]) == ("whole", 100, [])
    assert (told["pauses"], told["pause_count"]) == ([{"from_ms": 10, "to_ms": 20}], 1)
    assert {mode_of(path) for path in folder.path.iterdir()} == {0o600}


def test_as_pcm_every_reader_has_it(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    file = PartFile(folder.path, sidecar(encoding="pcm16"), PCMU)
    file.write(stretch(0, 800), 0.0)
    file.finish(800, [])
    with wave.open(str(folder.path / f"{CALL}.1.wav")) as read:
        frames = read.readframes(900)
    caller = b"".join(frames[at : at + 2] for at in range(0, len(frames), 4))
    assert caller == g711.ulaw_to_pcm16(sound(800))


def test_what_is_missing_is_silence_so_that_the_time_stays_true(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    file = PartFile(folder.path, sidecar(), PCMU)
    file.write(stretch(0, 100), 0.0)
    file.miss("the disk did not keep up")
    file.write(stretch(200, 100), 1.0)
    assert file.finish(400, []) is State.PARTIAL
    caller, _ = channels(folder.path / f"{CALL}.1.wav")
    assert caller == sound(100) + b"\xff" * 100 + sound(100, 200) + b"\xff" * 100


def test_a_file_that_grows_can_be_read_at_any_time(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    file = PartFile(folder.path, sidecar(encoding="pcm16"), PCMU)
    path = folder.path / f"{CALL}.1.wav"
    with wave.open(str(path)) as read:
        assert read.getnframes() == 0
    file.write(stretch(0, 800), CHECKPOINT_S)
    file.write(stretch(800, 800), CHECKPOINT_S + 1)
    with wave.open(str(path)) as read:
        assert read.getnframes() == 800  # the header of the last checkpoint
    file.write(stretch(1_600, 800), 2 * CHECKPOINT_S)
    with wave.open(str(path)) as read:
        assert read.getnframes() == 2_400
    file.finish(2_400, [])


def test_a_number_that_is_taken_is_not_taken_twice(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    for part in range(1, PARTS_TRIED + 1):
        file = PartFile(folder.path, sidecar(), PCMU)
        assert (file.sidecar.part, file.sidecar.generation) == (part, 1)
        file.finish(0, [])
    with pytest.raises(FileExistsError, match="50 parts"):
        PartFile(folder.path, sidecar(), PCMU)


def test_a_part_whose_sidecar_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    (folder.path / f"{CALL}.1.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        PartFile(folder.path, sidecar(), PCMU)
    assert not (folder.path / f"{CALL}.1.wav").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_is_taken_away_is_lost_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = new_folder(tmp_path)
    file = PartFile(folder.path, sidecar(), PCMU)
    (folder.path / f"{CALL}.1.wav").unlink()
    file.write(stretch(0, 100), 0.0)
    with caplog.at_level(logging.ERROR):
        assert file.finish(100, []) is State.LOST
    assert [record.message for record in caplog.records] == [
        f"recording of {CALL} is lost: its file was taken away"
    ]


FULL_DISK = textwrap.dedent(
    """
    import resource, signal, sys
    from pathlib import Path
    from gateway.recordings.part_file import PartFile
    from pipeline.audio.formats import PCMU
    from tests.gateway.recordings.support import sidecar, stretch

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_001, resource.RLIM_INFINITY))
    file = PartFile(Path(sys.argv[1]), sidecar(), PCMU)
    for first in range(0, 8_000, 800):
        file.write(stretch(first, 800), 0.0)
    if sys.argv[2] == "room":
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        file.write(stretch(8_000, 800), 1.0)
        print(file.finish(8_800, []).value)
    else:
        print(file.finish(8_000, []).value)
    """
)


@pytest.mark.parametrize("later", ["room", "none"])
def test_a_disk_that_is_full_makes_a_part_partial_and_it_can_be_read(tmp_path: Path, later: str) -> None:
    folder = new_folder(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, folder.path, later],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["partial"]
    assert done.stderr.count("File too large") == 1, "one line in the log"
    told = json.loads((folder.path / f"{CALL}.1.json").read_text())
    caller, agent = channels(folder.path / f"{CALL}.1.wav")
    assert (told["state"], told["reasons"], len(caller)) == ("partial", ["File too large"], len(agent))
    kept = (10_001 - wav.HEAD_BYTES) // 2
    if later == "room":
        assert told["duration_ms"] == 1_100
        assert caller == sound(kept) + b"\xff" * (8_000 - kept) + sound(800, 8_000)
    else:
        assert told["duration_ms"] == kept // 8
        assert caller == sound(kept)


def test_a_sidecar_that_cannot_be_written_is_told_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = new_folder(tmp_path)
    file = PartFile(folder.path, sidecar(), PCMU)

    def refuse(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pwrite", refuse)
    file.write(stretch(0, 100), 0.0)
    with caplog.at_level(logging.ERROR):
        assert file.finish(100, []) is State.PARTIAL
    assert [record.message.rpartition("partial: ")[2] for record in caplog.records] == [
        "Input/output error",
        "it could not be closed: Input/output error",
    ]


def test_a_file_as_long_as_can_be_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_folder(tmp_path)
    monkeypatch.setattr(wav, "LONGEST_BYTES", 500)
    file = PartFile(folder.path, sidecar(), PCMU)
    file.write(stretch(0, 200), 0.0)
    file.write(stretch(200, 200), 0.0)
    assert file.finish(400, []) is State.PARTIAL
    assert file.sidecar.reasons == ("File too large",)
    assert os.stat(folder.path / f"{CALL}.1.wav").st_size == wav.HEAD_BYTES + 400
