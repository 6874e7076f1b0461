"""Deepgram's Nova models, live: words while the caller speaks, the last of them right after `Finalize`.

Options, all of them optional (Deepgram documentation, by the names of the parameters):
`keyterms` (a list; Nova-3 only), `punctuate` (true), `smart_format` (false), `numerals` (false),
`endpointing_ms` (100), `mip_opt_out` (false). Where turns end is not asked for here: the session decides that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from deepgram.listen.v1.socket_client import AsyncV1SocketClient
from deepgram.listen.v1.types import ListenV1Error, ListenV1Results

from pipeline.audio.formats import AudioFormat
from pipeline.checked_table import CheckedTable
from pipeline.provider import ProviderError, TranscriberSkills, Transcript
from pipeline.providers.deepgram.connection import FORMATS, Exchange, Pools, exchange, listen_v1, sound_query
from pipeline.providers.source import Source

USUAL_MODEL: Final = "nova-3"

ENDPOINTING_MS: Final = 100
"""A pause of this length makes what was said so far final, so that little is left to do at the end. Deepgram's own
advice for several languages at once ("Endpointing"); its default of 10 ms cuts sentences between their words."""

FINALIZE_WAIT_S: Final = 0.7
"""`Finalize` need not be answered if there was little left to work on ("Finalize"). After this time, far more than
an answer takes, the stream is closed instead: that is always answered, at the price of the connection."""

SEVERAL_LANGUAGES: Final = "multi"
"""What Nova-3 is told if nobody knows the language ("Multilingual Codeswitching")."""


class NovaTranscriber:
    """See the module's docstring. One for all calls of a process."""

    formats = FORMATS
    skills = TranscriberSkills(has_partials=True)

    def __init__(self, source: Source, *, finalize_wait_s: float = FINALIZE_WAIT_S) -> None:
        self.name = source.label
        self._finalize_wait_s = finalize_wait_s
        self._usual_language = source.agent.language
        self._query = _query(source)
        self._client = listen_v1(source)
        self._pools = Pools(self.name, self._connect, keep_alive=AsyncV1SocketClient.send_keep_alive)

    async def prepare(self) -> None:
        """Open a connection for a telephone call."""
        await (await self._pools.pool(self.formats[0], self._usual_language)).prepare()

    async def aclose(self) -> None:
        await self._pools.aclose()

    async def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        """See `Transcriber`. Raises `ProviderError`."""
        sound_query(self.name, format)
        pool = await self._pools.pool(format, language or self._usual_language)
        async with pool.lease() as lease:
            heard = _Heard(self.name)
            async with exchange(self.name, lease.connection, audio, self._finish) as (going, messages):
                async for message in messages:
                    is_last = heard.take(message)
                    if is_last:
                        break
                    if heard.has_news():
                        yield Transcript(heard.text, is_final=False)
            lease.is_reusable = not going.is_ending
            yield Transcript(heard.text, is_final=True)

    async def _finish(self, going: Exchange[AsyncV1SocketClient]) -> None:
        await going.socket.send_finalize()
        await asyncio.sleep(self._finalize_wait_s)
        await going.end()

    def _connect(
        self, format: AudioFormat, language: str | None
    ) -> AbstractAsyncContextManager[AsyncV1SocketClient]:
        query = self._query | sound_query(self.name, format)
        if language is not None:
            query["language"] = language
        elif query["model"].startswith("nova-3"):
            query["language"] = SEVERAL_LANGUAGES
        return self._client.connect(**query)


class _Heard:
    """What one utterance was understood to say: what is final, and a guess about the rest."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._finals: list[str] = []
        self._guess = ""
        self._told = ""

    @property
    def text(self) -> str:
        return " ".join(part for part in (*self._finals, self._guess) if part)

    def has_news(self) -> bool:
        """Whether `text` differs from when this was last asked."""
        was, self._told = self._told, self.text
        return self._told != was

    def take(self, message: Any) -> bool:
        """One message of the service. Says whether it was the answer to `Finalize`. Raises `ProviderError`."""
        match message:
            case ListenV1Results():
                self._understand(message)
                return message.from_finalize is True
            case ListenV1Error():
                what = f"{message.variant}: {message.description}"
                raise ProviderError(self._label, f"failed: {what}", retryable=True)
            case _:
                return False  # `Metadata` and the like

    def _understand(self, results: ListenV1Results) -> None:
        # The SDK does not check what it reads, so a field may be missing or of any type.
        try:
            text = results.channel.alternatives[0].transcript.strip()
        except (AttributeError, IndexError, TypeError) as error:
            raise ProviderError(self._label, "sent results without a transcript", retryable=True) from error
        if results.is_final:
            self._finals.append(text)
            self._guess = ""
        else:
            self._guess = text


def _query(source: Source) -> dict[str, Any]:
    """The parameters that all connections share. Raises `ProviderError` with all faults of the options."""
    faults: list[str] = []
    table = CheckedTable(source.options, key="", faults=faults)
    model = source.model or USUAL_MODEL
    query: dict[str, Any] = {"model": model, "interim_results": "true"}
    query["endpointing"] = str(int(table.number("endpointing_ms", ENDPOINTING_MS, least=10, most=5_000)))
    for name, usual in {"punctuate": True, "smart_format": False, "numerals": False, "mip_opt_out": False}.items():
        if table.flag(name, usual):
            query[name] = "true"
    if keyterms := table.texts("keyterms"):
        query["keyterm"] = list(keyterms)
        if not model.startswith("nova-3"):
            table.fault("keyterms", f"expected nova-3, which alone can be told, not {model}")
    table.no_more()
    if faults:
        raise ProviderError(source.label, "; ".join(faults), retryable=False)
    return query
