"""Transcribers at their stand-ins: how each is made, what it was sent, and in what it differs from the others."""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pipeline.agent import Agent, load_agent
from pipeline.audio import g711
from pipeline.audio.formats import PCMU, AudioFormat, Encoding
from pipeline.audio.transcode import transcode
from pipeline.provider import Transcriber
from pipeline.providers import registry, stub
from simulator.standins.deepgram import deepgram_app
from simulator.standins.fault import Fault, Faults
from simulator.standins.inworld import InworldStandIn, Pace
from simulator.standins.openai import OpenAIScript, OpenAIStandIn
from simulator.standins.tone import hum
from tests.pipeline.providers.conformance.standing import Ending, Floor, Place, at_standin

DRIP_S: Final = 0.2
"""Before each message; Inworld drips letters."""
DATA: Final = Path(__file__).parent.parent / "data"

TEXTS: Final = tuple(
    f"This is caller number {name}, good day." for name in "one two three four five six seven eight".split()
)


@dataclass(frozen=True, slots=True)
class Sent:
    """What one connection or request brought to the service."""

    format: AudioFormat
    language: str | None
    sound: bytes


@dataclass(frozen=True, slots=True)
class Hearing:
    """A transcriber that is ready to hear."""

    transcriber: Transcriber
    texts: Sequence[str]
    """What its utterances say, one after another, over and over."""
    sent: Callable[[], list[Sent]] = list
    place: Place | None = None

    def next_fault(self, fault: Fault) -> None:
        """The next utterance has it, if there is a server."""
        if self.place is not None:
            self.place.faults.inject(fault)

    async def begun(self, count: int) -> None:
        """Until so many utterances have their text. Nobody counts those of a provider without a server."""
        if self.place is not None:
            await self.place.journal.reaches(count)

    async def at_most(self, connections: int) -> None:
        """Until no more of them are open."""
        if self.place is not None:
            await self.place.door.at_most(connections)


def hummed(number: int, format: AudioFormat) -> bytes:
    """The sound of utterance `number`: each has a length of its own."""
    return g711.encode(hum(6 + number, format.rate_hz), format.encoding)


@dataclass(frozen=True, slots=True)
class TranscriberMaker:
    """One line of the table."""

    name: str
    open: Callable[..., AbstractAsyncContextManager[Hearing]]
    has_standin: bool = True
    tells_language: bool = True
    hears_silence_as_nothing: bool = True
    may_be_early: bool = False
    """It has words while the caller speaks, but not of everything, and so does not promise them."""
    has_text_from: Literal["beginning", "end"] = "beginning"
    """When its stand-in decides which text an utterance has."""
    spares: int = 1
    """Connections that stay open for the next."""
    at_once: int = len(TEXTS)
    sound: Callable[[int, AudioFormat], bytes] = hummed
    endings: dict[Fault, Ending] = field(default_factory=dict)
    """Where they are not the usual ones."""

    def __str__(self) -> str:
        return self.name


_ENCODINGS: Final = {"mulaw": Encoding.ULAW, "alaw": Encoding.ALAW, "linear16": Encoding.PCM16}

Opens: TypeAlias = Callable[..., AbstractAsyncContextManager[Hearing]]


def _deepgram(name: str, language_in: str) -> Opens:
    @asynccontextmanager
    async def opened(floor: Floor, language: str | None = None) -> AsyncGenerator[Hearing, None]:
        faults = Faults()
        standin = deepgram_app(TEXTS, faults, drip_s=DRIP_S)

        def sent() -> list[Sent]:
            return [
                Sent(
                    AudioFormat(_ENCODINGS[heard.query["encoding"][0]], int(heard.query["sample_rate"][0])),
                    heard.query.get(language_in, [None])[0],
                    bytes(heard.audio),
                )
                for heard in standin.heard
                if heard.audio
            ]

        def make(place: Place) -> Transcriber:
            return registry.transcriber(name, Agent("a", language=language), place.access("deepgram"))

        async with at_standin(floor, standin, faults, make) as (made, place):
            yield Hearing(made, TEXTS, sent, place)

    return opened


@asynccontextmanager
async def _inworld(floor: Floor, language: str | None = None) -> AsyncGenerator[Hearing, None]:
    faults = Faults()
    standin = InworldStandIn(TEXTS, faults, pace=Pace(drip_s=DRIP_S / 4))

    def sent() -> list[Sent]:
        told = [
            (heard.messages[0]["transcribeConfig"], bytes(heard.audio)) for heard in standin.heard if heard.audio
        ]
        return [
            Sent(AudioFormat(Encoding.PCM16, config["sampleRateHertz"]), config.get("language"), sound)
            for config, sound in told
        ]

    def make(place: Place) -> Transcriber:
        return registry.transcriber("inworld", Agent("a", language=language), place.access("inworld"))

    async with at_standin(floor, standin, faults, make) as (made, place):
        yield Hearing(made, TEXTS, sent, place)


def _openai(**options: Any) -> Opens:
    @asynccontextmanager
    async def opened(floor: Floor, language: str | None = None) -> AsyncGenerator[Hearing, None]:
        faults = Faults()
        standin = OpenAIStandIn(OpenAIScript(transcripts=TEXTS), faults)

        def sent() -> list[Sent]:
            return [
                Sent(
                    AudioFormat(Encoding.PCM16, struct.unpack_from("<I", asked.file, 24)[0]),
                    asked.body.get("language"),
                    asked.file[44:],
                )
                for asked in standin.asked
            ]

        def make(place: Place) -> Transcriber:
            agent = Agent("a", language=language, providers={"openai": options})
            return registry.transcriber("openai/whisper-1", agent, place.access("openai", "/v1"))

        async with at_standin(floor, standin.app, faults, make) as (made, place):
            yield Hearing(made, TEXTS, sent, place)

    return opened


@asynccontextmanager
async def _stub(floor: Floor, language: str | None = None) -> AsyncGenerator[Hearing, None]:
    yield Hearing(registry.transcriber("stub", Agent("a", language=language)), (stub.TRANSCRIPT,))


_CLIPS: Final = {
    "opening_hours": "what are your opening hours",
    "order_4815": "where is my order four eight one five",
}


def _clip(number: int, format: AudioFormat) -> bytes:
    codes = (DATA / f"{list(_CLIPS)[number % len(_CLIPS)]}.ulaw").read_bytes()
    quiet = PCMU.silence * PCMU.bytes_in(300)
    return transcode(quiet + codes + quiet, PCMU, format)


@asynccontextmanager
async def _pocketsphinx(floor: Floor, language: str | None = None) -> AsyncGenerator[Hearing, None]:
    made = registry.transcriber("pocketsphinx", load_agent("reception"), decoders=len(_CLIPS))
    yield Hearing(made, tuple(_CLIPS.values()))


TRANSCRIBERS: Final = (
    TranscriberMaker("deepgram/nova-3", _deepgram("deepgram/nova-3", "language")),
    TranscriberMaker("deepgram/flux", _deepgram("deepgram/flux", "language_hint")),
    TranscriberMaker("inworld", _inworld),
    TranscriberMaker("openai, whole", _openai(), has_text_from="end", spares=0),
    TranscriberMaker("openai, word by word", _openai(transcript_stream=True), has_text_from="end", spares=0),
    TranscriberMaker("stub", _stub, has_standin=False, tells_language=False, hears_silence_as_nothing=False),
    TranscriberMaker(
        "pocketsphinx",
        _pocketsphinx,
        has_standin=False,
        tells_language=False,
        may_be_early=True,
        at_once=len(_CLIPS),
        sound=_clip,
    ),
)
