"""Sound to payloads and back, with what peers send that is no sound."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from av import AudioFrame, CodecContext
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.webrtc.coding import LONGEST_PAYLOAD, CodingFault, make_decoder, make_encoder
from gateway.webrtc.payload import FRAME_MS, PCM_48K, Codec
from pipeline.audio.formats import PCM_8K, PCM_24K, PCMA, PCMU, AudioFormat

Samples = npt.NDArray[np.float64]


def _tone(hz: float, rate_hz: int, samples: int, level: int = 8_000) -> bytes:
    at = np.arange(samples)
    return (level * np.sin(2 * math.pi * hz * at / rate_hz)).astype("<i2").tobytes()


def _samples(pcm16: bytes) -> Samples:
    return np.frombuffer(pcm16, "<i2").astype(np.float64)


def _level(pcm16: bytes) -> float:
    return math.sqrt(float((_samples(pcm16) ** 2).mean()))


def _strongest_hz(pcm16: bytes, rate_hz: int, count: int) -> set[int]:
    sound = _samples(pcm16)
    loudness = np.abs(np.fft.rfft(sound * np.hanning(sound.size)))
    peaks = [i for i in range(1, loudness.size - 1) if loudness[i - 1] < loudness[i] >= loudness[i + 1]]
    peaks.sort(key=lambda i: -loudness[i])
    return {round(i * rate_hz / sound.size) for i in peaks[:count]}


def _packets_of_other_kind(layout: str, frame_ms: int, sound: bytes, rate_hz: int = 48_000) -> list[bytes]:
    """A peer's encoder; `sound` has the channels of the layout one beside the other."""
    codec = CodecContext.create("libopus", "w")
    codec.format, codec.layout, codec.sample_rate = "s16", layout, rate_hz
    codec.time_base, codec.options = Fraction(1, rate_hz), {"frame_duration": str(frame_ms)}
    codec.bit_rate = 2 * rate_hz
    frame = AudioFrame(format="s16", layout=layout, samples=rate_hz * frame_ms // 1000)
    frame.sample_rate = rate_hz
    size = frame.samples * 2 * (2 if layout == "stereo" else 1)
    packets = []
    for at in range(0, len(sound) - size + 1, size):
        frame.planes[0].update(sound[at : at + size])
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 48_000])
def test_a_tone_comes_through_opus_at_any_rate_it_is_made_at(rate_hz: int) -> None:
    encoder, decoder = make_encoder(Codec.OPUS, rate_hz), make_decoder(Codec.OPUS)
    frame_bytes = encoder.format.bytes_in(FRAME_MS)
    tone = _tone(440, rate_hz, rate_hz)

    heard = b"".join(
        decoder.decode(encoder.encode(tone[at : at + frame_bytes])) for at in range(0, len(tone), frame_bytes)
    )

    assert decoder.format == PCM_48K
    assert len(heard) == PCM_48K.bytes_per_second
    settled = heard[PCM_48K.bytes_in(500) :]
    assert _strongest_hz(settled, 48_000, 1) == {440}
    assert _level(settled) == pytest.approx(8_000 / math.sqrt(2), rel=0.1)


def test_every_frame_makes_one_packet_from_the_first_on() -> None:
    encoder = make_encoder(Codec.OPUS)
    packets = [encoder.encode(bytes(PCM_24K.bytes_in(FRAME_MS))) for _ in range(50)]
    decoder = make_decoder(Codec.OPUS)
    assert {len(decoder.decode(packet)) for packet in packets} == {PCM_48K.bytes_in(FRAME_MS)}


@pytest.mark.parametrize(
    ("codec", "rate_hz", "taken"),
    [
        (Codec.OPUS, 24_000, PCM_24K),
        (Codec.OPUS, 8_000, PCM_8K),
        (Codec.OPUS, 22_050, PCM_24K),
        (Codec.OPUS, 96_000, PCM_48K),
        (Codec.PCMU, 24_000, PCMU),
        (Codec.PCMA, 8_000, PCMA),
    ],
)
def test_an_encoder_says_which_sound_it_takes(codec: Codec, rate_hz: int, taken: AudioFormat) -> None:
    assert make_encoder(codec, rate_hz).format == taken


@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.PCMA])
def test_g711_passes_untouched_both_ways(codec: Codec) -> None:
    frame = bytes(range(160))
    assert make_encoder(codec).encode(frame) == frame
    assert make_decoder(codec).decode(frame[:7]) == frame[:7]
    assert make_decoder(codec).format == codec.format


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("extra", [-2, 2])
def test_a_frame_of_another_length_is_our_fault(codec: Codec, extra: int) -> None:
    encoder = make_encoder(codec)
    with pytest.raises(ValueError, match="A frame has 20 ms"):
        encoder.encode(bytes(encoder.format.bytes_in(FRAME_MS) + extra))


