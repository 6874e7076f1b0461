"""Language models at their stand-ins: how each is made, what it was asked, and in what it may differ."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.agent import Agent, load_agent
from pipeline.provider import LanguageModel
from pipeline.providers import registry, stub
from simulator.standins.fault import Fault, Faults
from simulator.standins.inworld import InworldStandIn
from simulator.standins.openai import OpenAIScript, OpenAIStandIn
from simulator.standins.openai_chat import Answering, Said
from tests.pipeline.providers.conformance.standing import Ending, Floor, Place, at_standin


@dataclass(frozen=True, slots=True)
class Thinking:
    """A model that is ready to answer."""

    model: LanguageModel
    own_answer: str = ""
    """What it says whatever it is told to; empty: what its stand-in is told to."""
    script: OpenAIScript = field(default_factory=OpenAIScript)
    standin: OpenAIStandIn | None = None
    place: Place | None = None

    def answers(self, said: Said | Answering | str) -> str:
        """From now on it says this; gives the words that are really to be expected."""
        if not isinstance(said, Said | str):
            self.script.answers = said
            return self.own_answer
        whole = Said(said) if isinstance(said, str) else said
        self.script.answers = lambda _messages: whole
        return self.own_answer or whole.text

    @property
    def asked(self) -> list[Mapping[str, Any]]:
        """The bodies of its requests."""
        return [] if self.standin is None else [asked.body for asked in self.standin.asked]

    async def at_most(self, requests: int) -> None:
        """Until no more of them go on."""
        if self.place is not None:
            await self.place.door.at_most(requests)

    def next_fault(self, fault: Fault) -> None:
        if self.place is not None:
            self.place.faults.inject(fault)


@dataclass(frozen=True, slots=True)
class ModelMaker:
    """One line of the table."""

    name: str
    open: Callable[[Floor], AbstractAsyncContextManager[Thinking]]
    has_standin: bool = True
    takes_images: bool = False
    endings: dict[Fault, Ending] = field(default_factory=dict)
    """Where they are not the usual ones."""

    def __str__(self) -> str:
        return self.name


def _openai(name: str, **options: Any) -> Callable[[Floor], AbstractAsyncContextManager[Thinking]]:
    provider = name.partition("/")[0]

    @asynccontextmanager
    async def opened(floor: Floor) -> AsyncGenerator[Thinking, None]:
        faults, script = Faults(), OpenAIScript()
        standin = OpenAIStandIn(script, faults)

        def make(place: Place) -> LanguageModel:
            agent = Agent("a", providers={provider: options})
            return registry.language_model(name, agent, place.access(provider, "/v1"))

        async with at_standin(floor, standin.app, faults, make) as (made, place):
            yield Thinking(made, script=script, standin=standin, place=place)

    return opened


@asynccontextmanager
async def _inworld(floor: Floor) -> AsyncGenerator[Thinking, None]:
    faults, script = Faults(), OpenAIScript()
    standin = InworldStandIn(("unused",), faults, chat=script)

    def make(place: Place) -> LanguageModel:
        return registry.language_model("inworld/auto", Agent("a"), place.access("inworld"))

    async with at_standin(floor, standin, faults, make) as (made, place):
        yield Thinking(made, script=script, standin=standin.router, place=place)


@asynccontextmanager
async def _scripted(floor: Floor) -> AsyncGenerator[Thinking, None]:
    agent = load_agent("reception")
    assert agent.dialogue is not None
    yield Thinking(registry.language_model("scripted", agent), agent.dialogue.fallback[0])


@asynccontextmanager
async def _stub(floor: Floor) -> AsyncGenerator[Thinking, None]:
    words = ["word." if number % 10 == 9 else "word" for number in range(stub.REPLY_WORDS)]
    yield Thinking(registry.language_model("stub", Agent("a")), " ".join(words))


MODELS: Final = (
    ModelMaker("openai/gpt-6-luna", _openai("openai/gpt-6-luna")),
    ModelMaker("groq/llama-3.3-70b", _openai("groq/llama-3.3-70b", wire="openai", images=True), takes_images=True),
    ModelMaker("inworld/auto", _inworld),
    ModelMaker("scripted", _scripted, has_standin=False),
    ModelMaker("stub", _stub, has_standin=False),
)
