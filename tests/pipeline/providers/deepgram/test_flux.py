from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from pipeline.audio.formats import PCMU, AudioFormat, Encoding
from pipeline.provider import ProviderError, Transcript, TurnSignal, skills_of_transcriber
from pipeline.providers.deepgram.flux import FluxTranscriber
from simulator.standins.deepgram import deepgram_app
from simulator.standins.fault import Faults
from simulator.standins.serving import served
from tests.pipeline.providers.deepgram.calls import KEY, SCRIPT, held, saying, silence, source, spoken, voice
from tests.pipeline.providers.streams import TIMEOUT_S, all_of

pytestmark = pytest.mark.anyio

FLUX_OPTIONS = {"eot_threshold": ["0.7"], "eager_eot_threshold": ["0.5"], "eot_timeout_ms": ["5000"]}

TURN = {
    "type": "TurnInfo",
    "request_id": "r",
    "sequence_id": 1,
    "event": "EndOfTurn",
    "turn_index": 0,
    "audio_window_start": 0.0,
    "audio_window_end": 1.0,
    "transcript": "yes",
    "words": [],
    "end_of_turn_confidence": 0.4,
    "trigger": "manual",
}
WARNING = {"type": "Warning", "request_id": "r", "sequence_id": 2, "code": "FORCE_END_TURN_NO_ACTIVE_TURN"}


def guess(text: str, turn: TurnSignal = "going_on") -> Transcript:
    return Transcript(text, is_final=False, turn=turn)


async def test_an_early_end_is_told_taken_back_and_told_again() -> None:
    standin = deepgram_app(["one two three four"], Faults())
    is_over = asyncio.Event()
    heard: list[Transcript] = []
    async with served(standin) as at, asyncio.timeout(TIMEOUT_S):
        flux = FluxTranscriber(source(at, "flux"))
        sound = held([voice(2), silence(500), voice(1), silence(800)], is_over)
        async with aclosing(flux.transcribe(sound, format=PCMU, language=None)) as transcripts:
            async for transcript in transcripts:
                heard.append(transcript)
                if transcript.turn == "over":
                    is_over.set()
        await flux.aclose()
    assert heard == [
        guess("one"),
        guess("one two"),
        guess("one two three four", "may_be_over"),
        guess("one two three four", "resumed"),
        guess("one two three four", "may_be_over"),
        guess("one two three four", "over"),
        Transcript("one two three four", is_final=True),
    ]


async def test_the_text_goes_on_over_several_turns_of_one_utterance() -> None:
    async with served(deepgram_app(["Hello.", "Are you there?"], Faults())) as at:
        flux = FluxTranscriber(source(at, "flux", eager_eot_threshold=0))
        heard = await all_of(flux.transcribe(spoken(voice(1), silence(800), voice(2)), format=PCMU, language=None))
        await flux.aclose()
    assert heard == [
        guess("Hello."),
        guess("Hello.", "over"),
        guess("Hello. Are"),
        Transcript("Hello. Are you there?", is_final=True),
    ]


async def test_the_end_of_the_sound_ends_the_turn_at_once() -> None:
    standin = deepgram_app(SCRIPT, Faults())
    async with served(standin) as at:
        flux = FluxTranscriber(source(at, "flux"))
        await flux.prepare()
        finals = [
            (await all_of(flux.transcribe(spoken(voice(2)), format=PCMU, language=None)))[-1].text for _ in range(3)
        ]
        await flux.aclose()
    assert finals == [SCRIPT[0], SCRIPT[1], SCRIPT[0]]
    used = standin.heard[0]
    assert [message["type"] for message in used.messages] == ["ForceEndTurn"] * 3
    assert bytes(used.audio) == voice(2) * 3
    assert (used.path, used.authorization) == ("/v2/listen", f"Token {KEY}")


async def test_a_word_too_short_to_begin_a_turn_is_not_lost() -> None:
    standin = deepgram_app(["Yes."], Faults())
    async with served(standin) as at:
        flux = FluxTranscriber(source(at, "flux"))
        heard = await all_of(flux.transcribe(spoken(voice(1)[:800]), format=PCMU, language=None))
        await flux.aclose()
    assert heard[-1] == Transcript("Yes.", is_final=True)
    assert [message["type"] for message in standin.heard[0].messages] == ["ForceEndTurn", "CloseStream"]


async def test_silence_is_an_empty_transcript() -> None:
    async with served(deepgram_app(SCRIPT, Faults())) as at:
        flux = FluxTranscriber(source(at, "flux"))
        heard = await all_of(flux.transcribe(spoken(silence(600)), format=PCMU, language=None))
        await flux.aclose()
    assert heard == [Transcript("", is_final=True)]


