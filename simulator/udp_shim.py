"""A bad network for WebRTC: a relay of datagrams on loopback that spoils them by a plan.

    async with UdpShim(("127.0.0.1", 40000), Plan(loss=0.2, jitter_ms=50), seed=7) as shim:
        shim.address                      what the client is told to send to
        shim.sent.lost, shim.came.passed  counts of the way to the server, and of the way back

The client sends to `shim.address`; the server sees the datagrams come from a port of the shim's, a peer-reflexive
address to ICE (RFC 8445, section 7.3.1.3), and what it sends there goes to the client. `point_at` puts the shim
into an answer's SDP. The offer must hold no candidates, or the server would go around.

What happens to the n-th datagram of a direction is the seed's choice alone (`udp_plan.py`); when it arrives is up
to the clock.

Everything is treated alike: the shim knows no STUN, DTLS or RTP.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from simulator.udp_plan import CALM, Dice, Fate, Plan

Address = tuple[str, int]

LARGEST_DATAGRAM_BYTES: Final = 65_535
MOST_READ_AT_ONCE: Final = 64
"""Datagrams of one socket before the event loop does something else."""
MOST_WAITING: Final = 2_048
"""Datagrams held back in one direction: 40 s of voice. What comes when it is full is dropped, as in a router."""
SOCKET_BUFFER_BYTES: Final = 1 << 20


@dataclass(slots=True)
class Counts:
    """Datagrams of one direction. `came` = `lost` + `blacked_out` + `overflowed` + those that passed or wait."""

    came: int = 0
    passed: int = 0
    """Sent on, doubles included."""
    lost: int = 0
    """By the plan's share."""
    blacked_out: int = 0
    """In an outage, or while the shim is muted."""
    overflowed: int = 0
    """Too many waited, or the system took no more."""
    delayed: int = 0
    reordered: int = 0
    """Held back for others to overtake."""
    duplicated: int = 0
    waiting: int = 0


@dataclass(slots=True)
class _Way:
    """One direction."""

    send: Callable[[bytes], bool]
    """Whether the system took it."""
    dice: Dice
    counts: Counts = field(default_factory=Counts)
    queue: list[tuple[float, int, bytes]] = field(default_factory=list)
    """A heap of (due, how many came before, datagram)."""
    timer: asyncio.TimerHandle | None = None
    free_at_s: float = 0.0
    """When the line can carry the next datagram."""
    last_due_s: float = 0.0