def test_a_stereo_packet_is_mixed_down() -> None:
    left, right = _samples(_tone(300, 48_000, 48_000)), _samples(_tone(800, 48_000, 48_000, 4_000))
    both = np.stack([left, right], axis=1).astype("<i2").tobytes()
    packets = _packets_of_other_kind("stereo", 20, both)
    assert packets[0][0] & 0b100, "the packets are stereo (RFC 6716, section 3.1)"

    decoder = make_decoder(Codec.OPUS)
    heard = b"".join(map(decoder.decode, packets))

    assert len(heard) == PCM_48K.bytes_per_second
    assert _strongest_hz(heard[PCM_48K.bytes_in(500) :], 48_000, 2) == {300, 800}


@pytest.mark.parametrize(
    ("frame_ms", "rate_hz", "modes"),
    [
        (5, 48_000, range(16, 32)),
        (10, 48_000, range(12, 32)),
        (60, 48_000, range(12, 32)),
        (10, 8_000, range(4)),
        (40, 8_000, range(4)),
        (60, 8_000, range(4)),
    ],
)
def test_packets_of_other_lengths_give_all_their_sound(frame_ms: int, rate_hz: int, modes: range) -> None:
    decoder = make_decoder(Codec.OPUS)
    packets = _packets_of_other_kind("mono", frame_ms, _tone(300, rate_hz, rate_hz), rate_hz)
    assert packets[-1][0] >> 3 in modes, "the peer's encoder works in the mode meant (RFC 6716, section 3.1)"
    assert {len(decoder.decode(packet)) for packet in packets} == {PCM_48K.bytes_in(frame_ms)}
    assert len(decoder.conceal()) == PCM_48K.bytes_in(FRAME_MS)


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("payload", [b"", bytes(LONGEST_PAYLOAD + 1)])
def test_payloads_without_sound_or_of_absurd_length_are_refused(codec: Codec, payload: bytes) -> None:
    with pytest.raises(CodingFault, match="1 to 1500 bytes"):
        make_decoder(codec).decode(payload)


def test_bytes_that_are_no_opus_packet_are_refused_by_name() -> None:
    # Code 3 announces a count of frames in the next byte: none may be zero (RFC 6716, section 3.2.5).
    with pytest.raises(CodingFault, match="2 bytes are no Opus packet"):
        make_decoder(Codec.OPUS).decode(b"\x03\x00")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=200), max_size=10))
def test_a_decoder_survives_garbage_and_goes_on(garbage: list[bytes]) -> None:
    encoder, decoder = make_encoder(Codec.OPUS, 8_000), make_decoder(Codec.OPUS)
    tone = _tone(440, 8_000, 8_000)
    for payload in garbage:
        try:
            sound = decoder.decode(payload)
        except CodingFault:
            continue
        assert 0 < len(sound) <= PCM_48K.bytes_in(120)

    heard = b"".join(decoder.decode(encoder.encode(tone[at : at + 320])) for at in range(0, 16_000, 320))

    assert len(heard) == PCM_48K.bytes_per_second
    (hz,) = _strongest_hz(heard[PCM_48K.bytes_in(500) :], 48_000, 1)
    assert hz == pytest.approx(440, abs=20)


@pytest.mark.parametrize("rate_hz", [8_000, 24_000])
def test_what_was_said_goes_on_over_a_lost_packet_and_fades(rate_hz: int) -> None:
    encoder, decoder = make_encoder(Codec.OPUS, rate_hz), make_decoder(Codec.OPUS)
    size = encoder.format.bytes_in(FRAME_MS)
    tone = _tone(200, rate_hz, rate_hz // 2)
    said = [decoder.decode(encoder.encode(tone[at : at + size])) for at in range(0, len(tone) - size, size)]

    concealed = [decoder.conceal() for _ in range(25)]

    assert {len(frame) for frame in concealed} == {PCM_48K.bytes_in(FRAME_MS)}
    assert _level(concealed[0]) > _level(said[-1]) / 2
    assert _level(concealed[-1]) < 100


@pytest.mark.parametrize("codec", list(Codec))
def test_before_the_first_packet_only_silence_can_be_made_up(codec: Codec) -> None:
    decoder = make_decoder(codec)
    silence = decoder.format.silence * (decoder.format.rate_hz * FRAME_MS // 1000)
    assert decoder.conceal() == silence


def _resident_pages() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1])


def test_a_thousand_connections_leave_nothing_behind() -> None:
    def use_once() -> None:
        encoder, decoder = make_encoder(Codec.OPUS), make_decoder(Codec.OPUS)
        decoder.decode(encoder.encode(bytes(960)))

    for _ in range(100):
        use_once()
    before = _resident_pages()
    for _ in range(1_000):
        use_once()

    # A pair of libopus's states has over 40 kB: a thousand of them would be 10,000 pages.
    assert _resident_pages() - before < 1_000
