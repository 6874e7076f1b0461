"""Recorded calls whose worker is killed or leaves: a pause holds on the next one, and the record names all parts.

Workers are processes of their own here, with real signals, a real Redis and one folder of recordings.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.cli.prove_stage import Stage, stage
from gateway.cli.prove_worker import Worker
from simulator.call_result import CallResult, Happening
from simulator.call_setup import CallSetup
from simulator.caller import HangUp, Say, Step, Wait
from simulator.phone_call import PhoneCall
from simulator.sound import Codec, Sound
from tests.calls.support import FROM, TO, clip

pytestmark = pytest.mark.anyio

LIMIT_S = 90.0
"""Processes are started, which takes seconds on a busy machine."""

NEEDLE_BYTES = 40
"""5 ms of speech: no other sound has them."""


@dataclass
class Scene:
    """One caller, whose call comes to `holder`, and to `other` when that is gone."""

    here: Stage
    holder: Worker
    other: Worker
    heard: list[str] = field(default_factory=list)
    """What happened on the caller's line, by name."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self, one: Happening) -> None:
        self.heard.append(one.name)
        self.changed.set()

    async def until(self, name: str, times: int) -> None:
        """It has happened so often on the caller's line."""
        while self.heard.count(name) < times:
            self.changed.clear()
            await self.changed.wait()

    async def call(self, *steps: Step) -> CallResult:
        setup = CallSetup(
            voice_url=f"{self.here.url}/twilio/voice",
            status_url=f"{self.here.url}/twilio/status",
            fallback_url=f"{self.here.url}/twilio/fallback",
            to_number=TO,
            from_number=FROM,
            account_sid=self.here.account_sid,
            auth_token=self.here.auth_token,
            steps=steps,
            noise_dbfs=None,
        )
        return await PhoneCall(setup, listener=self.listen).run()

    async def call_sid(self) -> str:
        """Of the one call, which streams."""
        while True:
            told = await self.here.ask("/v1/calls", self.other)
            for call in told["calls"] if told else ():
                if call["state"] == "streaming":
                    return str(call["call_sid"])
            await asyncio.sleep(0.05)

    async def post(self, worker: Worker, call_sid: str, verb: str) -> dict[str, Any]:
        """Ask a worker, and again for as long as it says that this may help."""
        url = f"http://127.0.0.1:{worker.port}/v1/calls/{call_sid}/recording/{verb}"
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {self.here.token}"}) as client:
            while (answer := await client.post(url)).status_code != 200:
                assert answer.headers["Retry-After"], answer.text
                await asyncio.sleep(0.1)
        return dict(answer.json())


@asynccontextmanager
async def scene(folder: Path) -> AsyncGenerator[Scene, None]:
    async with asyncio.timeout(LIMIT_S):
        async with stage(
            folder / "stage",
            seed=1,
            SWITCHBOARD_RECORD="all",
            SWITCHBOARD_RECORDINGS=str(folder / "recordings"),
            SWITCHBOARD_DRAIN_TIMEOUT="0",
        ) as here:
            holder, other = await here.add_several(2)
            here.take_out(other)
            yield Scene(here, holder, other)


def needles(sound: Sound) -> list[bytes]:
    """Places of a sound that can be told from all others, as a line carries them."""
    carried = Codec.PCMU.encode(sound.pcm)
    pieces = (carried[at : at + NEEDLE_BYTES] for at in range(0, len(carried) - NEEDLE_BYTES, NEEDLE_BYTES))
    return [piece for piece in pieces if len(set(piece)) > NEEDLE_BYTES // 3]


def share(sound: Sound, channel: bytes) -> float:
    """How much of a sound is in a channel."""
    wanted = needles(sound)
    assert len(wanted) >= 20
    return sum(piece in channel for piece in wanted) / len(wanted)


@pytest.mark.parametrize("act", ["killed", "leaves"])
async def test_what_is_said_while_a_recording_pauses_is_in_no_part_whoever_dies(tmp_path: Path, act: str) -> None:
    before, secret, after = clip("hello"), clip("order-status"), clip("price")
    steps = (Wait(1_000), Say(before), Wait(4_000), Say(secret), Wait(6_000), Say(secret), Wait(4_000), Say(after))
    async with scene(tmp_path) as here, asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(here.call(*steps, Wait(2_000), HangUp()))
        await here.until("caller.stops", 1)
        call_sid, holder, other = await here.call_sid(), here.holder, here.other
        assert await here.post(other, call_sid, "pause") == {
            "status": "paused",
            "is_paused": True,
            "is_kept": True,
        }
        assert here.heard.count("caller.speaks") == 1, "the pause came in time"
        await here.until("caller.speaks", 2)
        await asyncio.sleep(secret.duration_ms / 2_000)
        here.here.take_out(holder)
        here.here.entrances[other] = here.here.door.add(other.port)
        holder.send(signal.SIGKILL if act == "killed" else signal.SIGTERM)
        if act == "leaves":
            await asyncio.sleep(1)  # a second word counts as one once the first was heard
            holder.send(signal.SIGTERM)  # at once, and not when nobody speaks
        await here.until("caller.stops", 3)
        resumed = await here.post(other, call_sid, "resume")
        assert (resumed["status"], resumed["is_paused"]) == ("recording", False)
        assert here.heard.count("caller.speaks") == 3, "it was resumed in time"
        result = await calling
        record = await here.here.ask(f"/v1/calls/{call_sid}/record", other)
        parts = await closed_parts(here, other, call_sid)
        events = await here.here.ask(f"/v1/calls/{call_sid}/recordings", other)
    assert len(result.stream_sids) == 2
    assert [part["part"] for part in parts] == [1, 2] == [part["part"] for part in events["recordings"]]
    names = [f"{call_sid}.{number}.wav" for number in (1, 2)]
    assert [part["name"] for part in record["recordings"]] == names
    sounds = [(tmp_path / "recordings" / name).read_bytes()[58:] for name in names]
    callers = [sound[0::2] for sound in sounds]
    assert [share(secret, caller) for caller in callers] == [0.0, 0.0]
    assert share(before, callers[0]) > 0.9, "what was said before the pause is there, though its worker died"
    assert share(after, callers[1]) > 0.9
    (pause,) = parts[1]["pauses"]
    assert pause["from_ms"] == 0
    assert set(callers[1][: pause["to_ms"] * 8]) == {0xFF} == set(sounds[1][1::2][: pause["to_ms"] * 8])


async def closed_parts(here: Scene, worker: Worker, call_sid: str) -> list[dict[str, Any]]:
    """The call's parts, once nobody writes into them."""
    while True:
        told = await here.here.ask(f"/v1/calls/{call_sid}/recordings", worker)
        parts: list[dict[str, Any]] = told["recordings"] if told else []
        if len(parts) == 2 and parts[1]["state"] != "recording":
            return parts
        await asyncio.sleep(0.1)
