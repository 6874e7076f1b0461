"""A peer connection as the line of a session, with a link that does what the test says."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.media_stream.pacer import Pacer
from gateway.realtime.floor import Floor
from gateway.realtime.ingress import Ingress
from gateway.realtime.session_end import SessionEnd
from gateway.realtime.wiring import Wiring
from gateway.webrtc import connection as module
from gateway.webrtc.answer import LocalSide
from gateway.webrtc.connection import MOST_WAITING_BYTES, MOST_WAITING_MESSAGES, UNCONFIGURED_S, RtcConnection
from gateway.webrtc.link import LinkEnd, LinkSetup
from gateway.webrtc.offer import Fingerprint, read_offer
from gateway.webrtc.rtp import header
from pipeline.audio.formats import PCMU
from pipeline.dialects import Dialect
from pipeline.engine import Engine
from pipeline.events.input_audio import InputAudioBufferCleared
from pipeline.events.response import OutputAudioDelta
from pipeline.reports import Played
from pipeline.wire import Wire
from tests.fakes import Ids
from tests.gateway.webrtc.offers import CHROMIUM, changed
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, settle

pytestmark = pytest.mark.anyio

PCMU_OFFER = changed(
    CHROMIUM, ("m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", "m=audio 9 UDP/TLS/RTP/SAVPF 0")
)
WITHOUT_CHANNEL = changed(PCMU_OFFER.partition("m=application")[0], ("BUNDLE 0 1", "BUNDLE 0"))
FRAME = b"\x20" * 160


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class FakeLink:
    """Connects when it may; keeps what it is given."""

    def __init__(self, _setup: LinkSetup, **callbacks: Any) -> None:
        self.on = SimpleNamespace(**callbacks)
        self.may_connect = asyncio.Event()
        self.has_sent = asyncio.Event()
        self.has_sent.set()
        self.texts: list[str] = []
        self.rtp: list[bytes] = []
        self.most_message_bytes = 65_536
        self.closed = 0

    async def gather(self) -> None:
        pass

    def local_side(self, _offer: object, *, ssrc: int, cname: str) -> LocalSide:
        prints = (Fingerprint(algorithm="sha-256", value="AB:CD"),)
        return LocalSide(
            ufrag="abcd",
            password="p" * 22,
            fingerprints=prints,
            candidates=(),
            setup="active",
            ssrc=ssrc,
            cname=cname,
            most_bytes=65_536,
        )

    async def connect(self, _offer: object) -> None:
        await self.may_connect.wait()

    def send_rtp(self, packet: bytes) -> None:
        self.rtp.append(packet)

    def send_rtcp(self, _packet: bytes) -> None:
        pass

    def send_text(self, text: str) -> None:
        self.texts.append(text)

    async def room(self) -> None:
        pass

    async def sent(self) -> None:
        await self.has_sent.wait()

    async def close(self) -> None:
        self.closed += 1

    @property
    def types(self) -> list[str]:
        return [json.loads(text)["type"] for text in self.texts]


@dataclass
class FakeEngine:
    is_running: bool = True
    heard: list[bytes] = field(default_factory=list)
    reports: list[object] = field(default_factory=list)
    session: Any = field(
        default_factory=lambda: SimpleNamespace(config=SimpleNamespace(input_format=PCMU, output_format=PCMU))
    )

    def hear(self, audio: bytes) -> None:
        self.heard.append(audio)

    def report(self, report: object) -> None:
        self.reports.append(report)


class FakeIngress:
    """Hears at once, unless it is told to be full."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.free = asyncio.Event()
        self.free.set()
        self.is_closed = False

    @property
    def is_full(self) -> bool:
        return not self.free.is_set()

    async def has_room(self) -> None:
        await self.free.wait()

    def take(self, message: bytes) -> None:
        self.taken.append(message)

    async def work(self) -> None:
        await asyncio.Event().wait()

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Line:
    """A connection, and what stands around it."""

    connection: RtcConnection
    link: FakeLink
    engine: FakeEngine = field(default_factory=FakeEngine)
    ingress: FakeIngress = field(default_factory=FakeIngress)
    ends: int = 0

    def wire(self) -> None:
        def end() -> None:
            self.ends += 1

        self.connection.wire(
            Wiring(
                wire=Wire(Dialect.GA, opened_at_s=0.0),
                floor=Floor(),
                allowance=None,
                make_id=Ids(),
                now=asyncio.get_running_loop().time,
                on_end=end,
            )
        )

    async def open(self) -> None:
        """Wired, connected, and with an open channel."""
        self.wire()
        self.link.may_connect.set()
        assert await self.connection.opened(cast(Engine, self.engine))
        self.link.on.on_channel()

    def read(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.connection.read(cast(Ingress, self.ingress)))

    def speak(self, count: int = 10) -> None:
        """As many packets of the client's, at once."""
        for number in range(count):
            self.link.on.on_rtp(header(0, number, number * 160, 77, False) + b"\x10" * 160)


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    return make_line(monkeypatch)