class UdpShim:
    """One client's way to one server and back; an asynchronous context.

    The client is whoever last sent to `address`: one shim serves one client.
    """

    def __init__(
        self,
        target: Address,
        plan: Plan = CALM,
        *,
        seed: int = 0,
        begins: bool = True,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """With `begins=False` the network is calm until `begin`: a connection can be set up first."""
        self._now = now
        self._target = target
        self._plan = plan
        self._begins = begins
        self._began_s: float | None = None
        self._is_muted = False
        self._client: Address | None = None
        self._arrivals = itertools.count()
        self._to_server = _Way(self._send_to_server, Dice(plan, random.Random(f"{seed}:to server")))
        self._to_client = _Way(self._send_to_client, Dice(plan, random.Random(f"{seed}:to client")))
        self._front = _datagram_socket()
        self._back = _datagram_socket()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._front.bind(("127.0.0.1", 0))
        self._back.connect(self._target)  # so that the system drops what others send to it
        self._loop.add_reader(self._front, self._read_front)
        self._loop.add_reader(self._back, self._read_back)
        if self._begins:
            self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for way in (self._to_server, self._to_client):
            if way.timer is not None:
                way.timer.cancel()
        for one in (self._front, self._back):
            self._loop.remove_reader(one)
            one.close()

    @property
    def address(self) -> Address:
        """Where the client sends to."""
        host, port = self._front.getsockname()
        return host, port

    @property
    def back_address(self) -> Address:
        """Where the server sees the client."""
        host, port = self._back.getsockname()
        return host, port

    @property
    def sent(self) -> Counts:
        """From the client to the server."""
        return self._to_server.counts

    @property
    def came(self) -> Counts:
        """From the server to the client."""
        return self._to_client.counts

    def begin(self) -> None:
        """The plan holds from now on; its outages count from here."""
        self._began_s = self._now()

    def mute(self) -> None:
        """An outage until `unmute`."""
        self._is_muted = True

    def unmute(self) -> None:
        self._is_muted = False

    def _read_front(self) -> None:
        for _ in range(MOST_READ_AT_ONCE):
            try:
                datagram, address = self._front.recvfrom(LARGEST_DATAGRAM_BYTES)
            except OSError:
                return
            self._client = (address[0], address[1])
            self._carry(self._to_server, datagram)

    def _read_back(self) -> None:
        for _ in range(MOST_READ_AT_ONCE):
            try:
                datagram = self._back.recv(LARGEST_DATAGRAM_BYTES)
            except OSError:  # nothing more, or the server's port is closed: a network tells the client neither
                return
            self._carry(self._to_client, datagram)

    def _carry(self, way: _Way, datagram: bytes) -> None:
        """Decide what becomes of a datagram that has just come."""
        now_s = self._now()
        way.counts.came += 1
        if self._began_s is None:
            fate = Fate(is_lost=False, late_ms=0.0, held_ms=0.0, is_doubled=False)
        else:
            fate = way.dice.throw()
        if self._is_muted or self._is_in_outage(now_s):
            way.counts.blacked_out += 1
        elif fate.is_lost:
            way.counts.lost += 1
        elif len(way.queue) + 1 + fate.is_doubled > MOST_WAITING:
            way.counts.overflowed += 1
        else:
            self._put(way, datagram, fate, now_s)
            self._release(way)

    def _is_in_outage(self, now_s: float) -> bool:
        if self._began_s is None:
            return False
        since_s = now_s - self._began_s
        return any(from_s <= since_s < to_s for from_s, to_s in self._plan.outages)

    def _put(self, way: _Way, datagram: bytes, fate: Fate, now_s: float) -> None:
        due_s = now_s + fate.late_ms / 1000
        if self._plan.rate_kbit_s is not None and self._began_s is not None:
            due_s = max(due_s, way.free_at_s) + len(datagram) * 8 / (self._plan.rate_kbit_s * 1000)
            way.free_at_s = due_s
        if self._plan.keeps_order:
            due_s = max(due_s, way.last_due_s)
            way.last_due_s = due_s
        due_s += fate.held_ms / 1000
        way.counts.delayed += due_s > now_s
        way.counts.reordered += fate.held_ms > 0
        way.counts.duplicated += fate.is_doubled
        for _ in range(1 + fate.is_doubled):
            heapq.heappush(way.queue, (due_s, next(self._arrivals), datagram))

    def _release(self, way: _Way) -> None:
        """Send on what is due, and wake for what is not."""
        if way.timer is not None:
            way.timer.cancel()
            way.timer = None
        while way.queue and way.queue[0][0] <= self._now():
            if way.send(heapq.heappop(way.queue)[2]):
                way.counts.passed += 1
            else:
                way.counts.overflowed += 1
        way.counts.waiting = len(way.queue)
        if way.queue:
            way.timer = self._loop.call_later(way.queue[0][0] - self._now(), self._release, way)

    def _send_to_server(self, datagram: bytes) -> bool:
        return _took(lambda: self._back.send(datagram))

    def _send_to_client(self, datagram: bytes) -> bool:
        client = self._client
        return client is not None and _took(lambda: self._front.sendto(datagram, client))


def server_address(sdp: str) -> Address:
    """Where an answer says its peer is: its first UDP candidate. Raises `ValueError` when it has none."""
    for line in sdp.splitlines():
        if line.startswith("a=candidate:"):
            # RFC 8839, section 5.1: foundation, component, transport, priority, address, port, …
            words = line.split()
            if words[1] == "1" and words[2].lower() == "udp":
                return words[4], int(words[5])
    raise ValueError("the answer has no UDP candidate to put a shim in front of")


def point_at(sdp: str, address: Address) -> str:
    """The answer with one candidate, the shim's, in each section that had candidates."""
    lines: list[str] = []
    has_candidate = False
    for line in sdp.splitlines():
        if line.startswith("m="):
            has_candidate = False
        if line.startswith("a=candidate:"):
            if has_candidate:
                continue
            has_candidate = True
            # 2130706431 is the priority of a host's only address (RFC 8445, section 5.1.2.1).
            line = f"a=candidate:1 1 udp 2130706431 {address[0]} {address[1]} typ host"
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"


def _datagram_socket() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setblocking(False)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
    return one


def _took(send: Callable[[], int]) -> bool:
    """Whether the system took the datagram: its buffer may be full, or the other's port closed."""
    try:
        send()
    except OSError:
        return False
    return True
