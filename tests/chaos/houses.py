"""One call of the fault matrix: a gateway, a provider that fails when it is told to, and one that never does.

Each call has a house of its own, because what a gateway has learned of a provider would decide the next call. The
gateway is whole, from its settings to its sockets; nothing of it is replaced.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pipeline.agent import Agent, load_agent
from pipeline.agent_tools import WebhookTool
from pipeline.events.config import McpServer, ServerVad
from pipeline.provider import FunctionTool
from simulator.call_result import CallResult, Happening
from simulator.caller import HangUp, Listen, Say, Step
from simulator.phone_call import PhoneCall
from simulator.standins import cartesia, deepgram, elevenlabs, mcp
from simulator.standins.fault import Fault, Faults
from simulator.standins.http_answer import answer, refusal
from simulator.standins.inworld import InworldStandIn, Pace
from simulator.standins.openai import OpenAIScript, OpenAIStandIn
from simulator.standins.realtime import RealtimeStandin
from simulator.standins.serving import served
from tests.calls.support import LIMIT_S, RunningGateway, call_setup, clip, running_gateway
from tests.chaos.cells import ROWS, Cell, Part
from tests.chaos.dialogue import BOOK, LOOK_UP, Dialogue, Moment

TRANSCRIPT_S: Final = 0.15
FIRST_TOKEN_S: Final = 0.3
FIRST_BYTE_S: Final = 0.12
"""Of whoever is well: what good services publish of themselves."""

QUIET_MS: Final = 2_700
"""How long this caller waits after the agent's last sound: longer than any silence that is allowed."""

CALL_LIMIT_S: Final = 120.0

APOLOGY: Final = "Sorry, please say it again."

_CLIPS: Final = ("opening-hours", "price", "order-status", "hello")

_SECRET: Final = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU="


@dataclass(slots=True)
class Bookings:
    """The user's own server behind a webhook: it books, whatever becomes of its answer."""

    faults: Faults
    made: list[Any] = field(default_factory=list)
    """Every request that came: each may have booked something."""

    @property
    def app(self) -> ASGIApp:
        return Starlette(routes=[Route("/book", self._book, methods=["POST"])])

    async def _book(self, request: Request) -> Response:
        self.made.append(await request.json())
        fault = self.faults.take()
        if (refused := await refusal(request, fault)) is not None:
            return refused
        body = json.dumps({"booked": True, "number": 4711}).encode()
        if fault is Fault.GARBAGE:
            body = b"\xff\xfe<html>" + body[:-3]
        elif fault is Fault.BIG_CHUNK:
            body = b'"' + b"x" * (10 * 1024 * 1024) + b'"'
        return answer(request, fault, [body], kind="application/json")


@dataclass(slots=True)
class House:
    """What stands in the street for one call, and who watches it."""

    cell: Cell
    dialogue: Dialogue
    faults: Faults
    bookings: Bookings
    orders: mcp.Seen | None = None
    turns: int = 0
    struck_from: int = 0
    """How many faults were taken before the current turn."""
    injected: dict[Moment, int] = field(default_factory=dict)
    """Requests that had the fault, by turn."""

    def watch(self, happening: Happening) -> None:
        """The caller speaks: the next turn begins, and goes wrong or not."""
        if happening.name == "caller.speaks":
            self.count()
            self.dialogue.moment = self.cell.turns[self.turns]
            self.turns += 1
            self._strike(self.dialogue.moment in self.cell.moments)

    def count(self) -> None:
        """What was taken in the turn that is over."""
        taken = self.faults.taken[self.struck_from :]
        self.injected[self.dialogue.moment] = sum(fault is self.cell.fault for fault in taken)
        self.struck_from = len(self.faults.taken)

    def _strike(self, is_struck: bool) -> None:
        cell = self.cell
        if cell.is_refused_from_the_start:
            is_last = self.dialogue.moment is Moment.AFTER
            self.faults.always = Fault.NONE if is_last else cell.fault
        elif cell.part is Part.REALTIME and cell.is_spared:
            if is_struck:
                self.faults.inject(cell.fault)
        else:
            self.faults.always = cell.fault if is_struck else Fault.NONE

    @property
    def side_effects(self) -> int:
        """How often a tool did what it does."""
        return len(self.bookings.made) + (len(self.orders.calls) if self.orders is not None else 0)


@dataclass(frozen=True, slots=True)
class Seen:
    """All that is known of a call that is over."""

    cell: Cell
    result: CallResult
    journal: tuple[dict[str, Any], ...]
    injected: dict[Moment, int]
    side_effects: int


async def run(cell: Cell) -> Seen:
    """Build the house, place the call, and see it to its end."""
    async with AsyncExitStack() as street:
        house, gateway = await street.enter_async_context(_built(cell))
        setup = call_setup(gateway.url, *_script(cell), keeps_media=False, max_call_s=CALL_LIMIT_S)
        async with asyncio.timeout(CALL_LIMIT_S + 10):
            result = await PhoneCall(setup, listener=house.watch).run()
        house.count()
        # The caller's clock is the event loop's, the journal's tells Unix time.
        ahead_s = gateway.gateway.desk.now() - asyncio.get_running_loop().time()
        told = await gateway.journal(result.call_sid)
        journal = [{**one, "at_s": one["at_s"] - ahead_s} for one in told]
        return Seen(cell, result, tuple(journal), dict(house.injected), house.side_effects)


