"""How long a caller waits in silence before something is said, and what stops it."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.patience import FIRST_WAIT_S, NEXT_WAIT_S, ROUNDS, Patience, Phrase
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s

pytestmark = pytest.mark.anyio

PHRASES = (Phrase("one", b"1"), Phrase("two", b"2"))


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Wait:
    """A caller who is kept waiting or not; a phrase makes it not, until `silence`."""

    def __init__(self) -> None:
        self.is_waiting = False
        self.said: list[tuple[str, float]] = []
        self.patience = Patience(lambda: self.is_waiting, self._fill)
        self.patience.have(PHRASES)
        self._began = now_s()

    def _fill(self, phrase: Phrase) -> None:
        self.said.append((phrase.text, round(now_s() - self._began, 3)))

    def set(self, is_waiting: bool) -> None:
        self.is_waiting = is_waiting
        self.patience.look()


async def test_a_phrase_is_said_after_the_first_wait_and_the_next_after_another() -> None:
    wait = Wait()
    wait.set(True)
    await asyncio.sleep(FIRST_WAIT_S + 0.01)
    wait.set(False)  # the phrase is heard
    await asyncio.sleep(1)
    wait.set(True)
    await asyncio.sleep(NEXT_WAIT_S + 0.01)
    wait.set(False)
    await asyncio.sleep(60)
    assert wait.said == [("one", FIRST_WAIT_S), ("two", pytest.approx(FIRST_WAIT_S + 1.01 + NEXT_WAIT_S))]


async def test_after_the_last_phrase_the_first_is_said_again_but_not_for_ever() -> None:
    wait = Wait()
    for _ in range(20):
        wait.set(True)
        await asyncio.sleep(NEXT_WAIT_S + 0.01)
        wait.set(False)  # it is heard
    assert [text for text, _ in wait.said] == ["one", "two"] * ROUNDS


async def test_an_answer_in_time_leaves_nothing_to_be_said() -> None:
    wait = Wait()
    wait.set(True)
    await asyncio.sleep(FIRST_WAIT_S - 0.1)
    wait.set(False)
    await asyncio.sleep(60)
    assert wait.said == []


async def test_an_answer_that_nobody_told_of_is_noticed_in_time() -> None:
    wait = Wait()
    wait.set(True)
    wait.is_waiting = False
    await asyncio.sleep(60)
    assert wait.said == []


async def test_a_new_wait_begins_with_the_first_phrase() -> None:
    wait = Wait()
    for _ in range(2):
        wait.set(True)
        await asyncio.sleep(FIRST_WAIT_S + 0.01)
        wait.set(False)
        wait.patience.answered()
    assert [text for text, _ in wait.said] == ["one", "one"]


async def test_nothing_is_said_after_the_end() -> None:
    wait = Wait()
    wait.set(True)
    wait.patience.leave()
    wait.patience.look()
    await asyncio.sleep(60)
    assert wait.said == []
