"""The WebRTC load against a throw-away server: how it connects, keeps time, measures and leaves."""

from __future__ import annotations

import asyncio
import random

import pytest

from simulator import webrtc_load
from simulator.voices import Voices
from simulator.webrtc_load import RtcTarget, WebrtcLoad, join_echo, join_talk, talk_script_for
from simulator.webrtc_mark import FRAME_BYTES, OpusCoder, make_mark
from simulator.webrtc_mark_session import MarkSession
from simulator.webrtc_talk import EchoSession, TalkScript, TalkSession, TalkTally
from tests.simulator.throwaway_webrtc import ThrowawayWebRtc, webrtc

pytestmark = pytest.mark.anyio

SILENCE = OpusCoder().packets(bytes(FRAME_BYTES * 50))
SCRIPT = TalkScript(clips=(SILENCE[:5],), noise=SILENCE, mark=make_mark(), first_pause_s=0.1)


def load_for(server: ThrowawayWebRtc, marks: int = 1) -> WebrtcLoad:
    return WebrtcLoad(RtcTarget(server.url, "k"), SCRIPT, join_echo(marks), seed=1)


async def test_sessions_are_opened_measured_and_ended() -> None:
    async with webrtc(ThrowawayWebRtc()) as server, asyncio.timeout(60):
        async with load_for(server) as load:
            await load.add()
            await load.add()
            assert (load.sessions, load.joined, load.failed) == (2, 2, 0)
            await asyncio.sleep(0.5)
            load.measure()
            await asyncio.sleep(2.5)
            measured = load.measured()
            assert [asked.headers["Authorization"] for asked in server.asked] == ["Bearer k"] * 2
            assert len(load.offer_to_answer) == len(load.offer_to_packet) == 2
            assert all(a < b for a, b in zip(load.offer_to_answer, load.offer_to_packet, strict=True))
        talk = measured.talk
        assert 20 < talk.sent < 350
        assert talk.received > 20
        assert measured.deaf == 0
        assert measured.lost == 0
        assert len(measured.lateness) == talk.received
        assert measured.own_lateness
        assert talk.round_trip
        # Stock aiortc holds four packets back, and for as long as this loop, which is both ends', was late.
        assert talk.mouth_to_ear
        late_ms = max(measured.lateness) + max(measured.own_lateness)
        assert 40 < min(talk.mouth_to_ear) < 500 + 2 * late_ms
        await server.until("closed")


async def test_measuring_anew_forgets_what_was_measured() -> None:
    async with webrtc(ThrowawayWebRtc()) as server, load_for(server, marks=0) as load, asyncio.timeout(30):
        await load.add()
        load.measure()
        await asyncio.sleep(0.3)
        load.measure()
        measured = load.measured()
    assert measured.talk.sent <= 1
    assert measured.talk.mouth_to_ear == []


async def test_a_session_that_is_turned_away_has_failed_and_says_why() -> None:
    async with webrtc(ThrowawayWebRtc(refuses=429)) as server, load_for(server) as load:
        await load.add()
        assert (load.sessions, load.failed, load.first_failure) == (0, 1, "not opened: 429")


async def test_a_server_that_is_not_there_is_a_failure() -> None:
    async with WebrtcLoad(RtcTarget("http://127.0.0.1:9", "k"), SCRIPT, join_talk, seed=1) as load:
        await load.add()
        assert load.failed == 1
        assert load.first_failure is not None
        assert load.first_failure.startswith("not opened: ")


async def test_an_answer_that_leads_nowhere_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc_load, "CONNECT_LIMIT_S", 0.0)
    async with webrtc(ThrowawayWebRtc()) as server, load_for(server) as load:
        await load.add()
        assert load.first_failure == "not opened: TimeoutError"


async def test_whoever_is_cancelled_while_connecting_leaves_nothing_open() -> None:
    async with webrtc(ThrowawayWebRtc()) as server, load_for(server) as load:
        adding = asyncio.create_task(load.add())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
        assert (load.sessions, load.failed) == (0, 0)


async def test_a_session_that_the_server_ends_is_lost() -> None:
    async with webrtc(ThrowawayWebRtc()) as server, load_for(server) as load:
        await load.add()
        load.measure()
        await server.peers[0].close()
        async with asyncio.timeout(20):
            while load.sessions:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        assert (load.failed, load.first_failure) == (1, "connection lost")


async def test_a_session_that_no_packet_reaches_is_deaf() -> None:
    async with webrtc(ThrowawayWebRtc()) as server, load_for(server) as load, asyncio.timeout(30):
        await load.add()
        load.measure()
        assert load.measured().deaf == 1


def test_the_first_sessions_of_an_echo_listen_for_marks() -> None:
    join = join_echo(2)
    kinds = [type(join(number, SCRIPT, TalkTally(), random.Random(1))) for number in range(4)]
    assert kinds == [MarkSession, MarkSession, EchoSession, EchoSession]
    assert type(join_talk(0, SCRIPT, TalkTally(), random.Random(1))) is TalkSession


def test_a_script_holds_each_clip_in_packets_of_20_ms() -> None:
    clips = [Voices().clip(name) for name in ("hello", "yes")]
    script = talk_script_for(clips, noise_dbfs=-60.0, seed=1)
    assert [len(clip) for clip in script.clips] == [-(-int(clip.duration_ms) // 20) for clip in clips]
    assert len(script.noise) == 200
