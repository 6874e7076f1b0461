"""The names of audio formats on the wire, both ways (Realtime reference, section C.3).

Strings and objects are read everywhere; what is shown depends on the dialect.
"""

from __future__ import annotations

from typing import Any

from pipeline.audio.formats import PCM_24K, PCMA, PCMU, AudioFormat, Encoding
from pipeline.dialects import Dialect
from pipeline.session_parts.field import Field, Terms

_NAMES = {
    "audio/pcm": PCM_24K,
    "audio/pcmu": PCMU,
    "audio/pcma": PCMA,
    "pcm16": PCM_24K,
    "g711_ulaw": PCMU,
    "g711_alaw": PCMA,
    "pcmu": PCMU,
    "pcma": PCMA,
}
_FLOAT = frozenset({"float32", "audio/float32"})

PCM_RATES_HZ = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)
"""On Inworld connections; elsewhere PCM is 24 kHz, because strict clients break on an echo of another rate."""

_MEDIA_TYPES = {Encoding.PCM16: "audio/pcm", Encoding.ULAW: "audio/pcmu", Encoding.ALAW: "audio/pcma"}
_BETA_NAMES = {Encoding.PCM16: "pcm16", Encoding.ULAW: "g711_ulaw", Encoding.ALAW: "g711_alaw"}
_SEED_NAMES = {Encoding.PCM16: "pcm16", Encoding.ULAW: "pcmu", Encoding.ALAW: "pcma"}


def read(field: Field, terms: Terms) -> AudioFormat:
    """A format by its name, or an object of `type` and `rate`."""
    if isinstance(field.value, str):
        return _named(field)
    parts = field.given(("type", "rate"), is_strict=terms.is_strict)
    if "type" not in parts:
        raise field.lacks("type")
    format = _named(parts["type"])
    rate = parts.get("rate")
    if rate is None:
        return format
    rates_hz: tuple[int, ...] = (format.rate_hz,)
    if format.encoding is Encoding.PCM16 and terms.dialect is Dialect.IW:
        rates_hz = PCM_RATES_HZ
    if isinstance(rate.value, bool) or rate.value not in rates_hz:
        raise rate.wrong(f"a rate in hertz that {_MEDIA_TYPES[format.encoding]} has here: {_listed(rates_hz)}")
    return AudioFormat(format.encoding, rate.whole(rates_hz[0], rates_hz[-1]))


def _named(field: Field) -> AudioFormat:
    if isinstance(field.value, str) and field.value in _FLOAT:
        raise field.refused(
            "Invalid value: 'audio/float32' is not offered by this server, which carries 16-bit PCM only. "
            "Supported values are: 'audio/pcm', 'audio/pcmu', 'audio/pcma'."
        )
    return _NAMES[field.one_of(_NAMES)]


def _listed(rates_hz: tuple[int, ...]) -> str:
    return ", ".join(map(str, rates_hz))


def shown(format: AudioFormat, dialect: Dialect) -> Any:
    """As the session's echo has it: an object, in beta a string."""
    if dialect is Dialect.BETA:
        return _BETA_NAMES[format.encoding]
    media_type = _MEDIA_TYPES[format.encoding]
    if format.encoding is not Encoding.PCM16:
        return {"type": media_type}
    return {"type": media_type, "rate": format.rate_hz if dialect is Dialect.IW else PCM_24K.rate_hz}


def camel_shown(format: AudioFormat) -> str:
    """As the seed's `SessionConfig` spells it."""
    return _SEED_NAMES[format.encoding]
