"""Where a session's CPU goes: each part of its way measured alone, in this process, per frame of 20 ms.

The same objects as in a session, fed with the simulator's clips in Opus, as fast as they go; what is told is CPU
of all threads. Caches are warmer here than among many sessions, so the parts come to less than what a server under
load uses for them: shares say more than sums. What no part covers (ICE, answers, events) is in the rest.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pylibsrtp

from gateway.cli.loopback import HOST
from gateway.webrtc.coding import VOICE_RATE_HZ, make_decoder, make_encoder
from gateway.webrtc.jitter_buffer import JitterBuffer
from gateway.webrtc.loudspeaker import Loudspeaker
from gateway.webrtc.microphone import opus_samples_in
from gateway.webrtc.payload import FRAME_MS, PCM_48K, Codec, Payload
from gateway.webrtc.rtcp import Reports
from gateway.webrtc.rtp import header, read_rtp
from pipeline.audio.formats import PCM_24K
from pipeline.audio.transcode import Transcoder
from pipeline.engine import Engine
from pipeline.events.config import ServerVad, SessionConfig
from pipeline.events.event import ServerEvent
from pipeline.providers.stub import StubModel, StubTranscriber, StubVoice
from pipeline.responder import Cascade
from pipeline.session import Session
from pipeline.toolbox import Toolbox
from pipeline.turn.speech_activity import SpeechActivity
from simulator.sound import RATE_HZ as TELEPHONE_HZ
from simulator.voices import Voices
from simulator.webrtc_mark import opus_of
from simulator.webrtc_rates import at_rate

OPUS: Final = Payload(Codec.OPUS, 111)
TICKS: Final = 960
FRAMES_PER_S: Final = 1000 // FRAME_MS
ROUNDS: Final = 3
"""The least of them counts: everything that disturbs only adds."""

FRAMES: Final = 1_000
SESSIONS: Final = 10
"""Heard together, as the speech-activity model gathers their windows."""

ENGINE_FRAMES: Final = 100
"""Two seconds of each."""

MIRROR_LIMIT_S: Final = 10
"""For `FRAMES` datagrams, which take 10 ms."""

PROFILE: Final = pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM
KEY_BYTES: Final = 44
"""What two peers on OpenSSL agree on: the first that aiortc names. Browsers take AES-128 of GCM or CM."""


@dataclass(frozen=True, slots=True)
class Cost:
    part: str
    us_per_frame: float
    """CPU of one frame, if it has this part."""
    frames_per_s: float
    """In a session."""

    @property
    def ms_per_session_s(self) -> float:
        return self.us_per_frame * self.frames_per_s / 1000


async def costs(sound_out_share: float) -> list[Cost]:
    """All parts, in the order of the way; takes a few seconds. `sound_out_share` of the time something is said."""
    voices = Voices()
    clip = b"".join(voices.clip(one.name).pcm for one in voices.clips)
    packets = opus_of(clip)
    decoder, encoder = make_decoder(Codec.OPUS), make_encoder(Codec.OPUS, VOICE_RATE_HZ)
    wide = Transcoder(PCM_48K, PCM_24K)
    pcm, frame_bytes = at_rate(clip, TELEPHONE_HZ, VOICE_RATE_HZ), PCM_24K.bytes_in(FRAME_MS)
    frames = [pcm[at : at + frame_bytes] for at in range(0, len(pcm) - frame_bytes, frame_bytes)]
    spoken = _us(encoder.encode, frames)
    speech_in = [decoder.decode(packet) for packet in packets]
    deaf, hearing = await _engine_us(frames, detects=False), await _engine_us(frames, detects=True)
    every, said = float(FRAMES_PER_S), FRAMES_PER_S * sound_out_share
    return [
        Cost("UDP, one datagram each way", await _udp_us(packets), every),
        Cost("SRTP, one packet each way", _srtp_us(packets), every),
        Cost("RTP, statistics, jitter buffer", _buffer_us(packets), every),
        Cost("Opus decoded", _us(decoder.decode, packets), every),
        Cost("48 to 24 kHz", _us(wide.push, speech_in), every),
        Cost("session hears, without speech activity", deaf, every),
        Cost("speech activity, model included", max(0.0, hearing - deaf), every),
        Cost("Opus coded, of speech", spoken, said),
        Cost("loudspeaker, without coding", _silence_us(), every),
    ]


def _us(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Microseconds of CPU for each of `items`, passed through over and over."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for item in itertools.islice(itertools.cycle(items), FRAMES):
            work(item)
        best = min(best, time.process_time() - began)
    return best / FRAMES * 1e6


def _srtp_us(packets: Sequence[bytes]) -> float:
    """Protect and unprotect: one packet that goes, one that comes."""
    key = secrets.token_bytes(KEY_BYTES)
    outward, inward = (
        pylibsrtp.Session(pylibsrtp.Policy(key=key, ssrc_type=kind, srtp_profile=PROFILE))
        for kind in (pylibsrtp.Policy.SSRC_ANY_OUTBOUND, pylibsrtp.Policy.SSRC_ANY_INBOUND)
    )
    numbers = itertools.count()

    def both(payload: bytes) -> None:
        nth = next(numbers)
        inward.unprotect(outward.protect(header(OPUS.number, nth, nth * TICKS, 1, False) + payload))

    return _us(both, packets)


def _buffer_us(packets: Sequence[bytes]) -> float:
    buffer, reports = JitterBuffer(OPUS.codec.clock_hz), Reports(2, "bench", OPUS.codec.clock_hz)
    numbers = itertools.count()

    def take(payload: bytes) -> None:
        nth = next(numbers)
        now_s = nth * FRAME_MS / 1000
        packet = header(OPUS.number, nth, nth * TICKS, 1, False) + payload
        reports.note_packet(packet, now_s)
        rtp = read_rtp(packet)
        assert rtp is not None
        buffer.put(rtp, opus_samples_in(rtp.payload), now_s)
        buffer.tick(now_s + 0.005)

    return _us(take, packets)


def _silence_us() -> float:
    loudspeaker = Loudspeaker(OPUS, 1, lambda: PCM_24K, 0.0, sequence=0, timestamp=0)
    numbers = itertools.count(10)  # the first frames of silence are coded, the rest repeated
    loudspeaker.due(0.2)
    return _us(lambda _: loudspeaker.due(next(numbers) * FRAME_MS / 1000), (None,))


class _Mirror:
    """A datagram protocol that sends itself so many datagrams, one after another."""

    def __init__(self, packets: Sequence[bytes]) -> None:
        self._packets = itertools.cycle(packets)
        self._left = 0
        self._is_done = asyncio.Event()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport
        self._own = transport.get_extra_info("sockname")

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed by its owner."""

    def error_received(self, exc: Exception) -> None:
        """There is always somebody to send to."""

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._left -= 1
        if self._left:
            self._transport.sendto(next(self._packets), self._own)
        else:
            self._is_done.set()

    async def send(self, count: int) -> None:
        self._left = count
        self._is_done.clear()
        self._transport.sendto(next(self._packets), self._own)
        async with asyncio.timeout(MIRROR_LIMIT_S):
            await self._is_done.wait()


