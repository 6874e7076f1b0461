"""The jitter buffer of one peer's sound: packets in as they come, pieces of sound out at the pace of time.

It puts packets in order, says what was lost and what was never sent, and holds just so much sound that nobody hears
how unevenly the network brings it, never more than `LONGEST_DELAY_MS`. Pure: the time is a parameter, in seconds;
lengths are samples, which are the ticks of the codec's RTP clock. It knows no codec: who puts a packet in says how
long it lasts.

How the delay is found. `_cursor` is the timestamp where the sound given out ends. It moves only with sound and over
holes that a later packet proves; while nothing is held it stands still, and what is made up meanwhile is kept in
`_waited`. If the next packet's timestamp shows that time went on at the sender (loss, silence that was not sent),
the cursor catches up; if the packet was merely late, it is given after all, and the delay has grown by as much. So
the delay grows where it must, one frame at a time: also once for each packet that came after its turn. It shrinks
by the packets' *slack*, the time by which each came before its turn: if the least slack of a while is more than a
frame and a guard, one frame is left out. A sender's clock that is faster or slower than ours is the same thing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.webrtc.payload import FRAME_MS
from gateway.webrtc.rtp import Rtp, sequence_ahead_of, timestamp_ahead_of

LONGEST_DELAY_MS: Final = 200
"""Of sound held at any time. More would be heard as slowness; packets that come later than this are of no use."""

LONGEST_PACKET_MS: Final = 120
"""An Opus packet lasts no longer (RFC 6716, section 3.2.5), and no telephone puts as much into one."""

MOST_PACKETS: Final = 80
"""Held at any time: 200 ms in the shortest frames that Opus has, 2.5 ms."""

LONGEST_JUMP: Final = 100
"""Packets. A sequence number further off is of a sender that began anew, or comes after two seconds of outage."""

GUARD_MS: Final = 10
"""Slack that is left when the delay shrinks: half a frame, for the unevenness of our own ticks."""

SHRINK_AFTER_S: Final = 5.0
"""How long there must have been a frame too much before it is left out; with n frames too much, an n-th of it."""

CONCEALED_FRAMES: Final = 3
"""Lost frames in a row that are made up while nothing comes at all. After that the peer is held to be silent."""

SMOOTHING: Final = 16
"""The interarrival jitter moves by a 16th of each difference (RFC 3550, section 6.4.1)."""

_FRAME_S: Final = FRAME_MS / 1000
_GIVEN_KEPT: Final = (1 << (LONGEST_JUMP + 1)) - 1


@dataclass(frozen=True, slots=True)
class Sound:
    """A packet whose turn it is."""

    payload: bytes
    samples: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Sound that should be here and is not: to be made up."""

    samples: int


@dataclass(frozen=True, slots=True)
class Nothing:
    """The peer sent no sound for this time, or has not for a while: silence."""

    samples: int


Piece: TypeAlias = Sound | Lost | Nothing


