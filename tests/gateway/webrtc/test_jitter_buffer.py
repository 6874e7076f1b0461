"""The jitter buffer in a network that is simulated here on a clock of its own: late, lost, twice, too fast."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.webrtc.jitter_buffer import (
    CONCEALED_FRAMES,
    LONGEST_DELAY_MS,
    LONGEST_PACKET_MS,
    MOST_PACKETS,
    SHRINK_AFTER_S,
    JitterBuffer,
    Lost,
    Nothing,
    Piece,
    Sound,
)
from gateway.webrtc.rtp import Rtp

CLOCK_HZ = 48_000
FRAME = CLOCK_HZ // 50
FRAME_S = 0.02
BEGAN_S = 1_000.0
FIRST_SEQUENCE = 65_500
"""All simulated senders pass the end of their sequence numbers and timestamps soon."""
FIRST_TIMESTAMP = 2**32 - 20 * FRAME

Trip = Callable[[random.Random, float], float | None]
"""How many seconds a packet sent so many seconds after the beginning travels; None if it is lost."""


def packet(nth: int, *, step: int = FRAME, ssrc: int = 7) -> Rtp:
    sequence = (FIRST_SEQUENCE + nth) & 0xFFFF
    timestamp = (FIRST_TIMESTAMP + nth * step) & 0xFFFF_FFFF
    return Rtp(sequence, timestamp, ssrc, False, 111, (nth & 0xFFFF_FFFF).to_bytes(4, "big"))


@dataclass
class Heard:
    """What came out of a buffer, and when."""

    buffer: JitterBuffer
    given_s: dict[int, float] = field(default_factory=dict)
    came_s: dict[int, float] = field(default_factory=dict)
    sent_s: dict[int, float] = field(default_factory=dict)
    samples: int = 0
    ticks: int = 0
    """Since the first packet came."""
    most_ms: float = 0.0

    def take(self, pieces: Iterable[Piece], now_s: float) -> None:
        self.ticks += self.buffer.received > 0
        for piece in pieces:
            self.samples += piece.samples
            if isinstance(piece, Sound):
                nth = int.from_bytes(piece.payload, "big")
                assert nth not in self.given_s, "no payload twice"
                self.given_s[nth] = now_s

    @property
    def made_up(self) -> int:
        """Frames, without those after the sender's last packet."""
        return self.buffer.concealed - CONCEALED_FRAMES

    def wait_ms(self, after_s: float = 0.0) -> float:
        """How long packets sent after so many seconds waited in the buffer, on average."""
        return 1000 * mean(
            self.given_s[nth] - self.came_s[nth] for nth in self.given_s if self.sent_s[nth] - BEGAN_S >= after_s
        )


def steadily(_: random.Random, __: float) -> float:
    return 0.0


def evenly_up_to(most_s: float) -> Trip:
    return lambda draw, _: draw.uniform(0, most_s)


def losing(share: float, trip: Trip = steadily) -> Trip:
    return lambda draw, at_s: None if draw.random() < share else trip(draw, at_s)


def simulate(
    trip: Trip,
    *,
    lasts_s: float = 60.0,
    frame_ms: int = 20,
    faster_ppm: float = 0.0,
    phase_s: float = 0.007,
    seed: int = 5,
) -> Heard:
    """A sender and a clock of ours side by side; the buffer is held to its promises at every step."""
    draw = random.Random(seed)
    step = CLOCK_HZ * frame_ms // 1000
    apart_s = frame_ms / 1000 / (1 + faster_ppm / 1e6)
    events: list[tuple[float, bool, int]] = []
    heard = Heard(JitterBuffer(CLOCK_HZ))
    for nth in range(int(lasts_s / apart_s)):
        travels_s = trip(draw, nth * apart_s)
        if travels_s is not None:
            heard.sent_s[nth] = BEGAN_S + nth * apart_s
            heard.came_s[nth] = heard.sent_s[nth] + travels_s
            events.append((heard.came_s[nth], False, nth))
    events += [(BEGAN_S + phase_s + tick * FRAME_S, True, tick) for tick in range(int(lasts_s / FRAME_S) + 50)]
    for now_s, is_tick, nth in sorted(events):
        if is_tick:
            heard.take(heard.buffer.tick(now_s), now_s)
        else:
            heard.buffer.put(packet(nth, step=step), step, now_s)
        heard.most_ms = max(heard.most_ms, heard.buffer.held_ms)
        assert heard.buffer.held_ms <= LONGEST_DELAY_MS
    assert list(heard.given_s) == sorted(heard.given_s), "order is kept"
    accounted = len(heard.given_s) + heard.buffer.late + heard.buffer.duplicated + heard.buffer.dropped_for_delay
    assert accounted + heard.buffer.refused == heard.buffer.received == len(heard.came_s)
    return heard


