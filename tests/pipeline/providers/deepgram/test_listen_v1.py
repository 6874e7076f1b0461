from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from pipeline.audio import g711
from pipeline.audio.formats import PCM_8K, PCM_16K, PCMA, PCMU, AudioFormat, Encoding
from pipeline.provider import ProviderError, Transcript, skills_of_transcriber
from pipeline.providers.deepgram.listen_v1 import NovaTranscriber
from simulator.standins.deepgram import deepgram_app
from simulator.standins.fault import Fault, Faults
from simulator.standins.serving import served
from tests.pipeline.providers.deepgram.calls import KEY, SCRIPT, saying, silence, source, spoken, voice
from tests.pipeline.providers.streams import TIMEOUT_S, all_of, stream_of

pytestmark = pytest.mark.anyio

RESULTS = {
    "type": "Results",
    "channel_index": [0, 1],
    "duration": 1.0,
    "start": 0.0,
    "is_final": True,
    "from_finalize": True,
    "channel": {"alternatives": [{"transcript": "yes", "confidence": 1.0, "words": []}]},
}


async def test_words_come_while_the_caller_speaks_and_the_last_of_them_after_the_end() -> None:
    standin = deepgram_app(SCRIPT, Faults())
    async with served(standin) as at:
        deepgram = NovaTranscriber(source(at, "nova-3"))
        heard = await all_of(
            deepgram.transcribe(spoken(voice(3), silence(100), voice(1)), format=PCMU, language=None)
        )
        await deepgram.aclose()
    assert heard == [
        Transcript("What", is_final=False),
        Transcript("What are", is_final=False),
        Transcript("What are your", is_final=False),
        Transcript("What are your opening", is_final=False),
        Transcript("What are your opening hours?", is_final=True),
    ]


async def test_a_telephones_sound_goes_to_the_service_as_it_is() -> None:
    standin = deepgram_app(SCRIPT, Faults())
    sound = voice(2)
    async with served(standin) as at:
        deepgram = NovaTranscriber(source(at, "nova-3", language="en-US"))
        await deepgram.prepare()
        await all_of(deepgram.transcribe(spoken(sound), format=PCMU, language=None))
        await deepgram.aclose()
    [used] = [connection for connection in standin.heard if connection.audio]
    assert bytes(used.audio) == sound
    assert used.path == "/v1/listen"
    assert used.authorization == f"Token {KEY}"
    assert used.query == {
        "model": ["nova-3"],
        "encoding": ["mulaw"],
        "sample_rate": ["8000"],
        "language": ["en-US"],
        "interim_results": ["true"],
        "endpointing": ["100"],
        "punctuate": ["true"],
    }


