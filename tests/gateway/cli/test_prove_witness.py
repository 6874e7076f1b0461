from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest

from gateway.cli.prove_marks import Mark, marked
from gateway.cli.prove_report import runs_of
from gateway.cli.prove_witness import (
    PAUSE_MS,
    WORD_MS,
    Ledger,
    WitnessModel,
    WitnessTranscriber,
    WitnessVoice,
    read_ledger,
    words_of,
)
from pipeline.audio import g711
from pipeline.audio.formats import PCMU
from pipeline.events.items import InputAudio, Message, OutputAudio
from pipeline.provider import Prompt, TextDelta
from simulator.sound import Codec
from simulator.voices import Voices

pytestmark = pytest.mark.anyio


async def pieces(*sounds: bytes) -> AsyncGenerator[bytes, None]:
    for sound in sounds:
        yield sound


async def clauses(*texts: str) -> AsyncGenerator[str, None]:
    for text in texts:
        yield text


def user(number: int, text: str) -> Message:
    return Message(id=f"user_{number}", role="user", content=(InputAudio(transcript=text),))


def agent(number: int, text: str) -> Message:
    return Message(id=f"agent_{number}", role="assistant", content=(OutputAudio(transcript=text),))


async def test_the_transcriber_says_which_turn_it_heard() -> None:
    law = Codec.PCMU.encode(marked(Voices().clip("hello"), Mark(12, 3)).pcm)
    heard = WitnessTranscriber().transcribe(pieces(law[:900], law[900:]), format=PCMU, language=None)
    assert [(one.text, one.is_final) async for one in heard] == [("This is turn 3 of call 12.", True)]


def test_sound_without_marks_is_something_that_was_said() -> None:
    assert words_of(()) == "Something was said."


async def test_the_model_writes_down_what_it_was_told_of_and_names_the_turn_it_answers(tmp_path: Path) -> None:
    model = WitnessModel(Ledger(tmp_path / "ledger"), words=8)
    prompt = Prompt(
        "",
        (
            user(1, words_of([Mark(12, 1)])),
            agent(1, "To turn 1 of call 12"),
            user(2, words_of([Mark(12, 2), Mark(12, 3)])),
        ),
    )
    before_s = time.monotonic()
    answer = [one async for one in model.respond(prompt)]
    assert answer == [TextDelta("To turn 3 of call 12 word word.")]
    (told,) = read_ledger(tmp_path / "ledger")
    assert (told.call, told.turns, told.answers) == (12, (1, 2, 3), (1,))
    assert before_s <= told.at_s <= time.monotonic()


async def test_the_model_answers_a_stranger_and_writes_nothing(tmp_path: Path) -> None:
    model = WitnessModel(Ledger(tmp_path / "ledger"), words=2)
    assert [one async for one in model.respond(Prompt("", (user(1, "hello"),)))] == [TextDelta("word word.")]
    assert read_ledger(tmp_path / "ledger") == ()


def test_a_line_that_a_killed_worker_did_not_finish_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text('{"call":1,"turns":[1],"at_s":2.0,"pid":3}\n{"call":1,"tur')
    assert [told.turns for told in read_ledger(path)] == [(1,)]
    assert read_ledger(tmp_path / "none") == ()


async def test_the_voice_hums_each_word_and_pauses_after_it() -> None:
    spoken = [
        one async for one in WitnessVoice().speak(clauses("one two", "three"), format=PCMU, voice=None, speed=1.0)
    ]
    sound = np.frombuffer(g711.decode(b"".join(one.audio for one in spoken), PCMU.encoding), "<i2")
    lengths = [run.end_ms - run.start_ms for run in runs_of(sound)]
    starts = [run.start_ms for run in runs_of(sound)]
    assert lengths == pytest.approx([WORD_MS] * 3, abs=2)
    assert starts == pytest.approx([0, WORD_MS + PAUSE_MS, 2 * (WORD_MS + PAUSE_MS)], abs=2)
    assert [one.text for one in spoken] == ["one two", "", "three"]
    assert [time.start_ms for time in spoken[0].words] == [0, WORD_MS + PAUSE_MS]
