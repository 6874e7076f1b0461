from __future__ import annotations

import pytest

from simulator.standins.deepgram_query import BadQueryError, Query, read_v1, read_v2

SOUND = {"encoding": "mulaw", "sample_rate": "8000"}
NOVA = {"model": "nova-3", **SOUND}
FLUX = {"model": "flux-general-en", **SOUND}


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ({}, Query("nova-3", "mulaw", 8_000, endpointing_ms=10)),
        ({"endpointing": "true"}, Query("nova-3", "mulaw", 8_000, endpointing_ms=10)),
        ({"endpointing": "300"}, Query("nova-3", "mulaw", 8_000, endpointing_ms=300)),
        ({"endpointing": "false"}, Query("nova-3", "mulaw", 8_000)),
        (
            {"interim_results": "true", "utterance_end_ms": "1000", "punctuate": "false", "keyterm": "Sierra"},
            Query(
                "nova-3",
                "mulaw",
                8_000,
                endpointing_ms=10,
                utterance_end_ms=1_000,
                on=frozenset({"interim_results"}),
            ),
        ),
    ],
)
def test_a_query_of_nova_is_understood(said: dict[str, str], understood: Query) -> None:
    assert read_v1((NOVA | said).items()) == understood


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ({}, Query("flux-general-en", "mulaw", 8_000)),
        (
            {"eot_threshold": "1", "eager_eot_threshold": "0.4", "eot_timeout_ms": "500", "numerals": "true"},
            Query(
                "flux-general-en",
                "mulaw",
                8_000,
                eot_threshold=1.0,
                eager_eot_threshold=0.4,
                eot_timeout_ms=500,
                on=frozenset({"numerals"}),
            ),
        ),
        (
            {"model": "flux-general-multi", "language_hint": "de"},
            Query("flux-general-multi", "mulaw", 8_000),
        ),
    ],
)
def test_a_query_of_flux_is_understood(said: dict[str, str], understood: Query) -> None:
    assert read_v2((FLUX | said).items()) == understood


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"model": ""}, "model"),
        ({"model": "flux-general-en"}, "model"),
        ({"encoding": "mp3"}, "encoding"),
        ({"sample_rate": "fast"}, "sample_rate"),
        ({"sample_rate": "4000"}, "sample_rate"),
        ({"sample_rate": "²"}, "sample_rate"),
        ({"endpointing": "-1"}, "endpointing"),
        ({"utterance_end_ms": "1000"}, "utterance_end_ms"),
        ({"utterance_end_ms": "10", "interim_results": "true"}, "utterance_end_ms"),
        ({"punctuate": "True"}, "punctuate"),
        ({"punktuate": "true"}, "punktuate"),
        ({"eot_threshold": "0.7"}, "eot_threshold"),
    ],
)
def test_nova_names_what_is_wrong(said: dict[str, str], named: str) -> None:
    with pytest.raises(BadQueryError, match=f"^{named}: "):
        read_v1((NOVA | said).items())


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"model": "nova-3"}, "model"),
        ({"sample_rate": "11025"}, "sample_rate"),
        ({"language_hint": "de"}, "language_hint"),
        ({"eot_threshold": "0.4"}, "eot_threshold"),
        ({"eot_threshold": "high"}, "eot_threshold"),
        ({"eager_eot_threshold": "0.8"}, "eager_eot_threshold"),
        ({"eot_timeout_ms": "100"}, "eot_timeout_ms"),
        ({"interim_results": "true"}, "interim_results"),
    ],
)
def test_flux_names_what_is_wrong(said: dict[str, str], named: str) -> None:
    with pytest.raises(BadQueryError, match=f"^{named}: "):
        read_v2((FLUX | said).items())


@pytest.mark.parametrize("name", ["model", "encoding", "sample_rate"])
def test_the_sound_has_to_be_described(name: str) -> None:
    for read, query in ((read_v1, NOVA), (read_v2, FLUX)):
        with pytest.raises(BadQueryError, match=f"{name}: is missing"):
            read((key, value) for key, value in query.items() if key != name)
