"""The names of audio formats, both ways (Realtime reference, section C.3)."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.audio.formats import PCM_24K, PCMA, PCMU, AudioFormat, Encoding
from pipeline.dialects import Dialect
from pipeline.events.refusal import BadEvent
from pipeline.session_parts import audio_format
from pipeline.session_parts.field import Field, Terms

NAMES = [
    ("audio/pcm", PCM_24K),
    ("pcm16", PCM_24K),
    ("audio/pcmu", PCMU),
    ("g711_ulaw", PCMU),
    ("pcmu", PCMU),
    ("audio/pcma", PCMA),
    ("g711_alaw", PCMA),
    ("pcma", PCMA),
]
RATES_HZ = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)


def read(value: Any, dialect: Dialect) -> AudioFormat:
    return audio_format.read(Field(value, "f"), Terms(dialect))


def refusal(value: Any, dialect: Dialect) -> BadEvent:
    with pytest.raises(BadEvent) as caught:
        read(value, dialect)
    return caught.value


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_strings_and_objects_are_read_in_every_dialect(dialect: Dialect, name: str, expected: AudioFormat) -> None:
    assert read(name, dialect) == expected
    assert read({"type": name}, dialect) == expected
    assert read({"type": name, "rate": None}, dialect) == expected
    assert read({"type": name, "rate": expected.rate_hz}, dialect) == expected
    assert read({"type": name, "rate": float(expected.rate_hz)}, dialect) == expected


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_pcm_has_other_rates_on_inworld_connections_only(rate_hz: int) -> None:
    value = {"type": "audio/pcm", "rate": rate_hz}
    format = AudioFormat(Encoding.PCM16, rate_hz)
    assert read(value, Dialect.IW) == format
    assert audio_format.shown(format, Dialect.IW) == value
    if rate_hz != 24_000:
        for dialect in (Dialect.GA, Dialect.BETA, Dialect.SEED):
            refused = refusal(value, dialect)
            assert (refused.code, refused.param) == ("invalid_value", "f.rate")
            assert "24000" in refused.message


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize(
    ("value", "param"),
    [
        ({"type": "audio/pcm", "rate": 22_050}, "f.rate"),
        ({"type": "audio/pcm", "rate": "24000"}, "f.rate"),
        ({"type": "audio/pcm", "rate": True}, "f.rate"),
        ({"type": "audio/pcm", "rate": []}, "f.rate"),
        ({"type": "audio/pcmu", "rate": 16_000}, "f.rate"),
        ({"type": "audio/pcma", "rate": 24_000}, "f.rate"),
        ({"type": "opus"}, "f.type"),
        ({"type": 3}, "f.type"),
        ("opus", "f"),
        (3, "f"),
        ([], "f"),
        (None, "f"),
    ],
)
def test_other_formats_are_refused_at_their_path(dialect: Dialect, value: Any, param: str) -> None:
    refused = refusal(value, dialect)
    assert (refused.code, refused.param) == ("invalid_value", param)


@pytest.mark.parametrize(
    ("value", "param"),
    [("float32", "f"), ("audio/float32", "f"), ({"type": "audio/float32", "rate": 24_000}, "f.type")],
)
def test_floats_are_refused_by_name(value: Any, param: str) -> None:
    refused = refusal(value, Dialect.IW)
    assert (refused.code, refused.param) == ("invalid_value", param)
    assert "'audio/float32' is not offered" in refused.message


def test_an_object_needs_its_type_and_on_ga_nothing_else() -> None:
    refused = refusal({"rate": 24_000}, Dialect.IW)
    assert (refused.code, refused.param) == ("missing_required_parameter", "f.type")
    assert refusal({"type": "pcm16", "bits": 16}, Dialect.GA).code == "unknown_parameter"
    assert read({"type": "pcm16", "bits": 16}, Dialect.IW) == PCM_24K


@pytest.mark.parametrize(
    ("format", "as_object", "beta", "camel"),
    [
        (PCM_24K, {"type": "audio/pcm", "rate": 24_000}, "pcm16", "pcm16"),
        (PCMU, {"type": "audio/pcmu"}, "g711_ulaw", "pcmu"),
        (PCMA, {"type": "audio/pcma"}, "g711_alaw", "pcma"),
    ],
)
def test_each_dialect_shows_its_own_name(
    format: AudioFormat, as_object: dict[str, Any], beta: str, camel: str
) -> None:
    for dialect in (Dialect.GA, Dialect.IW, Dialect.SEED):
        assert audio_format.shown(format, dialect) == as_object
    assert audio_format.shown(format, Dialect.BETA) == beta
    assert audio_format.camel_shown(format) == camel


def test_ga_shows_pcm_at_24_khz_whatever_it_is() -> None:
    """Realtime reference, rule 5: strict clients break on any other rate."""
    other = AudioFormat(Encoding.PCM16, 16_000)
    assert audio_format.shown(other, Dialect.GA) == {"type": "audio/pcm", "rate": 24_000}
