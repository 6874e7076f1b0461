"""The load generator against a throw-away gateway on real sockets: how it rings, keeps time and is hung up on."""

from __future__ import annotations

import asyncio
import json
import random
from base64 import b64decode
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import aiohttp
import numpy as np
import pytest

from simulator.load import FRAME_BYTES, PHASES, Load, Talk, Target, script_for
from simulator.load_call import Script
from simulator.signature import sign
from simulator.sound import Codec, Sound
from tests.simulator.throwaway_gateway import ACCOUNT_SID, AUTH_TOKEN, Line, ThrowawayGateway, running, tone

pytestmark = pytest.mark.anyio

LIMIT_S = 20.0
CONNECT = '<Connect><Stream url="{url}/media/token"/></Connect>'


def script(*, noise_dbfs: float = -60.0) -> Script:
    clips = [Sound("a", bytes(2 * 800)), Sound("b", bytes(2 * 1_700))]
    return script_for(clips, noise_dbfs=noise_dbfs, lead_s=0.3, barge_in_share=0.5, seed=1)


@asynccontextmanager
async def loaded(
    agent: Callable[[Line], object], page: str = CONNECT, talk: Talk | None = None
) -> AsyncGenerator[tuple[ThrowawayGateway, Load, aiohttp.ClientSession], None]:
    """A load that runs against a gateway whose end of each line is `agent`."""

    async def play(line: Line) -> None:
        await agent(line)  # type: ignore[misc]  # each agent here is a coroutine function

    async with running(ThrowawayGateway(agent=play)) as gateway, aiohttp.ClientSession() as session:
        gateway.pages["/voice"] = page.replace("{url}", gateway.url.replace("http", "ws"))
        load = Load(Target(f"{gateway.url}/voice", AUTH_TOKEN, ACCOUNT_SID), talk or script(), seed=1)
        ticking = asyncio.create_task(load.run())
        try:
            async with asyncio.timeout(LIMIT_S):
                yield gateway, load, session
        finally:
            ticking.cancel()
            load.hang_up()
            await asyncio.wait([ticking])


async def listen(line: Line) -> None:
    await line.until_closed()


async def until(is_so: Callable[[], bool]) -> None:
    """Bounded by the timeout of `loaded`."""
    while not is_so():  # noqa: ASYNC110 - what is waited for is no event
        await asyncio.sleep(0.005)


