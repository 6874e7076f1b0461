"""The load of the Realtime benchmark: many sessions from one process, on one timer, over real WebSockets.

It is meant for one core of its own, and speaks picows for the reason `load.py` tells. It can be held and let go on:
then no session sends, and none notices that time has passed. What a session says is `realtime_session.py`'s.
"""

from __future__ import annotations

import asyncio
import random
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import numpy as np
from picows import WSError, WSMsgType, WSTransport, ws_connect

from simulator.load_line import Line
from simulator.noise import ComfortNoise
from simulator.realtime_session import BYTES_PER_S, FRAME_S, RATE_HZ, RealtimeScript, RealtimeTally
from simulator.sound import RATE_HZ as TELEPHONE_HZ
from simulator.sound import Sound, pcm_of, resample, samples_of

PHASES: Final = 20
"""Sessions are spread over the 20 ms of a frame, as those of strangers are."""

FRAME_BYTES: Final = 960
NOISE_S: Final = 4

DELTA_MS: Final = 200
"""The length of a delta that an echo stands in for: the reference advises 200 to 400 ms at most."""

HEAD: Final = b'{"type":"input_audio_buffer.append","audio":"'
DELTA_HEAD: Final = (
    b'{"event_id":"event_000000000000000000000","type":"response.output_audio.delta",'
    b'"response_id":"resp_000000000000000000000","item_id":"item_000000000000000000000","output_index":0,'
    b'"content_index":0,"delta":"'
)
TAIL: Final = b'"}'


class Session(Protocol):
    """One of `realtime_session.py`'s."""

    is_measured: bool

    @property
    def is_joined(self) -> bool: ...
    def receive(self, text: bytes, now: float) -> None: ...
    def tick(self, now: float) -> list[bytes]: ...
    def outstanding(self, now: float) -> list[float]: ...


Join: TypeAlias = Callable[[RealtimeScript, RealtimeTally, random.Random], Session]


@dataclass(frozen=True, slots=True)
class RealtimeTarget:
    """The server to talk to."""

    url: str
    """`ws://HOST:PORT/v1/realtime?model=…`"""
    token: str
    """Of the `Authorization: Bearer` header."""


def realtime_script_for(clips: list[Sound], *, noise_dbfs: float, seed: int) -> RealtimeScript:
    """The clients' sounds at 24 kHz, with noise under them, cut into frames and encoded once for all."""
    noise = ComfortNoise(noise_dbfs, np.random.default_rng(seed))
    sound = b64encode(bytes(BYTES_PER_S * DELTA_MS // 1000))
    return RealtimeScript(
        clips=tuple(_appends(noise.under(clip.pcm)) for clip in clips),
        noise=_appends(noise.under(bytes(2 * TELEPHONE_HZ * NOISE_S))),
        delta=DELTA_HEAD + sound + TAIL,
    )


def _appends(telephone_pcm: bytes) -> tuple[bytes, ...]:
    wide = resample(samples_of(telephone_pcm) / 32768, TELEPHONE_HZ, RATE_HZ)
    pcm = pcm_of(wide)
    whole = len(pcm) // FRAME_BYTES * FRAME_BYTES
    return tuple(HEAD + b64encode(pcm[at : at + FRAME_BYTES]) + TAIL for at in range(0, whole, FRAME_BYTES))


@dataclass(frozen=True, slots=True, eq=False)
class _Connected:
    """A session that is up."""

    session: Session
    line: Line
    transport: WSTransport


class RealtimeLoad:
    """A growing number of sessions. `add` brings one more; `run` keeps them talking; cancel it to hold them."""

    def __init__(self, target: RealtimeTarget, script: RealtimeScript, join: Join, seed: int) -> None:
        """`join` makes a session: `RealtimeSession`, or `EchoSession` for a server that only echoes."""
        self._target = target
        self._script = script
        self._join = join
        self._rng = random.Random(seed)
        self._phases: list[list[_Connected]] = [[] for _ in range(PHASES)]
        self._added = 0
        self._now = time.monotonic  # uvloop's own clock counts whole milliseconds
        self._held_since: float | None = self._now()
        """None while it runs."""
        self._held_s = 0.0
        """How long it was held in all: the sessions' clock is behind the loop's by as much."""
        self.tally = RealtimeTally()
        self.failed = 0
        """Sessions that could not be opened, or were lost."""
        self.first_failure: str | None = None

    @property
    def sessions(self) -> int:
        return sum(len(phase) for phase in self._phases)

    @property
    def joined(self) -> int:
        """Of the sessions, those that are configured."""
        return sum(one.session.is_joined for phase in self._phases for one in phase)

    def now(self) -> float:
        """The sessions' clock, in seconds; it stands while they are held."""
        return (self._now() if self._held_since is None else self._held_since) - self._held_s

    async def add(self) -> None:
        """Open one more session."""
        session = self._join(self._script, self.tally, random.Random(self._rng.random()))
        headers = {"Authorization": f"Bearer {self._target.token}"}
        try:
            transport, line = await ws_connect(
                lambda: Line(session.receive, self.now), self._target.url, extra_headers=headers
            )
        except (OSError, TimeoutError, WSError) as error:
            self._fail(f"not opened: {error or type(error).__name__}")
            return
        assert isinstance(line, Line)
        self._phases[self._added % PHASES].append(_Connected(session, line, transport))
        self._added += 1

    async def run(self) -> None:
        """Every session's frame every 20 ms, until cancelled; may be run again."""
        assert self._held_since is not None, "it runs already"
        self._held_s, self._held_since = self._held_s + self._now() - self._held_since, None
        step_s = FRAME_S / PHASES
        began, step = self.now(), 0
        try:
            while True:
                due = began + step * step_s
                now = self.now()
                if due > now:
                    await asyncio.sleep(due - now)
                    now = self.now()
                self._tick(self._phases[step % PHASES], now, now - due)
                step += 1
                if step % PHASES == 0:
                    await asyncio.sleep(0)
        finally:
            self._held_since = self._now()

    def _tick(self, phase: list[_Connected], now: float, late_s: float) -> None:
        tally = self.tally
        if phase:
            tally.own_lateness.append(late_s * 1000)
        for one in list(phase):
            if not one.line.is_open:
                phase.remove(one)
                self._fail(one.line.goodbye or "connection lost")
                continue
            for message in one.session.tick(now):
                one.transport.send(WSMsgType.TEXT, message)
            tally.frames_sent += 1

    def _fail(self, words: str) -> None:
        self.failed += 1
        self.first_failure = self.first_failure or words

    def measure(self) -> None:
        """Forget what was measured; from now on everything counts."""
        self._reset()
        self._set_measured(True)

    def measured(self) -> RealtimeTally:
        """What was measured until now, and no more of it. What has no answer yet counts with its time so far."""
        now = self.now()
        tally = self.tally
        for phase in self._phases:
            for one in phase:
                tally.round_trip += one.session.outstanding(now)
        self._set_measured(False)
        taken = RealtimeTally(**{name: getattr(tally, name) for name in RealtimeTally.__slots__})
        self._reset()
        return taken

    def _reset(self) -> None:
        """The sessions keep the tally, so it is emptied and not exchanged."""
        fresh = RealtimeTally()
        for name in RealtimeTally.__slots__:
            setattr(self.tally, name, getattr(fresh, name))

    def _set_measured(self, is_measured: bool) -> None:
        for phase in self._phases:
            for one in phase:
                one.session.is_measured = is_measured

    def hang_up(self) -> None:
        """Close all sessions."""
        for phase in self._phases:
            for one in phase:
                one.transport.send_close()
                one.transport.disconnect()
            phase.clear()