class JitterBuffer:
    """See the module's docstring. `put` what comes; every 20 ms `tick` gives out what is to be heard."""

    def __init__(self, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self._frame = clock_hz * FRAME_MS // 1000
        self._longest = clock_hz * LONGEST_DELAY_MS // 1000
        self._longest_packet = clock_hz * LONGEST_PACKET_MS // 1000
        self._ssrc: int | None = None
        self._held: dict[int, tuple[int, int, bytes]] = {}
        """By sequence number, counted on beyond 65,535: timestamp (counted on as well), samples and payload."""
        self._held_samples = 0
        self._newest = 0
        """The highest sequence number put in."""
        self._newest_ends = 0
        self._next = 0
        """The sequence number whose turn it is."""
        self._given = 0
        """Bit n: the packet n before the last that had its turn was given out."""
        self._cursor = 0
        self._waited = 0
        """Samples made up while nothing was held."""
        self._is_growing = False
        self._behind: int | None = None
        """A sequence number far behind: if its successor follows, the sender began anew."""
        self._ticked_s: float | None = None
        """Up to when sound has been asked for; always whole frames after the first tick."""
        self._owed = 0
        """Samples asked for and not yet given; less than 0 after a long packet."""
        self._watched_since_s = 0.0
        self._least_slack_s = math.inf
        self._was_full = False
        """Since we watch, too much was held: to grow now would only throw away more."""
        self._delay_s = _FRAME_S
        self._arrived: tuple[float, int] | None = None
        """When the last packet came, and its timestamp."""
        self._jitter_s = 0.0
        self.received = 0
        """Packets put in."""
        self.refused = 0
        """That last nothing or longer than any packet may."""
        self.late = 0
        """That came after their turn, or from long ago."""
        self.duplicated = 0
        self.lost = 0
        """Packets that were not here when their turn came; some come `late`."""
        self.concealed = 0
        """`Lost` pieces given out."""
        self.dropped_for_delay = 0
        """Packets thrown away because too much was held, or because the sender began anew."""

    @property
    def delay_ms(self) -> float:
        """How long packets wait here, over the last few."""
        return self._delay_s * 1000

    @property
    def held_ms(self) -> float:
        """Sound that is held now, with the holes in it."""
        return self._span * 1000 / self._clock_hz

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter (RFC 3550, section 6.4.1)."""
        return self._jitter_s * 1000

    @property
    def _span(self) -> int:
        return max(self._newest_ends - self._cursor, self._held_samples) if self._held else 0

    def put(self, packet: Rtp, samples: int, now_s: float) -> None:
        """A packet that lasts `samples`, come at `now_s`."""
        self.received += 1
        if not 0 < samples <= self._longest_packet:
            self.refused += 1
            return
        ahead = sequence_ahead_of(packet.sequence, self._next)
        if packet.ssrc != self._ssrc or ahead > LONGEST_JUMP:
            self._begin(packet)
            ahead = 0
        elif ahead < -LONGEST_JUMP:
            if self._behind is None or sequence_ahead_of(packet.sequence, self._behind) != 1:
                # "the source … is not … valid until … two packets in sequence" (RFC 3550, A.1): one straggler
                # from before an outage must not undo what came after.
                self._behind = packet.sequence
                self.late += 1
                return
            self._begin(packet)
            ahead = 0
        sequence = self._next + ahead
        at = self._cursor + timestamp_ahead_of(packet.timestamp, self._cursor)
        self._measure_jitter(at, now_s)
        if ahead < 0:
            self._miss(-ahead, at)
        elif sequence in self._held:
            self.duplicated += 1
        else:
            self._hold(sequence, at, samples, packet.payload, now_s)

    def tick(self, now_s: float) -> list[Piece]:
        """What is to be heard since the last tick, in order: 20 ms, but for the whole packets it comes in.

        Nothing before the first packet came. Ticks that come late or not at all are made good, up to 200 ms.
        """
        if self._ssrc is None:
            return []
        if self._ticked_s is None:
            self._ticked_s = self._watched_since_s = now_s - _FRAME_S
        frames = round((now_s - self._ticked_s) / _FRAME_S)
        if frames <= 0:
            return []
        self._ticked_s += frames * _FRAME_S
        if frames * FRAME_MS > LONGEST_DELAY_MS:
            frames, self._ticked_s = LONGEST_DELAY_MS // FRAME_MS, now_s
        self._owed += frames * self._frame
        if self._held:
            self._shrink(now_s)
        pieces: list[Piece] = []
        while self._owed > 0:
            piece = self._take()
            self._owed -= piece.samples
            pieces.append(piece)
        self._trim()
        return pieces

    def _begin(self, packet: Rtp) -> None:
        """The first packet of a sender, with a frame of silence before it: what the delay begins with."""
        self.dropped_for_delay += len(self._held)
        self._held.clear()
        self._held_samples = 0
        self._ssrc = packet.ssrc
        self._next = packet.sequence
        self._given = self._waited = 0
        self._cursor = packet.timestamp - self._frame
        self._is_growing = False
        self._behind = self._arrived = None
        self._least_slack_s = math.inf

    def _hold(self, sequence: int, at: int, samples: int, payload: bytes, now_s: float) -> None:
        if self._waited:
            self._catch_up(at)
        if not self._held or sequence > self._newest:
            self._newest = sequence
            self._newest_ends = at + samples
        self._held[sequence] = (at, samples, payload)
        self._held_samples += samples
        self._trim()
        if self._ticked_s is not None:
            slack_s = self._ticked_s + _FRAME_S - now_s + (at - self._cursor - self._owed) / self._clock_hz
            slack_s = max(slack_s, 0.0)  # after a stall of ours what came meanwhile is given at once
            self._least_slack_s = min(self._least_slack_s, slack_s)
            self._delay_s += (slack_s - self._delay_s) / SMOOTHING

    def _catch_up(self, at: int) -> None:
        """The first packet after nothing was held: time that went on at the sender has been heard as made up."""
        gap = at - self._cursor
        if abs(gap - self._waited) >= self._longest:
            # Sender or network stood still for long, or the sender's clock jumped: as at the beginning.
            self._cursor = at - self._frame
        elif gap > 0:
            self._cursor += min(gap, self._waited)
        self._waited = 0

    def _miss(self, behind: int, at: int) -> None:
        """A packet whose turn is over."""
        if self._given >> (behind - 1) & 1:
            self.duplicated += 1
            return
        self.late += 1
        self._least_slack_s = 0.0
        self._is_growing |= not self._was_full and self._cursor - at + self._span <= self._longest

    def _oldest(self) -> int:
        return self._next if self._next in self._held else min(self._held)

    def _take(self) -> Piece:
        if not self._held:
            return self._wait()
        if self._is_growing:
            self._is_growing = False
            self.concealed += 1
            return Lost(self._frame)
        sequence = self._oldest()
        at, samples, payload = self._held[sequence]
        gap = at - self._cursor
        if gap > 0:
            return self._cross(gap, sequence, samples)
        self._pass(sequence, was_given=True)
        return Sound(payload, samples)

    def _wait(self) -> Piece:
        self._waited += self._frame
        if self._waited > CONCEALED_FRAMES * self._frame:
            return Nothing(self._frame)
        self.concealed += 1
        return Lost(self._frame)

    def _cross(self, gap: int, sequence: int, samples: int) -> Piece:
        """Some of the hole before packet `sequence`: what was lost first, then what was never sent."""
        if sequence == self._next:
            length = min(gap, self._frame)
            self._cursor += length
            return Nothing(length)
        # A lost packet is taken to have been as long as the one that came after it.
        length = min(gap, samples)
        self._cursor += length
        self._next += 1
        self._given = self._given << 1 & _GIVEN_KEPT
        self.lost += 1
        self.concealed += 1
        return Lost(length)

    def _pass(self, sequence: int, *, was_given: bool) -> None:
        """Packet `sequence` has had its turn. Timestamps that lie wrongly are followed as they come."""
        at, samples, _ = self._held.pop(sequence)
        self._held_samples -= samples
        self.lost += sequence - self._next
        self._given = (self._given << (sequence + 1 - self._next) | was_given) & _GIVEN_KEPT
        self._next = sequence + 1
        self._cursor = at + samples

    def _trim(self) -> None:
        """Called too when a packet was given out: one that came back into its place sets the cursor back."""
        while len(self._held) > MOST_PACKETS or self._span > self._longest:
            self._was_full = True
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Less is held afterwards: a hole before the oldest packet goes first, because nobody misses it."""
        sequence = self._oldest()
        at = self._held[sequence][0]
        if at > self._cursor:
            self._cursor = at
        else:
            self._pass(sequence, was_given=True)
            self.dropped_for_delay += 1

    def _shrink(self, now_s: float) -> None:
        """Leave out one frame if there was too much for long enough."""
        watched_s = now_s - self._watched_since_s
        at, samples, _ = self._held[self._oldest()]
        gap = at - self._cursor
        length_s = (min(gap, self._frame) if gap > 0 else samples) / self._clock_hz
        spare = (self._least_slack_s - GUARD_MS / 1000) / length_s
        if spare >= 1 and self._least_slack_s < math.inf and watched_s * math.floor(spare) >= SHRINK_AFTER_S:
            if gap > 0:
                self._cursor += min(gap, self._frame)
            else:
                self._drop_oldest()
        elif watched_s < SHRINK_AFTER_S:
            return
        self._watched_since_s = now_s
        self._least_slack_s = math.inf
        self._was_full = False

    def _measure_jitter(self, at: int, now_s: float) -> None:
        if self._arrived is not None:
            before_s, before = self._arrived
            difference_s = abs(now_s - before_s - (at - before) / self._clock_hz)
            self._jitter_s += (difference_s - self._jitter_s) / SMOOTHING
        self._arrived = (now_s, at)
