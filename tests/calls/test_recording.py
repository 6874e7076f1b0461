"""Whole calls that are recorded, judged by what the simulator's phone truly heard and said."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import httpx2
import numpy as np
import pytest

from pipeline.agent import Agent
from pipeline.agent_tools import BuiltInTool
from pipeline.provider import ToolRequest
from pipeline.responder import Cascade
from simulator.call_result import CallResult, Happening
from simulator.caller import BargeIn, Dtmf, HangUp, Listen, Say, Step, Wait
from simulator.network import Network
from simulator.sound import RATE_HZ, Codec, Samples, samples_of
from tests.calls.fleet import running_fleet
from tests.calls.steered import live_call, url_of
from tests.calls.support import AGENT, LIMIT_S, RunningGateway, cascade, clip, running_gateway
from tests.fakes import FakeModel

pytestmark = pytest.mark.anyio

FRAME = 160
"""Samples in 20 ms: what the two channels may be out of step by."""

GAP_MS = 100
TOKEN = "recordings-of-tests"
TALKATIVE = replace(AGENT, greeting=" ".join(f"greeting{number}" for number in range(40)) + ".")

INTERRUPTED: tuple[Step, ...] = (
    BargeIn(700, clip("stop")),
    Listen(),
    Say(clip("yes")),
    Listen(),
    Wait(2_000),
    Say(clip("no")),
    BargeIn(320, clip("stop")),
    Wait(1_500),
    Say(clip("yes")),
    Listen(quiet_ms=1_000),
    HangUp(),
)
"""Some 20 seconds, three of whose interruptions cut the agent off."""


@dataclass(frozen=True)
class Recorded:
    """A call's recording."""

    caller: Samples
    agent: Samples
    sidecar: dict[str, object]


def recorded(folder: Path, call_sid: str, part: int = 1) -> Recorded:
    data = (folder / f"{call_sid}.{part}.wav").read_bytes()[58:]
    sidecar = json.loads((folder / f"{call_sid}.{part}.json").read_text())
    decode = Codec.PCMU.decode
    return Recorded(samples_of(decode(data[0::2])), samples_of(decode(data[1::2])), sidecar)


