"""The caller's script as a TOML file.

    [[turn]]
    say = "what are your opening hours"    # or clip = "opening-hours", or wav = "hours.wav"

    [[turn]]
    clip = "stop"
    barge_in = 1.5                         # seconds of the agent's speech heard before the caller cuts in

    [[turn]]
    wait_ms = 500                          # before the rest of the turn
    dtmf = "12#"
    hang_up = true                         # without it the caller listens once more after the last turn

Each turn waits until the agent has spoken and fallen silent (`quiet_ms`, 700 unless given), except one that barges
in. Within a turn the order is: wait, say, digits, hang up. Paths are relative to the script.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from simulator.caller import QUIET_MS, BargeIn, Dtmf, HangUp, Listen, Say, Step, Wait
from simulator.errors import ScriptError, VoiceError
from simulator.sound import Sound
from simulator.voices import Voices

_SOUND_KEYS = ("say", "clip", "wav")
_KEYS: Mapping[str, tuple[type, ...]] = {
    "say": (str,),
    "clip": (str,),
    "wav": (str,),
    "barge_in": (int, float),
    "dtmf": (str,),
    "wait_ms": (int,),
    "quiet_ms": (int,),
    "hang_up": (bool,),
}
_EXPECTED = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def load_script(path: Path, voices: Voices) -> tuple[Step, ...]:
    """The steps of a script, its sounds made. Raises `ScriptError` naming the file, the turn and the key."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScriptError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path}: is not TOML: {error}") from error
    if unknown := sorted(tables.keys() - {"turn"}):
        raise ScriptError(f"{path}: unknown key {unknown[0]!r}; a script holds [[turn]] tables")
    turns = tables.get("turn")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) for turn in turns):
        raise ScriptError(f"{path}: a script holds at least one [[turn]] table")
    steps: list[Step] = []
    for number, turn in enumerate(turns, start=1):
        steps += _Turn(path, number, turn).steps(voices)
    return tuple(steps)


class _Turn:
    """One `[[turn]]`, and how to tell what is wrong with it."""

    def __init__(self, path: Path, number: int, keys: Mapping[str, object]) -> None:
        self._path = path
        self._where = f"{path}: turn {number}"
        self._keys = keys
        for key, value in keys.items():
            if key not in _KEYS:
                raise ScriptError(f"{self._where}: unknown key {key!r}; known are {', '.join(_KEYS)}")
            kinds = _KEYS[key]
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise ScriptError(f"{self._where}: {key} is {_EXPECTED[kinds[-1]]}, got {value!r}")

    def steps(self, voices: Voices) -> list[Step]:
        sound = self._sound(voices)
        quiet_ms, wait_ms = self._whole("quiet_ms", QUIET_MS), self._whole("wait_ms", 0)
        barge_in_s = self._keys.get("barge_in")
        steps: list[Step] = []
        if barge_in_s is None:
            steps.append(Listen(quiet_ms=quiet_ms))
        if wait_ms:
            steps.append(Wait(wait_ms))
        if barge_in_s is not None:
            steps.append(self._barge_in(barge_in_s, sound))
        elif sound is not None:
            steps.append(Say(sound))
        if "dtmf" in self._keys:
            steps.append(self._dtmf())
        if self._keys.get("hang_up"):
            steps.append(HangUp())
        if len(steps) == 1 and isinstance(steps[0], Listen):
            raise ScriptError(f"{self._where}: does nothing; give say, clip, wav, dtmf, wait_ms or hang_up")
        return steps

    def _sound(self, voices: Voices) -> Sound | None:
        named = [key for key in _SOUND_KEYS if key in self._keys]
        if len(named) > 1:
            raise ScriptError(f"{self._where}: give one of {' and '.join(named)}, not both")
        if not named:
            return None
        key, value = named[0], str(self._keys[named[0]])
        try:
            match key:
                case "say":
                    return voices.speak(value)
                case "clip":
                    return voices.clip(value)
                case _:
                    return voices.wav(self._path.parent / value)
        except VoiceError as error:
            raise ScriptError(f"{self._where}: {key}: {error}") from error

    def _barge_in(self, after_s: object, sound: Sound | None) -> BargeIn:
        assert isinstance(after_s, int | float)
        if sound is None:
            raise ScriptError(f"{self._where}: barge_in needs something to say: give say, clip or wav")
        if after_s < 0:
            raise ScriptError(f"{self._where}: barge_in is a number of seconds from 0 on, got {after_s}")
        return BargeIn(round(after_s * 1000), sound)

    def _dtmf(self) -> Dtmf:
        try:
            return Dtmf(str(self._keys["dtmf"]))
        except ValueError as error:
            raise ScriptError(f"{self._where}: dtmf: {error}") from error

    def _whole(self, key: str, default: int) -> int:
        value = self._keys.get(key, default)
        assert isinstance(value, int)
        if value < 0:
            raise ScriptError(f"{self._where}: {key} is a number from 0 on, got {value}")
        return value