def make_line(monkeypatch: pytest.MonkeyPatch, offer: str = PCMU_OFFER) -> Line:
    monkeypatch.setattr(module, "Link", FakeLink)
    connection = RtcConnection(read_offer(offer), cast(LinkSetup, None), cast(Pacer, _late_pacer()), "sess_1")
    return Line(connection, cast(FakeLink, connection._link))


def _late_pacer() -> object:
    """Made in the event loop, which fixtures are not."""

    class Late:
        pacer: Pacer | None = None

        def __getattr__(self, name: str) -> Any:
            self.pacer = self.pacer or Pacer()
            return getattr(self.pacer, name)

    return Late()


async def test_the_answer_is_of_our_side(line: Line) -> None:
    answer = await line.connection.answer()
    assert "a=ice-ufrag:abcd" in answer
    assert "m=audio" in answer and "m=application" in answer
    assert "sess_1" in answer, "our source has the session's name"


async def test_it_is_open_when_the_link_stands(line: Line) -> None:
    line.wire()
    opening = asyncio.create_task(line.connection.opened(cast(Engine, line.engine)))
    await settle()
    assert not opening.done()
    line.link.may_connect.set()
    assert await opening
    await asyncio.sleep(0.1)
    assert len(line.link.rtp) >= 5, "silence from the beginning"
    line.connection.finish(SessionEnd.CLIENT_LEFT)


@pytest.mark.parametrize("end", list(LinkEnd))
async def test_a_link_that_ends_ends_it_by_name(line: Line, end: LinkEnd) -> None:
    await line.open()
    line.link.on.on_end(end)
    assert line.connection.end is not None
    assert line.connection.end.value == {"peer_left": "client_left", "message_too_large": "too_large"}.get(
        end.value, end.value
    )
    assert line.ends == 1
    line.connection.finish(SessionEnd.HUNG_UP)
    assert line.connection.end.value != "hung_up", "the first reason stands"
    assert line.ends == 1


async def test_one_that_ends_while_it_connects_is_never_open(line: Line) -> None:
    line.wire()
    opening = asyncio.create_task(line.connection.opened(cast(Engine, line.engine)))
    await settle()
    line.link.on.on_end(LinkEnd.NEVER_CONNECTED)
    assert not await opening
    assert line.link.closed == 1
    assert line.connection.end is SessionEnd.NEVER_CONNECTED


async def test_one_that_ends_before_it_has_a_session_is_never_open(line: Line) -> None:
    line.connection.finish(SessionEnd.STOPPING)
    assert line.ends == 0
    line.wire()
    assert not await line.connection.opened(cast(Engine, line.engine))


async def test_one_that_never_had_a_session_is_closed_all_the_same(line: Line) -> None:
    await line.connection.close()
    assert line.link.closed == 1


async def test_sound_goes_over_the_track_and_everything_else_over_the_channel(line: Line) -> None:
    await line.open()
    writing = asyncio.create_task(line.connection.peer.write())
    line.connection.send(
        OutputAudioDelta(
            event_id="e",
            response_id="resp_1",
            item_id="item_1",
            output_index=0,
            content_index=0,
            delta=FRAME * 10,
        )
    )
    line.connection.send(InputAudioBufferCleared(event_id="event_1"))
    await asyncio.sleep(0.3)
    assert line.link.types == ["input_audio_buffer.cleared"]
    assert line.engine.reports[-1] == Played(10 * 160)
    assert line.connection.flush() == 10 * 160
    await line.connection.room()
    line.engine.is_running = False
    line.connection.finish(SessionEnd.CLIENT_LEFT)
    writing.cancel()


async def test_nothing_is_sent_before_the_channel_is_open(line: Line) -> None:
    line.wire()
    line.link.may_connect.set()
    assert await line.connection.opened(cast(Engine, line.engine))
    writing = asyncio.create_task(line.connection.peer.write())
    line.connection.send(InputAudioBufferCleared(event_id="event_1"))
    await asyncio.sleep(1)
    assert line.link.texts == []
    line.link.on.on_channel()
    await settle()
    assert line.link.types == ["input_audio_buffer.cleared"]
    line.connection.finish(SessionEnd.CLIENT_LEFT)
    writing.cancel()


