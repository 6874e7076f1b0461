"""Speech to text by `POST /audio/transcriptions` (https://platform.openai.com/docs/api-reference/audio).

The service hears recordings, so an utterance is collected and sent when the caller has stopped. Its words come
whole, or one after another as server-sent events. Without a model it is `DEFAULT_MODEL`; options are in
`options.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import msgspec
import openai

from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, AudioFormat
from pipeline.provider import ProviderError, Transcript
from pipeline.providers.openai.client import Client, body_of, drain
from pipeline.providers.openai.errors import excuse_of
from pipeline.providers.openai.event_stream import events_of
from pipeline.providers.openai.options import Options
from pipeline.providers.openai.recording import LONGEST_MS, is_worth_hearing, wav_of
from pipeline.providers.source import Source

DEFAULT_MODEL: Final = "gpt-transcribe"
"""The one whose end is not announced (https://platform.openai.com/docs/deprecations)."""

MAX_TRANSCRIPT_BYTES: Final = 256 * 1024
"""Of a whole answer. Five minutes of speech are 6 kilobytes."""


class _Event(msgspec.Struct):
    """`transcript.text.delta` and `transcript.text.done`; of any other only the type is known."""

    type: str = ""
    delta: str | None = None
    text: str | None = None
    error: Any = None


class _Heard(msgspec.Struct):
    text: str


_event_decoder: Final = msgspec.json.Decoder(_Event)
_heard_decoder: Final = msgspec.json.Decoder(_Heard)


class RecordingTranscriber:
    """The `Transcriber` of this file. It says nothing while the caller speaks: it has no partials."""

    formats: tuple[AudioFormat, ...] = (PCM_16K, PCM_24K, PCM_8K)
    """16 kHz is what the models hear, and all that some servers take. A session's own format is sent as it is."""

    def __init__(self, source: Source) -> None:
        options = Options(source)
        self._client = Client(source)
        self._model = source.model or DEFAULT_MODEL
        self.name = source.label
        stream = options.flag("transcript_stream")
        # Servers that do not know the field ignore it, refuse it, or stream in words of their own.
        self._streams = self._client.is_openai if stream is None else stream
        # Reached for now, because the SDK loads the module behind it when it is first reached for.
        self._create = self._client.sdk.audio.transcriptions.with_streaming_response.create
        self._prompt = options.text("transcript_prompt")
        self._usual_language = source.agent.language

    async def prepare(self) -> None:
        """See `Prepares`."""
        await self._client.prepare()

    async def aclose(self) -> None:
        """See `Closes`."""
        await self._client.aclose()

    async def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        """See `Transcriber`. What is said after five minutes is not heard."""
        if format not in self.formats:
            raise ProviderError(self.name, f"hears {self.formats}, not {format}", retryable=False)
        recording = await _collect(audio, format.bytes_in(LONGEST_MS))
        if not is_worth_hearing(recording, format):
            yield Transcript("", is_final=True)
            return
        with self._client.errors():
            async with self._create(
                file=("utterance.wav", wav_of(recording, format), "audio/wav"),
                model=self._model,
                response_format="json",
                language=code_of(language or self._usual_language) or openai.omit,
                prompt=self._prompt or openai.omit,
                extra_body={"stream": "true"} if self._streams else None,
            ) as response:
                async with aclosing(self._heard(response)) as transcripts:
                    async for transcript in transcripts:
                        yield transcript

    def _heard(self, response: openai.AsyncAPIResponse[Any]) -> AsyncGenerator[Transcript, None]:
        # Not every model streams, asked or not; what came says what it is.
        is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        return self._streamed(response) if is_stream else self._whole(response)

    async def _whole(self, response: openai.AsyncAPIResponse[Any]) -> AsyncGenerator[Transcript, None]:
        body = bytearray()
        async with aclosing(body_of(response)) as pieces:
            async for piece in pieces:
                body += piece
                if len(body) > MAX_TRANSCRIPT_BYTES:
                    raise self._client.failure(
                        f"sent more than {MAX_TRANSCRIPT_BYTES // 1024} KiB for one utterance"
                    )
        try:
            yield Transcript(_heard_decoder.decode(body).text.strip(), is_final=True)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._client.failure(f"sent a transcript that makes no sense ({error})") from None

    async def _streamed(self, response: openai.AsyncAPIResponse[Any]) -> AsyncGenerator[Transcript, None]:
        text = ""
        async with aclosing(events_of(self._client, response)) as events:
            async for data in events:
                event = self._read(data)
                if event.type == "transcript.text.done":
                    text = text if event.text is None else event.text
                    yield Transcript(text.strip(), is_final=True)
                    await drain(events)
                    return
                if event.type == "transcript.text.delta" and event.delta:
                    text += event.delta
                    if len(text) > MAX_TRANSCRIPT_BYTES:
                        raise self._client.failure("does not come to the end of one utterance")
                    yield Transcript(text.strip(), is_final=False)
        raise self._client.failure("broke off before its transcript was complete")

    def _read(self, data: bytes) -> _Event:
        try:
            event = _event_decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._client.failure(f"sent an event that makes no sense ({error})") from None
        if event.error is not None:
            raise self._client.failure(f"broke off with an error of its own{excuse_of(event.error)}")
        return event


async def _collect(audio: AsyncIterator[bytes], most_bytes: int) -> bytes:
    """All of the utterance; past `most_bytes` it is still taken in, so that nobody waits, but not kept."""
    recording = bytearray()
    async for sound in audio:
        recording += sound[: most_bytes - len(recording)]
    return bytes(recording)


def code_of(language: str | None) -> str | None:
    """`de` of `de-CH`: the service wants ISO 639-1, two letters. Of a language without such a code it is told
    nothing and finds out by itself."""
    code = (language or "").replace("_", "-").split("-")[0].lower()
    return code if len(code) == 2 else None
