"""The load of the WebRTC benchmark: many sessions from one process, on one timer, over real peer connections.

It is meant for one core of its own, so its clients are `webrtc_light_peer.py`'s, which decode nothing and have no
timers. What a session says is `webrtc_talk.py`'s, or `webrtc_mark_session.py`'s.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal, Protocol, Self, TypeAlias

import aiohttp
import numpy as np
from aiortc import RTCCertificate

from simulator.errors import SimulatorError
from simulator.noise import ComfortNoise
from simulator.sound import RATE_HZ as TELEPHONE_HZ
from simulator.sound import Sound
from simulator.webrtc_exchange import Exchange, OfferRefused, Shape
from simulator.webrtc_light_peer import LightPeer
from simulator.webrtc_mark import make_mark, opus_of
from simulator.webrtc_mark_session import MarkSession
from simulator.webrtc_stream import Stream
from simulator.webrtc_talk import EchoSession, TalkScript, TalkSession, TalkTally

FRAME_S: Final = 0.020
PHASES: Final = 20
"""Sessions are spread over the 20 ms of a frame, as those of strangers are."""

NOISE_S: Final = 4

CONNECT_LIMIT_S: Final = 15.0
"""For the offer, the answer and the connection; on a busy machine they take a second."""


class Session(Protocol):
    """One of `webrtc_talk.py`'s, or `MarkSession`."""

    is_measured: bool

    @property
    def wants(self) -> Literal["sizes", "payloads"]:
        """Of packets: how long they are, or what is in them."""
        ...

    @property
    def is_joined(self) -> bool: ...
    def receive(self, text: str, now: float) -> None: ...
    def hear(self, size_bytes: int, payload: bytes, now: float) -> None: ...
    def tick(self, now: float) -> tuple[bytes, list[str]]: ...
    def outstanding(self, now: float) -> list[float]: ...


Join: TypeAlias = Callable[[int, TalkScript, TalkTally, random.Random], Session]
"""Makes the session of this number, counted from nought."""


@dataclass(frozen=True, slots=True)
class RtcTarget:
    """The server to talk to."""

    url: str
    """`http://HOST:PORT`; offers go to `/v1/realtime/calls`."""
    token: str
    """Of the `Authorization: Bearer` header."""


@dataclass(slots=True)
class Measured:
    """What a level has shown. Times in milliseconds."""

    talk: TalkTally = field(default_factory=TalkTally)
    lateness: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    lost: int = 0
    deaf: int = 0
    """Sessions to which no packet came."""
    own_lateness: list[float] = field(default_factory=list)
    """How late the generator itself sent its packets: with much of it, nothing else here is to be believed."""


