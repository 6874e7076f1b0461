"""What tests over a peer connection and the whole gateway need: clients whose events are judged, and their sound.

The gateway is the real one on loopback, the client aiortc's peer connection. All events that a client was sent are
judged when it is done: each by OpenAI's own models, and all by the rules of a peer connection (`judge`).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx2
import pytest

from gateway.settings import Settings
from gateway.webrtc.link import LinkSetup
from gateway.webrtc.setup import make_setup
from pipeline.dialects import Dialect
from pipeline.providers.stub import StubVoice
from pipeline.responder import Cascade
from simulator.sound import FRAME_MS, RATE_HZ, rms
from simulator.udp_plan import Plan
from simulator.webrtc_client import CodecName, WebRtcClient
from simulator.webrtc_exchange import OfferRefused, Shape
from simulator.webrtc_inbox import Event
from tests.calls.support import LIMIT_S, tasks_gone
from tests.gateway.webrtc.offers import CHROMIUM
from tests.pipeline.oracle import Oracle
from tests.protocol.providers import Actor, Listener
from tests.realtime.support import OPERATOR_TOKEN, Service, service

BEARER: Final = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
SDP: Final = {"Content-Type": "application/sdp"}
CALLS: Final = "/v1/realtime/calls"

VAD: Final = {"type": "server_vad", "silence_duration_ms": 300}
HEARS: Final[Mapping[str, Any]] = {
    "type": "realtime",
    "audio": {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": VAD}},
}
"""A session that takes turns quickly and shows what it understands."""

AUDIBLE_RMS: Final = 150
AUDIO_EVENTS: Final = ("response.output_audio.delta", "response.audio.delta")
ITS_END: Final = ("output_audio_buffer.stopped", "output_audio_buffer.cleared")


def providers(*, word_ms: int = 200) -> Cascade:
    """Those of the protocol's tests, who do what they are told to, and hum `word_ms` a word."""
    return Cascade(Listener(), Actor(), StubVoice(word_ms=word_ms))


@dataclass
class Rtc:
    """A gateway, and the way to it over WebRTC."""

    service: Service

    @property
    def url(self) -> str:
        return self.service.running.url

    @asynccontextmanager
    async def client(
        self,
        *,
        key: str | None = OPERATOR_TOKEN,
        shape: Shape = Shape.OPENAI_SDP,
        session: Mapping[str, Any] | None = None,
        model: str | None = None,
        headers: Mapping[str, str] | None = None,
        dialect: Dialect = Dialect.GA,
        leaves_early: bool = False,
        codec: CodecName = "opus",
        has_microphone: bool = True,
        through: Plan | None = None,
    ) -> AsyncGenerator[WebRtcClient, None]:
        """A client that has connected, judged and closed at the end. `leaves_early`: its sound may be cut off."""
        async with WebRtcClient(codec=codec, has_microphone=has_microphone, through=through) as client:
            await client.connect(self.url, key, shape=shape, session=session, model=model, headers=headers)
            yield client
            judge(client.frames, dialect, leaves_early=leaves_early)
            assert client.unreadable == []

    async def refused(self, **asked: Any) -> OfferRefused:
        """How a client's offer is refused; `asked` is of `client`."""
        with pytest.raises(OfferRefused) as refusal:
            async with self.client(**asked):
                pass
        return refusal.value

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **content: Any
    ) -> httpx2.Response:
        """One request; without `headers`, the operator's."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=LIMIT_S) as http:
            return await http.request(method, path, headers=BEARER if headers is None else headers, **content)

    async def offer(
        self, headers: Mapping[str, str] | None = None, *, path: str = CALLS, sdp: str = CHROMIUM
    ) -> httpx2.Response:
        """An offer of a browser's that will never connect."""
        return await self.ask(
            "POST", path, SDP | dict(BEARER if headers is None else headers), content=sdp.encode()
        )

    @property
    def seated(self) -> int:
        return self.service.running.gateway.directory.seated

    @property
    def is_empty(self) -> bool:
        """No session runs, and none is about to."""
        running = self.service.running
        has_sessions = running.gateway.directory.ids() or self.seated
        return not has_sessions and not running.sample("realtime_sessions_active")

    def ended(self, reason: str, dialect: str = "ga") -> float:
        """How many sessions have, by why."""
        labels = {"dialect": dialect, "transport": "webrtc", "ended_reason": reason}
        return self.service.running.sample("realtime_sessions_total", **labels)

    async def empty(self) -> None:
        await until(lambda: self.is_empty)

    @asynccontextmanager
    async def leaving_nothing(
        self, reason: str | None = None, *, count: int = 1, dialect: str = "ga"
    ) -> AsyncGenerator[None, None]:
        """What is begun inside is over soon after: sessions, seats, tasks, sockets. `count` ended for `reason`."""
        await self.empty()
        tasks, files = asyncio.all_tasks(), open_files()
        before = self.ended(reason or "", dialect)
        yield
        await self.empty()
        assert await tasks_gone(tasks) == set()
        await until(lambda: open_files() <= files)
        assert self.ended(reason or "", dialect) == before + (count if reason else 0)


