"""Keys for tools: taken while one collects, left alone otherwise, ended by speech, silence or the last key."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.audio.dtmf import tones
from pipeline.audio.formats import PCMU
from pipeline.call_controls import Collected
from pipeline.events.input_audio import SpeechStarted, SpeechStopped
from pipeline.keypad import KEYS_AHEAD, Keypad
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


def keypad(*, plays: bool = True) -> tuple[Keypad, list[bytes], list[object]]:
    played: list[bytes] = []
    noted: list[object] = []

    def play(sound: bytes) -> bool:
        played.append(sound)
        return plays

    return Keypad({}, PCMU, play, lambda event, fields: noted.append((event, dict(fields)))), played, noted


async def collecting(keys: Keypad, most: int = 4, until: str = "#") -> asyncio.Task[Collected]:
    task = asyncio.create_task(keys.collect_digits(most=most, until=until, timeout_s=8.0))
    await asyncio.sleep(0)
    return task


async def test_keys_are_nobodys_while_no_tool_collects() -> None:
    keys, _, _ = keypad()
    assert not keys.press("1")
    task = await collecting(keys, most=1)
    assert keys.press("2")
    assert await task == Collected("2", "complete")
    assert not keys.press("3")


async def test_the_last_key_ends_an_entry_and_is_no_part_of_it() -> None:
    keys, _, _ = keypad()
    task = await collecting(keys)
    for key in "12#":
        keys.press(key)
    assert await task == Collected("12", "complete")


async def test_silence_ends_an_entry_with_what_there_is() -> None:
    keys, _, _ = keypad()
    task = await collecting(keys)
    keys.press("7")
    assert await task == Collected("7", "timeout")


async def test_a_caller_who_speaks_instead_is_heard() -> None:
    keys, _, _ = keypad()
    task = await collecting(keys)
    keys.see(SpeechStarted(event_id="e", audio_start_ms=0, item_id="i"))
    keys.press("7")
    keys.see(SpeechStopped(event_id="e", audio_end_ms=0, item_id="i"))
    assert await task == Collected("7", "caller_spoke")
    keys.see(SpeechStopped(event_id="e", audio_end_ms=0, item_id="i"))  # nobody collects any more


async def test_more_keys_than_anybody_takes_are_left_alone() -> None:
    keys, _, _ = keypad()
    task = await collecting(keys, most=99)
    assert all(keys.press("1") for _ in range(KEYS_AHEAD))
    assert not keys.press("1")
    keys.see(SpeechStopped(event_id="e", audio_end_ms=0, item_id="i"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not keys.press("1")


async def test_of_two_collections_the_later_has_the_keys() -> None:
    keys, _, _ = keypad()
    first, second = await collecting(keys), await collecting(keys, most=1)
    keys.press("5")
    assert await second == Collected("5", "complete")
    assert await first == Collected("", "timeout")


async def test_keys_are_played_as_tones_and_notes_recorded() -> None:
    keys, played, noted = keypad()
    assert keys.send_digits("1w2") == pytest.approx(0.9)
    assert played == [tones("1w2", PCMU)]
    keys.note("transfer.asked", to="sales")
    assert noted == [("transfer.asked", {"to": "sales"})]
    assert keypad(plays=False)[0].send_digits("1") == 0.0
