"""How loud each call is: its noise floor, its caller's voice, and where its last sound ends. Many calls at once.

Pure arithmetic on arrays with one row a call ("slot"). Levels are RMS in dBFS of 8 ms blocks, four to a window:
the speech model sees speech for 50 to 200 ms past its end, a block ends with the sound.

* The noise floor falls by at most 3 dB a window and rises by at most 0.3 dB, and does not rise while somebody
  speaks. So it follows the quietest tenth of what is heard: the line, not the voice.
* The voice's level is the loudest recent window that was speech, losing 1 dB a second.
* A block is loud if it is 8 dB above the floor and no more than 30 dB below the voice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

BLOCKS: Final = 4
"""To a window of 32 ms."""

LOUD_ABOVE_FLOOR_DB: Final = 8.0
"""White noise stays within 3 dB of its mean over 8 ms; rooms are less even than that."""

LOUD_BELOW_VOICE_DB: Final = 30.0
"""What lies further below a voice is its echo in the room, a breath, or the line's own hiss between words."""

STILL_ABOVE_FLOOR_DB: Final = 3.0
STILL_BLOCK_ABOVE_FLOOR_DB: Final = 6.0
"""For any single block of a still window: a word that starts in the last 8 ms is not overlooked."""

SPEECH: Final = 0.5
"""Above this probability a window teaches the voice's level."""

NO_SPEECH: Final = 0.3
"""Below this probability a window may raise the noise floor."""

RISE_DB: Final = 0.3
FALL_DB: Final = 3.0
VOICE_FADES_DB: Final = 0.032
"""A window: 1 dB a second."""

FIRST_FLOOR_DB: Final = -60.0
"""A quiet line's; a loud one is learned at 10 dB a second."""

LOWEST_FLOOR_DB: Final = -75.0
"""Below the smallest step of G.711, which is -72 dBFS. What is quieter is digital silence and teaches nothing:
a line that mutes itself between words still has its noise under the words."""

FIRST_VOICE_DB: Final = -30.0
LOWEST_VOICE_DB: Final = -45.0

_LEAST_POWER: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Of some windows, one a row."""

    blocks_db: Floats
    """[rows, blocks]."""
    window_db: Floats
    """[rows]."""

    def only(self, rows: npt.NDArray[np.intp]) -> Levels:
        return Levels(self.blocks_db[rows], self.window_db[rows])


def levels(sound: Floats, blocks: int = BLOCKS) -> Levels:
    """`sound` [rows, samples] within -1 … 1, cut into `blocks` equal parts."""
    rows, samples = sound.shape
    parts = sound.reshape(rows, blocks, samples // blocks)
    power = np.einsum("rbs,rbs->rb", parts, parts) / np.float32(samples // blocks) + np.float32(_LEAST_POWER)
    return Levels(10 * np.log10(power), 10 * np.log10(power.sum(axis=1) / np.float32(blocks)))


class Loudness:
    """What was learned of each call, by slot."""

    def __init__(self, slots: int) -> None:
        self.floor_db: Floats = np.full(slots, FIRST_FLOOR_DB, dtype=np.float32)
        self.voice_db: Floats = np.full(slots, FIRST_VOICE_DB, dtype=np.float32)
        self.loud_until: Integers = np.zeros(slots, dtype=np.int64)
        """Samples since the call's first."""

    def grow(self, more: int) -> None:
        """Add `more` slots."""
        new = Loudness(more)
        self.floor_db = np.concatenate((self.floor_db, new.floor_db))
        self.voice_db = np.concatenate((self.voice_db, new.voice_db))
        self.loud_until = np.concatenate((self.loud_until, new.loud_until))

    def clear(self, slot: int) -> None:
        """Forget the call that had this slot."""
        self.floor_db[slot] = FIRST_FLOOR_DB
        self.voice_db[slot] = FIRST_VOICE_DB
        self.loud_until[slot] = 0

    def is_still(self, slots: Integers, heard: Levels) -> Booleans:
        """Which windows hold nothing but the line's own noise."""
        floor_db = self.floor_db[slots]
        still: Booleans = heard.window_db <= floor_db + STILL_ABOVE_FLOOR_DB
        still &= heard.blocks_db.max(axis=1) <= floor_db + STILL_BLOCK_ABOVE_FLOOR_DB
        return still

    def loud_blocks(self, slots: Integers, heard: Levels) -> Booleans:
        """[rows, blocks]: which blocks are sound, by the rule above."""
        least_db = np.maximum(
            self.floor_db[slots] + LOUD_ABOVE_FLOOR_DB, self.voice_db[slots] - LOUD_BELOW_VOICE_DB
        )
        loud: Booleans = heard.blocks_db > least_db[:, None]
        return loud

    def hear(self, slots: Integers, heard: Levels, probability: Floats) -> None:
        """Learn the floor and the voice from whole windows and their scores. No slot may occur twice."""
        voice_db = np.maximum(self.voice_db[slots] - VOICE_FADES_DB, LOWEST_VOICE_DB)
        speech = probability >= SPEECH
        self.voice_db[slots] = np.where(speech, np.maximum(voice_db, heard.window_db), voice_db)
        floor_db = self.floor_db[slots]
        most_db = np.where(probability < NO_SPEECH, np.float32(RISE_DB), np.float32(0))
        step_db = np.minimum(np.maximum(heard.window_db - floor_db, np.float32(-FALL_DB)), most_db)
        step_db[heard.window_db < LOWEST_FLOOR_DB] = 0.0
        self.floor_db[slots] = floor_db + step_db

    def mark(self, slots: Integers, loud: Booleans, ends: Integers, block_samples: int) -> Integers:
        """Move each call's `loud_until` to the end of its last loud block, never back. Returns it by row.

        `loud` [rows, blocks] are the blocks that end at `ends` [rows].
        """
        blocks_after = np.argmax(loud[:, ::-1], axis=1)
        until = np.where(loud.any(axis=1), ends - blocks_after * block_samples, 0)
        self.loud_until[slots] = np.maximum(self.loud_until[slots], until)
        return self.loud_until[slots]
