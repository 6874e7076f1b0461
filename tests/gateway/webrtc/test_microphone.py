"""The microphone with real codecs: what a session hears of packets in any order, and for how long."""

from __future__ import annotations

import logging
import math
import random
import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.webrtc.coding import make_decoder, make_encoder
from gateway.webrtc.jitter_buffer import CONCEALED_FRAMES, LONGEST_DELAY_MS, LONGEST_PACKET_MS
from gateway.webrtc.microphone import FADE, Microphone, opus_samples_in
from gateway.webrtc.payload import PCM_48K, Codec, Payload
from gateway.webrtc.rtp import header
from pipeline.audio import g711
from pipeline.audio.formats import PCM_8K, PCM_24K, PCMA, PCMU, AudioFormat

NUMBER = 96
FRAME_S = 0.02
BEGAN_S = 50.0
RESAMPLER_MS = 2
"""The most that a change of rate holds back."""

CODECS = list(Codec)


def tone(format: AudioFormat, ms: int = 20, begin_ms: int = 0, hz: int = 400) -> bytes:
    """PCM16 at the format's rate: loud, and in one piece over as many frames as one likes."""
    first = begin_ms * format.rate_hz // 1000
    times = (at / format.rate_hz for at in range(first, first + ms * format.rate_hz // 1000))
    return b"".join(struct.pack("<h", round(12_000 * math.sin(2 * math.pi * hz * at))) for at in times)


def payloads(codec: Codec, count: int) -> list[bytes]:
    """A tone, 20 ms in each."""
    encoder = make_encoder(codec)
    return [
        encoder.encode(g711.encode(tone(encoder.format, begin_ms=20 * nth), encoder.format.encoding))
        for nth in range(count)
    ]


TONES = {codec: payloads(codec, 10) for codec in Codec}


def level(pcm16: bytes) -> float:
    """Root of the mean square."""
    samples = struct.unpack(f"<{len(pcm16) // 2}h", pcm16)
    return math.sqrt(sum(sample * sample for sample in samples) / max(1, len(samples)))


@dataclass
class Desk:
    """A microphone on a clock that stands still until somebody ticks."""

    codec: Codec = Codec.PCMU
    format: AudioFormat = PCM_8K
    now_s: float = BEGAN_S
    heard: list[bytes] = field(default_factory=list)
    first_heard_s: float = 0.0

    def __post_init__(self) -> None:
        self.microphone = Microphone(
            Payload(self.codec, NUMBER), self.heard.append, lambda: self.format, lambda: self.now_s
        )

    def send(self, nth: int, payload: bytes | None = None, *, number: int = NUMBER, ms: int = 20) -> None:
        step = self.codec.clock_hz * ms // 1000
        sound = TONES[self.codec][nth % 10] if payload is None else payload
        self.microphone.receive(header(number, nth, nth * step, 7, False) + sound)

    def tick(self, count: int = 1) -> list[bytes]:
        """What the next ticks brought."""
        before = len(self.heard)
        for _ in range(count):
            self.microphone.tick()
            if self.heard and not self.first_heard_s:
                self.first_heard_s = self.now_s
            self.now_s += FRAME_S
        return self.heard[before:]

    @property
    def heard_ms(self) -> float:
        return self.format.seconds_of(b"".join(self.heard)) * 1000


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("format", [PCM_24K, PCMU, PCMA])
def test_what_was_said_is_heard_in_the_sessions_format(codec: Codec, format: AudioFormat) -> None:
    desk = Desk(codec, format)
    for nth in range(50):
        desk.send(nth)
        desk.tick()
    # The tone goes on; packets repeat after ten frames, which hold whole waves.
    said = g711.decode(b"".join(desk.heard[10:]), format.encoding)
    assert level(said) == pytest.approx(12_000 / math.sqrt(2), rel=0.15)
    assert desk.heard_ms == pytest.approx(50 * 20, abs=RESAMPLER_MS)
    assert desk.microphone.buffer.concealed == desk.microphone.coding_faults == 0


def test_g711_in_a_session_of_g711_is_handed_on_as_it_came() -> None:
    desk = Desk(Codec.PCMU, PCMU)
    for nth in range(3):
        desk.send(nth)
    assert desk.tick(4) == [PCMU.silence * 160, *TONES[Codec.PCMU][:3]]


def test_before_the_first_packet_nothing_is_heard() -> None:
    desk = Desk()
    desk.send(0, number=13)
    assert desk.tick(100) == []


def test_what_is_not_the_peers_sound_is_ignored_and_counted() -> None:
    desk = Desk()
    desk.microphone.receive(b"no packet")
    desk.send(0, number=13)
    desk.send(0, number=NUMBER + 1)
    assert desk.tick(3) == []
    assert (desk.microphone.malformed, desk.microphone.ignored) == (1, 2)
    assert desk.microphone.buffer.received == 0


def test_lost_g711_is_the_last_frame_again_and_softer_until_it_is_silent() -> None:
    desk = Desk(Codec.PCMU, PCM_8K)
    desk.send(0)
    desk.send(6)
    levels = [level(sound) for sound in desk.tick(8)]
    said = levels[1]
    assert levels[0] == 0
    assert levels[2:7] == pytest.approx([said / 2, said / 4, said / 8, 0, 0], rel=0.05)
    assert [level * 2 ** (nth + 1) for nth, level in enumerate(FADE)] == [1, 1, 1]
    assert levels[7] > said / 2


def test_lost_opus_goes_on_with_its_pitch_and_then_is_silent() -> None:
    desk = Desk(Codec.OPUS, PCM_48K)
    for nth in (0, 1, 2, 7):
        desk.send(nth)
    sounds = desk.tick(9)
    decoder = make_decoder(Codec.OPUS)
    for payload in TONES[Codec.OPUS][:3]:
        decoder.decode(payload)
    assert sounds[4:7] == [decoder.conceal() for _ in range(len(FADE))]
    assert level(sounds[4]) > level(sounds[3]) / 2
    assert level(sounds[7]) == 0
    assert level(sounds[8]) > 0


@pytest.mark.parametrize("codec", CODECS)
def test_sound_of_10_ms_is_enough_to_make_up_from(codec: Codec) -> None:
    short = TONES[codec][0][:80] if codec is not Codec.OPUS else TONES[codec][0]
    desk = Desk(codec, codec.format)
    desk.send(0, short, ms=10)
    desk.tick(20)
    assert all(len(sound) == codec.format.bytes_in(20) for sound in desk.heard[2:])
    assert level(g711.decode(desk.heard[2], codec.format.encoding)) > 100


def test_what_is_no_sound_is_made_up_as_if_it_were_lost() -> None:
    desk = Desk(Codec.OPUS, PCM_48K)
    broken = bytes((TONES[Codec.OPUS][0][0] & ~3 | 1,)) + bytes(4) + b"!!"
    odd = broken[:4]
    assert opus_samples_in(odd) == 2 * 960
    for nth, payload in enumerate((None, None, odd)):
        desk.send(nth, payload)
    sounds = desk.tick(5)
    assert desk.microphone.coding_faults == 1
    assert len(sounds[3]) == 2 * PCM_48K.bytes_in(20)
    assert level(sounds[3]) > 0
    assert desk.microphone.buffer.lost == 0


def test_a_fault_before_any_sound_is_silence() -> None:
    desk = Desk(Codec.OPUS, PCM_48K)
    desk.send(0, bytes((0x79, 1, 2, 3)))
    assert b"".join(desk.tick(2)).count(0) == 3 * PCM_48K.bytes_in(20)
    assert desk.microphone.coding_faults == 1


@pytest.mark.parametrize("codec", CODECS)
def test_a_peer_that_stops_sending_is_heard_as_silent_for_as_long_as_it_is(codec: Codec) -> None:
    desk = Desk(codec, PCM_24K)
    for nth in range(10):
        desk.send(nth)
        desk.tick()
    sounds = desk.tick(500)
    quiet = sounds[2 + CONCEALED_FRAMES + 1 :]
    assert {len(sound) for sound in quiet} == {PCM_24K.bytes_in(20)}
    assert max(map(level, quiet)) <= 8  # which is A-law's zero
    assert desk.heard_ms == pytest.approx(510 * 20, abs=RESAMPLER_MS)


def test_after_silence_a_loss_is_silence() -> None:
    desk = Desk(Codec.PCMU, PCM_8K)
    desk.send(0)
    desk.tick(10)
    desk.microphone.receive(header(NUMBER, 3, 11 * 160, 7, False) + TONES[Codec.PCMU][0])
    sounds = desk.tick(3)
    assert [level(sound) > 0 for sound in sounds] == [False, False, True]


def test_of_a_burst_after_an_outage_no_more_than_real_time_is_heard() -> None:
    desk = Desk(Codec.PCMU, PCMU)
    desk.send(0)
    desk.tick(250)
    for nth in range(1, 251):
        desk.send(nth)
    assert desk.microphone.buffer.held_ms == LONGEST_DELAY_MS
    assert desk.tick(10) == [TONES[Codec.PCMU][nth % 10] for nth in range(241, 251)]


def test_a_new_format_of_the_session_is_followed_at_once() -> None:
    desk = Desk(Codec.OPUS, PCM_24K)
    for nth in range(6):
        desk.send(nth)
    desk.tick(3)
    desk.format = PCMU
    lengths = [len(sound) for sound in desk.tick(4)]
    assert sum(lengths) == pytest.approx(4 * PCMU.bytes_in(20), abs=PCMU.bytes_in(RESAMPLER_MS))
    assert lengths[1:] == [PCMU.bytes_in(20)] * 3


def test_a_session_that_fails_to_hear_is_said_once_and_sound_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def deaf(_: bytes) -> None:
        raise RuntimeError("deaf")

    now_s = BEGAN_S
    microphone = Microphone(Payload(Codec.PCMU, NUMBER), deaf, lambda: PCMU, lambda: now_s)
    microphone.receive(header(NUMBER, 0, 0, 7, False) + TONES[Codec.PCMU][0])
    with caplog.at_level(logging.ERROR):
        for _ in range(4):
            microphone.tick()
            now_s += FRAME_S
    assert microphone.unheard == 4
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_a_tick_inside_hear_does_nothing() -> None:
    heard: list[bytes] = []
    now_s = BEGAN_S

    def hear(sound: bytes) -> None:
        nonlocal now_s
        heard.append(sound)
        now_s += FRAME_S
        microphone.tick()

    microphone = Microphone(Payload(Codec.PCMU, NUMBER), hear, lambda: PCMU, lambda: now_s)
    microphone.receive(header(NUMBER, 0, 0, 7, False) + TONES[Codec.PCMU][0])
    microphone.tick()
    assert len(heard) == 1
    microphone.tick()
    assert len(heard) == 2


@pytest.mark.parametrize("codec", [Codec.OPUS, Codec.PCMU])
def test_over_any_schedule_what_is_heard_lasts_as_long_as_time(codec: Codec) -> None:
    """A thousand schedules of loss, jitter, outages, packets of several lengths and ticks that come unevenly."""
    draw = random.Random(11)
    for _ in range(500):
        desk = Desk(codec, codec.format)
        frame_ms = draw.choice((20, 20, 40)) if codec is Codec.PCMU else 20
        sound = TONES[codec][0] * (frame_ms // 20)
        share, jitter_s, uneven_s = draw.uniform(0, 0.3), draw.uniform(0, 0.15), draw.uniform(0, 0.015)
        out_s = draw.uniform(0.2, 1.0)
        events = [
            (nth * frame_ms / 1000 + draw.uniform(0, jitter_s), nth)
            for nth in range(1_200 // frame_ms)
            if draw.random() >= share and not out_s < nth * frame_ms / 1000 < out_s + 0.3
        ]
        events += [(nth * FRAME_S + draw.uniform(0, uneven_s), -1) for nth in range(90)]
        began_s = last_s = None
        for now_s, nth in sorted(events):
            desk.now_s = BEGAN_S + now_s
            if nth >= 0:
                desk.send(nth, sound, ms=frame_ms)
                continue
            desk.microphone.tick()
            if desk.heard:
                began_s, last_s = began_s if began_s is not None else now_s - FRAME_S, now_s
        assert began_s is not None and last_s is not None
        assert desk.heard_ms == pytest.approx(1000 * (last_s - began_s), abs=frame_ms + 20)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.tuples(st.integers(0, 12), st.binary(max_size=40)),
            st.tuples(st.integers(0, 12), st.integers(0, 31).map(lambda config: bytes((config << 3, 1, 2, 3)))),
            st.binary(max_size=30),
        ),
        max_size=40,
    ),
    st.sampled_from(CODECS),
)
def test_whatever_comes_a_tick_raises_nothing_and_gives_what_was_promised(
    rows: list[None | bytes | tuple[int, bytes]], codec: Codec
) -> None:
    desk = Desk(codec, codec.format)
    for row in rows:
        match row:
            case None:
                desk.tick()
            case bytes():
                desk.microphone.receive(row)
            case (nth, payload):
                desk.send(nth, payload)
    desk.tick(5)
    assert desk.microphone.unheard == 0
    if desk.heard:
        # Ahead of time by no more than the longest packet.
        ticked_ms = 1000 * (desk.now_s - desk.first_heard_s)
        assert ticked_ms - 0.1 <= desk.heard_ms < ticked_ms + LONGEST_PACKET_MS


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=1, max_size=60))
def test_how_long_an_opus_packet_lasts_is_what_libopus_makes_of_it(payload: bytes) -> None:
    try:
        sound = make_decoder(Codec.OPUS).decode(payload)
    except ValueError:
        return
    except Exception as error:
        assert type(error).__name__ == "CodingFault"
        return
    assert PCM_48K.samples_in(sound) == opus_samples_in(payload)


@pytest.mark.parametrize(
    ("payload", "samples"),
    [
        (b"", 0),
        (b"\x08", 960),  # SILK, 20 ms
        (b"\x18", 2_880),  # SILK, 60 ms
        (b"\x60", 480),  # hybrid, 10 ms
        (b"\x80", 120),  # CELT, 2.5 ms
        (b"\xf9\1\2", 1_920),  # two frames of 20 ms
        (b"\xfb", 0),  # any number of frames, and none said
        (b"\xfb\x06", 5_760),
    ],
)
def test_an_opus_packet_says_how_long_it_lasts(payload: bytes, samples: int) -> None:
    assert opus_samples_in(payload) == samples
