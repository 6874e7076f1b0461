"""A session's sound as packets by the RTP clock, and the position they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.webrtc.coding import make_decoder
from gateway.webrtc.loudspeaker import LONGEST_QUEUE_MS, MOST_AT_ONCE, SETTLING_FRAMES, Loudspeaker
from gateway.webrtc.payload import FRAME_MS, Codec, Payload
from gateway.webrtc.rtcp import ntp_of
from gateway.webrtc.rtp import Rtp, read_rtp
from pipeline.audio.formats import PCM_8K, PCM_24K, PCMA, PCMU, AudioFormat, Encoding
from pipeline.audio.transcode import transcode

PCM_22K = AudioFormat(Encoding.PCM16, 22_050)
FRAME_S = FRAME_MS / 1000
BEGAN_S = 1_000.0
SEQUENCE = 65_530
TIMESTAMP = 2**32 - 500
PCMU_FRAME = bytes(range(160))
PCMU_SILENCE = b"\xff" * 160


def _loudspeaker(codec: Codec, source: AudioFormat) -> Loudspeaker:
    number = {Codec.OPUS: 111, Codec.PCMU: 0, Codec.PCMA: 8}[codec]
    payload = Payload(codec, number)
    return Loudspeaker(payload, 0xFEED, lambda: source, BEGAN_S, sequence=SEQUENCE, timestamp=TIMESTAMP)


def _read(packets: Sequence[bytes]) -> list[Rtp]:
    read = [read_rtp(packet) for packet in packets]
    assert all(read)
    return [packet for packet in read if packet]


def _frames(loudspeaker: Loudspeaker, count: int) -> list[Rtp]:
    """The next packets, each when it is due."""
    return [packet for _ in range(count) for packet in _read(loudspeaker.due(loudspeaker.due_at_s))]


def test_silence_is_sent_when_nothing_is_said() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCMU)

    packets = _frames(loudspeaker, 8)

    assert packets == [
        Rtp((SEQUENCE + n) % 2**16, (TIMESTAMP + 160 * n) % 2**32, 0xFEED, False, 0, PCMU_SILENCE) for n in range(8)
    ]
    assert (loudspeaker.position, loudspeaker.is_sounding) == (0, False)


def test_opus_counts_in_48_khz_whatever_is_coded() -> None:
    first, second = _frames(_loudspeaker(Codec.OPUS, PCM_24K), 2)
    assert (second.timestamp - first.timestamp) % 2**32 == 960
    assert first.number == 111


def test_the_marker_stands_on_the_first_packet_after_silence_only() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCMU)
    marked = [packet.marker for packet in _frames(loudspeaker, 2)]
    for _ in range(2):
        loudspeaker.push(PCMU_FRAME * 2)
        marked += [packet.marker for packet in _frames(loudspeaker, 3)]
    assert marked == [False, False] + [True, False, False] * 2


def test_a_packet_is_due_every_20_ms_from_the_beginning_on() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCMU)
    assert loudspeaker.due(BEGAN_S - 1) == []
    assert loudspeaker.due_at_s == BEGAN_S
    assert len(loudspeaker.due(BEGAN_S)) == 1
    assert loudspeaker.due_at_s == pytest.approx(BEGAN_S + FRAME_S)
    assert loudspeaker.due(BEGAN_S + 0.009) == []
    assert len(loudspeaker.due(BEGAN_S + FRAME_S)) == 1


def test_who_is_woken_half_a_frame_early_loses_nothing() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCMU)
    counts = [len(loudspeaker.due(BEGAN_S + n * FRAME_S - 0.0099)) for n in range(50)]
    assert counts == [1] * 50


def test_half_a_frame_waits_until_it_is_due_and_is_filled_up_with_silence() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCMU)
    _frames(loudspeaker, 1)
    loudspeaker.push(PCMU_FRAME[:80])
    assert loudspeaker.due(BEGAN_S + 0.005) == []
    assert (loudspeaker.position, loudspeaker.is_sounding) == (0, True)

    (packet,) = _frames(loudspeaker, 1)

    assert packet.payload == PCMU_FRAME[:80] + PCMU_SILENCE[80:]
    assert (loudspeaker.position, loudspeaker.is_sounding) == (80, False)


def test_what_comes_in_time_fills_the_frame() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCMU)
    _frames(loudspeaker, 1)
    loudspeaker.push(PCMU_FRAME[:80])
    loudspeaker.push(b"")
    loudspeaker.push(PCMU_FRAME[80:])
    (packet,) = _frames(loudspeaker, 1)
    assert packet.payload == PCMU_FRAME


def test_after_a_stall_200_ms_are_caught_up_and_the_clock_jumps_over_the_rest() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCMU)
    loudspeaker.push(PCMU_FRAME * 40)
    (before,) = _frames(loudspeaker, 1)

    packets = _read(loudspeaker.due(BEGAN_S + 1.0))

    assert len(packets) == MOST_AT_ONCE
    assert [packet.sequence for packet in packets] == [(before.sequence + 1 + n) % 2**16 for n in range(10)]
    # The last of them is the one that is due now.
    assert packets[-1].timestamp == (TIMESTAMP + 50 * 160) % 2**32
    assert [packet.marker for packet in packets] == [True] + [False] * 9
    assert loudspeaker.position == 11 * 160
    assert loudspeaker.due_at_s == pytest.approx(BEGAN_S + 51 * FRAME_S)


def test_a_stall_of_200_ms_is_caught_up_without_a_jump() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCMU)
    (before,) = _frames(loudspeaker, 1)
    packets = _read(loudspeaker.due(BEGAN_S + 10 * FRAME_S))
    assert [packet.timestamp for packet in packets] == [
        (before.timestamp + 160 * (1 + n)) % 2**32 for n in range(MOST_AT_ONCE)
    ]


def test_a_flush_throws_away_what_has_not_left() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCMU)
    loudspeaker.push(PCMU_FRAME * 10)
    _frames(loudspeaker, 3)

    assert loudspeaker.flush(BEGAN_S + 3 * FRAME_S) == 3 * 160

    assert not loudspeaker.is_sounding
    assert _frames(loudspeaker, 1)[0].payload == PCMU_SILENCE
    loudspeaker.push(PCMU_FRAME)
    (packet,) = _frames(loudspeaker, 1)
    assert (packet.payload, packet.marker, loudspeaker.position) == (PCMU_FRAME, True, 4 * 160)


def test_a_flush_leaves_nothing_of_the_old_sound_in_the_filter() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCM_24K)
    loudspeaker.push(b"\x00\x40" * 48_000)
    _frames(loudspeaker, 2)
    loudspeaker.flush(loudspeaker.due_at_s)
    loudspeaker.push(bytes(PCM_24K.bytes_in(FRAME_MS)))
    assert {packet.payload for packet in _frames(loudspeaker, 3)} == {PCMU_SILENCE}


def test_above_five_seconds_the_voice_is_made_to_wait() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCM_24K)
    loudspeaker.push(bytes(PCM_24K.bytes_in(LONGEST_QUEUE_MS)))
    rooms = [loudspeaker.has_room]
    loudspeaker.push(bytes(PCM_24K.bytes_in(10)))
    rooms.append(loudspeaker.has_room)
    _frames(loudspeaker, 1)
    rooms.append(loudspeaker.has_room)
    assert rooms == [True, False, True]


def test_the_format_may_change_until_the_first_sound() -> None:
    formats = [PCM_24K]
    payload = Payload(Codec.PCMU, 0)
    loudspeaker = Loudspeaker(payload, 1, lambda: formats[-1], BEGAN_S, sequence=0, timestamp=0)
    _frames(loudspeaker, 1)
    formats.append(PCMU)
    loudspeaker.push(PCMU_FRAME)
    assert _frames(loudspeaker, 1)[0].payload == PCMU_FRAME
    formats.append(PCM_8K)
    loudspeaker.push(PCMU_FRAME)
    assert _frames(loudspeaker, 1)[0].payload == PCMU_FRAME
    assert loudspeaker.position == 320


def test_the_last_samples_of_an_utterance_come_out_of_the_filter() -> None:
    """Its rest is more than fits into the frame that is due, too."""
    for samples in (1, 2, 479, 480, 481, 500, 519, 520, 521, 522, 523, 960, 1_003):
        loudspeaker = _loudspeaker(Codec.PCMU, PCM_24K)
        sound = np.linspace(4_000, 20_000, samples).astype("<i2").tobytes()
        loudspeaker.push(sound)
        sent = b"".join(packet.payload for packet in _frames(loudspeaker, 4))
        expected = transcode(sound, PCM_24K, PCMU)
        assert sent == expected + b"\xff" * (640 - len(expected))
        assert (loudspeaker.position, loudspeaker.is_sounding) == (samples, False)


def test_sound_that_follows_the_rest_of_the_filter_is_counted_exactly() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCM_24K)
    # 505 samples give 169 of 8 kHz: 155 that are certain, and 14 of which 9 do not fit into the frame that is due.
    loudspeaker.push(b"\x00\x10" * 505)
    _frames(loudspeaker, 1)
    assert loudspeaker.position == 480
    loudspeaker.push(b"\x00\x10" * 4_800)
    _frames(loudspeaker, 1)
    # 9 samples of the rest stand for 25 of the source; 151 follow.
    assert loudspeaker.position == 505 + 3 * 151
    _frames(loudspeaker, 20)
    assert loudspeaker.position == 505 + 4_800


def test_a_frame_that_is_just_full_does_not_end_the_sound() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCM_24K)
    sound = np.linspace(-20_000, 20_000, 4_800).astype("<i2").tobytes()
    # Of 520 samples 480 are certain: just a frame of 8 kHz.
    loudspeaker.push(sound[:1_040])
    sent = _frames(loudspeaker, 1)
    loudspeaker.push(sound[1_040:])
    sent += _frames(loudspeaker, 9)
    assert b"".join(packet.payload for packet in sent) == transcode(sound, PCM_24K, PCMU)


def test_silence_is_coded_until_the_decoder_is_at_rest_and_then_repeated() -> None:
    loudspeaker = _loudspeaker(Codec.OPUS, PCM_24K)
    decoder = make_decoder(Codec.OPUS)
    still = _frames(loudspeaker, 20)[-1]
    loudspeaker.push(_tone(50))

    packets = _frames(loudspeaker, 500)

    sounds = [np.frombuffer(decoder.decode(packet.payload), "<i2") for packet in packets]
    levels = [float(np.abs(sound.astype(float)).max()) for sound in sounds]
    assert min(levels[1:50]) > 4_000
    assert max(levels[50 + SETTLING_FRAMES :]) < 10
    assert packets[50].payload not in (still.payload, packets[-1].payload)
    assert len({packet.payload for packet in packets[49 + SETTLING_FRAMES :]}) == 1


def _tone(frames: int) -> bytes:
    at = np.arange(frames * 480)
    return (8_000 * np.sin(2 * np.pi * 440 * at / 24_000)).astype("<i2").tobytes()


def test_what_was_said_is_heard_through_opus() -> None:
    # What was pushed, and what the packets say, lie over each other after the codec's own delay of some ms.
    chirp_hz = np.linspace(200, 3_000, 24_000)
    sound = (8_000 * np.sin(2 * np.pi * np.cumsum(chirp_hz) / 24_000)).astype("<i2").tobytes()
    loudspeaker = _loudspeaker(Codec.OPUS, PCM_24K)
    decoder = make_decoder(Codec.OPUS)
    heard = []
    for at in range(0, len(sound), 2_400):
        loudspeaker.push(sound[at : at + 2_400])
        heard += [decoder.decode(packet.payload) for packet in _frames(loudspeaker, 2 if at % 4_800 == 0 else 3)]

    pushed = np.frombuffer(transcode(sound, PCM_24K, Codec.OPUS.format), "<i2").astype(float)
    got = np.frombuffer(b"".join(heard), "<i2").astype(float)
    likeness = [
        float(np.corrcoef(pushed[4_800:40_000], got[4_800 + lag : 40_000 + lag])[0, 1]) for lag in range(200, 500)
    ]
    assert max(likeness) > 0.9
    assert loudspeaker.position == 24_000


def test_a_sender_report_says_what_was_sent_and_which_time_it_is() -> None:
    loudspeaker = _loudspeaker(Codec.PCMU, PCMU)
    _frames(loudspeaker, 50)
    report = loudspeaker.sender_report(BEGAN_S + 1.25, 1_800_000_000.5)
    assert (report.ssrc, report.packets, report.octets) == (0xFEED, 50, 8_000)
    assert report.timestamp == (TIMESTAMP + 10_000) % 2**32
    assert report.ntp == ntp_of(1_800_000_000.5)


@dataclass(frozen=True)
class _Push:
    samples: int


@dataclass(frozen=True)
class _Flush:
    pass


@dataclass(frozen=True)
class _Due:
    after_ms: int


_STEPS = st.lists(
    st.one_of(
        st.builds(_Push, st.integers(0, 1_500)),
        st.builds(_Flush),
        st.builds(_Due, st.one_of(st.integers(0, 45), st.integers(0, 600))),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(
    steps=_STEPS,
    line=st.sampled_from(
        [
            (Codec.PCMU, PCMU),
            (Codec.PCMU, PCM_24K),
            (Codec.PCMA, PCMU),
            (Codec.PCMU, PCM_22K),
            (Codec.OPUS, PCM_24K),
        ]
    ),
)
def test_whatever_comes_when_packets_are_in_step_and_samples_add_up(
    steps: list[_Push | _Flush | _Due], line: tuple[Codec, AudioFormat]
) -> None:
    codec, source = line
    loudspeaker = _loudspeaker(codec, source)
    now_s, pushed, thrown, position = BEGAN_S, 0, 0, 0
    packets: list[Rtp] = []
    for step in [*steps, *[_Due(200)] * 12]:
        match step:
            case _Push(samples):
                loudspeaker.push(source.silence * samples)
                pushed += samples
            case _Flush():
                held = pushed - thrown - loudspeaker.position
                assert loudspeaker.flush(now_s) == position
                assert not loudspeaker.is_sounding
                thrown += held
            case _Due(after_ms):
                now_s += after_ms / 1000
                new = _read(loudspeaker.due(now_s))
                assert len(new) <= MOST_AT_ONCE
                assert now_s < loudspeaker.due_at_s <= now_s + 0.0301
                packets += new
        assert position <= loudspeaker.position <= pushed - thrown
        assert loudspeaker.is_sounding == (loudspeaker.position < pushed - thrown)
        position = loudspeaker.position

    numbers = [packet.sequence for packet in packets]
    assert numbers == [(SEQUENCE + n) % 2**16 for n in range(len(packets))]
    ticks = codec.clock_hz * FRAME_MS // 1000
    at = [((packet.timestamp - TIMESTAMP) % 2**32) / ticks for packet in packets]
    assert at[0] >= 0 and all(
        later - sooner >= 1 and later % 1 == 0 for sooner, later in zip(at, at[1:], strict=False)
    )
    assert at[-1] == pytest.approx((loudspeaker.due_at_s - BEGAN_S) / FRAME_S - 1)


@settings(deadline=None)
@given(steps=_STEPS, law=st.sampled_from([PCMU, PCMA]))
def test_packets_hold_exactly_what_was_pushed_up_to_the_position(
    steps: list[_Push | _Flush | _Due], law: AudioFormat
) -> None:
    """Each sample pushed is another than the silence that packets are filled up with, so it can be told apart."""
    assume(any(isinstance(step, _Push) for step in steps))
    codec = Codec.PCMU if law == PCMU else Codec.PCMA
    loudspeaker = _loudspeaker(codec, law)
    heard, line, made, now_s = bytearray(), bytearray(), 0, BEGAN_S
    for step in [*steps, *[_Due(200)] * 40]:
        match step:
            case _Push(samples):
                sound = bytes((made + n) % 128 for n in range(samples))
                made += samples
                line += sound
                loudspeaker.push(sound)
            case _Flush():
                del line[loudspeaker.flush(now_s) :]
            case _Due(after_ms):
                now_s += after_ms / 1000
                for packet in _read(loudspeaker.due(now_s)):
                    heard += packet.payload.rstrip(law.silence)
                assert len(heard) == loudspeaker.position
    assert heard == line
    assert not loudspeaker.is_sounding


@settings(deadline=None)
@given(pieces=st.lists(st.integers(1, 2_000), min_size=1, max_size=20), gaps=st.lists(st.booleans(), min_size=20))
def test_sound_of_another_rate_is_the_same_however_it_comes(pieces: list[int], gaps: list[bool]) -> None:
    """As long as it comes in time. The first piece lasts longer than all packets that are taken between pieces."""
    loudspeaker = _loudspeaker(Codec.PCMU, PCM_24K)
    rng = np.random.default_rng(len(pieces))
    sounds = [rng.integers(-20_000, 20_000, n).astype("<i2").tobytes() for n in (12_000, *pieces)]
    heard = b""
    for sound, gap in zip(sounds, gaps, strict=False):
        loudspeaker.push(sound)
        heard += b"".join(packet.payload for packet in _frames(loudspeaker, int(gap)))
    pushed = b"".join(sounds[: len(gaps)])
    expected = transcode(pushed, PCM_24K, PCMU)
    while loudspeaker.is_sounding:
        heard += _frames(loudspeaker, 1)[0].payload
    assert heard[: len(expected)] == expected
    assert set(heard[len(expected) :]) <= {0xFF}
    assert loudspeaker.position == len(pushed) // 2
