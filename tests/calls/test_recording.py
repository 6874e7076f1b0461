"""Whole calls that are recorded, judged by what the simulator's phone truly heard and said."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import httpx2
import numpy as np
import pytest

from pipeline.agent import Agent
from pipeline.agent_tools import BuiltInTool
from pipeline.provider import ToolRequest
from pipeline.responder import Cascade
from simulator.call_result import CallResult
from simulator.caller import BargeIn, Dtmf, HangUp, Listen, Say, Step, Wait
from simulator.network import Network
from simulator.sound import RATE_HZ, Codec, Samples, samples_of
from tests.calls.support import AGENT, RunningGateway, cascade, clip, running_gateway
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


async def talked(folder: Path, *steps: Step, network: Network = Network()) -> CallResult:  # noqa: B008 - frozen
    async with recording_gateway(folder) as house:
        result = await house.call(*steps, network=network)
    assert house.sample("recordings_total", result="whole") == 1
    return result


def judge_channels(result: CallResult, heard: Recorded, within: int = FRAME) -> None:
    """Each utterance of the agent begins and ends where it did in the caller's ear, from the first to the last."""
    truth, told = sounding(result.agent_sound), sounding(heard.agent)
    assert len(truth) == len(told) >= 5
    offsets = [
        place - true for one, other in zip(told, truth, strict=True) for place, true in zip(one, other, strict=True)
    ]
    assert max(map(abs, offsets)) <= within, offsets


@pytest.mark.parametrize("network", [Network(), Network(delay_ms=60, jitter_ms=60)], ids=["loopback", "jitter"])
async def test_both_channels_are_what_was_said_and_heard_with_interruptions(
    tmp_path: Path, network: Network
) -> None:
    folder = tmp_path / "recordings"
    result = await talked(folder, *INTERRUPTED, network=network)
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
            Listen(quiet_ms=200),
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
            Listen(quiet_ms=200), Say(clip("no")), Wait(1_200), Dtmf("4242#"), Listen(quiet_ms=200), HangUp()
        )
    heard = recorded(folder, result.call_sid)
    (pause,) = cast(list[dict[str, int]], heard.sidecar["pauses"])
    assert pause["to_ms"] - pause["from_ms"] > 500
    within = slice(pause["from_ms"] * 8, pause["to_ms"] * 8)
    assert not heard.caller[within].any()
    assert not heard.agent[within].any()
