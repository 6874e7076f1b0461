from __future__ import annotations

import io
import json
import wave

import pytest
from starlette.requests import Request
from starlette.responses import Response

from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMU, AudioFormat
from pipeline.provider import ProviderError, Transcript, skills_of_transcriber
from pipeline.providers.openai import transcription as transcription_module
from pipeline.providers.openai.transcription import DEFAULT_MODEL, RecordingTranscriber, code_of
from simulator.standins.fault import Fault
from simulator.standins.openai import OpenAIScript
from simulator.standins.tone import hum
from tests.pipeline.providers.openai.standing import KEY, answering, source_at, standing
from tests.pipeline.providers.streams import all_of, stream_of

pytestmark = pytest.mark.anyio

WORDS = "where is my order"
SCRIPT = OpenAIScript(transcripts=(WORDS,))


async def heard_by(
    transcriber: RecordingTranscriber,
    *sounds: bytes,
    format: AudioFormat = PCM_16K,
    language: str | None = None,
) -> list[Transcript]:
    try:
        return await all_of(transcriber.transcribe(stream_of(sounds), format=format, language=language))
    finally:
        await transcriber.aclose()


@pytest.mark.parametrize("format", [PCM_8K, PCM_16K, PCM_24K])
async def test_an_utterance_is_sent_as_one_recording(format: AudioFormat) -> None:
    sound = hum(3, format.rate_hz)
    async with standing(SCRIPT) as there:
        transcriber = RecordingTranscriber(there.source("whisper", transcript_prompt="Acme"))
        await transcriber.prepare()
        assert await heard_by(transcriber, sound[:999], sound[999:], format=format, language="de-CH") == [
            Transcript(WORDS, is_final=True)
        ]
    (asked,) = there.asked
    assert asked.authorization == f"Bearer {KEY}"
    assert asked.body == {"model": "whisper", "response_format": "json", "language": "de", "prompt": "Acme"}
    with wave.open(io.BytesIO(asked.file)) as file:
        assert file.getframerate() == format.rate_hz
        assert file.readframes(file.getnframes()) == sound


async def test_words_come_one_after_another_if_the_server_streams() -> None:
    async with standing(SCRIPT) as there:
        transcripts = await heard_by(RecordingTranscriber(there.source(transcript_stream=True)), hum(3, 16_000))
    assert [transcript.text for transcript in transcripts] == [
        "where",
        "where is",
        "where is my",
        "where is my order",
        "where is my order",
    ]
    assert [transcript.is_final for transcript in transcripts] == [False] * 4 + [True]
    assert there.asked[0].body["model"] == DEFAULT_MODEL


def test_openai_is_asked_to_stream_and_others_are_not() -> None:
    assert RecordingTranscriber(source_at(""))._streams
    assert not RecordingTranscriber(source_at("http://127.0.0.1:1"))._streams
    assert not skills_of_transcriber(RecordingTranscriber(source_at(""))).has_partials


@pytest.mark.parametrize("sound", [(), (b"",), (hum(1, 16_000)[:3_000],), (bytes(64_000),)])
async def test_nothing_is_sent_of_what_is_no_speech(sound: tuple[bytes, ...]) -> None:
    async with standing(SCRIPT) as there:
        assert await heard_by(RecordingTranscriber(there.source()), *sound) == [Transcript("", is_final=True)]
    assert there.asked == []


async def test_what_is_said_after_the_longest_utterance_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcription_module, "LONGEST_MS", 500)
    async with standing(SCRIPT) as there:
        transcripts = await heard_by(RecordingTranscriber(there.source()), *[hum(1, 16_000)] * 5)
    assert transcripts == [Transcript(WORDS, is_final=True)]
    assert len(there.asked[0].file) == 44 + PCM_16K.bytes_in(500)


async def test_another_format_is_refused() -> None:
    with pytest.raises(ProviderError, match="not AudioFormat"):
        await heard_by(RecordingTranscriber(source_at("http://127.0.0.1:1")), format=PCMU)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("fault", "is_retryable"),
    [
        (Fault.REFUSE, False),
        (Fault.TOO_MANY, True),
        (Fault.BROKEN, True),
        (Fault.CLOSE_1006, True),
        (Fault.CLOSE_1011, True),
        (Fault.GARBAGE, True),
        (Fault.BIG_CHUNK, True),
    ],
)
async def test_a_fault_of_the_server_is_the_providers(fault: Fault, is_retryable: bool, streams: bool) -> None:
    async with standing(SCRIPT, fault) as there:
        transcriber = RecordingTranscriber(there.source(transcript_stream=streams))
        with pytest.raises(ProviderError) as failed:
            await heard_by(transcriber, hum(3, 16_000))
    assert failed.value.retryable is is_retryable


@pytest.mark.parametrize("streams", [False, True])
async def test_a_server_may_hear_nothing(streams: bool) -> None:
    async with standing(SCRIPT, Fault.ZERO_AUDIO) as there:
        transcriber = RecordingTranscriber(there.source(transcript_stream=streams))
        assert await heard_by(transcriber, hum(3, 16_000)) == [Transcript("", is_final=True)]


async def told(body: bytes, kind: str) -> list[Transcript] | str:
    async def answer(_request: Request) -> Response:
        return Response(body, media_type=kind)

    async with answering(answer) as url:
        try:
            return await heard_by(RecordingTranscriber(source_at(url)), hum(3, 16_000))
        except ProviderError as error:
            return str(error)


async def test_a_last_event_without_text_ends_what_the_deltas_said() -> None:
    events = (
        b'data: {"type": "transcript.text.delta", "delta": "yes "}\n\ndata: {"type": "transcript.text.done"}\n\n'
    )
    assert await told(events, "text/event-stream") == [
        Transcript("yes", is_final=False),
        Transcript("yes", is_final=True),
    ]


async def test_events_of_other_kinds_are_left_alone() -> None:
    events = (
        b'data: {"type": "transcript.text.segment"}\n\ndata: {"type": "transcript.text.done", "text": "no"}\n\n'
    )
    assert await told(events, "text/event-stream; charset=utf-8") == [Transcript("no", is_final=True)]


async def test_an_error_in_the_stream_is_told() -> None:
    said = await told(b'data: {"error": {"message": "no more"}}\n\n', "text/event-stream")
    assert str(said).endswith("an error of its own: no more")


async def test_a_transcript_without_end_is_cut_short() -> None:
    event = json.dumps({"type": "transcript.text.delta", "delta": "x" * 100_000}).encode()
    assert "end of one utterance" in str(
        await told(b"data: " + event + b"\n\n" + (b"data: " + event + b"\n\n") * 3, "text/event-stream")
    )


async def test_a_transcript_must_have_a_text() -> None:
    assert "makes no sense" in str(await told(b'{"words": []}', "application/json"))


@pytest.mark.parametrize(
    ("language", "code"),
    [("en-US", "en"), ("de", "de"), ("PT_br", "pt"), ("yue", None), ("", None), (None, None)],
)
def test_a_language_is_told_by_two_letters(language: str | None, code: str | None) -> None:
    assert code_of(language) == code