def fed(nths: Iterable[int], *, step: int = FRAME, now_s: float = BEGAN_S) -> JitterBuffer:
    buffer = JitterBuffer(CLOCK_HZ)
    for nth in nths:
        buffer.put(packet(nth, step=step), step, now_s)
    return buffer


def ticks(buffer: JitterBuffer, count: int, begin_s: float = BEGAN_S) -> list[Piece]:
    return [piece for nth in range(count) for piece in buffer.tick(begin_s + nth * FRAME_S)]


def sound(nth: int, samples: int = FRAME) -> Sound:
    return Sound(nth.to_bytes(4, "big"), samples)


@pytest.mark.parametrize("phase_s", [0.0001, 0.005, 0.01, 0.015, 0.0199])
def test_without_jitter_the_delay_is_short_and_nothing_is_made_up(phase_s: float) -> None:
    heard = simulate(steadily, phase_s=phase_s)
    assert heard.wait_ms() <= 40
    assert heard.wait_ms(after_s=SHRINK_AFTER_S + 1) <= 30
    assert heard.made_up == heard.buffer.lost == heard.buffer.late == 0
    assert heard.buffer.dropped_for_delay <= 1
    assert heard.buffer.jitter_ms == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_each_lost_packet_is_made_up_once_and_the_delay_stays_as_it_is(share: float, seed: int) -> None:
    heard = simulate(losing(share), seed=seed)
    lost = set(range(min(heard.given_s), max(heard.given_s))) - heard.given_s.keys()
    assert heard.buffer.lost == len(lost)
    # Where four and more in a row were lost, the end is silence.
    beyond = sum(lost >= set(range(nth - CONCEALED_FRAMES, nth + 1)) for nth in lost)
    assert len(lost) - beyond <= heard.made_up <= len(lost)
    assert heard.buffer.late == heard.buffer.dropped_for_delay == 0
    assert heard.wait_ms() <= 40


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("most_s", [0.05, 0.1])
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_jitter_of_50_ms_makes_fewer_than_two_packets_in_a_hundred_late(
    share: float, most_s: float, seed: int
) -> None:
    """Of 50 ms, and of 50 ms to both sides; with it packets overtake each other."""
    heard = simulate(losing(share, evenly_up_to(most_s)), seed=seed)
    unheard = heard.buffer.late + heard.buffer.dropped_for_delay
    assert unheard <= 0.02 * heard.buffer.received
    # No packet needs to wait longer than the slowest travels, but for two frames that the clocks' steps take.
    assert heard.wait_ms(after_s=10) <= 1000 * most_s / 2 + 40
    assert heard.most_ms <= 1000 * most_s + 60


@pytest.mark.parametrize("spread_s", [0.05, 0.1])
def test_beyond_what_may_be_held_sound_is_lost_but_never_slow(spread_s: float) -> None:
    heard = simulate(lambda draw, _: max(0.0, draw.gauss(3 * spread_s, spread_s)))
    assert heard.buffer.late > 0
    assert 150 < heard.most_ms <= LONGEST_DELAY_MS


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60, 120])
@pytest.mark.parametrize("most_s", [0.0, 0.05])
def test_packets_of_any_length_flow_as_time_does(frame_ms: int, most_s: float) -> None:
    heard = simulate(evenly_up_to(most_s), frame_ms=frame_ms, lasts_s=30)
    assert len(heard.given_s) >= 0.99 * len(heard.sent_s)
    # To the whole packet or frame made up.
    assert 0 <= heard.samples - heard.ticks * FRAME < max(frame_ms, 20) * CLOCK_HZ // 1000
    assert heard.buffer.lost <= 3


@pytest.mark.parametrize(
    ("faster_ppm", "lasts_s", "most_s"),
    [(200.0, 3_600, 0.05), (-200.0, 3_600, 0.05), (2_000.0, 360, 0.0), (-2_000.0, 360, 0.0)],
)
def test_an_hour_of_a_clock_that_drifts_adds_no_delay(faster_ppm: float, lasts_s: int, most_s: float) -> None:
    """Or a tenth of an hour with ten times the drift: 36 frames too many or too few."""
    heard = simulate(evenly_up_to(most_s), lasts_s=lasts_s, faster_ppm=faster_ppm)
    drift_frames = 3_600 * 200e-6 / FRAME_S
    assert heard.wait_ms(after_s=lasts_s - 100) <= 1000 * most_s / 2 + 40
    left_out, made_up = heard.buffer.dropped_for_delay, heard.made_up
    assert (left_out if faster_ppm > 0 else made_up) == pytest.approx(drift_frames, abs=30)
    assert left_out + made_up <= 100