@pytest.mark.parametrize(
    ("model", "language", "asked"),
    [
        ("flux", None, {"model": ["flux-general-en"]}),
        ("flux", "en-GB", {"model": ["flux-general-en"]}),
        ("flux", "de-DE", {"model": ["flux-general-multi"], "language_hint": ["de"]}),
        ("flux-general-multi", None, {"model": ["flux-general-multi"]}),
        ("flux-general-multi", "fr", {"model": ["flux-general-multi"], "language_hint": ["fr"]}),
    ],
)
async def test_the_language_chooses_among_the_models(
    model: str, language: str | None, asked: dict[str, list[str]]
) -> None:
    standin = deepgram_app(SCRIPT, Faults())
    async with served(standin) as at:
        flux = FluxTranscriber(source(at, model, language=language))
        await all_of(flux.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await flux.aclose()
    assert standin.heard[0].query == {"encoding": ["mulaw"], "sample_rate": ["8000"], **FLUX_OPTIONS, **asked}


async def test_the_english_model_refuses_another_language() -> None:
    flux = FluxTranscriber(source("127.0.0.1:1", "flux-general-en"))
    with pytest.raises(ProviderError, match="flux-general-multi") as raised:
        await all_of(flux.transcribe(spoken(b""), format=PCMU, language="de"))
    assert not raised.value.retryable


async def test_options_go_into_the_query() -> None:
    standin = deepgram_app(SCRIPT, Faults())
    options: dict[str, Any] = {
        "eot_threshold": 0.8,
        "eager_eot_threshold": 0.4,
        "eot_timeout_ms": 3_000,
        "keyterms": ["Switchboard", "Sierra Tango"],
        "numerals": True,
        "mip_opt_out": True,
    }
    async with served(standin) as at:
        flux = FluxTranscriber(source(at, "flux", **options))
        await all_of(flux.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await flux.aclose()
    assert standin.heard[0].query == {
        "model": ["flux-general-en"],
        "encoding": ["mulaw"],
        "sample_rate": ["8000"],
        "eot_threshold": ["0.8"],
        "eager_eot_threshold": ["0.4"],
        "eot_timeout_ms": ["3000"],
        "keyterm": ["Switchboard", "Sierra Tango"],
        "numerals": ["true"],
        "mip_opt_out": ["true"],
    }


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"eot_threshold": 0.2, "eot_timeout_ms": 1}, ("eot_threshold", "eot_timeout_ms")),
        ({"eager_eot_threshold": 0.1}, ("eager_eot_threshold",)),
        ({"eot_threshold": 0.6, "eager_eot_threshold": 0.7}, ("eager_eot_threshold",)),
        ({"smart_format": True}, ("smart_format",)),
    ],
)
def test_wrong_options_are_told_by_name(options: dict[str, Any], names: tuple[str, ...]) -> None:
    with pytest.raises(ProviderError) as raised:
        FluxTranscriber(source("127.0.0.1:1", "flux", **options))
    assert not raised.value.retryable
    assert all(name in str(raised.value) for name in names)


def test_an_unknown_flux_is_refused() -> None:
    with pytest.raises(ProviderError, match="flux-general-xx"):
        FluxTranscriber(source("127.0.0.1:1", "flux-general-xx"))


async def test_another_format_is_refused_before_anything_is_sent() -> None:
    flux = FluxTranscriber(source("127.0.0.1:1", "flux"))
    with pytest.raises(ProviderError, match="hears"):
        await all_of(flux.transcribe(spoken(b""), format=AudioFormat(Encoding.ULAW, 44_100), language=None))


@pytest.mark.parametrize(("model", "languages"), [("flux", ()), ("flux-general-en", ("en",))])
def test_it_says_that_it_ends_turns(model: str, languages: tuple[str, ...]) -> None:
    skills = skills_of_transcriber(FluxTranscriber(source("127.0.0.1:1", model)))
    assert (skills.has_partials, skills.ends_turns, skills.languages) == (True, True, languages)


async def test_a_turn_that_ends_by_itself_as_it_is_ended_leaves_nothing_for_the_next_utterance() -> None:
    lines = (TURN | {"trigger": "model"}, WARNING, TURN | {"transcript": "stale"})
    async with served(saying(*map(json.dumps, lines))) as at:
        flux = FluxTranscriber(source(at, "flux"))
        heard = await all_of(flux.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await flux.aclose()
    assert heard == [guess("yes", "over"), Transcript("yes", is_final=True)]


async def test_an_error_of_the_service_may_pass() -> None:
    error = {"type": "Error", "sequence_id": 1, "code": "INTERNAL_SERVER_ERROR", "description": "sorry"}
    async with served(saying(json.dumps(error))) as at:
        flux = FluxTranscriber(source(at, "flux"))
        with pytest.raises(ProviderError, match="INTERNAL_SERVER_ERROR: sorry") as raised:
            await all_of(flux.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await flux.aclose()
    assert raised.value.retryable


async def test_a_turn_without_a_transcript_is_a_fault() -> None:
    async with served(saying(json.dumps(TURN | {"transcript": 5}))) as at:
        flux = FluxTranscriber(source(at, "flux"))
        with pytest.raises(ProviderError, match="without a transcript"):
            await all_of(flux.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await flux.aclose()


async def test_events_and_warnings_of_later_versions_do_no_harm() -> None:
    novel = TURN | {"event": "Novelty", "trigger": None, "transcript": "ye"}
    lines = ({"type": "Novelty"}, WARNING | {"code": "OTHER"}, novel, TURN)
    async with served(saying(*map(json.dumps, lines))) as at:
        flux = FluxTranscriber(source(at, "flux"))
        heard = await all_of(flux.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await flux.aclose()
    assert heard == [guess("ye"), Transcript("yes", is_final=True)]
