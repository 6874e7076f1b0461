"""What a query of Deepgram's live speech-to-text may say: `/v1/listen` (Nova) and `/v2/listen` (Flux).

Pure. The service answers HTTP 400 to a query that makes no sense; so does this, and it is stricter in one thing: it
has no use for containers and wants `encoding` and `sample_rate` always (Deepgram documentation, "Encoding").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from simulator.standins.energy import BYTES_PER_SAMPLE

EOT_THRESHOLD: Final = 0.7
EOT_TIMEOUT_MS: Final = 5_000
"""What Flux does when it is told nothing (Deepgram documentation, "End-of-Turn Detection Parameters")."""

ENDPOINTING_MS: Final = 10
"""The same for `/v1/listen` (Deepgram documentation, "Endpointing")."""

_FLAGS_V1: Final = frozenset(
    "detect_entities diarize dictation interim_results mip_opt_out multichannel numerals profanity_filter punctuate"
    " smart_format vad_events".split()
)
_TEXTS_V1: Final = frozenset(
    "callback callback_method channels diarize_model extra keyterm keywords language language_hint redact replace"
    " search tag version".split()
)
_FLAGS_V2: Final = frozenset("mip_opt_out numerals profanity_filter".split())
_TEXTS_V2: Final = frozenset("keyterm language_hint redact tag".split())
_RATES_V2: Final = (8_000, 16_000, 24_000, 44_100, 48_000)


class BadQueryError(Exception):
    """A query the service would refuse; says which parameter is wrong and what was expected."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query that makes sense. Times are milliseconds; `None` means off."""

    model: str
    encoding: str
    rate_hz: int
    endpointing_ms: int | None = None
    utterance_end_ms: int | None = None
    eot_threshold: float = EOT_THRESHOLD
    eager_eot_threshold: float | None = None
    eot_timeout_ms: int = EOT_TIMEOUT_MS
    on: frozenset[str] = field(default_factory=frozenset)
    """Flags that are `true`."""


def read_v1(pairs: Iterable[tuple[str, str]]) -> Query:
    """The query of `/v1/listen`. Raises `BadQueryError`."""
    values = _known(pairs, _FLAGS_V1 | _TEXTS_V1 | {"endpointing", "utterance_end_ms"})
    model, encoding, rate_hz = _sound(values)
    if model.startswith("flux"):
        raise BadQueryError(f"model: {model} is served at /v2/listen")
    on = _on(values, _FLAGS_V1)
    utterance_end_ms = _whole(values, "utterance_end_ms", 1_000, 5_000) if "utterance_end_ms" in values else None
    if utterance_end_ms is not None and "interim_results" not in on:
        raise BadQueryError("utterance_end_ms: needs interim_results=true")
    endpointing_ms: int | None = ENDPOINTING_MS
    if values.get("endpointing") == "false":
        endpointing_ms = None
    elif values.get("endpointing", "true") != "true":
        endpointing_ms = _whole(values, "endpointing", 0, 10_000)
    return Query(model, encoding, rate_hz, endpointing_ms=endpointing_ms, utterance_end_ms=utterance_end_ms, on=on)


def read_v2(pairs: Iterable[tuple[str, str]]) -> Query:
    """The query of `/v2/listen`. Raises `BadQueryError`."""
    known = _FLAGS_V2 | _TEXTS_V2 | {"eot_threshold", "eager_eot_threshold", "eot_timeout_ms"}
    values = _known(pairs, known)
    model, encoding, rate_hz = _sound(values)
    if model not in ("flux-general-en", "flux-general-multi"):
        raise BadQueryError(f"model: expected flux-general-en or flux-general-multi, not {model!r}")
    if rate_hz not in _RATES_V2:
        raise BadQueryError(f"sample_rate: expected one of {_RATES_V2}, not {rate_hz}")
    if "language_hint" in values and model != "flux-general-multi":
        raise BadQueryError("language_hint: needs flux-general-multi")
    threshold = _share(values, "eot_threshold", 0.5, 1.0) if "eot_threshold" in values else EOT_THRESHOLD
    eager = _share(values, "eager_eot_threshold", 0.3, 0.9) if "eager_eot_threshold" in values else None
    if eager is not None and eager > threshold:
        raise BadQueryError(f"eager_eot_threshold: {eager} is above eot_threshold, {threshold}")
    return Query(
        model,
        encoding,
        rate_hz,
        eot_threshold=threshold,
        eager_eot_threshold=eager,
        eot_timeout_ms=_whole(values, "eot_timeout_ms", 500, 60_000)
        if "eot_timeout_ms" in values
        else EOT_TIMEOUT_MS,
        on=_on(values, _FLAGS_V2),
    )


def _known(pairs: Iterable[tuple[str, str]], known: frozenset[str] | set[str]) -> dict[str, str]:
    values = dict(pairs)
    for name, value in values.items():
        if name not in known and name not in ("model", "encoding", "sample_rate"):
            raise BadQueryError(f"{name}: no such parameter")
        if not value:
            raise BadQueryError(f"{name}: is empty")
    return values


def _sound(values: Mapping[str, str]) -> tuple[str, str, int]:
    for name in ("model", "encoding", "sample_rate"):
        if name not in values:
            raise BadQueryError(f"{name}: is missing")
    if values["encoding"] not in BYTES_PER_SAMPLE:
        raise BadQueryError(f"encoding: expected one of {', '.join(BYTES_PER_SAMPLE)}, not {values['encoding']!r}")
    return values["model"], values["encoding"], _whole(values, "sample_rate", 8_000, 48_000)


def _on(values: Mapping[str, str], flags: frozenset[str]) -> frozenset[str]:
    for name in flags & values.keys():
        if values[name] not in ("true", "false"):
            raise BadQueryError(f"{name}: expected true or false, not {values[name]!r}")
    return frozenset(name for name in flags if values.get(name) == "true")


def _whole(values: Mapping[str, str], name: str, least: int, most: int) -> int:
    value = values[name]
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        raise BadQueryError(f"{name}: expected a whole number from {least} to {most}, not {value!r}")
    return int(value)


def _share(values: Mapping[str, str], name: str, least: float, most: float) -> float:
    try:
        share = float(values[name])
    except ValueError:
        share = -1.0
    if not least <= share <= most:
        raise BadQueryError(f"{name}: expected a number from {least} to {most}, not {values[name]!r}")
    return share