def test_a_late_packet_is_given_if_it_is_less_late_than_the_delay() -> None:
    """One packet in 25 is late by 15 ms; sound waits for 20 to 30 ms."""
    heard = simulate(lambda _, at_s: 0.015 if round(at_s / FRAME_S) % 25 == 24 else 0.0, phase_s=0.0001)
    assert len(heard.given_s) == len(heard.sent_s)
    assert heard.buffer.late == heard.buffer.lost == 0


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0001, 0.0199), st.floats(0, 0.98), st.floats(0, 0.2))
def test_every_packet_less_late_than_the_delay_says_is_given(phase_s: float, late: float, share: float) -> None:
    """Each tenth packet after the first six seconds is late by a part of the delay there was until then."""
    delay_s = simulate(steadily, lasts_s=6, phase_s=phase_s).buffer.delay_ms / 1000

    def trip(draw: random.Random, at_s: float) -> float | None:
        if round(at_s / FRAME_S) % 10 == 9 and at_s > 6:
            return late * delay_s
        return None if draw.random() < share and at_s > 6 else 0.0

    heard = simulate(trip, lasts_s=9, phase_s=phase_s)
    assert heard.buffer.late == 0
    assert set(heard.came_s) - set(heard.given_s) <= set(range(300)), "the delay may shrink before, by one frame"
    assert heard.buffer.dropped_for_delay <= 1


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32),
    st.floats(0, 0.3),
    st.floats(0, 0.3),
    st.sampled_from((10, 20, 40, 60)),
    st.floats(-2_000, 2_000),
    st.floats(0.0001, 0.0199),
)
def test_in_any_network_the_promises_hold(
    seed: int, most_s: float, share: float, frame_ms: int, faster_ppm: float, phase_s: float
) -> None:
    trip = losing(share, evenly_up_to(most_s))
    heard = simulate(trip, lasts_s=4, frame_ms=frame_ms, faster_ppm=faster_ppm, phase_s=phase_s, seed=seed)
    assert heard.buffer.delay_ms >= 0


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF) | st.integers(0, 40),
            st.integers(0, 2**32 - 1) | st.integers(0, 40).map(lambda nth: nth * FRAME),
            st.integers(1, 2),
            st.integers(0, 8_000),
            st.floats(-0.01, 0.5),
        ),
        max_size=120,
    )
)
def test_whatever_numbers_packets_bear_little_is_held_and_sound_flows(
    rows: list[tuple[int, int, int, int, float]],
) -> None:
    buffer, now_s, frames = JitterBuffer(CLOCK_HZ), BEGAN_S, 0
    samples = given = 0
    for sequence, timestamp, ssrc, lasts, later_s in rows:
        buffer.put(Rtp(sequence, timestamp, ssrc, False, 111, b"?"), lasts, now_s)
        assert buffer.held_ms <= LONGEST_DELAY_MS
        assert len(buffer._held) <= MOST_PACKETS
        now_s += later_s
        pieces = buffer.tick(now_s)
        frames += bool(pieces)
        samples += sum(piece.samples for piece in pieces)
        given += sum(isinstance(piece, Sound) for piece in pieces)
        assert all(piece.samples > 0 for piece in pieces)
    most = (now_s - BEGAN_S + 0.2 + (LONGEST_PACKET_MS / 1000)) * CLOCK_HZ
    assert samples <= most
    assert buffer.received == len(rows)
    accounted = given + buffer.late + buffer.duplicated + buffer.dropped_for_delay + buffer.refused
    assert accounted + len(buffer._held) == buffer.received


def test_before_the_first_packet_there_is_nothing_to_hear() -> None:
    assert ticks(JitterBuffer(CLOCK_HZ), 3) == []


def test_one_frame_of_silence_goes_before_the_first_packet() -> None:
    assert ticks(fed([0, 1]), 3) == [Nothing(FRAME), sound(0), sound(1)]


def test_packets_come_out_in_order_and_once() -> None:
    buffer = fed([0, 2, 1, 1, 3, 2])
    assert ticks(buffer, 5) == [Nothing(FRAME), *map(sound, range(4))]
    assert (buffer.duplicated, buffer.late, buffer.lost) == (2, 0, 0)


