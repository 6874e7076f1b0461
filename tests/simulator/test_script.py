from __future__ import annotations

from pathlib import Path

import pytest

from simulator.caller import BargeIn, Dtmf, HangUp, Listen, Say, Step, Wait
from simulator.errors import ScriptError
from simulator.script import load_script
from simulator.voices import Voices

VOICES = Voices(find_program=lambda name: None)


def load(folder: Path, text: str) -> tuple[Step, ...]:
    path = folder / "talk.toml"
    path.write_text(text)
    return load_script(path, VOICES)


def test_a_script_becomes_steps_in_order(tmp_path: Path) -> None:
    text = """
        [[turn]]
        say = "What are your opening hours?"
        [[turn]]
        clip = "stop"
        barge_in = 1.5
        [[turn]]
        quiet_ms = 300
        wait_ms = 500
        dtmf = "12#"
        hang_up = true
    """
    assert load(tmp_path, text) == (
        Listen(),
        Say(VOICES.clip("opening-hours")),
        BargeIn(1500, VOICES.clip("stop")),
        Listen(quiet_ms=300),
        Wait(500),
        Dtmf("12#"),
        HangUp(),
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("turn", "is not TOML"),
        ("", "at least one [[turn]]"),
        ("turn = 3", "at least one [[turn]]"),
        ("turn = [1]", "at least one [[turn]]"),
        ("[[turns]]", "unknown key 'turns'"),
        ("[[turn]]\nsya = 'x'", "turn 1: unknown key 'sya'; known are say, clip"),
        ("[[turn]]\nsay = 3", "turn 1: say is a text, got 3"),
        ("[[turn]]\nclip = 'yes'\n[[turn]]\nwait_ms = 1.5", "turn 2: wait_ms is a whole number, got 1.5"),
        ("[[turn]]\nwait_ms = true", "turn 1: wait_ms is a whole number, got True"),
        ("[[turn]]\nwait_ms = -1", "turn 1: wait_ms is a number from 0 on, got -1"),
        ("[[turn]]\nsay = 'yes'\nclip = 'no'", "give one of say and clip, not both"),
        ("[[turn]]\nclip = 'maybe'", "clip: there is no shipped clip called 'maybe'"),
        ("[[turn]]\nsay = 'abracadabra'", "say: no voice on this machine"),
        ("[[turn]]\nwav = 'no.wav'", "wav: "),
        ("[[turn]]\nbarge_in = 1", "turn 1: barge_in needs something to say"),
        ("[[turn]]\nbarge_in = -1\nclip = 'no'", "turn 1: barge_in is a number of seconds"),
        ("[[turn]]\nbarge_in = 'x'\nclip = 'no'", "turn 1: barge_in is a number, got 'x'"),
        ("[[turn]]\ndtmf = '1x'", "turn 1: dtmf: digits are"),
        ("[[turn]]\nquiet_ms = 3", "turn 1: does nothing"),
        ("[[turn]]\nhang_up = 1", "turn 1: hang_up is true or false, got 1"),
    ],
)
def test_a_wrong_script_names_the_file_the_turn_and_the_key(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ScriptError) as refused:
        load(tmp_path, text)
    assert str(refused.value).startswith(str(tmp_path / "talk.toml"))
    assert fault in str(refused.value)


def test_a_missing_script_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"none\.toml: cannot be read: No such file"):
        load_script(tmp_path / "none.toml", VOICES)