@asynccontextmanager
async def rtc(cascade: Cascade | None = None, **settings: str) -> AsyncGenerator[Rtc, None]:
    """A gateway of its own; `settings` go by their names without `SWITCHBOARD_`."""
    async with service(cascade or providers(), **settings) as running:
        yield Rtc(running)


@asynccontextmanager
async def hasty_rtc(
    cascade: Cascade | None = None, *, limits: Mapping[str, float], **settings: str
) -> AsyncGenerator[Rtc, None]:
    """The same, with `limits` of a link (fields of `LinkSetup`) that a test can wait for."""

    def hasty(read: Settings) -> LinkSetup:
        return replace(make_setup(read), **dict[str, Any](limits))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.webrtc.served.make_setup", hasty)
        async with rtc(cascade, **settings) as running:
            yield running


def judge(frames: Sequence[Event], dialect: Dialect, *, leaves_early: bool = False) -> None:
    """All that one client was sent. Raises `AssertionError`.

    "Exactly one of stopped/cleared per started": started after the response's first content part, stopped after the
    response; and sound goes over the track (Realtime reference, section E.1).
    """
    oracle = Oracle(dialect)
    parts: set[str] = set()
    done: set[str] = set()
    told: set[str] = set()
    sounding: str | None = None
    for frame in frames:
        oracle.see(json.dumps(frame))
        kind = frame["type"]
        assert kind not in AUDIO_EVENTS, "sound goes over the track"
        match kind:
            case "response.content_part.added":
                parts.add(frame["response_id"])
            case "response.done":
                assert frame["response"]["id"] not in done
                done.add(frame["response"]["id"])
            case "output_audio_buffer.started":
                assert sounding is None, "one response sounds at a time"
                sounding = frame["response_id"]
                assert sounding in parts, "its part is told before its sound"
                assert sounding not in told, "it is told once"
                told.add(sounding)
            case "output_audio_buffer.stopped" | "output_audio_buffer.cleared":
                assert frame["response_id"] == sounding, "what ends has begun"
                assert kind.endswith("cleared") or sounding in done, "it is drained after its response is done"
                sounding = None
            case _:
                pass
    assert leaves_early or sounding is None, "its end was not told"


async def until(holds: Callable[[], bool]) -> None:
    """Back once it is so; `TimeoutError` if it never is."""
    async with asyncio.timeout(LIMIT_S):
        while not holds():  # noqa: ASYNC110 - what other tasks do
            await asyncio.sleep(0.005)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def types(frames: Sequence[Event]) -> list[str]:
    return [frame["type"] for frame in frames]


def of(client: WebRtcClient, *kinds: str) -> list[Event]:
    """All events of these types that came so far."""
    return [frame for frame in client.frames if frame["type"] in kinds]


async def say_text(client: WebRtcClient, text: str) -> None:
    """A typed turn, and the wish for an answer."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await client.send("conversation.item.create", item=item)
    await client.send("response.create")


async def update(client: WebRtcClient, **session: Any) -> Event:
    """The session that is told after a `session.update` of GA's shape."""
    await client.send("session.update", session={"type": "realtime", **session})
    told: Event = (await client.expect("session.updated"))["session"]
    return told


async def listening(client: WebRtcClient) -> None:
    """Until the microphone is heard, which is when the client has sent something, or half a second later."""
    await client.send("input_audio_buffer.clear")
    await client.expect("input_audio_buffer.cleared")


async def packets(client: WebRtcClient, count: int) -> None:
    """Until so many more have come on the track."""
    wanted = len(client.packets.all) + count
    await until(lambda: len(client.packets.all) >= wanted)


def loud_frames(client: WebRtcClient, since_s: float = 0.0) -> list[bool]:
    """For each 20 ms that came since an instant, in the order they were sent, whether something is to be heard."""
    pcm = client.packets.sound(since_s).pcm
    size = 2 * RATE_HZ * FRAME_MS // 1000
    return [rms(pcm[at : at + size]) >= AUDIBLE_RMS for at in range(0, len(pcm), size)]


def audible_ms(client: WebRtcClient, since_s: float = 0.0) -> int:
    """How much of what came since an instant is to be heard."""
    return FRAME_MS * sum(loud_frames(client, since_s))


def error_of(answer: httpx2.Response | OfferRefused) -> dict[str, Any]:
    """What OpenAI's clients read of a refusal, once Inworld's are found to read the same."""
    if isinstance(answer, OfferRefused):
        status, body = answer.status, answer.json
    else:
        status, body = answer.status_code, answer.json()
    assert body.keys() == {"code", "message", "error"}
    assert (body["code"], body["message"]) == (status, body["error"]["message"])
    assert body["error"].keys() == {"message", "type", "param", "code"}
    error: dict[str, Any] = body["error"]
    return error
