from __future__ import annotations

import pytest

from pipeline.audio.formats import PCMU
from pipeline.provider import ProviderError
from pipeline.upstream import answer as answers
from pipeline.upstream.answer import Answer, AnswerState
from pipeline.upstream.wire import Called, Ended, ItemBegan, OfResponse, Sound, SoundDone, Text
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

pytestmark = pytest.mark.anyio
GONE = ProviderError("remote", "is gone", retryable=True)


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


def running() -> Answer:
    answer = Answer("mine", PCMU, is_aside=False)
    answer.begin("theirs")
    return answer


async def test_events_are_taken_in_order_and_then_it_is_waited_for_more() -> None:
    answer = running()
    events: list[OfResponse] = [
        ItemBegan("theirs", "i", False),
        Text("theirs", "i", "Hi."),
        Sound("theirs", "i", 0, bytes(8)),
        SoundDone("theirs"),
    ]
    for event in events:
        answer.take(event)
    assert [await answer.next(1) for _ in events] == events
    assert answer.captions.made_ms == 1
    with pytest.raises(TimeoutError):
        await answer.next(1)


async def test_what_came_before_a_failure_is_still_heard() -> None:
    answer = running()
    answer.take(Text("theirs", "i", "Hi."))
    answer.fail(GONE)
    assert isinstance(await answer.next(1), Text)
    with pytest.raises(ProviderError):
        await answer.next(1)
    answer.fail(GONE)
    assert answer.state is AnswerState.OVER


async def test_one_that_is_not_begun_in_time_or_fails_before_is_told_so() -> None:
    answer = Answer("mine", PCMU, is_aside=False)
    with pytest.raises(TimeoutError):
        await answer.began(1)
    answer.fail(GONE)
    with pytest.raises(ProviderError):
        await answer.began(1)
    await running().began(1)


async def test_what_comes_after_a_cancelling_is_of_no_interest() -> None:
    answer = running()
    answer.step(AnswerState.CANCELLED)
    answer.take(Text("theirs", "i", "Hi."))
    answer.fail(GONE)
    with pytest.raises(TimeoutError):
        await answer.next(1)
    late = Answer("mine", PCMU, is_aside=False)
    late.step(AnswerState.CANCELLED)
    late.begin("theirs")
    assert (late.state, late.theirs) == (AnswerState.CANCELLED, "theirs")


async def test_nobody_listens_to_half_an_hour_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_SOUND_BYTES", 10)
    answer = running()
    answer.take(Sound("theirs", "i", 0, bytes(8)))
    await answer.next(1)
    answer.take(Sound("theirs", "i", 0, bytes(8)))
    answer.take(Sound("theirs", "i", 0, bytes(8)))
    await answer.next(1)
    with pytest.raises(ProviderError, match="more sound"):
        await answer.next(1)


async def test_it_knows_when_only_the_end_is_left() -> None:
    answer = running()
    assert not answer.has_all
    answer.take(Sound("theirs", "i", 0, bytes(8)))
    answer.take(Called("theirs", "i", "c", "f", "{}"))
    answer.take(Ended("theirs", "completed"))
    assert not answer.has_all
    await answer.next(1)
    assert answer.has_all


def test_an_illegal_step_is_a_bug_of_ours() -> None:
    answer = running()
    answer.step(AnswerState.OVER)
    with pytest.raises(AssertionError, match="over cannot become running"):
        answer.step(AnswerState.RUNNING)