async def test_callers_sound_is_cut_into_frames_with_noise_under_it() -> None:
    quiet, loud = script(noise_dbfs=-60), script(noise_dbfs=-20)
    assert [len(clip) for clip in quiet.clips] == [800 // FRAME_BYTES, 1_700 // FRAME_BYTES]
    frames = [b64decode(frame) for clip in (*quiet.clips, quiet.noise) for frame in clip]
    assert {len(frame) for frame in frames} == {FRAME_BYTES}
    levels = [
        np.abs(np.frombuffer(Codec.PCMU.decode(b64decode(one.noise[0])), "<i2")).max() for one in (quiet, loud)
    ]
    assert levels[0] < levels[1]
    assert (quiet.lead_s, quiet.barge_in_share) == (0.3, 0.5)
    assert script() == script(), "the same seed, the same noise"


async def test_a_call_is_placed_as_twilio_places_it_and_sends_a_frame_every_20_ms() -> None:
    async with loaded(listen) as (gateway, load, session):
        await load.add(session)
        await until(lambda: bool(gateway.lines) and len(gateway.lines[0].of("media")) >= 25)
        ((method, path, form, headers),) = gateway.requests
        assert (method, path, form["CallStatus"], form["AccountSid"]) == ("POST", "/voice", "ringing", ACCOUNT_SID)
        assert headers["X-Twilio-Signature"] == sign(AUTH_TOKEN, f"{gateway.url}/voice", form)
        (line,) = gateway.lines
        url = f"{gateway.url.replace('http', 'ws')}/media/token"
        assert line.headers["X-Twilio-Signature"] == sign(AUTH_TOKEN, url, {})
        connected, start, *media = line.messages
        assert connected["event"] == "connected"
        assert start["start"]["callSid"] == form["CallSid"]
        assert start["start"]["mediaFormat"]["encoding"] == "audio/x-mulaw"
        assert [one["media"]["timestamp"] for one in media] == [str(20 * at) for at in range(len(media))]
        assert (load.calls, load.failed) == (1, 0)
        assert load.tally.frames_sent >= len(media)
        assert load.tally.own_lateness


async def test_calls_are_spread_over_the_frame() -> None:
    async with loaded(listen) as (_, load, session):
        for _ in range(PHASES + 1):
            await load.add(session)
        assert load.calls == PHASES + 1
        assert sorted(len(phase) for phase in load._phases) == [1] * (PHASES - 1) + [2]


async def test_what_a_gateway_sends_is_heard_and_its_marks_come_back() -> None:
    async def speak(line: Line) -> None:
        await line.socket.send_bytes(b"no message of a stream")
        await line.play(tone(100))
        await line.send("mark", {"name": "m1"})
        await line.until("mark")
        await line.until_closed()

    async with loaded(speak) as (gateway, load, session):
        await load.add(session)
        await until(lambda: bool(gateway.lines) and bool(gateway.lines[0].of("mark")))
        assert gateway.lines[0].of("mark")[0]["mark"]["name"] == "m1"
        assert load.tally.messages_in == 2
        assert load.tally.seconds_in == pytest.approx(0.1)


async def test_a_line_that_is_lost_is_a_call_that_failed() -> None:
    async def leave(_line: Line) -> None:
        """Closes at once."""

    async with loaded(leave) as (gateway, load, session):
        await load.add(session)
        await until(lambda: load.failed == 1)
        assert load.calls == 0
        assert gateway.lines[0].socket.close_code == 1000, "and the goodbye was answered"


async def test_a_gateway_that_is_busy_is_a_call_that_failed() -> None:
    async with loaded(listen, page="<Reject/>") as (gateway, load, session):
        await load.add(session)
        assert (load.calls, load.failed, gateway.lines) == (0, 1, [])


async def test_what_came_before_the_measurement_is_forgotten() -> None:
    async def speak(line: Line) -> None:
        while True:
            await line.play(tone(20))
            await line.until("media", len(line.of("media")) + 1)

    async with loaded(speak) as (_, load, session):
        await load.add(session)
        await until(lambda: load.tally.messages_in > 5)
        assert load.tally.lateness == [], "it is not measured yet"
        tally = load.measure()
        assert (tally.messages_in, tally.frames_sent, tally.own_lateness) == (0, 0, [])
        await until(lambda: bool(load.tally.lateness))
        assert tally is load.tally


async def test_whoever_hangs_up_says_so() -> None:
    async with loaded(listen) as (gateway, load, session):
        await load.add(session)
        await until(lambda: bool(gateway.lines) and bool(gateway.lines[0].of("media")))
        load.hang_up()
        assert load.calls == 0
        await until(lambda: bool(gateway.lines[0].of("stop")))
        assert json.dumps(gateway.lines[0].messages[-1]["event"]) == '"stop"'
        assert load.failed == 0


async def test_calls_that_know_what_to_say_take_the_place_of_a_script() -> None:
    class Parrot:
        """Sends its StreamSid instead of sound."""

        is_measured = False

        def __init__(self, stream_sid: str) -> None:
            self.heard: list[bytes] = []
            self._stream_sid = stream_sid

        def receive(self, text: bytes | memoryview, now: float) -> None:
            self.heard.append(bytes(text))

        def tick(self, now: float) -> list[str]:
            return [json.dumps({"event": "media", "streamSid": self._stream_sid})]

    async def speak(line: Line) -> None:
        await line.until("media", 3)
        await line.play(tone(20))
        await line.until_closed()

    parrots: list[Parrot] = []

    def talk(stream_sid: str, draws: random.Random) -> Parrot:
        parrots.append(Parrot(stream_sid))
        return parrots[-1]

    async with loaded(speak, talk=talk) as (gateway, load, session):
        await load.add(session)
        await until(lambda: bool(parrots[0].heard))
        assert gateway.lines[0].stream_sid == gateway.lines[0].of("media")[0]["streamSid"]
