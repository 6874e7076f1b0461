"""The overflow ladder: what callers hear, and may choose, while there is no room, from webhook to last word."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.gate import Gate
from simulator.call_result import CallResult, EndReason, Happening
from simulator.call_setup import DialOutcome, DialStatus
from simulator.caller import Dtmf, HangUp, Listen, Say, Wait
from simulator.queues import Queues
from tests.calls.support import LIMIT_S, TO, RunningGateway, cascade, clip, happened, running_gateway
from twiml.overflow_words import words_in

pytestmark = pytest.mark.anyio

WORDS = words_in("en-US")
OTHER = "CA" + "e" * 32
"""The call that has the only seat."""


@dataclass
class CrowdedHouse:
    """A gateway with one seat, which is taken."""

    house: RunningGateway
    messages: Path

    @property
    def gate(self) -> Gate:
        return self.house.gateway.desk.gate

    @property
    def kept(self) -> list[dict[str, str]]:
        """The messages, without their time."""
        lines = self.messages.read_text().splitlines() if self.messages.exists() else []
        return [{name: value for name, value in json.loads(line).items() if name != "at"} for line in lines]

    async def call(self, *steps: Any, **changes: Any) -> CallResult:
        result = await self.house.call(*steps, **changes)
        assert result.complaints == ()
        return result

    async def waiting(self, count: int) -> None:
        """Until so many callers have been asked about in the queue."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.gate.admission._waiting) < count:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.005)


@asynccontextmanager
async def crowded(folder: Path, ladder: str, **settings: str) -> AsyncGenerator[CrowdedHouse, None]:
    """The gateway with a ladder for those it has no room for, and its one seat taken."""
    messages = folder / "messages.jsonl"
    limits = (
        settings if "SWITCHBOARD_MAX_CALLS_PER_LINE" in settings else {"SWITCHBOARD_MAX_CALLS": "1", **settings}
    )
    named: dict[str, Any] = {
        "SWITCHBOARD_OVERFLOW": ladder,
        "SWITCHBOARD_MESSAGES_FILE": str(messages),
        **limits,
    }
    async with running_gateway(providers=cascade(), **named) as house:
        house.gateway.desk.gate.resume(OTHER, line=TO)
        yield CrowdedHouse(house, messages)


def verbs(result: CallResult) -> list[str]:
    return [str(one.detail["verb"]) for one in happened(result, "verb")]


async def test_without_a_ladder_of_its_own_a_caller_hears_an_apology(tmp_path: Path) -> None:
    async with crowded(tmp_path, "apology") as crowd:
        result = await crowd.call()
        assert crowd.house.sample("calls_refused_total", reason="worker_full") == 1
        assert crowd.house.sample("overflow_total", rung="apology") == 1
    assert result.spoken_verbs == (f"{WORDS.all_busy} {WORDS.try_later}",)
    assert result.end_reason is EndReason.HANGUP_VERB


async def test_a_line_that_is_full_refuses_and_another_does_not(tmp_path: Path) -> None:
    async with crowded(tmp_path, "apology", SWITCHBOARD_MAX_CALLS_PER_LINE="1") as crowd:
        refused = await crowd.call()
        taken = await crowd.call(Listen(quiet_ms=100), HangUp(), to_number="+15550100009")
        assert crowd.house.sample("calls_refused_total", reason="line_full") == 1
    assert refused.spoken_verbs and not refused.stream_sids
    assert taken.heard_bytes > 0


async def test_a_caller_waits_in_line_and_comes_to_the_agent_when_there_is_room(
    tmp_path: Path,
) -> None:
    async with crowded(tmp_path, "queue, voicemail") as crowd:
        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(crowd.call(Listen(quiet_ms=200), Say(clip("yes")), HangUp()))
            await crowd.waiting(1)
            crowd.gate.release(OTHER)
        result = call.result()
        assert crowd.gate.admission.held == 0, "its seat is free again"
    assert result.spoken_verbs[:2] == (f"{WORDS.all_busy} {WORDS.wait}", WORDS.next)
    assert verbs(result)[-3:] == ["Leave", "Redirect", "Connect"]
    assert result.heard_bytes > 0 and result.end_reason is EndReason.CALLER_HUNG_UP


async def test_the_queue_is_first_come_first_served_and_newcomers_stand_behind(
    tmp_path: Path,
) -> None:
    queues, order = Queues(), list[str]()

    def told(name: str) -> Any:
        return lambda one: order.append(name) if one.name == "stream.opened" else None

    script = (Listen(quiet_ms=100), HangUp())
    async with crowded(tmp_path, "queue") as crowd:

        async def place(name: str) -> CallResult:
            return await crowd.house.call(*script, queues=queues, listener=told(name))

        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(place("first"))
            await crowd.waiting(1)
            second = tasks.create_task(place("second"))
            await crowd.waiting(2)
            newcomer = crowd.gate.judge(line=TO)
            crowd.gate.release(OTHER)
            assert crowd.gate.judge(line=TO) == newcomer == "worker_full"
            crowd.gate.release((await first).call_sid)
        results = [first.result(), second.result()]
    assert order == ["first", "second"]
    assert WORDS.position.format(position=2) in results[1].spoken_verbs
    assert all(result.heard_bytes > 0 for result in results)


async def test_who_waits_too_long_gets_the_next_offer(tmp_path: Path) -> None:
    async with crowded(tmp_path, "queue", SWITCHBOARD_QUEUE_LIMIT_S="10") as crowd:
        result = await crowd.call()
    assert result.spoken_verbs[-1] == WORDS.try_later
    assert result.end_reason is EndReason.HANGUP_VERB
    [left] = happened(result, "queue.left")
    assert left.detail["result"] == "leave"