async def _udp_us(packets: Sequence[bytes]) -> float:
    """A datagram sent and one received, by the event loop that runs, to and from oneself."""
    mirror: Any = _Mirror(packets)  # asyncio's own class would have to be inherited from
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: mirror, local_addr=(HOST, 0))
    best = float("inf")
    try:
        for _ in range(ROUNDS):
            began = time.process_time()
            await mirror.send(FRAMES)
            best = min(best, time.process_time() - began)
    finally:
        transport.close()
    return best / FRAMES * 1e6


class _Deaf:
    """A transport that swallows everything at once."""

    plays = True

    def send(self, event: ServerEvent) -> None:
        """Nowhere."""

    def flush(self) -> int:
        return 0

    async def room(self) -> None:
        """There is always some."""


async def _engine_us(frames: Sequence[bytes], *, detects: bool) -> float:
    """CPU of one frame of speech in an engine; turns that are found are not answered."""
    numbers = itertools.count()
    detection = ServerVad(create_response=False) if detects else None
    config = SessionConfig(turn_detection=detection)
    best = float("inf")
    async with SpeechActivity() as activity, asyncio.TaskGroup() as tasks:
        engines = [
            Engine(
                Session(config, lambda prefix: f"{prefix}_{next(numbers)}", plays=True, has_channel=True),
                Cascade(StubTranscriber(), StubModel(), StubVoice()),
                _Deaf(),
                activity=activity,
                toolbox=Toolbox(()),
                observe=lambda observation: None,
                now=time.monotonic,
            )
            for _ in range(SESSIONS)
        ]
        for engine in engines:
            tasks.create_task(engine.run())
        await asyncio.sleep(0)
        for _ in range(ROUNDS):
            began = time.process_time()
            for frame in frames[:ENGINE_FRAMES]:
                for engine in engines:
                    engine.hear(frame)
                # As often as the thread looks for windows; what it does counts as well.
                await asyncio.sleep(0.008 if detects else 0)
            best = min(best, time.process_time() - began)
        for engine in engines:
            engine.stop()
    return best / ENGINE_FRAMES / SESSIONS * 1e6
