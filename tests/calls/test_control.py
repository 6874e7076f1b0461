"""Calls are steered from any worker: what is asked of one reaches the one that streams the call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from pipeline.agent_tools import BuiltInTool
from simulator.call_result import EndReason
from simulator.caller import HangUp, Listen, Say, Wait
from tests.calls.fleet import Fleet, running_fleet
from tests.calls.steered import BEARER, TOKEN, LiveCall, live_call, url_of
from tests.calls.support import AGENT, LIMIT_S, cascade, clip, documents, running_gateway, spoken
from tests.fakes import FakeModel

pytestmark = pytest.mark.anyio

SALES = "+493012345"
TRANSFERRING = replace(AGENT, tools=(BuiltInTool("transfer", to={"sales": SALES}),))


@asynccontextmanager
async def steered(**changes: Any) -> AsyncGenerator[Fleet, None]:
    changes.setdefault("providers", cascade())
    async with running_fleet(2, SWITCHBOARD_TOKEN=TOKEN, **changes) as fleet:
        yield fleet


def told(response: httpx2.Response) -> tuple[int, str]:
    """The status, and what was done or why not."""
    body = response.json()
    return response.status_code, body["status"] if "status" in body else body["error"]["code"]


@pytest.mark.parametrize("where", ["holder", "other"])
async def test_words_are_said_as_the_agent_whichever_worker_is_asked(where: str) -> None:
    async with steered() as fleet, live_call(fleet) as call:
        worker = call.holder if where == "holder" else call.other
        status, what = told(await call.post("say", {"text": "A colleague is on the way."}, to=worker))
        assert (status, what) in ((200, "speaking"), (202, "waiting"))
        await call.heard("A colleague is on the way.")
        assert (await call.happened("control.say"))["text"] == "A colleague is on the way."


async def test_words_that_interrupt_are_said_now_and_others_wait_until_the_agent_has_finished() -> None:
    words = " ".join(f"word{number}" for number in range(60)) + "."
    async with steered(agent=replace(AGENT, greeting=words)) as fleet, live_call(fleet, greets=False) as call:
        assert told(await call.post("say", {"text": "Second."})) == (202, "waiting")
        assert told(await call.post("say", {"text": "First.", "interrupts": True})) == (200, "speaking")
        first, second = await call.heard("First."), await call.heard("Second.")
        cut = await call.happened("transcript.truncated")
    assert cut["at_s"] <= first["at_s"] < second["at_s"]
    assert "word59" not in cut["heard"]


async def test_a_whisper_is_told_to_the_model_and_the_caller_does_not_hear_it() -> None:
    model = FakeModel("Certainly, you are most welcome.", "And more.")
    steps = (Wait(1_500), Say(clip("yes")), Listen(quiet_ms=500), HangUp())
    async with steered(providers=cascade(model=model)) as fleet, live_call(fleet, *steps) as call:
        assert told(await call.post("whisper", {"text": "They are a VIP."})) == (200, "told")
        await call.result()
        journal = await fleet.journal(call.sid)
    assert ("system", "They are a VIP.") in spoken(model.prompts[0])
    assert not any("VIP" in str(one) for one in journal if one["event"] == "transcript.done")


async def test_a_whisper_that_wants_an_answer_has_the_agent_act_on_it() -> None:
    model = FakeModel("Your order has just been shipped.")
    async with steered(providers=cascade(model=model)) as fleet, live_call(fleet) as call:
        status, _ = told(await call.post("whisper", {"text": "Tell them that it is shipped.", "answer": True}))
        assert status in (200, 202)
        await call.heard("just been shipped")
    assert spoken(model.prompts[0])[-1] == ("system", "Tell them that it is shipped.")


async def test_a_hang_up_says_its_farewell_and_ends_the_call() -> None:
    async with steered() as fleet, live_call(fleet) as call:
        assert told(await call.post("hangup", {"farewell": "Goodbye then."})) == (200, "hanging_up")
        assert told(await call.post("say", {"text": "Wait!"})) == (409, "call_ending")
        result = await call.result()
        journal = await fleet.journal(call.sid)
    assert result.end_reason is EndReason.HANGUP_VERB
    assert [one["text"] for one in journal if one["event"] == "transcript.done"][-1] == "Goodbye then."
    assert [one["reason"] for one in journal if one["event"] == "call.ended"] == ["agent_hung_up"]


async def test_a_hang_up_without_a_body_ends_the_call_at_once() -> None:
    async with steered() as fleet, live_call(fleet) as call:
        async with httpx2.AsyncClient() as client:
            url = f"{url_of(call.other)}/v1/calls/{call.sid}/hangup"
            assert told(await client.post(url, headers=BEARER)) == (200, "hanging_up")
        assert (await call.result()).end_reason is EndReason.HANGUP_VERB


async def test_a_caller_who_talks_over_the_farewell_is_hung_up_on_all_the_same() -> None:
    farewell = " ".join(f"word{number}" for number in range(60)) + "."
    steps = (Wait(3_000), Say(clip("no")), Wait(20_000), HangUp())
    async with steered() as fleet, live_call(fleet, *steps) as call:
        await call.post("hangup", {"farewell": farewell})
        result = await call.result()
    assert result.end_reason is EndReason.HANGUP_VERB


@pytest.mark.parametrize("to", ["sales", SALES])
async def test_a_caller_is_connected_to_a_number_of_the_agents_file(to: str) -> None:
    async with steered(agent=TRANSFERRING) as fleet, live_call(fleet) as call:
        assert told(await call.post("transfer", {"to": to, "farewell": "One moment."})) == (200, "transferring")
        result = await call.result()
    assert any(f">{SALES}</Number>" in one or f">{SALES}</Dial>" in one for one in documents(result))


@pytest.mark.parametrize("agent", [AGENT, TRANSFERRING], ids=["no transfers", "other numbers"])
async def test_a_number_that_the_agents_file_does_not_name_is_refused_and_the_call_goes_on(agent: Any) -> None:
    async with steered(agent=agent) as fleet, live_call(fleet) as call:
        refused = await call.post("transfer", {"to": "+19005550199"})
        assert told(refused) == (403, "transfer_not_allowed")
        assert refused.json()["error"]["param"] == "to"
        assert not call.calling.done()


async def test_more_orders_than_can_wait_are_refused() -> None:
    words = " ".join(f"word{number}" for number in range(90)) + "."
    async with steered(agent=replace(AGENT, greeting=words)) as fleet, live_call(fleet, greets=False) as call:
        said = [told(await call.post("say", {"text": f"Number {number}."})) for number in range(9)]
    assert said == [(202, "waiting")] * 8 + [(429, "too_many_waiting")]


async def test_who_asks_needs_the_scope_and_a_call_that_there_is() -> None:
    async with steered() as fleet, live_call(fleet) as call:
        for verb in ("say", "whisper", "transfer", "hangup"):
            assert (await call.post(verb, {"text": "x"}, headers={})).status_code == 401
            assert (await call.post(verb, {"text": "x"}, headers={"Authorization": "Bearer x"})).status_code == 401
        call.sid = f"CA{9:032x}"
        assert told(await call.post("say", {"text": "x"})) == (404, "call_not_found")


async def test_a_call_that_has_ended_or_rings_is_not_steered() -> None:
    async with steered() as fleet, live_call(fleet) as call:
        await call.post("hangup")
        await call.result()
        assert told(await call.post("say", {"text": "x"}))[1] in ("call_ended", "call_ending")


async def disown(fleet: Fleet, call: LiveCall, holder: str) -> None:
    """Has it stand in Redis that another worker streams the call, as it does for a moment after that has died."""
    await fleet.redis.ask("HSET", call.holder.store._keys.call(call.sid), "holder", holder)


async def test_when_the_worker_dies_meanwhile_it_is_said_at_once_and_the_next_try_reaches_the_new_one() -> None:
    async with steered() as fleet, live_call(fleet) as call:
        await disown(fleet, call, "dead-000000")
        refused = await call.post("say", {"text": "Are you there?"})
        assert told(refused) == (409, "worker_gone")
        assert refused.headers["retry-after"] == "1"
        fleet.cut_off(call.holder)
        async with asyncio.timeout(LIMIT_S):
            while (response := await call.post("say", {"text": "Are you there?"})).status_code >= 400:
                assert response.headers["retry-after"] == "1"
                await asyncio.sleep(0.05)
        await call.heard("Are you there?")
        assert call.other.calls == 1


async def test_a_worker_that_hears_and_does_not_answer_is_not_waited_for() -> None:
    async with steered() as fleet, live_call(fleet) as call:
        channel = call.holder.store._keys.orders("hung-000000")
        client = fleet.redis.client()
        async with client.pubsub() as hung:
            await hung.subscribe(channel)
            await hung.get_message(timeout=LIMIT_S)
            await disown(fleet, call, "hung-000000")
            assert told(await call.post("say", {"text": "x"})) == (503, "no_answer")
        await client.aclose()


async def test_without_redis_calls_are_steered_where_they_stream_and_nowhere_else() -> None:
    async with steered() as fleet, live_call(fleet) as call:
        fleet.redis.kill()
        assert told(await call.post("say", {"text": "x"})) == (503, "redis_unavailable")
        assert told(await call.post("hangup", to=call.holder)) == (200, "hanging_up")


@pytest.mark.parametrize(
    ("verb", "body", "param"),
    [
        ("say", {}, None),
        ("say", {"text": ""}, "text"),
        ("say", {"text": " \n"}, "text"),
        ("say", {"text": "x" * 2_001}, "text"),
        ("say", {"text": "x", "interrupts": "yes"}, "interrupts"),
        ("say", {"text": "x", "loud": True}, "loud"),
        ("say", {"text": "x", "order": "hangup"}, "order"),
        ("whisper", {"text": 5}, "text"),
        ("transfer", {"to": "x" * 65}, "to"),
        ("hangup", {"farewell": "x" * 2_001}, "farewell"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused_where_it_came_in(verb: str, body: Any, param: Any) -> None:
    async with running_gateway(providers=cascade(), SWITCHBOARD_TOKEN=TOKEN) as gateway:
        async with httpx2.AsyncClient() as client:
            url = f"{gateway.url}/v1/calls/CA{1:032x}/{verb}"
            response = await client.post(url, json=body, headers=BEARER)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_all_workers_are_listed_with_what_they_carry() -> None:
    async with steered() as fleet, live_call(fleet) as call:

        async def listed() -> dict[str, Any]:
            async with httpx2.AsyncClient() as client:
                response = await client.get(f"{url_of(call.other)}/v1/workers", headers=BEARER)
                assert response.status_code == 200
                return dict(response.json())

        async with asyncio.timeout(LIMIT_S):
            shown = await listed()
            while sum(worker["calls"] for worker in shown["workers"]) != 1:
                await asyncio.sleep(0.05)
                shown = await listed()
        assert shown["are_all"]
        assert len({worker["id"] for worker in shown["workers"]}) == 2
        fleet.redis.kill()
        alone = await listed()
        assert (len(alone["workers"]), alone["are_all"]) == (1, False)


async def test_a_gateway_alone_lists_itself() -> None:
    async with running_gateway(providers=cascade(), SWITCHBOARD_TOKEN=TOKEN) as gateway:
        async with httpx2.AsyncClient() as client:
            assert (await client.get(f"{gateway.url}/v1/workers")).status_code == 401
            shown = (await client.get(f"{gateway.url}/v1/workers", headers=BEARER)).json()
    assert (len(shown["workers"]), shown["are_all"]) == (1, True)
