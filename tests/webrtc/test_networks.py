"""Bad networks: a conversation goes on through loss, jitter and outages, and ends cleanly where it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from typing import Final

import pytest

from gateway.realtime.session_end import SessionEnd
from gateway.webrtc.jitter_buffer import LONGEST_DELAY_MS
from simulator.udp_plan import Plan
from simulator.webrtc_client import WebRtcClient
from simulator.webrtc_inbox import NothingCame
from simulator.webrtc_packets import Packet
from tests.calls.support import clip
from tests.protocol.providers import HEARD
from tests.realtime.support import OPERATOR_TOKEN
from tests.webrtc.networks import NETWORKS, Talker, Watched, talker, watching
from tests.webrtc.support import ITS_END, Rtc, hasty_rtc, of, until

pytestmark = pytest.mark.anyio

FRAME_TICKS: Final = 960
"""20 ms on the RTP clock of Opus (RFC 7587, section 4.1)."""
CONNECT_LIMIT_S: Final = 12.0
"""The gateway's ten, and the time for its first event to come through."""
MOST_OF_TEN: Final = 5
"""That connect where a fifth of all datagrams is lost each way. Where the machine is idle, all do."""
SMALL_MS: Final = 100
"""Of delay: three frames that the network has earned, and our own unevenness on a busy machine."""
AT_ONCE: Final = 4
"""Talkers. All of them, and the gateway, are played by one event loop here."""
STOOD_STILL_S: Final = 0.15
"""Of two packets in a row: the gateway sends what 200 ms held up, and leaves out what is more."""


@pytest.fixture(scope="module")
async def made(anyio_backend: str) -> AsyncGenerator[list[Watched], None]:
    with watching() as microphones:
        yield microphones


def typed(one: Talker) -> list[str]:
    """What was typed, in the order in which it was told to be there."""
    items = [event["item"] for event in of(one.client, "conversation.item.added")]
    return [part["text"] for item in items for part in item.get("content", ()) if part["type"] == "input_text"]


async def outage(one: Talker, lasts_s: float) -> None:
    """Nothing passes, either way."""
    one.shim.mute()
    await asyncio.sleep(lasts_s)
    one.shim.unmute()


async def sound_flows(one: Talker) -> None:
    """Half a second of packets came to the gateway, and few of them are held."""
    buffer = one.at_gateway.buffer
    wanted = buffer.received + 25
    await until(lambda: buffer.received >= wanted and buffer.held_ms <= SMALL_MS)


async def judge_all(one: Talker) -> None:
    """What holds of every conversation: all events came, in order, and each sound has one end; little was held."""
    while len(of(one.client, *ITS_END)) < len(of(one.client, "output_audio_buffer.started")):
        await one.client.next()
    assert await one.same()
    ends = of(one.client, *ITS_END)
    started = of(one.client, "output_audio_buffer.started")
    assert [event["response_id"] for event in ends] == [event["response_id"] for event in started]
    assert one.at_gateway.most_held_ms <= LONGEST_DELAY_MS
    assert not of(one.client, "error")
    judge_clock(one.client.packets.since(0.0))


def judge_clock(packets: Sequence[Packet]) -> None:
    """One stream, each packet 20 ms after the one before by its number; only a stall of ours leaves time out."""
    assert len({(packet.ssrc, packet.payload_type) for packet in packets}) == 1
    first, last = packets[0], packets[-1]
    for packet in packets[1:]:
        sequence = (packet.sequence - first.sequence) % (1 << 16)
        assert ticks(first, packet) % FRAME_TICKS == 0
        assert ticks(first, packet) // FRAME_TICKS >= sequence, "no time comes twice"
    # A machine that stands still is seen here as packets far apart. Nothing else may leave time out.
    stood_still_s = sum(
        left_out_s(before, after)
        for before, after in zip(packets, packets[1:], strict=False)
        if after.at_s - before.at_s > STOOD_STILL_S
    )
    assert -2.0 < left_out_s(first, last) < 2.0 + stood_still_s, "sound is as long as time"


def ticks(first: Packet, packet: Packet) -> int:
    """From one to the other on the RTP clock; less than none where they were overtaken by each other."""
    return (packet.timestamp - first.timestamp + (1 << 31)) % (1 << 32) - (1 << 31)


def left_out_s(before: Packet, after: Packet) -> float:
    """Seconds that went by between two packets and are not in the sound."""
    return after.at_s - before.at_s - ticks(before, after) / 48_000


