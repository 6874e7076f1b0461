from __future__ import annotations

import json
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np

from simulator.call_result import CallResult, EndReason, Happening
from simulator.playback import Underrun
from simulator.recording import StreamSound, event_line, join_sounds, join_underruns, write_recording

RESULT = CallResult(
    call_sid="CA1",
    stream_sids=(),
    happenings=(Happening(1.5, 20.0, "mark", {"mark": "a"}), Happening(1.6, 30.0, "call.ended", {})),
    turns=(),
    interruptions=(),
    cuts=(),
    agent_utterances=(),
    complaints=(),
    underruns=(),
    spoken_verbs=(),
    end_reason=EndReason.CALLER_HUNG_UP,
    duration_s=1.0,
    received_bytes=0,
    heard_bytes=0,
    caller_sound=np.array([1, 2, 3], np.int16),
    agent_sound=np.array([-1, -2, -3], np.int16),
)


def sound(opened_ms: int, spoken: list[int], heard: list[int]) -> StreamSound:
    def pcm(values: list[int]) -> bytes:
        return np.array(values, "<i2").tobytes()

    return StreamSound(opened_ms, pcm(spoken), pcm(heard), (Underrun(5, 3),), 0, 0)


def test_the_streams_of_a_call_stand_at_their_time_with_silence_between() -> None:
    caller, agent = join_sounds([sound(0, [1, 1], [2]), sound(1, [3], [4, 4, 4])])
    assert caller.tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0]
    assert agent.tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4]
    assert [one.size for one in join_sounds([])] == [0, 0]


def test_underruns_are_told_on_the_calls_clock() -> None:
    assert join_underruns([sound(0, [], []), sound(100, [], [])]) == (Underrun(5, 3), Underrun(105, 3))


def test_a_recording_is_a_stereo_file_and_a_line_for_every_event(tmp_path: Path) -> None:
    sound_path, events_path = write_recording(RESULT, tmp_path / "out" / "a")
    with wave.open(str(sound_path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        assert np.frombuffer(file.readframes(9), "<i2").tolist() == [1, -1, 2, -2, 3, -3]
    lines = [json.loads(line) for line in events_path.read_text().splitlines()]
    assert lines == [
        {"at_s": 1.5, "at_ms": 20.0, "name": "mark", "mark": "a"},
        {"at_s": 1.6, "at_ms": 30.0, "name": "call.ended"},
    ]


def test_an_event_line_ends_its_line() -> None:
    assert event_line(replace(RESULT.happenings[1], at_ms=1 / 3)).endswith(b'"name":"call.ended"}\n')