@pytest.mark.parametrize(
    ("format", "asked"),
    [(PCMA, ["alaw", "8000"]), (PCM_8K, ["linear16", "8000"]), (PCM_16K, ["linear16", "16000"])],
)
async def test_every_format_it_declares_is_understood(format: AudioFormat, asked: list[str]) -> None:
    standin = deepgram_app(SCRIPT, Faults())
    pcm16 = g711.decode(voice(4) * (format.rate_hz // 8_000), Encoding.ULAW)
    async with served(standin) as at:
        deepgram = NovaTranscriber(source(at, "nova-3"))
        sound = g711.encode(pcm16, format.encoding)
        heard = await all_of(deepgram.transcribe(stream_of([sound]), format=format, language=None))
        await deepgram.aclose()
    assert heard[-1] == Transcript(SCRIPT[0], is_final=True)
    query = standin.heard[0].query
    assert query["encoding"] + query["sample_rate"] == asked


async def test_a_connection_that_came_back_clean_carries_the_next_utterance() -> None:
    standin = deepgram_app(SCRIPT, Faults())
    async with served(standin) as at:
        deepgram = NovaTranscriber(source(at, "nova-3"))
        await deepgram.prepare()
        finals = [
            (await all_of(deepgram.transcribe(spoken(voice(2)), format=PCMU, language=None)))[-1].text
            for _ in range(3)
        ]
        await deepgram.aclose()
    assert finals == [SCRIPT[0], SCRIPT[1], SCRIPT[0]]
    assert [message["type"] for message in standin.heard[0].messages] == ["Finalize"] * 3


async def test_an_utterance_given_up_half_way_takes_its_connection_with_it() -> None:
    standin = deepgram_app(SCRIPT, Faults())
    async with served(standin) as at, asyncio.timeout(TIMEOUT_S):
        deepgram = NovaTranscriber(source(at, "nova-3"))
        given_up = deepgram.transcribe(spoken(voice(4)), format=PCMU, language=None)
        async with aclosing(given_up):
            assert await anext(given_up) == Transcript("What", is_final=False)
        heard = await all_of(deepgram.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await deepgram.aclose()
    assert heard[-1].text == SCRIPT[1]
    assert len([connection for connection in standin.heard if connection.audio]) == 2


async def test_a_finalize_without_an_answer_ends_the_stream_instead() -> None:
    standin = deepgram_app(SCRIPT, Faults())
    async with served(standin) as at:
        deepgram = NovaTranscriber(source(at, "nova-3"), finalize_wait_s=0.01)
        heard = await all_of(deepgram.transcribe(spoken(voice(1)[:480]), format=PCMU, language=None))
        again = await all_of(deepgram.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await deepgram.aclose()
    assert heard[-1] == Transcript(SCRIPT[0], is_final=True)
    assert again[-1].text == SCRIPT[1]
    assert [message["type"] for message in standin.heard[0].messages] == ["Finalize", "CloseStream"]


async def test_silence_is_an_empty_transcript() -> None:
    async with served(deepgram_app(SCRIPT, Faults(Fault.ZERO_AUDIO))) as at:
        deepgram = NovaTranscriber(source(at, "nova-3"))
        heard = await all_of(deepgram.transcribe(spoken(voice(2)), format=PCMU, language=None))
        await deepgram.aclose()
    assert heard == [Transcript("", is_final=True)]


async def test_options_go_into_the_query() -> None:
    standin = deepgram_app(SCRIPT, Faults())
    options: dict[str, Any] = {
        "keyterms": ["Switchboard", "Sierra Tango"],
        "punctuate": False,
        "smart_format": True,
        "numerals": True,
        "mip_opt_out": True,
        "endpointing_ms": 300,
    }
    async with served(standin) as at:
        deepgram = NovaTranscriber(source(at, "", **options))
        await all_of(deepgram.transcribe(spoken(voice(1)), format=PCMU, language="de"))
        await deepgram.aclose()
    assert standin.heard[0].query == {
        "model": ["nova-3"],
        "encoding": ["mulaw"],
        "sample_rate": ["8000"],
        "language": ["de"],
        "interim_results": ["true"],
        "endpointing": ["300"],
        "smart_format": ["true"],
        "numerals": ["true"],
        "mip_opt_out": ["true"],
        "keyterm": ["Switchboard", "Sierra Tango"],
    }


@pytest.mark.parametrize(("model", "language"), [("nova-3", ["multi"]), ("nova-2", None)])
async def test_a_model_that_can_is_told_that_nobody_knows_the_language(
    model: str, language: list[str] | None
) -> None:
    standin = deepgram_app(SCRIPT, Faults())
    async with served(standin) as at:
        deepgram = NovaTranscriber(source(at, model))
        await all_of(deepgram.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await deepgram.aclose()
    assert standin.heard[0].query.get("language") == language


async def test_all_faults_of_the_options_are_told_together() -> None:
    options: dict[str, Any] = {"keyterms": ["Switchboard"], "endpointing_ms": 1, "smart_formt": True}
    with pytest.raises(ProviderError) as raised:
        NovaTranscriber(source("127.0.0.1:1", "nova-2", **options))
    assert not raised.value.retryable
    for key in ("keyterms", "endpointing_ms", "smart_formt"):
        assert key in str(raised.value)


async def test_another_format_is_refused_before_anything_is_sent() -> None:
    deepgram = NovaTranscriber(source("127.0.0.1:1", "nova-3"))
    with pytest.raises(ProviderError, match="hears"):
        await all_of(deepgram.transcribe(spoken(b""), format=AudioFormat(Encoding.ULAW, 44_100), language=None))


def test_it_says_that_its_silence_means_something() -> None:
    skills = skills_of_transcriber(NovaTranscriber(source("127.0.0.1:1", "nova-3")))
    assert (skills.has_partials, skills.ends_turns, skills.languages) == (True, False, ())


async def test_an_error_of_the_service_may_pass() -> None:
    error = {"type": "Error", "variant": "SchemaError", "description": "no such message"}
    async with served(saying(json.dumps(error))) as at:
        deepgram = NovaTranscriber(source(at, "nova-3"))
        with pytest.raises(ProviderError, match="SchemaError: no such message") as raised:
            await all_of(deepgram.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await deepgram.aclose()
    assert raised.value.retryable


@pytest.mark.parametrize("channel", [None, {"alternatives": []}, {"alternatives": [{"transcript": 5}]}])
async def test_results_without_a_transcript_are_a_fault(channel: object) -> None:
    async with served(saying(json.dumps(RESULTS | {"channel": channel}))) as at:
        deepgram = NovaTranscriber(source(at, "nova-3"))
        with pytest.raises(ProviderError, match="without a transcript") as raised:
            await all_of(deepgram.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await deepgram.aclose()
    assert raised.value.retryable


async def test_messages_of_no_interest_are_passed_over() -> None:
    lines = ({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 1.0}, {"type": "Novelty"}, RESULTS)
    async with served(saying(*map(json.dumps, lines))) as at:
        deepgram = NovaTranscriber(source(at, "nova-3"))
        heard = await all_of(deepgram.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await deepgram.aclose()
    assert heard == [Transcript("yes", is_final=True)]
