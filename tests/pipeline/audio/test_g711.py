"""Both laws of G.711 against the Recommendation's own formula, over every code and every sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.audio import g711
from pipeline.audio.formats import Encoding

CODES = bytes(range(256))
SAMPLES = np.arange(-32_768, 32_768).astype("<i2")

KNOWN_NEIGHBOURS = 508
"""Negative samples for which libraries differ by one code: two's against one's complement at a decision value."""

ULAW_BIAS = 132


def expand_ulaw(code: int) -> int:
    """ITU-T G.711 table 2: inverted bits; sign, three bits of segment, four of step."""
    inverted = code ^ 0xFF
    segment, step = inverted >> 4 & 7, inverted & 15
    size = ((2 * step + 33) << segment + 2) - ULAW_BIAS
    return -size if inverted & 0x80 else size


def expand_alaw(code: int) -> int:
    """ITU-T G.711 table 1: even bits inverted; a set sign bit is positive."""
    plain = code ^ 0x55
    segment, step = plain >> 4 & 7, plain & 15
    size = (2 * step + 1) << 3 if segment == 0 else (2 * step + 33) << segment + 2
    return size if plain & 0x80 else -size


def samples(pcm16: bytes) -> npt.NDArray[np.int32]:
    return np.frombuffer(pcm16, "<i2").astype(np.int32)


def compress_alaw(sample: int) -> int:
    """ITU-T G.191 `alaw_compress`: one's complement, twelve bits, shifted down to five by the segment."""
    size = (~sample if sample < 0 else sample) >> 4
    segment = 0
    if size > 15:
        segment = 1
        while size > 31:
            size >>= 1
            segment += 1
        size -= 16
    return (size | segment << 4 | (0 if sample < 0 else 0x80)) ^ 0x55


def test_every_ulaw_code_expands_as_the_recommendation_says() -> None:
    assert samples(g711.ulaw_to_pcm16(CODES)).tolist() == [expand_ulaw(code) for code in CODES]


def test_every_alaw_code_expands_as_the_recommendation_says() -> None:
    assert samples(g711.alaw_to_pcm16(CODES)).tolist() == [expand_alaw(code) for code in CODES]


def test_every_sample_becomes_the_ulaw_code_of_the_reference_but_for_the_known_neighbours() -> None:
    codes = np.frombuffer(g711.pcm16_to_ulaw(SAMPLES.tobytes()), np.uint8)
    magnitude = np.minimum(np.abs(SAMPLES.astype(np.int32)), 32_635)
    # ITU-T G.191 takes the one's complement of a negative sample: its magnitude is one less.
    one_less = np.where(SAMPLES < 0, np.minimum(-SAMPLES.astype(np.int32) - 1, 32_635), magnitude)
    biased = (one_less >> 2) + 33
    segment = np.floor(np.log2(biased)).astype(int) - 5
    step = (biased >> segment + 1) & 15
    expected = (np.where(SAMPLES < 0, 0x80, 0) | segment << 4 | step) ^ 0xFF
    differs = codes != expected
    assert differs.sum() == KNOWN_NEIGHBOURS
    assert (SAMPLES[differs] < 0).all()
    assert (np.abs(codes[differs].astype(int) - expected[differs]) == 1).all()


def test_every_sample_becomes_the_alaw_code_of_the_reference() -> None:
    codes = g711.pcm16_to_alaw(SAMPLES.tobytes())
    assert codes == bytes(compress_alaw(sample) for sample in SAMPLES.tolist())


def test_every_code_survives_a_round_trip_but_negative_zero() -> None:
    ulaw = g711.pcm16_to_ulaw(g711.ulaw_to_pcm16(CODES))
    assert [code for code in CODES if ulaw[code] != code] == [0x7F]
    assert g711.pcm16_to_alaw(g711.alaw_to_pcm16(CODES)) == CODES


def test_the_tables_between_the_laws_say_what_the_way_by_pcm16_says() -> None:
    assert g711.ulaw_to_alaw(CODES) == g711.pcm16_to_alaw(g711.ulaw_to_pcm16(CODES))
    assert g711.alaw_to_ulaw(CODES) == g711.pcm16_to_ulaw(g711.alaw_to_pcm16(CODES))


def test_the_float_tables_hold_every_code_between_minus_one_and_one() -> None:
    codes = np.frombuffer(CODES, np.uint8)
    for table, expand in ((g711.ULAW_TO_FLOAT, expand_ulaw), (g711.ALAW_TO_FLOAT, expand_alaw)):
        assert table.dtype == np.float32
        assert not table.flags.writeable
        assert table[codes].tolist() == [expand(code) / 32_768 for code in CODES]


def test_encoding_and_decoding_by_name_use_the_same_law_and_leave_pcm16_alone() -> None:
    pcm16 = g711.ulaw_to_pcm16(CODES)
    assert g711.decode(CODES, Encoding.ULAW) == pcm16
    assert g711.decode(CODES, Encoding.ALAW) == g711.alaw_to_pcm16(CODES)
    assert g711.encode(pcm16, Encoding.ULAW) == g711.pcm16_to_ulaw(pcm16)
    assert g711.encode(pcm16, Encoding.ALAW) == g711.pcm16_to_alaw(pcm16)
    assert g711.decode(pcm16, Encoding.PCM16) == g711.encode(pcm16, Encoding.PCM16) == pcm16
