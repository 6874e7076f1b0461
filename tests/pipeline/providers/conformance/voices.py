"""Voices at their stand-ins: how each is made, what it was asked for, and in what it differs from the others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from pipeline.agent import Agent
from pipeline.provider import Voice
from pipeline.providers import cartesia, elevenlabs, registry
from pipeline.providers.inworld import tts as inworld_tts
from simulator.standins.cartesia import CartesiaStandin
from simulator.standins.elevenlabs import ElevenLabsStandin
from simulator.standins.fault import Fault, Faults
from simulator.standins.inworld import InworldStandIn
from simulator.standins.openai import OpenAIScript, OpenAIStandIn
from tests.pipeline.providers.conformance.standing import Ending, Floor, Place, at_standin

PACE: Final = 1_000.0
"""How many times faster than speech their sound comes."""

LEAD_MS: Final = 0
"""No silence in front, so that nothing is taken off and lengths can be told to the sample."""


@dataclass(frozen=True, slots=True)
class Speaking:
    """A voice that is ready to speak."""

    voice: Voice
    asked_for: Callable[[], set[str]] = set
    """The names of the voices that the service was asked for."""
    place: Place | None = None

    def next_fault(self, fault: Fault) -> None:
        if self.place is not None:
            self.place.faults.inject(fault)

    async def at_most(self, connections: int) -> None:
        """Until no more of them are open."""
        if self.place is not None:
            await self.place.door.at_most(connections)


@dataclass(frozen=True, slots=True)
class VoiceMaker:
    """One line of the table."""

    name: str
    open: Callable[[Floor], AbstractAsyncContextManager[Speaking]]
    known: str = ""
    """A voice it has; empty: it has but one, and does not tell."""
    unknown: str = "the-voice-of-somebody-else"
    slowest: float = 0.25
    fastest: float = 1.5
    """Of the factors of speed it takes; beyond, it stays there."""
    hums: bool = True
    """Each word lasts 200 ms."""
    has_standin: bool = True
    spares: int = 1
    """Connections that stay open for the next."""
    endings: dict[Fault, Ending] = field(default_factory=dict)
    """Where they are not the usual ones."""

    def __str__(self) -> str:
        return self.name


@asynccontextmanager
async def _cartesia(floor: Floor) -> AsyncGenerator[Speaking, None]:
    faults = Faults()
    standin = CartesiaStandin(faults, pace=PACE, lead_ms=LEAD_MS)

    def asked_for() -> set[str]:
        return {sent["voice"]["id"] for sent in standin.sent if "voice" in sent}

    def make(place: Place) -> Voice:
        return registry.voice("cartesia/sonic", Agent("a"), place.access("cartesia"))

    async with at_standin(floor, standin, faults, make) as (made, place):
        yield Speaking(made, asked_for, place)


@asynccontextmanager
async def _elevenlabs(floor: Floor) -> AsyncGenerator[Speaking, None]:
    faults = Faults()
    standin = ElevenLabsStandin(faults, pace=PACE, lead_ms=LEAD_MS)

    def asked_for() -> set[str]:
        return {opened.voice for opened in standin.opened}

    def make(place: Place) -> Voice:
        return registry.voice("elevenlabs", Agent("a"), place.access("elevenlabs"))

    async with at_standin(floor, standin, faults, make) as (made, place):
        yield Speaking(made, asked_for, place)


@asynccontextmanager
async def _inworld(floor: Floor) -> AsyncGenerator[Speaking, None]:
    faults = Faults()
    standin = InworldStandIn(("unused",), faults)

    def asked_for() -> set[str]:
        messages = [message for heard in standin.heard for message in heard.messages]
        return {message["create"]["voiceId"] for message in messages if "create" in message}

    def make(place: Place) -> Voice:
        return registry.voice("inworld", Agent("a"), place.access("inworld"))

    async with at_standin(floor, standin, faults, make) as (made, place):
        yield Speaking(made, asked_for, place)


@asynccontextmanager
async def _openai(floor: Floor) -> AsyncGenerator[Speaking, None]:
    faults = Faults()
    standin = OpenAIStandIn(OpenAIScript(), faults)

    def asked_for() -> set[str]:
        return {asked.body["voice"] for asked in standin.asked}

    def make(place: Place) -> Voice:
        agent = Agent("a", providers={"openai": {"voices": ["alloy", "verse"]}})
        return registry.voice("openai", agent, place.access("openai", "/v1"))

    async with at_standin(floor, standin.app, faults, make) as (made, place):
        yield Speaking(made, asked_for, place)


@asynccontextmanager
async def _stub(floor: Floor) -> AsyncGenerator[Speaking, None]:
    yield Speaking(registry.voice("stub", Agent("a")))


@asynccontextmanager
async def _espeak(floor: Floor) -> AsyncGenerator[Speaking, None]:
    yield Speaking(registry.voice("espeak", Agent("a")))


VOICES: Final = (
    VoiceMaker(
        "cartesia",
        _cartesia,
        known="a0e99841-438c-4a64-b679-ae501e7d6091",
        slowest=cartesia.SLOWEST,
        fastest=cartesia.FASTEST,
    ),
    VoiceMaker(
        "elevenlabs",
        _elevenlabs,
        known="21m00Tcm4TlvDq8ikWAM",
        slowest=elevenlabs.SLOWEST,
        fastest=elevenlabs.FASTEST,
    ),
    VoiceMaker("inworld", _inworld, known="Sarah", slowest=inworld_tts.SLOWEST, fastest=inworld_tts.FASTEST),
    VoiceMaker("openai", _openai, known="verse", spares=0),
    VoiceMaker("stub", _stub, has_standin=False),
    VoiceMaker("espeak", _espeak, known="de", hums=False, has_standin=False),
)
