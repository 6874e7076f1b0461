"""Conversations over bad networks, looked at from both ends: the gateway's microphone, and what its client gets.

    python -m tests.webrtc.networks        what each network does to jitter delay, sound and words, as a table

Everything goes through the simulator's datagram relay, both ways alike. Nothing here judges; the tests do.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import pytest

from gateway.webrtc.microphone import Microphone
from pipeline.dialects import Dialect
from simulator.udp_plan import Plan
from simulator.udp_shim import UdpShim
from simulator.webrtc_client import WebRtcClient
from simulator.webrtc_inbox import Event
from tests.calls.support import clip, running_gateway
from tests.realtime.support import OPERATOR_TOKEN, Client, Service
from tests.webrtc.support import HEARS, VAD, Rtc, judge, until

OWN: Final = frozenset({"session.created", "conversation.created", "rate_limits.updated"})
"""Events that each connection of a session is sent for itself."""
SOUND: Final = "response.output_audio.delta"
"""What a WebSocket has instead of a track."""


@dataclass
class Watched:
    """One microphone of the gateway, looked at whenever something happens to it."""

    microphone: Microphone
    most_held_ms: float = 0.0
    delays_ms: list[float] = field(default_factory=list)
    """How long packets waited, at each tick."""

    def __post_init__(self) -> None:
        receive, tick = self.microphone.receive, self.microphone.tick

        def received(packet: bytes) -> None:
            receive(packet)
            self.look()

        def ticked() -> None:
            self.look()
            tick()
            self.look()
            if self.buffer.received:
                self.delays_ms.append(self.buffer.delay_ms)

        # Set on the object, where it is found before the class's.
        vars(self.microphone).update(receive=received, tick=ticked)

    def look(self) -> None:
        self.most_held_ms = max(self.most_held_ms, self.buffer.held_ms)

    @property
    def buffer(self) -> Any:
        return self.microphone.buffer

    @property
    def concealed(self) -> float:
        """Share of all sound that was made up."""
        return float(self.buffer.concealed / max(1, len(self.delays_ms)))

    @property
    def late(self) -> float:
        """Share of what came that came in vain."""
        return float(self.buffer.late / max(1, self.buffer.received))


@contextmanager
def watching() -> Iterator[list[Watched]]:
    """All microphones that gateways of this process make while inside, oldest first."""
    made: list[Watched] = []

    def make(*args: Any, **kwargs: Any) -> Microphone:
        made.append(Watched(Microphone(*args, **kwargs)))
        return made[-1].microphone

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.webrtc.track.Microphone", make)
        yield made


@dataclass
class Talker:
    """Somebody on a bad network, and a witness of the same session on a good one."""

    client: WebRtcClient
    witness: Client
    at_gateway: Watched

    @property
    def shim(self) -> UdpShim:
        assert self.client.shim is not None
        return self.client.shim

    async def asks(self, name: str = "opening-hours") -> str:
        """Say a clip and hear the answer to its end; the words that were understood."""
        words = await self.says(name)
        await self.client.expect("output_audio_buffer.stopped")
        return words

    async def says(self, name: str) -> str:
        """Say a clip; the words that were understood."""
        self.client.speak(clip(name))
        return await self.is_understood()

    async def is_understood(self) -> str:
        """The words that were understood of what was said."""
        words: str = (await self.client.expect("conversation.item.input_audio_transcription.completed"))[
            "transcript"
        ]
        return words

    async def sends(self, *texts: str) -> None:
        for text in texts:
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
            await self.client.send("conversation.item.create", item=item)

    async def same(self) -> list[str]:
        """What both were told, once both have been told all: the ids of events, in order. They must be the same."""
        await self.client.send("session.update", session={"type": "realtime", "instructions": "The end."})

        def is_end(event: Event) -> bool:
            return bool(event["type"] == "session.updated" and event["session"]["instructions"] == "The end.")

        while not is_end(await self.client.next()):
            pass
        await self.witness.hear_where(is_end)
        client, witness = told(self.client.frames), told(self.witness.frames)
        begins = client.index(witness[0])  # the witness came later, and may have stopped looking sooner
        assert client[begins : begins + len(witness)] == witness
        return witness


def told(frames: list[Event]) -> list[str]:
    return [frame["event_id"] for frame in frames if frame["type"] not in OWN and frame["type"] != SOUND]


@asynccontextmanager
async def talker(
    gateway: Rtc, made: list[Watched], plan: Plan, *, seed: int = 0, session: Any = HEARS
) -> AsyncGenerator[Talker, None]:
    """A client that takes turns, connected on a good network that is then as bad as `plan`. Opened one by one."""
    count = len(made)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(WebRtcClient(through=plan, seed=seed, is_calm_at_first=True))
        await client.connect(gateway.url, OPERATOR_TOKEN, session=session)
        await until(lambda: len(made) > count)
        await client.expect("session.updated")
        path = f"/v1/realtime?call_id={client.session_id}"
        witness = await stack.enter_async_context(gateway.service.connected(path))
        await witness.hear("session.created")
        yield Talker(client, witness, made[count])
        judge(client.frames, Dialect.GA, leaves_early=True)
        assert client.unreadable == []


NETWORKS: Final = {
    "a good network": Plan(),
    "loss 5 %": Plan(loss=0.05),
    "loss 10 %": Plan(loss=0.1),
    "loss 20 %": Plan(loss=0.2),
    "jitter 50 ms": Plan(jitter_ms=50),
    "jitter 50 ms, out of order": Plan(jitter_ms=50, keeps_order=False),
    "reorder 10 %": Plan(reorder=0.1),
    "duplicates 20 %": Plan(duplicate=0.2),
    "all at once": Plan(loss=0.05, jitter_ms=50, reorder=0.05, duplicate=0.05, delay_ms=40),
}

LISTENS: Final = {
    "type": "realtime",
    "audio": {
        "input": {"transcription": {"model": "whisper-1"}, "turn_detection": {**VAD, "create_response": False}}
    },
}
"""A session that answers nothing."""
CLIPS: Final = ("opening-hours", "order-status", "price")


async def measure(seeds: int = 2) -> None:
    """One network after another, so that none makes another worse; with the built-in recogniser."""
    print(
        f"{'network':28} {'median':>6} {'mean':>5} {'max':>5} {'held':>5} {'concealed':>9} {'late':>6}  understood"
    )
    async with running_gateway(SWITCHBOARD_TOKEN=OPERATOR_TOKEN) as running:
        gateway = Rtc(Service(running))
        with watching() as made:
            async with talker(gateway, made, Plan(), session=LISTENS) as one:
                await one.says(CLIPS[0])  # and the models are loaded
        for name, plan in NETWORKS.items():
            with watching() as made:
                words: list[str] = []
                for seed in range(seeds):
                    async with talker(gateway, made, plan, seed=seed, session=LISTENS) as one:
                        words += [await one.says(said) for said in CLIPS]
            delays = [delay for one in made for delay in one.delays_ms]
            print(
                f"{name:28} {median(delays):6.0f} {sum(delays) / len(delays):5.0f} {max(delays):5.0f}"
                f" {max(one.most_held_ms for one in made):5.0f}"
                f" {sum(one.concealed for one in made) / seeds:9.1%} {sum(one.late for one in made) / seeds:6.1%}"
                f"  {words}",
                flush=True,
            )


if __name__ == "__main__":
    asyncio.run(measure(*map(int, sys.argv[1:])))
