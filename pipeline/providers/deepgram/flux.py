"""Deepgram's Flux, live: words while the caller speaks, and what it thinks of the end of the turn.

Options, all of them optional (Deepgram documentation, "End-of-Turn Detection Parameters"): `eot_threshold` (0.7),
`eager_eot_threshold` (0.5; 0 turns early ends off), `eot_timeout_ms` (5000), `keyterms` (a list), `numerals`
(false), `mip_opt_out` (false). Its word about a turn is advice; the session decides, and ends the sound.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from deepgram.listen.v2.socket_client import AsyncV2SocketClient
from deepgram.listen.v2.types import ListenV2FatalError, ListenV2TurnInfo, ListenV2Warning

from pipeline.audio.formats import AudioFormat
from pipeline.checked_table import CheckedTable
from pipeline.provider import ProviderError, TranscriberSkills, Transcript, TurnSignal
from pipeline.providers.deepgram.connection import FORMATS, Exchange, Pools, exchange, listen_v2, sound_query
from pipeline.providers.source import Source

ENGLISH: Final = "flux-general-en"
MULTILINGUAL: Final = "flux-general-multi"

EOT_THRESHOLD: Final = 0.7
EOT_TIMEOUT_MS: Final = 5_000
"""Flux's own defaults."""

EAGER_EOT_THRESHOLD: Final = 0.5
"""Flux itself announces no early end unless it is told to. In the middle of what it takes, 0.3 to 0.7: a false one
costs the tokens of an answer begun for nothing, a missing one the time of an answer begun too late."""

_NO_TURN: Final = "FORCE_END_TURN_NO_ACTIVE_TURN"
"""The `Warning` that answers a `ForceEndTurn` when nobody is speaking ("Force End Turn")."""

_SIGNALS: Final[dict[str, TurnSignal]] = {
    "Update": "going_on",
    "StartOfTurn": "going_on",
    "EagerEndOfTurn": "may_be_over",
    "TurnResumed": "resumed",
    "EndOfTurn": "over",
}


class FluxTranscriber:
    """See the module's docstring. One for all calls of a process."""

    formats = FORMATS

    def __init__(self, source: Source) -> None:
        self.name = source.label
        self._model = source.model
        if self._model not in ("flux", ENGLISH, MULTILINGUAL):
            message = f"expected flux, {ENGLISH} or {MULTILINGUAL}, not {self._model!r}"
            raise ProviderError(self.name, message, retryable=False)
        languages = ("en",) if self._model == ENGLISH else ()
        self.skills = TranscriberSkills(has_partials=True, ends_turns=True, languages=languages)
        self._usual_language = source.agent.language
        self._query = _query(source)
        self._client = listen_v2(source)
        # No `keep_alive`: Flux counts pings, which the socket sends every twenty seconds by itself.
        self._pools: Pools[AsyncV2SocketClient] = Pools(self.name, self._connect)

    async def prepare(self) -> None:
        """Open a connection for a telephone call."""
        await (await self._pools.pool(self.formats[0], self._usual_language)).prepare()

    async def aclose(self) -> None:
        await self._pools.aclose()

    async def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        """See `Transcriber`. Its text goes on over all turns Flux finds in it. Raises `ProviderError`."""
        sound_query(self.name, format)
        language = language or self._usual_language
        if self._model == ENGLISH and not _is_english(language):
            message = f"understands English only, not {language!r}; take {MULTILINGUAL}"
            raise ProviderError(self.name, message, retryable=False)
        pool = await self._pools.pool(format, language)
        async with pool.lease() as lease:
            heard = _Heard(self.name)
            async with exchange(self.name, lease.connection, audio, _force_end) as (going, messages):
                async for message in messages:
                    if heard.is_last(message):
                        if heard.text or going.is_ending:
                            break
                        # Flux has told nothing yet, but what it has not decoded may hold a short word.
                        await going.end()
                    elif (transcript := heard.take(message)) is not None:
                        yield transcript
            lease.is_reusable = not going.is_ending
            yield Transcript(heard.text, is_final=True)

    def _connect(
        self, format: AudioFormat, language: str | None
    ) -> AbstractAsyncContextManager[AsyncV2SocketClient]:
        query = self._query | sound_query(self.name, format)
        query["model"] = self._model
        if self._model == "flux":
            query["model"] = ENGLISH if _is_english(language) else MULTILINGUAL
        if language and query["model"] == MULTILINGUAL:
            query["language_hint"] = language.partition("-")[0].lower()
        return self._client.connect(**query)


class _Heard:
    """What one utterance was understood to say: the turns that ended, and the one that goes on."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._ended: list[str] = []
        self._going_on = ""
        self._told = ""

    @property
    def text(self) -> str:
        return " ".join(part for part in (*self._ended, self._going_on) if part)

    def is_last(self, message: Any) -> bool:
        """Whether `message` answers `ForceEndTurn`; if it ends a turn, its words are taken."""
        match message:
            case ListenV2TurnInfo(event="EndOfTurn", trigger="manual"):
                self.take(message)
                return True
            case ListenV2Warning(code=code):
                return bool(code == _NO_TURN)
            case _:
                return False

    def take(self, message: Any) -> Transcript | None:
        """One message of the service, and what is to be told of it. Raises `ProviderError`."""
        match message:
            case ListenV2TurnInfo():
                return self._understand(message)
            case ListenV2FatalError():
                raise ProviderError(self._label, f"failed: {message.code}: {message.description}", retryable=True)
            case _:
                return None  # `Connected` and the like

    def _understand(self, info: ListenV2TurnInfo) -> Transcript | None:
        # The SDK does not check what it reads, so a field may be missing or of any type.
        if not isinstance(info.transcript, str):
            raise ProviderError(self._label, "sent a turn without a transcript", retryable=True)
        signal = _SIGNALS.get(str(info.event), "going_on")
        self._going_on = info.transcript.strip()
        if signal == "over":
            self._ended.append(self._going_on)
            self._going_on = ""
        was, self._told = self._told, self.text
        if self.text == was and signal == "going_on":
            return None
        return Transcript(self.text, is_final=False, turn=signal)


async def _force_end(going: Exchange[AsyncV2SocketClient]) -> None:
    await going.socket.send_force_end_turn()


def _is_english(language: str | None) -> bool:
    return language is None or language.lower().partition("-")[0] == "en"


def _query(source: Source) -> dict[str, Any]:
    """The parameters that all connections share. Raises `ProviderError` with all faults of the options."""
    faults: list[str] = []
    table = CheckedTable(source.options, key="", faults=faults)
    threshold = table.number("eot_threshold", EOT_THRESHOLD, least=0.5, most=1.0)
    eager = table.number("eager_eot_threshold", min(EAGER_EOT_THRESHOLD, threshold), least=0, most=0.9)
    if 0 < eager < 0.3 or eager > threshold:
        table.fault("eager_eot_threshold", f"expected 0, or 0.3 up to eot_threshold ({threshold:g})")
    timeout_ms = table.number("eot_timeout_ms", EOT_TIMEOUT_MS, least=500, most=60_000)
    query: dict[str, Any] = {"eot_threshold": f"{threshold:g}", "eot_timeout_ms": str(int(timeout_ms))}
    if eager:
        query["eager_eot_threshold"] = f"{eager:g}"
    for name in ("numerals", "mip_opt_out"):
        if table.flag(name, False):
            query[name] = "true"
    if keyterms := table.texts("keyterms"):
        query["keyterm"] = list(keyterms)
    table.no_more()
    if faults:
        raise ProviderError(source.label, "; ".join(faults), retryable=False)
    return query