async def test_a_gateway_that_stops_sends_waiting_callers_on(tmp_path: Path) -> None:
    async with crowded(tmp_path, "queue, voicemail") as crowd, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(crowd.call(Say(clip("yes")), HangUp()))
        await crowd.waiting(1)
        crowd.gate.is_open = lambda: False
    assert "Record" in verbs(call.result())
    assert [one["kind"] for one in crowd.kept] == ["voicemail"]


async def test_a_key_in_the_queue_asks_to_be_called_back(tmp_path: Path) -> None:
    async with crowded(tmp_path, "queue, callback") as crowd:
        result = await crowd.call(Wait(6_000), Dtmf("1"))
        assert crowd.gate.admission.held == 1, "the call that is there keeps its seat, and nobody else has one"
    [kept] = crowd.kept
    assert kept == {"kind": "callback", "call_sid": result.call_sid, "from": "+15550100002", "to": TO}
    assert result.spoken_verbs[-1] == WORDS.will_call_back
    assert WORDS.press_for_callback in result.spoken_verbs[1]
    assert result.end_reason is EndReason.HANGUP_VERB


async def test_another_key_in_the_queue_changes_nothing(tmp_path: Path) -> None:
    async with crowded(tmp_path, "queue, callback", SWITCHBOARD_QUEUE_LIMIT_S="10") as crowd:
        result = await crowd.call(Dtmf("5"), Wait(60_000), HangUp())
    assert crowd.kept == []
    assert verbs(result).count("Enqueue") == 1


async def test_a_callback_is_noted_when_it_is_offered_and_taken(tmp_path: Path) -> None:
    async with crowded(tmp_path, "callback, apology") as crowd:
        taken = await crowd.call(Dtmf("1"))
        declined = await crowd.call(Dtmf("2"))
        silent = await crowd.call()
    assert [one["call_sid"] for one in crowd.kept] == [taken.call_sid]
    assert taken.spoken_verbs[-1] == WORDS.will_call_back
    assert declined.spoken_verbs[-1] == silent.spoken_verbs[-1] == WORDS.try_later
    assert silent.spoken_verbs.count(WORDS.offer_callback) == 1  # once with the first words, once again


async def test_who_withholds_the_number_is_not_offered_a_callback(tmp_path: Path) -> None:
    async with crowded(tmp_path, "callback, apology") as crowd:
        result = await crowd.call(Dtmf("1"), from_number="anonymous")
    assert crowd.kept == []
    assert result.spoken_verbs == (WORDS.try_later,)


async def test_a_number_that_is_busy_gives_the_next_offer_and_an_answer_ends_the_ladder(
    tmp_path: Path,
) -> None:
    async with crowded(tmp_path, "+493012345678, +15550100077, voicemail") as crowd:
        outcomes = (DialOutcome(DialStatus.BUSY), DialOutcome(DialStatus.COMPLETED, talk_s=2))
        result = await crowd.call(dials=outcomes)
        nobody = await crowd.call(dials=(DialOutcome(DialStatus.NO_ANSWER), DialOutcome(DialStatus.FAILED)))
    dialled = [one.detail["number"] for one in happened(result, "verb") if one.detail["verb"] == "Dial"]
    assert dialled == ["+493012345678", "+15550100077"]
    assert result.end_reason is EndReason.HANGUP_VERB
    assert verbs(nobody)[-3:] == ["Redirect", "Say", "Hangup"]
    assert "Record" in verbs(nobody)
    assert [one["kind"] for one in crowd.kept] == ["recording_absent"]


@pytest.mark.parametrize("ending", [(), (Dtmf("#"),), (HangUp(),)], ids=["silence", "key", "hang-up"])
async def test_a_message_is_kept_however_it_ends(ending: tuple[Any, ...], tmp_path: Path) -> None:
    async with crowded(tmp_path, "voicemail") as crowd:
        result = await crowd.call(Say(clip("yes")), *ending)
    [message] = crowd.kept
    [recording] = happened(result, "recording")
    assert message["recording_url"] == recording.detail["url"]
    assert (message["kind"], message["from"], message["seconds"]) == ("voicemail", "+15550100002", "1")
    callbacks = [one.detail for one in happened(result, "callback") if "recording" in str(one.detail["url"])]
    assert [one["status"] for one in callbacks] == [204]
    hung_up = ending == (HangUp(),)
    assert (WORDS.message_kept in result.spoken_verbs) is not hung_up


async def test_nobody_is_left_in_silence_anywhere_on_the_ladder(tmp_path: Path) -> None:
    """Counted from the verbs, which is where silence comes from: pauses and waiting for keys or words."""
    quiet: list[float] = []

    def measure(one: Happening) -> None:
        if one.name == "verb" and one.detail["verb"] == "Pause":
            quiet.append(float(str(one.detail["length_s"])))

    async with crowded(
        tmp_path, "queue, callback, +493012345678, voicemail", SWITCHBOARD_QUEUE_LIMIT_S="20"
    ) as crowd:
        result = await crowd.house.call(
            Wait(500_000),
            HangUp(),
            dials=(DialOutcome(DialStatus.BUSY),),
            listener=measure,
            from_number="anonymous",
        )
    assert quiet and max(quiet) <= 3
    assert result.spoken_verbs[-1] == WORDS.try_later
    assert [one for one in verbs(result) if one in ("Enqueue", "Gather", "Dial", "Record")] == [
        "Enqueue", "Dial", "Record",
    ]  # fmt: skip
