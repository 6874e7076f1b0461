"""One session with a remote, event by event; whole calls are in `test_worker.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pipeline.audio.formats import PCM_24K
from pipeline.events.config import SessionConfig
from pipeline.provider import ProviderError
from pipeline.upstream.answer import Answer, AnswerState
from pipeline.upstream.connection import Connection
from pipeline.upstream.far_session import BUSY, COMMIT_LIMIT_S, FarSession
from tests.pipeline.upstream.test_remote import CREATED, UPDATED, Scripted
from tests.pipeline.upstream.test_shape import upstream
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, settle

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


async def test_a_remote_that_does_not_take_what_was_said_is_given_up() -> None:
    far = FarSession(upstream(), Connection("far", Scripted(CREATED, UPDATED)))
    running = asyncio.create_task(far.run())
    await far.open(SessionConfig())
    far.commit()
    assert not far.is_idle
    await asyncio.sleep(COMMIT_LIMIT_S + 0.1)
    await running
    assert far.failure is not None and "has not taken what was said" in str(far.failure)
    far.send(b"{}")  # nobody is there any more, and nothing happens


async def test_an_answer_nobody_asked_for_is_not_wanted() -> None:
    began = {"type": "response.created", "response": {"id": "r"}}
    socket = Scripted(CREATED, UPDATED, began)
    far = FarSession(upstream(), Connection("far", socket))
    running = asyncio.create_task(far.run())
    await far.open(SessionConfig())
    await settle()
    assert socket.sent[-1] == {"type": "response.cancel", "event_id": "cancel", "response_id": "r"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


ASK: dict[str, Any] = {"type": "response.create"}


def refusal(code: str, event_id: str | None) -> dict[str, Any]:
    return {"type": "error", "error": {"code": code, "message": "no", "event_id": event_id}}


def ended(response_id: str, *item_ids: str) -> dict[str, Any]:
    output = [{"id": item_id, "type": "message"} for item_id in item_ids]
    return {"type": "response.done", "response": {"id": response_id, "status": "cancelled", "output": output}}


@asynccontextmanager
async def asking(*script: dict[str, Any]) -> AsyncIterator[tuple[FarSession, Answer, Scripted]]:
    """An answer is asked for; then the remote says its script."""
    socket = Scripted(CREATED, UPDATED)
    far = FarSession(upstream(), Connection("far", socket))
    running = asyncio.create_task(far.run())
    await far.open(SessionConfig())
    answer = Answer("mine", PCM_24K, is_aside=False)
    far.ask(answer, ASK)
    for event in script:
        socket.tell(event)
    await settle()
    yield far, answer, socket
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("event_id", ["ask:mine", None])
async def test_an_answer_that_comes_too_soon_after_another_is_asked_for_again(event_id: str | None) -> None:
    async with asking(refusal(BUSY, event_id)) as (far, answer, socket):
        assert socket.sent.count(ASK) == 1 and not far.is_idle
        socket.tell(ended("other"))
        await settle()
        assert socket.sent.count(ASK) == 2
        assert answer.state is AnswerState.ASKED


async def test_one_that_is_not_wanted_any_more_is_not_asked_for_again() -> None:
    async with asking(refusal(BUSY, "ask:mine")) as (far, answer, socket):
        far.cancel(answer)
        socket.tell(ended("other"))
        await settle()
        assert socket.sent.count(ASK) == 1


async def test_an_answer_that_is_refused_has_failed() -> None:
    async with asking(refusal("invalid_value", "ask:mine")) as (far, answer, _):
        with pytest.raises(ProviderError, match="refused to answer: invalid_value"):
            await answer.began(1)
        assert far.is_idle


async def test_one_that_is_cancelled_before_it_began_is_cancelled_when_it_does() -> None:
    async with asking() as (far, answer, socket):
        far.cancel(answer)
        socket.tell({"type": "response.created", "response": {"id": "r"}})
        await settle()
        assert socket.sent[-1]["response_id"] == "r"
        socket.tell(ended("r", "unheard"))
        await settle()
        assert socket.sent[-1] == {"type": "conversation.item.delete", "item_id": "unheard"}
        assert answer.state is AnswerState.OVER


@pytest.mark.parametrize("code", ["response_cancel_not_active", "session_expired", "surprise"])
async def test_errors_that_are_mere_races_or_nobodys_change_nothing(code: str) -> None:
    async with asking(refusal(code, None)) as (far, answer, _):
        assert (far.failure, answer.state) == (None, AnswerState.ASKED)


async def test_when_the_connection_is_lost_every_answer_knows() -> None:
    async with asking() as (far, answer, _):
        far.give_up("died")
        await far.lost.wait()
        with pytest.raises(ProviderError, match="died"):
            await answer.began(1)