def test_a_hole_is_lost_sound_and_what_comes_for_it_later_is_late_once() -> None:
    buffer = fed([0, 2, 3])
    assert ticks(buffer, 4) == [Nothing(FRAME), sound(0), Lost(FRAME), sound(2)]
    for _ in range(2):
        buffer.put(packet(1), FRAME, BEGAN_S + 0.07)
    buffer.put(packet(0), FRAME, BEGAN_S + 0.07)
    assert (buffer.late, buffer.duplicated, buffer.lost, buffer.concealed) == (2, 1, 1, 1)
    # The delay grows by a frame, once, so that the next of its kind is not too late.
    assert ticks(buffer, 2, BEGAN_S + 0.08) == [Lost(FRAME), sound(3)]


def test_after_a_lost_packet_of_60_ms_as_much_is_made_up() -> None:
    step = 3 * FRAME
    buffer = fed([0, 2], step=step)
    assert ticks(buffer, 10) == [Nothing(FRAME), sound(0, step), Lost(step), sound(2, step)]


def test_time_that_the_sender_left_out_on_purpose_is_not_lost() -> None:
    buffer = fed([0])
    quiet = Rtp((FIRST_SEQUENCE + 1) & 0xFFFF, packet(4).timestamp, 7, True, 111, bytes(3) + b"\1")
    buffer.put(quiet, FRAME, BEGAN_S)
    assert ticks(buffer, 6) == [Nothing(FRAME), sound(0), *[Nothing(FRAME)] * 3, sound(1)]
    assert buffer.lost == buffer.concealed == 0


def test_when_nothing_comes_a_little_is_made_up_and_then_the_peer_is_silent() -> None:
    buffer = fed([0])
    assert ticks(buffer, 8) == [Nothing(FRAME), sound(0), *[Lost(FRAME)] * CONCEALED_FRAMES, *[Nothing(FRAME)] * 3]


def test_a_peer_that_was_silent_without_sending_goes_on_with_the_delay_it_had() -> None:
    """Ten seconds without a packet; its clock went on meanwhile and its sequence numbers did not."""
    buffer = fed([0])
    ticks(buffer, 501)
    again = Rtp((FIRST_SEQUENCE + 1) & 0xFFFF, packet(500).timestamp, 7, True, 111, bytes(3) + b"\1")
    buffer.put(again, FRAME, BEGAN_S + 500 * FRAME_S)
    assert ticks(buffer, 3, BEGAN_S + 501 * FRAME_S)[0] == sound(1)


def test_a_clock_that_stood_still_for_long_begins_with_a_frame_of_silence() -> None:
    buffer = fed([0])
    ticks(buffer, 100)
    buffer.put(packet(1), FRAME, BEGAN_S + 2)
    assert ticks(buffer, 2, BEGAN_S + 2) == [Nothing(FRAME), sound(1)]


@pytest.mark.parametrize("ahead", [150, 32_000, -150, -32_000])
def test_a_jump_of_sequence_numbers_is_a_sender_that_began_anew(ahead: int) -> None:
    buffer = fed([0, 1])
    assert ticks(buffer, 2) == [Nothing(FRAME), sound(0)]
    for nth in (ahead, ahead + 1):
        buffer.put(packet(nth)._replace(timestamp=(nth * FRAME) & 0xFFFF_FFFF, payload=b"x"), FRAME, BEGAN_S + 0.03)
    assert ticks(buffer, 2, BEGAN_S + 0.04) == [Nothing(FRAME), Sound(b"x", FRAME)]
    assert buffer.lost == 0
    assert buffer.dropped_for_delay == 1
    # Backwards it takes two in a row: one may be a straggler from before an outage.
    assert buffer.late == (ahead < 0)


def test_a_straggler_from_long_ago_changes_nothing() -> None:
    buffer = fed([0, 1, -200, 2, -300])
    assert ticks(buffer, 4) == [Nothing(FRAME), sound(0), sound(1), sound(2)]
    assert buffer.late == 2


def test_another_source_begins_anew() -> None:
    buffer = fed([0, 1])
    buffer.put(packet(9, ssrc=8), FRAME, BEGAN_S)
    assert ticks(buffer, 2) == [Nothing(FRAME), sound(9)]
    assert buffer.dropped_for_delay == 2