def _script(cell: Cell) -> tuple[Step, ...]:
    steps: list[Step] = [Listen(quiet_ms=QUIET_MS)]
    for number, _ in enumerate(cell.turns):
        steps += [Say(clip(_CLIPS[number])), Listen(quiet_ms=QUIET_MS, patience_ms=30_000)]
    return (*steps, HangUp())


@asynccontextmanager
async def _built(cell: Cell) -> AsyncGenerator[tuple[House, RunningGateway], None]:
    faults = Faults(cell.fault if cell.is_refused_from_the_start else Fault.NONE)
    is_mcp = cell.provider == "mcp"
    dialogue = Dialogue(LOOK_UP if is_mcp else BOOK)
    bookings = Bookings(faults if cell.part is Part.TOOL else Faults())
    house = House(cell, dialogue, faults, bookings)
    async with AsyncExitStack() as street:
        well = await street.enter_async_context(served(_open_ai(dialogue, Faults())))
        booking = await street.enter_async_context(served(bookings.app))
        failing = ""
        if cell.part is not Part.TOOL:
            failing = await street.enter_async_context(served(_standin(cell, dialogue, faults)))
        elif is_mcp:
            server = mcp.app(faults)
            house.orders = server.state.seen
            failing = await street.enter_async_context(served(server))
        agent = _agent(cell, well, booking, failing)
        gateway = await street.enter_async_context(_running(agent, _settings(cell, failing)))
        if house.orders is not None:
            await _listed(house.orders)
        yield house, gateway
        gateway.server.should_exit = True


async def _listed(orders: mcp.Seen) -> None:
    """Only calls that begin after it know what the server offers."""
    async with asyncio.timeout(LIMIT_S):
        while not orders.lists:  # noqa: ASYNC110 - a stand-in has no event for it
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)  # for the list to arrive


async def warm_up() -> None:
    """Load what the first call of a kind would load: the libraries of providers take seconds."""
    for part, provider, _ in ROWS:
        cell = Cell(part, provider, Fault.NONE, False, ())
        async with _built(cell):
            pass


def _running(agent: Agent, settings: dict[str, str]) -> AbstractAsyncContextManager[RunningGateway]:
    outer: dict[str, Any] = {**settings}  # the checker cannot know that no name among them is a parameter's
    return running_gateway(agent=agent, **outer)


def _agent(cell: Cell, well: str, booking: str, failing: str) -> Agent:
    def chain(part: Part) -> tuple[str, ...]:
        if cell.part is not part:
            return ("well/w",)
        return (cell.provider, "well/w") if cell.is_spared else (cell.provider,)

    book = FunctionTool("book", "Books.", {"type": "object", "properties": {"day": {"type": "string"}}})
    order_server = McpServer(
        server_label="orders", server_url=f"http://{failing}/mcp", transport=None, require_approval="never"
    )
    return replace(
        load_agent("reception"),
        greeting="Hello there.",
        apology=APOLOGY,
        dialogue=None,
        turn_detection=ServerVad(),
        tools=(WebhookTool(book, f"http://{booking}/book"),),
        mcp=(order_server,) if cell.provider == "mcp" else (),
        stt=chain(Part.STT),
        llm=chain(Part.LLM),
        tts=chain(Part.TTS),
        realtime="openai/gpt-realtime" if cell.part is Part.REALTIME else "",
        voice=None,
        providers={"well": {"wire": "openai", "base_url": f"http://{well}/v1"}},
    )


def _settings(cell: Cell, failing: str) -> dict[str, str]:
    name = cell.provider.partition("/")[0].upper()
    settings = {"SWITCHBOARD_WEBHOOK_SECRET": _SECRET, "SWITCHBOARD_PROVIDER_KEYS": "well=any"}
    if cell.part is Part.TOOL:
        return settings
    path = "/v1" if name == "OPENAI" and cell.part is not Part.REALTIME else ""
    return settings | {f"{name}_API_KEY": "any", f"{name}_BASE_URL": f"http://{failing}{path}"}


def _open_ai(dialogue: Dialogue, faults: Faults) -> ASGIApp:
    script = OpenAIScript(
        answers=dialogue.of_chat,
        first_token_s=FIRST_TOKEN_S,
        first_byte_s=FIRST_BYTE_S,
        transcript_s=TRANSCRIPT_S,
    )
    return OpenAIStandIn(script, faults).app


def _standin(cell: Cell, dialogue: Dialogue, faults: Faults) -> ASGIApp:
    """Of the provider that fails."""
    if cell.part is Part.REALTIME:
        return RealtimeStandin(faults, delay_s=FIRST_TOKEN_S, answering=dialogue.of_session)
    match cell.provider.partition("/")[0]:
        case "deepgram":
            return deepgram.app(faults, delay_s=TRANSCRIPT_S)
        case "cartesia":
            return cartesia.app(faults, delay_s=FIRST_BYTE_S)
        case "elevenlabs":
            return elevenlabs.app(faults, delay_s=FIRST_BYTE_S)
        case "inworld":
            pace = Pace(transcript_s=TRANSCRIPT_S, first_byte_s=FIRST_BYTE_S)
            chat = OpenAIScript(answers=dialogue.of_chat, first_token_s=FIRST_TOKEN_S)
            return InworldStandIn(deepgram.SCRIPT, faults, pace=pace, chat=chat)
        case _:
            return _open_ai(dialogue, faults)
