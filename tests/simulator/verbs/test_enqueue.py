from __future__ import annotations

from collections.abc import Callable

import pytest
from aiohttp import web

from simulator.call_result import EndReason
from simulator.caller import Dtmf, HangUp, Listen, Wait
from simulator.queues import Queues
from tests.simulator.throwaway_gateway import Page, twiml
from tests.simulator.verbs.played import played, verbs

pytestmark = pytest.mark.anyio

ENQUEUE = '<Enqueue action="/left" waitUrl="/wait">support</Enqueue><Say>never</Say>'


def in_turn(*documents: str) -> Callable[[dict[str, str]], web.Response]:
    """Each document once, the last again and again."""
    left = list(documents)
    return lambda form: twiml(left.pop(0) if len(left) > 1 else left[0])


async def test_the_wait_url_is_asked_again_and_again_until_leave() -> None:
    pages: dict[str, str | Page] = {
        "/voice": ENQUEUE,
        "/wait": in_turn('<Pause length="4"/>', '<Pause length="5"/>', "<Leave/>"),
    }
    result, gateway = await played({**pages, "/left": "<Hangup/>"}, Listen())
    waits = gateway.forms_at("/wait")
    assert [one["QueueTime"] for one in waits] == ["0", "4", "9"]
    assert {(one["QueuePosition"], one["CurrentQueueSize"], one["AvgQueueTime"]) for one in waits} == {
        ("1", "1", "0"), ("1", "1", "4"), ("1", "1", "9"),
    }  # fmt: skip
    [left] = gateway.forms_at("/left")
    assert (left["QueueResult"], left["QueueTime"], left["QueueSid"]) == ("leave", "9", waits[0]["QueueSid"])
    assert verbs(result)[-2:] == ["Leave", "Hangup"]


async def test_without_an_action_the_next_verb_follows() -> None:
    pages = {"/voice": '<Enqueue waitUrl="/wait">q</Enqueue><Say>welcome back</Say>', "/wait": "<Leave/>"}
    result, _ = await played(dict(pages), Listen())
    assert result.spoken_verbs == ("welcome back",)


async def test_a_key_in_the_queue_is_told_to_its_action_which_speaks_in_the_queue() -> None:
    pages = {
        "/voice": ENQUEUE,
        "/wait": '<Gather numDigits="1" action="/key" timeout="2"><Say>press one</Say></Gather>',
        "/key": "<Redirect>/gone</Redirect>",
        "/gone": "<Leave/>",
        "/left": "<Hangup/>",
    }
    result, gateway = await played(dict(pages), Wait(5_000), Dtmf("1"))
    assert gateway.forms_at("/key")[0]["Digits"] == "1"
    assert gateway.forms_at("/key")[0]["QueuePosition"] == "1"
    assert len(gateway.forms_at("/wait")) == 2
    assert result.end_reason is EndReason.HANGUP_VERB


async def test_a_caller_may_hang_up_in_the_queue_and_so_may_the_gateway() -> None:
    queues = Queues()
    pages = {"/voice": ENQUEUE, "/wait": "<Say>hold the line please</Say><Play>/music.mp3</Play>"}
    result, gateway = await played(dict(pages), Wait(10_000), HangUp(), queues=queues)
    assert result.end_reason is EndReason.CALLER_HUNG_UP
    assert result.duration_s == pytest.approx(10)
    assert queues.size("support") == 0 and gateway.forms_at("/left") == []
    result, _ = await played({**pages, "/wait": "<Hangup/>"}, Listen())
    assert result.end_reason is EndReason.HANGUP_VERB


async def test_a_full_queue_takes_nobody_in() -> None:
    queues = Queues()
    queues.enter("support", "CA0", 0.0)
    pages = {"/voice": ENQUEUE.replace("action", 'maxQueueSize="1" action'), "/left": "<Hangup/>"}
    _, gateway = await played(dict(pages), Listen(), queues=queues)
    [left] = gateway.forms_at("/left")
    assert left["QueueResult"] == "queue-full" and "QueueTime" not in left


async def test_a_wait_url_that_fails_ends_the_waiting_with_an_error() -> None:
    result, gateway = await played({"/voice": ENQUEUE, "/left": "<Hangup/>"}, Listen())
    assert gateway.forms_at("/left")[0]["QueueResult"] == "error"
    assert [one.code for one in result.complaints] == [11217]


async def test_what_cannot_be_heard_in_a_queue_is_left_out_and_an_empty_document_does_not_spin() -> None:
    pages = {"/voice": ENQUEUE, "/wait": "<Record/>"}
    result, gateway = await played(dict(pages), Listen(), max_call_s=10)
    assert result.end_reason is EndReason.TOO_LONG
    assert len(gateway.forms_at("/wait")) == 10
    assert "<Record> cannot be heard in a queue" in result.complaints[0].message


async def test_without_a_wait_url_there_is_music_until_somebody_hangs_up() -> None:
    voice = {"/voice": "<Enqueue>q</Enqueue>"}
    result, _ = await played(dict(voice), Wait(9_000), HangUp())
    assert result.end_reason is EndReason.CALLER_HUNG_UP
    result, _ = await played(dict(voice), Listen())
    assert result.end_reason is EndReason.TOO_LONG
    assert result.duration_s == pytest.approx(60)


async def test_a_circle_of_redirects_in_the_queue_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.verbs.enqueue.MAX_WAIT_DOCUMENTS", 20)
    result, _ = await played({"/voice": ENQUEUE, "/wait": "<Redirect>/wait</Redirect>"}, Listen())
    assert result.end_reason is EndReason.TOO_MANY_DOCUMENTS
    assert "Leave" not in verbs(result)


async def test_leave_outside_a_queue_does_nothing() -> None:
    result, _ = await played({"/voice": "<Leave/><Say>still here</Say>"}, Listen())
    assert result.spoken_verbs == ("still here",)