@pytest.mark.parametrize("samples", [0, CLOCK_HZ * LONGEST_PACKET_MS // 1000 + 1])
def test_a_packet_of_an_impossible_length_is_refused(samples: int) -> None:
    buffer = JitterBuffer(CLOCK_HZ)
    buffer.put(packet(0), samples, BEGAN_S)
    assert buffer.refused == buffer.received == 1
    assert ticks(buffer, 2) == []


def test_of_a_burst_after_an_outage_the_newest_200_ms_are_heard_at_the_pace_of_time() -> None:
    buffer = fed([0, 1])
    ticks(buffer, 250)
    now_s = BEGAN_S + 5
    for nth in range(2, 252):
        buffer.put(packet(nth), FRAME, now_s)
    assert buffer.held_ms == LONGEST_DELAY_MS
    assert buffer.dropped_for_delay == 240
    assert ticks(buffer, 10, now_s) == list(map(sound, range(242, 252)))


def test_what_a_burst_left_of_delay_is_gone_half_a_minute_later() -> None:
    def trip(_: random.Random, at_s: float) -> float:
        return 25 - at_s + at_s * 1e-6 if 20 <= at_s < 25 else 0.0001

    heard = simulate(trip, lasts_s=60)
    assert heard.wait_ms(after_s=55) <= 40
    assert heard.most_ms > 150


def test_an_outage_in_which_all_is_lost_leaves_no_delay() -> None:
    for lasts_s in (1.0, 5.0):
        ends_s = 10 + lasts_s

        def trip(_: random.Random, at_s: float, ends_s: float = ends_s) -> float | None:
            return None if 10 <= at_s < ends_s else 0.0

        heard = simulate(trip, lasts_s=20)
        assert heard.wait_ms(after_s=ends_s) <= 40
        # What is lost in more packets than a sender's jump is not counted.
        assert heard.buffer.lost == (50 if lasts_s == 1.0 else 0)


def test_a_timestamp_far_ahead_is_not_waited_for() -> None:
    buffer = fed([0])
    ahead = packet(1)._replace(timestamp=3_600 * CLOCK_HZ)
    buffer.put(ahead, FRAME, BEGAN_S)
    assert ticks(buffer, 1) == [sound(1)]
    assert buffer.dropped_for_delay == 1


def test_a_timestamp_that_jumps_back_is_followed() -> None:
    buffer = fed([0])
    for nth in (1, 2):
        back = (packet(nth).timestamp - 10 * CLOCK_HZ) & 0xFFFF_FFFF
        buffer.put(packet(nth)._replace(timestamp=back), FRAME, BEGAN_S)
    assert ticks(buffer, 4) == [Nothing(FRAME), sound(0), sound(1), sound(2)]


def test_no_more_packets_are_held_than_the_shortest_frames_need() -> None:
    buffer = fed(range(MOST_PACKETS + 5), step=1)
    assert buffer.dropped_for_delay == 5


def test_ticks_that_failed_to_come_are_made_good() -> None:
    buffer = fed(range(8))
    ticks(buffer, 1)
    assert buffer.tick(BEGAN_S + 0.061) == [sound(0), sound(1), sound(2)]
    assert buffer.tick(BEGAN_S + 0.062) == []
    assert buffer.tick(BEGAN_S + 0.080) == [sound(3)]


def test_after_a_long_stall_of_ours_no_more_than_200_ms_are_made_good() -> None:
    buffer = fed(range(10))
    ticks(buffer, 1)
    pieces = buffer.tick(BEGAN_S + 60)
    assert sum(piece.samples for piece in pieces) == 10 * FRAME
    assert len(ticks(buffer, 3, BEGAN_S + 60.02)) == 3


def test_jitter_is_what_the_rfc_says() -> None:
    """Two packets 20 ms apart that come 36 ms apart: a 16th of the 16 ms (RFC 3550, section 6.4.1)."""
    buffer = fed([0])
    buffer.put(packet(1), FRAME, BEGAN_S + 0.036)
    assert buffer.jitter_ms == pytest.approx(1)


@pytest.mark.parametrize(("sounds_at", "dropped"), [(0, 1), (1, 0)])
def test_one_frame_too_much_is_left_out_after_a_while_be_it_sound_or_pause(sounds_at: int, dropped: int) -> None:
    """Sound in every other frame after the first two; after a second the network is quicker by a frame."""
    buffer = JitterBuffer(CLOCK_HZ)
    sequence = 0
    given: list[int] = []
    for tick in range(1_000):
        now_s = BEGAN_S + tick * FRAME_S
        for at in [tick] if tick < 50 else [tick, tick + 1] if tick == 50 else [tick + 1]:
            if at % 2 == sounds_at or at < 2:
                buffer.put(
                    packet(at)._replace(sequence=sequence, payload=sequence.to_bytes(2, "big")), FRAME, now_s
                )
                sequence += 1
        given += [int.from_bytes(piece.payload, "big") for piece in buffer.tick(now_s) if isinstance(piece, Sound)]
    left_out = set(range(sequence - 2)) - set(given)
    assert len(left_out) == buffer.dropped_for_delay == dropped
    assert given == sorted(given)
    assert buffer.delay_ms == pytest.approx(20, abs=1)