async def test_an_event_too_large_for_the_peer_becomes_an_error(line: Line) -> None:
    await line.open()
    line.link.most_message_bytes = 2_000
    await line.connection._send_text("x" * 2_001)
    await line.connection._send_text("x" * 2_000)
    assert line.link.texts == ["x" * 2_000]
    writing = asyncio.create_task(line.connection.peer.write())
    await settle()
    error = json.loads(line.link.texts[-1])["error"]
    assert (error["type"], error["code"]) == ("server_error", "event_too_large")
    line.connection.finish(SessionEnd.CLIENT_LEFT)
    writing.cancel()


async def test_the_microphone_is_heard_once_the_client_has_configured_its_session(line: Line) -> None:
    await line.open()
    reading = line.read()
    line.speak()
    await asyncio.sleep(UNCONFIGURED_S / 2)
    assert line.engine.heard == []
    line.link.on.on_message(b"{}")
    await settle()
    line.speak()
    await asyncio.sleep(0.2)
    assert line.engine.heard
    line.connection.finish(SessionEnd.CLIENT_LEFT)
    await reading


async def test_a_client_that_says_nothing_is_heard_a_little_later(line: Line) -> None:
    await line.open()
    await asyncio.sleep(UNCONFIGURED_S + 0.1)
    line.speak()
    await asyncio.sleep(0.3)
    heard = len(line.engine.heard)
    assert heard
    line.engine.is_running = False
    await asyncio.sleep(0.3)
    assert len(line.engine.heard) == heard
    line.connection.finish(SessionEnd.CLIENT_LEFT)


async def test_a_peer_without_a_channel_is_heard_at_once_and_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    line = make_line(monkeypatch, WITHOUT_CHANNEL)
    line.wire()
    line.link.may_connect.set()
    assert await line.connection.opened(cast(Engine, line.engine))
    writing = asyncio.create_task(line.connection.peer.write())
    line.connection.send(InputAudioBufferCleared(event_id="event_1"))
    line.speak()
    await asyncio.sleep(0.3)
    assert line.engine.heard
    assert line.link.texts == []
    await line.connection.peer.drained()
    line.connection.finish(SessionEnd.CLIENT_LEFT)
    writing.cancel()


async def test_messages_are_heard_in_their_order_whenever_they_came(line: Line) -> None:
    await line.open()
    line.link.on.on_message(b"1")
    line.link.on.on_message(b"2")
    reading = line.read()
    await settle()
    assert line.ingress.taken == [b"1", b"2"]
    line.link.on.on_message(b"3")
    assert line.ingress.taken[-1] == b"3", "at once"
    line.ingress.free.clear()
    line.link.on.on_message(b"4")
    line.ingress.free.set()
    line.link.on.on_message(b"5")
    assert line.ingress.taken[-1] == b"3", "5 stands behind 4"
    await settle()
    assert line.ingress.taken == [b"1", b"2", b"3", b"4", b"5"]
    line.connection.finish(SessionEnd.CLIENT_LEFT)
    await reading
    assert line.ingress.is_closed


@pytest.mark.parametrize(
    ("message", "most"), [(b"x", MOST_WAITING_MESSAGES), (bytes(65_536), MOST_WAITING_BYTES // 65_536)]
)
async def test_a_client_faster_than_it_is_heard_is_cut(line: Line, message: bytes, most: int) -> None:
    await line.open()
    reading = line.read()
    await settle()
    line.ingress.free.clear()
    for _ in range(most):
        line.link.on.on_message(message)
    assert not reading.done()
    assert line.ends == 0
    line.link.on.on_message(message)
    assert line.connection.end is SessionEnd.TOO_FAST
    line.ingress.free.set()
    await reading
    assert line.ingress.taken == []


async def test_what_is_still_to_be_said_is_said_before_it_closes_but_not_for_ever(line: Line) -> None:
    await line.open()
    writing = asyncio.create_task(line.connection.peer.write())
    line.link.has_sent.clear()
    line.connection.finish(SessionEnd.EXPIRED)
    line.connection.send(InputAudioBufferCleared(event_id="event_1"))
    closing = asyncio.create_task(line.connection.close())
    await asyncio.sleep(module.CLOSE_LIMIT_S / 2)
    assert line.link.types == ["input_audio_buffer.cleared"]
    assert not closing.done()
    await closing
    assert line.link.closed == 1
    writing.cancel()


async def test_who_is_gone_is_not_waited_for(line: Line) -> None:
    await line.open()
    line.link.has_sent.clear()
    line.link.on.on_end(LinkEnd.CONNECTION_LOST)
    async with asyncio.timeout(0):
        await line.connection.close()
    assert line.link.closed == 1
