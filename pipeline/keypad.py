"""The keypad of a call, for tools that take digits from the caller or send some.

A key goes to the tool that collects; with none, to the conversation. What the caller says ends a collection: a
person who speaks wants to be answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

from pipeline.audio.dtmf import tones
from pipeline.audio.formats import AudioFormat
from pipeline.call_controls import Collected
from pipeline.events.event import ServerEvent
from pipeline.events.input_audio import SpeechStopped
from pipeline.reports import DigitPressed

KEYS_AHEAD = 64
"""Keys pressed faster than they are taken; more are nobody's."""


Hush: TypeAlias = Callable[[], AbstractContextManager[None]]
"""While it is entered, nothing of the call may be recorded."""


class Keypad:
    """The `CallControls` of one call. `play` lets the other end hear a sound, and says whether it could.
    `hush` is entered while digits are collected: nothing of the call may be recorded then."""

    def __init__(
        self,
        facts: Mapping[str, str],
        format: AudioFormat,
        play: Callable[[bytes], bool],
        record: Callable[[str, Mapping[str, str]], None],
        hush: Hush = nullcontext,
    ) -> None:
        self.facts = facts
        self._format = format
        self._play = play
        self._record = record
        self._hush = hush
        self._keys: asyncio.Queue[str | None] | None = None

    def press(self, digit: str) -> bool:
        """A key was pressed. True if a tool has taken it."""
        if self._keys is None or self._keys.full():
            return False
        self._keys.put_nowait(digit)
        return True

    def claimed(self, pressed: DigitPressed) -> DigitPressed:
        """The key, with whether a tool has taken it."""
        return DigitPressed(pressed.digit, is_collected=self.press(pressed.digit))

    def see(self, event: ServerEvent) -> None:
        """An event of the session: somebody has said something."""
        if type(event) is SpeechStopped and self._keys is not None and not self._keys.full():
            self._keys.put_nowait(None)

    async def collect_digits(self, *, most: int, until: str, timeout_s: float) -> Collected:
        """See `CallControls`. Of two collections at once, the later has the keys."""
        with self._hush():
            return await self._collect(most, until, timeout_s)

    async def _collect(self, most: int, until: str, timeout_s: float) -> Collected:
        keys = self._keys = asyncio.Queue(KEYS_AHEAD)
        digits = ""
        try:
            while len(digits) < most:
                async with asyncio.timeout(timeout_s):
                    key = await keys.get()
                if key is None:
                    return Collected(digits, "caller_spoke")
                if key == until:
                    break
                digits += key
        except TimeoutError:
            return Collected(digits, "timeout")
        finally:
            if self._keys is keys:
                self._keys = None
        return Collected(digits, "complete")

    def send_digits(self, digits: str) -> float:
        """See `CallControls`."""
        sound = tones(digits, self._format)
        return self._format.seconds_of(sound) if self._play(sound) else 0.0

    def note(self, event: str, **fields: str) -> None:
        """See `CallControls`."""
        self._record(event, fields)