async def test_turns_are_taken_on_every_network_and_no_event_is_lost(gateway: Rtc, made: list[Watched]) -> None:
    async def talk(name: str, plan: Plan, seed: int) -> None:
        async with seats, AsyncExitStack() as stack:
            async with connecting:
                one = await stack.enter_async_context(talker(gateway, made, plan, seed=seed))
            for turn in range(2):
                assert await one.asks() == HEARD, name
                await one.sends(*(f"{turn} {number}" for number in range(10)))
            await judge_all(one)
            assert typed(one) == [f"{turn} {number}" for turn in range(2) for number in range(10)]
            assert len(of(one.client, "response.done")) >= 2
            lost, came = one.shim.sent.lost, one.shim.sent.came
            assert (lost > 0) == (plan.loss > 0), f"{lost} of {came}"

    connecting, seats = asyncio.Lock(), asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as tasks:
        for seed, (name, plan) in enumerate(NETWORKS.items()):
            tasks.create_task(talk(name, plan, seed))


async def speaks_and_is_cut_off(one: Talker, lasts_s: float) -> None:
    """The network fails in the middle of what is said: the turn ends all the same, and is answered."""
    begun = len(of(one.client, "input_audio_buffer.speech_started"))
    one.client.speak(clip("opening-hours"))
    await until(lambda: len(of(one.client, "input_audio_buffer.speech_started")) > begun)
    one.shim.mute()
    stops = one.witness.types.count("input_audio_buffer.speech_stopped")
    silent = asyncio.create_task(asyncio.sleep(lasts_s))
    # The witness hears while nothing passes: the gateway does not wait for packets to end a turn.
    await one.witness.hear("input_audio_buffer.speech_stopped")
    await one.witness.hear("conversation.item.input_audio_transcription.completed")
    assert not silent.done()
    assert one.witness.types.count("input_audio_buffer.speech_stopped") == stops + 1
    await one.sends("in between")  # a client that has not noticed
    await silent
    one.shim.unmute()


async def test_a_session_survives_outages_and_the_delay_does_not_grow(gateway: Rtc, made: list[Watched]) -> None:
    async def through(outages_s: Sequence[float]) -> None:
        async with AsyncExitStack() as stack:
            async with connecting:
                one = await stack.enter_async_context(talker(gateway, made, Plan(jitter_ms=10)))
            assert await one.asks() == HEARD
            for lasts_s in outages_s:
                await speaks_and_is_cut_off(one, lasts_s)
                assert await one.is_understood() == HEARD
                await sound_flows(one)
            while len(of(one.client, *ITS_END)) < 1 + len(outages_s):
                await one.client.next()
            assert await one.asks() == HEARD
            await judge_all(one)
            assert typed(one) == ["in between"] * len(outages_s)
            await until(lambda: one.at_gateway.buffer.delay_ms <= SMALL_MS)

    connecting = asyncio.Lock()
    async with asyncio.TaskGroup() as tasks:
        for outages_s in ((5.0,), (10.0,), (1.5, 1.5, 1.5)):
            tasks.create_task(through(outages_s))


async def test_an_outage_while_it_speaks_leaves_the_answers_end_and_the_clock_as_they_are(
    gateway: Rtc, made: list[Watched]
) -> None:
    async with talker(gateway, made, Plan()) as one:
        one.client.speak(clip("opening-hours"))
        await one.client.expect("output_audio_buffer.started")
        before = len(one.client.packets.all)
        await outage(one, 2.0)
        await one.client.expect("output_audio_buffer.stopped")
        await until(lambda: len(one.client.packets.all) > before + 25)
        await judge_all(one)
        gap = max(
            (later.sequence - packet.sequence) % (1 << 16)
            for packet, later in zip(one.client.packets.all, list(one.client.packets.all)[1:], strict=False)
        )
        assert gap >= 90, "what was sent into the void is not sent again"


async def test_beyond_consent_the_session_has_lost_its_connection_and_leaves_nothing() -> None:
    with watching() as made:
        async with (
            hasty_rtc(limits={"consent_limit_s": 1.0, "consent_every_s": 0.2}) as gateway,
            gateway.leaving_nothing(SessionEnd.CONNECTION_LOST),
            talker(gateway, made, Plan()) as one,
        ):
            one.client.speak(clip("opening-hours"))
            await one.client.expect("output_audio_buffer.started")
            one.shim.mute()
            await until(lambda: gateway.ended(SessionEnd.CONNECTION_LOST) == 1)
            assert (await one.witness.closed())[1] == "session_over"


async def test_most_clients_connect_within_ten_seconds_where_a_fifth_is_lost(gateway: Rtc) -> None:
    async def connects(seed: int) -> bool:
        client = WebRtcClient(through=Plan(loss=0.2), seed=seed, is_calm_at_first=False)
        async with client:
            try:
                async with asyncio.timeout(CONNECT_LIMIT_S):
                    await client.connect(gateway.url, OPERATOR_TOKEN)
                    await client.expect("session.created")
                    await client.hang_up()  # a goodbye of its own would be lost as often
            except (TimeoutError, NothingCame):
                return False
        return True

    async with asyncio.TaskGroup() as tasks:
        trying = [tasks.create_task(connects(seed)) for seed in range(10)]
    assert sum(task.result() for task in trying) >= MOST_OF_TEN
    await gateway.empty()