def sounding(samples: Samples) -> list[tuple[int, int]]:
    """Where there is sound: first and last sample, gaps below 100 ms not counted."""
    places = np.flatnonzero(samples)
    breaks = np.flatnonzero(np.diff(places) > GAP_MS * RATE_HZ // 1000)
    firsts, lasts = np.r_[places[:1], places[breaks + 1]], np.r_[places[breaks], places[-1:]]
    return [(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


@asynccontextmanager
async def recording_gateway(
    folder: Path, *, providers: Cascade | None = None, agent: Agent = TALKATIVE, record: str = "all"
) -> AsyncGenerator[RunningGateway, None]:
    async with running_gateway(
        providers=providers or cascade(),
        agent=agent,
        SWITCHBOARD_RECORD=record,
        SWITCHBOARD_RECORDINGS=str(folder),
        SWITCHBOARD_TOKEN=TOKEN,
    ) as house:
        yield house


def judge_channels(result: CallResult, heard: Recorded, within: int = FRAME) -> None:
    """Each utterance of the agent begins and ends where it did in the caller's ear, from the first to the last."""
    truth, told = sounding(result.agent_sound), sounding(heard.agent)
    assert len(truth) == len(told) >= 5
    offsets = [
        place - true for one, other in zip(told, truth, strict=True) for place, true in zip(one, other, strict=True)
    ]
    assert max(map(abs, offsets)) <= within, offsets


async def test_both_channels_are_what_was_said_and_heard_with_interruptions(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    networks = (Network(), Network(delay_ms=60, jitter_ms=60))
    async with recording_gateway(folder) as house, asyncio.TaskGroup() as callers:
        # One waits while the other does: side by side they take as long as one.
        tasks = [callers.create_task(house.call(*INTERRUPTED, network=network)) for network in networks]
    assert house.sample("recordings_total", result="whole") == len(networks)
    for network, task in zip(networks, tasks, strict=True):
        judge_interrupted(folder, task.result(), network)


def judge_interrupted(folder: Path, result: CallResult, network: Network) -> None:
    heard = recorded(folder, result.call_sid)
    assert len(result.cuts) >= 2
    said = samples_of(Codec.PCMU.decode(Codec.PCMU.encode(result.caller_sound.tobytes())))
    assert 0 <= said.size - heard.caller.size <= 40 * FRAME
    assert np.array_equal(heard.caller, said[: heard.caller.size]), "the caller's side is sample for sample"
    if not network.jitter_ms:
        judge_channels(result, heard)
        lengths = [last - first for first, last in sounding(heard.agent)]
        truth = [last - first for first, last in sounding(result.agent_sound)]
        for length, true in zip(lengths, truth, strict=True):
            assert length - true <= FRAME, "sound that was thrown away is in it"
    else:
        begins = [first for first, _ in sounding(heard.agent)]
        truths = [first for first, _ in sounding(result.agent_sound)]
        assert len(begins) == len(truths)
        assert max(abs(at - true) for at, true in zip(begins, truths, strict=True)) <= 2 * FRAME


async def test_a_stream_that_breaks_makes_a_second_part_in_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    async with recording_gateway(folder, agent=AGENT) as house:
        result = await house.call(
            Listen(quiet_ms=200),
            Say(clip("no")),
            Listen(quiet_ms=200, patience_ms=4_000),
            Wait(500),
            HangUp(),
            listener=BreakOnce(house),
        )
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(base_url=house.url, headers=headers) as client:
            path = f"/v1/calls/{result.call_sid}/recordings"
            parts = (await client.get(path)).json()["recordings"]
            whole = await client.get(f"{path}/joined")
            refused = await client.get(path, headers={"Authorization": "Bearer wrong"})
    assert [part["generation"] for part in parts] == [1, 2]
    assert parts[0]["offset_ms"] + parts[0]["duration_ms"] <= parts[1]["offset_ms"] + 40
    assert whole.content[:4] == b"RIFF"
    assert refused.status_code == 401


@pytest.mark.parametrize("act", ["cut off", "move"])
async def test_a_recording_that_was_paused_stays_so_on_the_worker_that_goes_on(tmp_path: Path, act: str) -> None:
    steps = (Wait(8_000), Say(clip("no")), Wait(500), HangUp())
    settings: dict[str, Any] = {
        "SWITCHBOARD_RECORD": "all",
        "SWITCHBOARD_RECORDINGS": str(tmp_path),
        "SWITCHBOARD_TOKEN": TOKEN,
    }
    async with running_fleet(2, providers=cascade(), **settings) as fleet, live_call(fleet, *steps) as call:
        await fleet.until(lambda: any(file.stat().st_size > 2 * 8_000 for file in tmp_path.glob("*.wav")))
        assert not call.calling.done(), "sound is written while the call goes on"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(base_url=url_of(call.other), headers=headers) as client:
            answer = await client.post(f"/v1/calls/{call.sid}/recording/pause")
            assert answer.json() == {"status": "paused", "is_paused": True, "is_kept": True}
        if act == "move":
            fleet.door.remove(call.holder.upstream)
            await call.holder.house.gateway.move_calls(at_once=True)
        else:
            async with asyncio.timeout(LIMIT_S):
                while not ((known := await call.other.store.find(call.sid)) and known.is_recording_paused):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            fleet.cut_off(call.holder)
        result = await call.result()
        await fleet.until(lambda: not any(worker.calls for worker in fleet.workers))
    assert len(result.stream_sids) == 2
    before = recorded(tmp_path, call.sid, part=1)
    (pause,) = cast(list[dict[str, int]], before.sidecar["pauses"])
    assert 1_000 <= pause["from_ms"] < 60_000, "on the recording's own clock"
    assert not recorded(tmp_path, call.sid, part=2).caller.any()


class BreakOnce:
    """Cuts every socket when the caller has begun to speak."""

    def __init__(self, house: RunningGateway) -> None:
        self._house = house
        self._is_broken = False

    def __call__(self, happening: object) -> None:
        if not self._is_broken and getattr(happening, "name", "") == "caller.stops":
            self._is_broken = True
            self._house.break_sockets()


async def test_a_folder_that_vanishes_costs_the_recording_and_not_the_call(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    async with recording_gateway(folder, agent=AGENT) as house:
        shutil.rmtree(folder)
        result = await house.call(Listen(quiet_ms=200), Say(clip("no")), Listen(quiet_ms=200), HangUp())
    assert house.sample("recordings_total", result="lost") == 1
    assert len(result.turns) == 1
    assert result.turns[0].agent_heard_ms is not None
    assert result.complaints == ()


async def test_nothing_is_recorded_unless_it_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    async with recording_gateway(folder, agent=AGENT, record="off") as house:
        await house.call(Listen(quiet_ms=200), HangUp())
    assert list(folder.iterdir()) == []


async def test_digits_that_are_collected_leave_no_trace_in_the_sound(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    model = FakeModel([ToolRequest("call_1", "collect_digits", "{}")], "Thank you.")
    agent = replace(AGENT, tools=(BuiltInTool("collect_digits"),))
    async with recording_gateway(folder, providers=cascade(model=model), agent=agent) as house:
        result = await house.call(
            Listen(quiet_ms=200), Say(clip("no")), Wait(1_200), Dtmf("4242#"), Wait(1_500), HangUp()
        )
    heard = recorded(folder, result.call_sid)
    (pause,) = cast(list[dict[str, int]], heard.sidecar["pauses"])
    assert pause["to_ms"] - pause["from_ms"] > 500
    assert pause["to_ms"] <= cast(int, heard.sidecar["duration_ms"]), "on the recording's own clock"
    within = slice(pause["from_ms"] * 8, pause["to_ms"] * 8)
    assert not heard.caller[within].any()
    assert not heard.agent[within].any()


async def test_a_pause_silences_both_sides_and_the_call_record_names_the_part(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with recording_gateway(folder, agent=TALKATIVE) as house:
        async with httpx2.AsyncClient(base_url=house.url, headers=headers) as client:
            answers: list[httpx2.Response] = []

            async def steer(verb: str) -> None:
                (call,) = await house.gateway.desk.store.calls()
                answers.append(await client.post(f"/v1/calls/{call.call_sid}/recording/{verb}"))

            async with asyncio.TaskGroup() as tasks:
                waits = {"agent.heard": "pause", "caller.stops": "resume"}

                def listen(one: Happening) -> None:
                    if (verb := waits.pop(one.name, None)) is not None:
                        tasks.create_task(steer(verb))

                result = await house.call(
                    Wait(1_500),
                    Say(clip("hello")),
                    Wait(1_500),
                    Say(clip("yes")),
                    Wait(800),
                    HangUp(),
                    listener=listen,
                )
            record = (await client.get(f"/v1/calls/{result.call_sid}/record")).json()
            late = await client.post(f"/v1/calls/{result.call_sid}/recording/pause")
        events = [one["event"] for one in await house.journal(result.call_sid)]
    assert [answer.json()["is_paused"] for answer in answers] == [True, False]
    assert late.json()["error"]["code"] == "call_ended"
    assert [event for event in events if event.startswith("recording.")] == [
        "recording.started",
        "recording.paused",
        "recording.resumed",
    ]
    name = f"{result.call_sid}.1.wav"
    assert [part["name"] for part in record["recordings"]] == [name]
    heard = recorded(folder, result.call_sid)
    (pause,) = cast(list[dict[str, int]], heard.sidecar["pauses"])
    silent = slice(pause["from_ms"] * 8, pause["to_ms"] * 8)
    assert np.abs(result.agent_sound[silent]).max() > 1_000, "the agent spoke meanwhile"
    assert np.abs(result.caller_sound[silent]).max() > 1_000, "and so did the caller"
    assert not heard.caller[silent].any() and not heard.agent[silent].any()
    assert heard.caller[silent.stop :].any()


async def test_who_is_not_recorded_cannot_be_paused(tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with recording_gateway(tmp_path / "recordings", agent=AGENT, record="off") as house:
        async with httpx2.AsyncClient(base_url=house.url, headers=headers) as client, asyncio.TaskGroup() as tasks:
            answers: list[httpx2.Response] = []

            async def pause() -> None:
                (call,) = await house.gateway.desk.store.calls()
                answers.append(await client.post(f"/v1/calls/{call.call_sid}/recording/pause"))

            def listen(one: Happening) -> None:
                if one.name == "caller.speaks":
                    tasks.create_task(pause())

            await house.call(Wait(300), Say(clip("no")), Wait(500), HangUp(), listener=listen)
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [(404, "not_recorded")]
