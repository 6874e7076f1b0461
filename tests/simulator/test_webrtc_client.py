"""The client against a bare server of aiortc's: every shape, both ways of sound, bad networks, and all endings."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import numpy as np
import numpy.typing as npt
import pytest

from simulator.loopback_ice import LOOPBACK
from simulator.sound import Sound
from simulator.udp_plan import Plan
from simulator.voices import Voices
from simulator.webrtc_client import CHANNEL_LABEL, CodecName, WebRtcClient
from simulator.webrtc_exchange import HABITS, IceServer, OfferRefused, Shape
from simulator.webrtc_inbox import NothingCame
from tests.simulator.throwaway_webrtc import ThrowawayWebRtc, webrtc

pytestmark = pytest.mark.anyio

SESSION = {"type": "realtime", "instructions": "Be brief."}
STATIC_PAYLOADS: dict[CodecName, int] = {"PCMU": 0, "PCMA": 8}


@pytest.fixture
def hello() -> Sound:
    return Voices().clip("hello")


@pytest.mark.parametrize("shape", Shape)
async def test_every_shape_connects_and_its_channel_carries_events(shape: Shape) -> None:
    async with webrtc(ThrowawayWebRtc(ice_servers={})) as server, WebRtcClient() as client:
        await client.connect(server.url, "sk-1", shape=shape, session=SESSION)
        assert server.asked[-1].sdp == client.offer_sdp
        assert ("a=candidate:" in client.offer_sdp) is HABITS[shape].waits_for_candidates
        assert client.status == (201 if "Location" in client.headers else 200)
        assert client.call_id == (None if shape is Shape.SEED else "rtc_1")
        assert (await client.next())["type"] == "session.created"
        await client.send("echo.this", text="Grüße")
        assert await client.expect("echo.this") == {"type": "echo.this", "text": "Grüße"}
        assert [(channel.label, channel.ordered) for channel in server.channels] == [(CHANNEL_LABEL, True)]
        assert client.session_id == ("sess_1" if shape is Shape.SEED else "sess_of_event")
        assert client.unreadable == []


@pytest.mark.parametrize("shape", [Shape.OPENAI_SDP, Shape.AGENTS_JS, Shape.VISION_AGENTS])
async def test_some_shapes_configure_the_session_on_the_open_channel(shape: Shape) -> None:
    async with webrtc(ThrowawayWebRtc(ice_servers={})) as server, WebRtcClient() as client:
        await client.connect(server.url, "sk-1", shape=shape, session=SESSION)
        assert server.updated == [SESSION]
        assert [event["type"] for event in await client.until("session.updated")] == [
            "session.created",
            "session.updated",
        ]


@pytest.mark.parametrize("shape", Shape)
async def test_without_a_session_only_those_configure_it_that_always_do(shape: Shape) -> None:
    async with webrtc(ThrowawayWebRtc(ice_servers={})) as server, WebRtcClient() as client:
        await client.connect(server.url, "sk-1", shape=shape)
        await client.send("fence")
        await client.expect("fence")
        assert server.updated == ([{"type": "realtime"}] if HABITS[shape].updates_within_s else [])


async def test_a_configuration_that_is_not_answered_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.webrtc_client.LIMIT_S", 0.2)
    async with webrtc(ThrowawayWebRtc(updates=False)) as server, WebRtcClient() as client:
        with pytest.raises(NothingCame, match="session.updated did not come"):
            await client.connect(server.url, "sk-1", session=SESSION)


async def test_a_refused_offer_is_raised_and_leaves_nothing_behind() -> None:
    async with webrtc(ThrowawayWebRtc(refuses=403)) as server, WebRtcClient() as client:
        with pytest.raises(OfferRefused, match="403"):
            await client.connect(server.url, "sk-1")
        assert client.peer.connectionState == "new"
    assert client.peer.connectionState == "closed"


async def test_a_connection_that_never_stands_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.webrtc_client.LIMIT_S", 0.2)
    async with webrtc(ThrowawayWebRtc()) as server:
        async with WebRtcClient(through=Plan(loss=1), is_calm_at_first=False) as client:
            with pytest.raises(NothingCame, match="does not stand; connection connecting, channel connecting"):
                await client.connect(server.url, "sk-1")


async def test_what_a_test_raises_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError):
        async with WebRtcClient():
            raise KeyError


@pytest.mark.parametrize("codec", ["opus", "PCMU", "PCMA"])
async def test_sound_goes_both_ways(codec: CodecName, hello: Sound) -> None:
    async with webrtc(ThrowawayWebRtc()) as server, WebRtcClient(codec=codec) as client:
        await client.connect(server.url, "sk-1")
        began_s = time.monotonic()
        client.speak(hello)
        await client.spoken()
        assert await client.heard(began_s) > began_s
        await client.heard_for(hello.duration_ms + 500, began_s)
        assert client.energy(began_s) > 500
        assert client.energy(time.monotonic()) == 0
        assert client.packets.sound(began_s).duration_ms > hello.duration_ms
        assert {packet.payload_type for packet in client.packets.all} == {STATIC_PAYLOADS.get(codec, 96)}
        assert ("opus" in client.offer_sdp) is (codec == "opus")
        assert client.microphone is not None
        assert [spoken.sound for spoken in client.microphone.spoken] == [hello]


async def test_words_survive_the_way_there_and_back() -> None:
    """Loud and quiet follow each other in what comes as in what was said, and not as in the same said backwards."""
    said = Voices().clip("opening-hours")
    backwards = np.frombuffer(said.pcm, dtype="<i2")[::-1].tobytes()
    async with webrtc(ThrowawayWebRtc()) as server, WebRtcClient() as client:
        await client.connect(server.url, "sk-1")
        client.speak(said)
        at_s = await client.heard()
        await client.heard_for(said.duration_ms, at_s)
        for heard in (client.sound(at_s - 0.1), client.packets.sound()):
            # What a busy machine leaves out of it makes it less like either.
            assert best_likeness(said.pcm, heard.pcm) > 1.1 * best_likeness(backwards, heard.pcm)


async def test_a_client_without_a_microphone_only_receives() -> None:
    async with webrtc(ThrowawayWebRtc()) as server, WebRtcClient(has_microphone=False) as client:
        await client.connect(server.url, "sk-1")
        assert "a=recvonly" in client.offer_sdp
        await client.expect("session.created")
        with pytest.raises(AssertionError, match="without a microphone"):
            client.speak(Sound("a", b"aa"))
        with pytest.raises(AssertionError, match="without a microphone"):
            await client.spoken()


async def test_a_client_without_a_channel_talks_all_the_same(hello: Sound) -> None:
    async with webrtc(ThrowawayWebRtc()) as server, WebRtcClient(has_channel=False) as client:
        await client.connect(server.url, "sk-1", shape=Shape.AGENTS_JS)
        assert "m=application" not in client.offer_sdp
        client.speak(hello)
        await client.heard()
        with pytest.raises(AssertionError, match="without a channel"):
            await client.send("a")
        assert "channel none" in client.inbox.so_far()


async def test_what_is_no_event_is_kept_aside() -> None:
    async with webrtc(ThrowawayWebRtc()) as server, WebRtcClient() as client:
        await client.connect(server.url, "sk-1")
        await client.send_text("no event")
        await client.send_text(b"\x00")
        await client.send("fence")
        await client.expect("fence")
        assert client.unreadable == ["no event", b"\x00"]


async def test_ice_servers_are_read_and_used_if_wished() -> None:
    told = {"ice_servers": [{"urls": ["turn:127.0.0.1:9?transport=tcp"], "username": "u", "credential": "c"}]}
    async with webrtc(ThrowawayWebRtc(ice_servers=told)) as server:
        async with WebRtcClient(uses_ice_servers=True) as client:
            await client.connect(server.url, "sk-1", shape=Shape.INWORLD_JSON)
            assert client.ice_servers == [IceServer(("turn:127.0.0.1:9?transport=tcp",), "u", "c")]
            used = client.peer.getTransceivers()[0].receiver.transport.transport._connection
            assert (used.turn_server, used.turn_username, used.turn_password) == (("127.0.0.1", 9), "u", "c")
        async with WebRtcClient() as client:
            await client.connect(server.url, "sk-1", shape=Shape.INWORLD_JSON)
            assert client.ice_servers != []
            unused = client.peer.getTransceivers()[0].receiver.transport.transport._connection
            assert unused.turn_server is None


async def test_the_clients_addresses_may_be_chosen() -> None:
    async with webrtc(ThrowawayWebRtc()) as server:
        async with WebRtcClient(addresses=("127.0.0.5",)) as client:
            await client.connect(server.url, "sk-1")
            assert " 127.0.0.5 " in client.offer_sdp
        async with WebRtcClient(addresses=None) as client:
            assert LOOPBACK[0] not in await offered(client)


async def test_a_closed_client_says_goodbye() -> None:
    async with webrtc(ThrowawayWebRtc()) as server, WebRtcClient() as client:
        await client.connect(server.url, "sk-1")
        had_ended = client.has_ended
        await client.close()
        assert (had_ended, client.has_ended) == (False, True)
        await server.until("closed")
        await client.close()


async def test_a_vanished_client_says_none() -> None:
    async with webrtc(ThrowawayWebRtc(ice_servers={})) as server, WebRtcClient() as client:
        await client.connect(server.url, "sk-1")
        await client.expect("session.created")
        await server.until("connected")
        client.vanish()
        await client.send("unheard")
        server.channels[0].send(json.dumps({"type": "unheard"}))
        await client.close()
        # On loopback a goodbye would have come before the answer to what is asked after it.
        await client.exchange.ice_servers()
        assert server.states[-1] == "connected"
        assert [event["type"] for event in client.frames] == ["session.created"]


async def test_the_other_side_can_end_it() -> None:
    async with webrtc(ThrowawayWebRtc()) as server, WebRtcClient() as client:
        await client.connect(server.url, "sk-1")
        with pytest.raises(NothingCame, match="the connection did not end; connection connected, channel open"):
            await client.ended(within_s=0.01)
        await client.hang_up()
        assert server.hung_up == ["rtc_1"]
        await client.ended()
        assert await client.next() == {"type": "session.created", "session": {"id": "sess_of_event"}}
        with pytest.raises(NothingCame, match="no event came"):
            await client.next()


async def test_all_is_freed_at_the_end(hello: Sound) -> None:
    threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
    async with webrtc(ThrowawayWebRtc()) as server:
        async with WebRtcClient(through=Plan(delay_ms=1)) as client:
            await client.connect(server.url, "sk-1")
            client.speak(hello)
            await client.heard()
    left = {thread.name for thread in set(threading.enumerate()) - threads if "decoder" in thread.name}
    assert left == set()
    assert asyncio.all_tasks() - tasks == set()


async def test_a_shim_stands_between_and_loses_what_it_is_told_to(hello: Sound) -> None:
    plan = Plan(loss=0.2, jitter_ms=30, reorder=0.05, duplicate=0.05)
    async with webrtc(ThrowawayWebRtc()) as server, WebRtcClient(through=plan, seed=3) as client:
        await client.connect(server.url, "sk-1")
        assert "a=candidate:" not in client.offer_sdp
        shim = client.shim
        assert shim is not None
        assert shim.sent.lost == shim.came.lost == 0, "it is calm until the connection stands"
        for number in range(10):
            await client.send("echo", number=number)
        client.speak(hello)
        assert [(await client.expect("echo"))["number"] for _ in range(10)] == list(range(10))
        await client.spoken()
        await client.heard()
        for way in (shim.sent, shim.came):
            assert way.lost > 0
            assert way.passed > 0
            assert way.delayed > 0


async def test_a_connection_can_be_set_up_in_bad_weather() -> None:
    async with webrtc(ThrowawayWebRtc()) as server:
        async with WebRtcClient(through=Plan(loss=0.1), seed=1, is_calm_at_first=False) as client:
            await client.connect(server.url, "sk-1")
            await client.expect("session.created")
            assert client.shim is not None
            assert client.shim.sent.lost > 0


async def test_a_connection_outlives_an_outage(hello: Sound) -> None:
    async with webrtc(ThrowawayWebRtc()) as server, WebRtcClient(through=Plan(outages=((0, 2),))) as client:
        await client.connect(server.url, "sk-1")
        assert client.shim is not None
        client.speak(hello)  # into the void
        await client.send("echo")
        await client.expect("echo")
        assert client.shim.sent.blacked_out > 0
        after_s = time.monotonic()
        client.speak(hello)
        await client.heard(after_s)
        assert not client.has_ended


async def offered(client: WebRtcClient) -> str:
    """Its offer, gathered and not sent."""
    client.peer = client._peer()
    await client.peer.setLocalDescription(await client.peer.createOffer())
    return client.peer.localDescription.sdp


def best_likeness(said: bytes, heard: bytes) -> float:
    """Of loudness over time around its mean, at the best place: 1.0 is the same, 0.0 unrelated."""
    one, other = loudness(said), np.pad(loudness(heard), len(loudness(said)))
    one -= one.mean()
    places = [other[at : at + len(one)] for at in range(len(other) - len(one) + 1)]
    pieces = [piece - piece.mean() for piece in places]
    likenesses = [np.dot(one, piece) / (np.linalg.norm(one) * np.linalg.norm(piece) + 1e-9) for piece in pieces]
    return float(max(likenesses))


def loudness(pcm: bytes) -> npt.NDArray[np.float64]:
    """In steps of 20 ms."""
    steps = np.frombuffer(pcm[: len(pcm) // 320 * 320], dtype="<i2").astype(float).reshape(-1, 160)
    levels: npt.NDArray[np.float64] = np.sqrt((steps**2).mean(axis=1))
    return levels