def talk_script_for(clips: list[Sound], *, noise_dbfs: float, seed: int) -> TalkScript:
    """The clients' sounds with noise under them, coded in Opus once for all."""
    noise = ComfortNoise(noise_dbfs, np.random.default_rng(seed))
    still = noise.under(bytes(2 * TELEPHONE_HZ * NOISE_S))
    packets = opus_of(still)
    return TalkScript(
        clips=tuple(opus_of(noise.under(clip.pcm), still[: TELEPHONE_HZ // 5]) for clip in clips),
        noise=packets,
        mark=make_mark(packets),
    )


def join_talk(number: int, script: TalkScript, tally: TalkTally, rng: random.Random) -> Session:
    """For a server that answers."""
    return TalkSession(script, tally, rng)


def join_echo(marks: int) -> Join:
    """For a server that echoes: the first so many sessions mark their sound and listen for it."""

    def join(number: int, script: TalkScript, tally: TalkTally, rng: random.Random) -> Session:
        return MarkSession(script, tally, rng) if number < marks else EchoSession(script, tally, rng)

    return join


class _Client:
    """A session with its connection."""

    def __init__(self, session: Session, certificate: RTCCertificate, now: Callable[[], float]) -> None:
        self.session = session
        self.stream = Stream()
        self.first_packet_s: float | None = None
        self.peer = LightPeer(certificate, on_packet=self._hear, on_message=self._receive)
        self._now = now
        self._takes_payloads = session.wants == "payloads"

    def _hear(self, packet: bytes, sequence: int, timestamp: int) -> None:
        now = self._now()
        if self.first_packet_s is None:
            self.first_packet_s = now
        self.stream.take(sequence, timestamp, now)
        payload = self.peer.deciphered(packet) if self._takes_payloads else b""
        self.session.hear(len(packet) - self.peer.overhead_bytes, payload, now)

    def _receive(self, text: str) -> None:
        self.session.receive(text, self._now())


class WebrtcLoad:
    """A growing number of sessions: an asynchronous context, which ends them all when it is left.

    `add` brings one more, which talks from then on.
    """

    def __init__(self, target: RtcTarget, script: TalkScript, join: Join, seed: int) -> None:
        self._target = target
        self._script = script
        self._join = join
        self._rng = random.Random(seed)
        self._phases: list[list[_Client]] = [[] for _ in range(PHASES)]
        self._added = 0
        self._now = time.monotonic  # uvloop's own clock counts whole milliseconds
        self._certificate = RTCCertificate.generateCertificate()
        self._tally = TalkTally()
        self._own_lateness: list[float] = []
        self._is_measured = False
        self.offer_to_answer: list[float] = []
        """Milliseconds from a request's leaving to its answer's coming, of all sessions so far."""
        self._offered_s: list[tuple[_Client, float]] = []
        """All that were opened, lost ones as well, and when they were offered."""
        self.failed = 0
        """Sessions that could not be opened, or were lost."""
        self.first_failure: str | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        self._ticking = asyncio.create_task(
            self._run()
        )  # ended by `__aexit__`; a group would need a task of its own
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)
        await asyncio.gather(*(client.peer.close() for client, _ in self._offered_s))
        await self._http.close()

    @property
    def sessions(self) -> int:
        return sum(len(phase) for phase in self._phases)

    @property
    def joined(self) -> int:
        """Of the sessions, those that are configured."""
        return sum(one.session.is_joined for phase in self._phases for one in phase)

    @property
    def offer_to_packet(self) -> list[float]:
        """Milliseconds from an offer's leaving to the first packet of sound, of the sessions that had one."""
        return [
            (client.first_packet_s - offered_s) * 1000
            for client, offered_s in self._offered_s
            if client.first_packet_s is not None
        ]

    async def add(self) -> None:
        """Open one more session."""
        session = self._join(self._added, self._script, self._tally, random.Random(self._rng.random()))
        client = _Client(session, self._certificate, self._now)
        exchange = Exchange(self._http, self._target.url, self._target.token)
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                offer = await client.peer.offer()
                offered_s = self._now()
                answer = await exchange.offer(offer, Shape.OPENAI_SDP)
                took_ms = (self._now() - offered_s) * 1000
                await client.peer.connect(answer.answer_sdp)
        except (OSError, TimeoutError, SimulatorError, aiohttp.ClientError) as error:
            await client.peer.close()
            words = f"{error.status}" if isinstance(error, OfferRefused) else ""
            self._fail(f"not opened: {words or str(error) or type(error).__name__}")
            return
        except BaseException:
            await client.peer.close()
            raise
        self.offer_to_answer.append(took_ms)
        self._offered_s.append((client, offered_s))
        self._phases[self._added % PHASES].append(client)
        self._added += 1

    async def _run(self) -> None:
        """Every session's packet every 20 ms."""
        step_s = FRAME_S / PHASES
        began, step = self._now(), 0
        while True:
            due = began + step * step_s
            now = self._now()
            if due > now:
                await asyncio.sleep(due - now)
                now = self._now()
            self._tick(self._phases[step % PHASES], now, now - due)
            step += 1
            if step % PHASES == 0:
                await asyncio.sleep(0)

    def _tick(self, phase: list[_Client], now: float, late_s: float) -> None:
        if phase and self._is_measured:
            self._own_lateness.append(late_s * 1000)
        for one in list(phase):
            if not one.peer.is_up:
                phase.remove(one)
                self._fail("connection lost")
                continue
            packet, messages = one.session.tick(now)
            one.peer.send(packet)
            for message in messages:
                one.peer.send_text(message)

    def _fail(self, words: str) -> None:
        self.failed += 1
        self.first_failure = self.first_failure or words

    def measure(self) -> None:
        """Forget what was measured; from now on everything counts."""
        fresh = TalkTally()
        for name in TalkTally.__slots__:  # the sessions keep the tally, so it is emptied and not exchanged
            setattr(self._tally, name, getattr(fresh, name))
        self._own_lateness = []
        self._set_measured(True)
        for phase in self._phases:
            for one in phase:
                one.stream.measure()

    def measured(self) -> Measured:
        """What was measured until now, and no more of it. What has no answer yet counts with its time so far."""
        self._set_measured(False)
        now = self._now()
        measured = Measured(talk=self._tally, own_lateness=self._own_lateness)
        for phase in self._phases:
            for one in phase:
                self._tally.round_trip += one.session.outstanding(now)
                figures = one.stream.figures()
                measured.lateness += figures.lateness
                measured.gaps += figures.gaps
                measured.lost += figures.lost
                measured.deaf += not figures.received
        return measured

    def _set_measured(self, is_measured: bool) -> None:
        self._is_measured = is_measured
        for phase in self._phases:
            for one in phase:
                one.session.is_measured = is_measured
