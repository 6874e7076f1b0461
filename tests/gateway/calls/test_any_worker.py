"""Any worker may be asked anything of a call at any time, twice and out of order, and Redis may forget it all.

Two workers with one real Redis, their webhooks behind real signatures; streams are what a media socket does to the
store, without the sound. Hypothesis draws what happens; the model knows what must never be.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from starlette.applications import Starlette

from gateway import voice
from gateway.auth import SignatureCheck
from gateway.calls import spare_copies
from gateway.calls.admission import Admission, Limits
from gateway.calls.call import Call, CallState, EndReason
from gateway.calls.keys import Keys
from gateway.calls.media_tokens import MediaTokens
from gateway.calls.redis_store import RedisStore
from gateway.errors import IllegalStep, TokenRefused
from gateway.front_desk import FrontDesk
from gateway.gate import Gate
from gateway.metrics import Metrics
from gateway.redis import link
from gateway.redis.link import OPEN_S, OPERATION_LIMIT_S, RedisLink
from pipeline.events.config import SessionConfig
from pipeline.snapshot import Snapshot
from simulator.toxic_proxy import ToxicProxy
from simulator.toxics import Toxics
from tests.gateway.signed import FORM_TYPE, SETTINGS, VOICE, sign
from tests.redis_server import RedisServer, redis_server

SIDS = (f"CA{1:032x}", f"CA{2:032x}")
FINAL = ("completed", "busy", "failed", "no-answer", "canceled")
NOT_FINAL = ("initiated", "ringing", "in-progress")
LIMIT_S = 20.0
EXAMPLES, STEPS = 20, 30

_MEDIA = re.compile(r"/twilio/media/([^\"]+)\"")
_GENERATION = re.compile(r"generation=([0-9]+)")

T = TypeVar("T")
_names = itertools.count(1)


@dataclass
class Clock:
    at_s: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at_s


@dataclass(eq=False)
class Stream:
    """One that has begun, as `gateway.media_stream.stream` would hold it."""

    call: Call
    generation: int
    stack: AsyncExitStack
    is_lost: bool = False

    def lose(self) -> None:
        self.is_lost = True


class Worker:
    """One process: its store, its webhooks and its streams."""

    def __init__(self, server: RedisServer | _Place, prefix: str, clock: Clock) -> None:
        self.name = f"worker-{next(_names)}"
        self.link = RedisLink(server.url, now=clock)
        tokens = MediaTokens(["secret"], unix=clock)
        self.store = RedisStore(self.link, Keys(prefix), tokens, worker_id=self.name, now=clock)
        self.desk = FrontDesk(
            settings=SETTINGS,
            store=self.store,
            signatures=SignatureCheck(SETTINGS),
            metrics=Metrics("test"),
            now=clock,
            gate=Gate(admission=Admission(Limits()), now=clock),
        )
        app = httpx2.ASGITransport(app=Starlette(routes=voice.routes(self.desk)))
        self.client = httpx2.AsyncClient(transport=app, base_url=SETTINGS.public_url)
        self.streams: dict[str, Stream] = {}
        self.writing = asyncio.ensure_future(self.store.copies.run())

    async def post(self, path: str, form: dict[str, str]) -> str:
        headers = {"X-Twilio-Signature": sign(SETTINGS.public_url + path, form), "Content-Type": FORM_TYPE}
        response = await self.client.post(path, content=urlencode(form), headers=headers)
        assert response.status_code in (200, 204), response.text
        return response.text

    async def die(self) -> None:
        """As kill -9 does it: nothing more is written."""
        self.writing.cancel()
        await asyncio.gather(self.writing, return_exceptions=True)
        for stream in self.streams.values():
            await stream.stack.aclose()
        self.streams.clear()
        await self.client.aclose()
        await self.link.aclose()


@dataclass
class Known:
    """What must be true of one call since Redis last lost everything."""

    generation: int = 0
    has_ended: bool = False
    holders: dict[int, str] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)


class AnyWorker(RuleBasedStateMachine):
    """See the module's docstring."""

    loop: asyncio.AbstractEventLoop
    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.prefix = f"t{next(_names)}"
        self.workers = self.run(self._make_workers())
        self.tokens: list[tuple[str, str]] = []
        self.highest = dict.fromkeys(SIDS, 0)
        self.known = {sid: Known() for sid in SIDS}

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(LIMIT_S):
                return await coroutine

        return self.loop.run_until_complete(bounded())

    async def _make_workers(self) -> list[Worker]:
        return [Worker(self.server, self.prefix, self.clock) for _ in range(2)]

    def teardown(self) -> None:
        for worker in self.workers:
            self.run(worker.die())

    # -- what Twilio does ----------------------------------------------------------------------------------------

    @rule(sid=st.sampled_from(SIDS), at=st.integers(0, 1))
    def ask_for_a_document(self, sid: str, at: int) -> None:
        """A call comes in, or the request is repeated."""
        is_over = self.is_over(sid, self.workers[at])
        document = self.run(self.workers[at].post("/twilio/voice", {**VOICE, "CallSid": sid}))
        self.read(sid, document)
        if is_over:
            assert "<Hangup" in document
        else:
            assert "<Connect" in document or "<Redirect" in document

    @precondition(lambda self: any(self.highest.values()))
    @rule(data=st.data(), at=st.integers(0, 1), times=st.integers(1, 2))
    def come_back(self, data: st.DataObject, at: int, times: int) -> None:
        """A stream has ended, as Twilio says; perhaps late, perhaps twice, the second time on the other worker."""
        sid = data.draw(st.sampled_from([sid for sid in SIDS if self.highest[sid]]))
        generation = data.draw(st.integers(1, self.highest[sid]))
        for number in range(times):
            worker = self.workers[(at + number) % 2]
            is_over = self.is_over(sid, worker)
            path = f"/twilio/stream-ended?generation={generation}"
            document = self.run(worker.post(path, {**VOICE, "CallSid": sid, "CallStatus": "in-progress"}))
            self.read(sid, document)
            if is_over or "<Hangup" in document:
                assert "<Hangup" in document and "<Connect" not in document, "it is over, or broke too often"
            else:
                assert "<Connect" in document or "<Redirect" in document

    @rule(
        sid=st.sampled_from(SIDS),
        at=st.integers(0, 1),
        status=st.sampled_from(FINAL + NOT_FINAL * 3),
        number=st.integers(0, 5),
        times=st.integers(1, 2),
    )
    def tell_its_status(self, sid: str, at: int, status: str, number: int, times: int) -> None:
        """A status callback, in any order."""
        was_known = self.run(self.workers[at].store.find(sid)) is not None
        for again in range(times):
            form = {**VOICE, "CallSid": sid, "CallStatus": status, "SequenceNumber": str(number)}
            self.run(self.workers[(at + again) % 2].post("/twilio/status", form))
        self.look()
        if status in FINAL and was_known:
            assert self.is_over(sid, self.workers[at])

    @precondition(lambda self: bool(self.tokens))
    @rule(data=st.data(), at=st.integers(0, 1))
    def open_a_stream(self, data: st.DataObject, at: int) -> None:
        """With any token there ever was."""
        sid, token = data.draw(st.sampled_from(self.tokens))
        known, worker = self.known[sid], self.workers[at]
        try:
            call = self.run(worker.store.claim(token, self.clock()))
        except TokenRefused:
            return
        assert token not in known.opened, "a token opens one stream"
        known.opened.add(token)
        generation = call.generation
        try:
            call.begin_stream(generation)
        except IllegalStep:
            # Redis has forgotten, so there are two tokens of one generation, and the other was first.
            assert call.state not in (CallState.RINGING, CallState.INTERRUPTED), call.state
            return
        assert known.holders.setdefault(generation, worker.name) == worker.name, "one holder of a generation"
        earlier = worker.streams.pop(sid, None)
        if earlier is not None:
            self.run(earlier.stack.aclose())
        stream = worker.streams[sid] = Stream(call, generation, AsyncExitStack())

        async def attend() -> None:
            attending = worker.store.attend(call, lambda: Snapshot(items=(), config=SessionConfig()), stream.lose)
            await stream.stack.enter_async_context(attending)
            await worker.store.copies.settle(sid)

        self.run(attend())

    # -- what workers do -----------------------------------------------------------------------------------------

    @precondition(lambda self: any(worker.streams for worker in self.workers))
    @rule(data=st.data(), how=st.sampled_from(["lost", "moved", "hung up", "stopped"]))
    def end_a_stream(self, data: st.DataObject, how: str) -> None:
        """As `Stream._settle` does."""
        worker = data.draw(st.sampled_from([worker for worker in self.workers if worker.streams]))
        sid = data.draw(st.sampled_from(sorted(worker.streams)))
        stream = worker.streams.pop(sid)
        call, now_s = stream.call, self.clock()
        was = self.run(self.stored(sid))

        async def settle() -> None:
            if call.generation == stream.generation and call.is_live:
                if how == "stopped":
                    await worker.desk.end_call(sid, EndReason.CALLER_HUNG_UP, generation=stream.generation)
                else:
                    if how == "hung up":
                        call.finish(EndReason.AGENT_HUNG_UP, now_s)
                    elif how == "moved":
                        call.leave_stream(stream.generation, now_s)
                    else:
                        call.lose_stream(stream.generation, now_s)
                    await worker.store.keep(call)
            await stream.stack.aclose()

        self.run(settle())
        if was[1] > stream.generation and was[0] not in (None, "ended"):
            assert self.run(self.stored(sid))[0] != "ended", "whoever is outpaced ends nothing"

    @precondition(lambda self: any(worker.streams for worker in self.workers))
    @rule()
    def write(self) -> None:
        """All that changed is written by now, and who has nothing more to say knows it."""

        async def settle() -> None:
            for worker in self.workers:
                for sid in worker.streams:
                    await worker.store.copies.settle(sid)

        self.run(settle())
        for worker in self.workers:
            for sid in [sid for sid, stream in worker.streams.items() if stream.is_lost]:
                self.run(worker.streams.pop(sid).stack.aclose())
        claimed = [(sid, stream.generation) for worker in self.workers for sid, stream in worker.streams.items()]
        assert len(claimed) == len(set(claimed))

    @rule(at=st.integers(0, 1))
    def kill(self, at: int) -> None:
        """A worker dies, and another takes its place."""
        self.run(self.workers[at].die())
        self.workers[at] = self.run(self._make_worker())

    async def _make_worker(self) -> Worker:
        return Worker(self.server, self.prefix, self.clock)

    @rule(seconds=st.sampled_from([0.5, 5.0, 30.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.clock.at_s += seconds

    # -- what Redis does -----------------------------------------------------------------------------------------

    @rule()
    def forget_everything(self) -> None:
        self.run(self._ask("FLUSHALL"))
        self.know_nothing()

    @rule()
    def restart(self) -> None:
        self.run(self.server.restart())
        self.clock.at_s += 2 * OPEN_S
        self.know_nothing()

    async def _ask(self, *words: str) -> object:
        return await self.server.ask(*words)

    def know_nothing(self) -> None:
        """What the workers hold they will write again; what nobody holds is forgotten, and begins anew."""
        self.known = {sid: Known() for sid in SIDS}

    # -- what must always be -------------------------------------------------------------------------------------

    @invariant()
    def nothing_goes_backwards(self) -> None:
        self.look()

    def look(self) -> None:
        """What Redis holds of the calls, against what it held before."""
        for sid in SIDS:
            state, generation = self.run(self.stored(sid))
            known = self.known[sid]
            if state is None:
                assert not known.generation, "a call is not forgotten by itself"
                continue
            assert not known.has_ended or state == "ended", f"{sid} was ended and is {state}"
            assert generation >= known.generation, f"{sid} fell from {known.generation} to {generation}"
            known.has_ended, known.generation = state == "ended", generation

    def is_over(self, sid: str, worker: Worker) -> bool:
        """As this worker knows it, from its own memory or from Redis, once abandoned calls were ended."""
        self.run(worker.desk.sweep())
        call = self.run(worker.store.find(sid))
        return call is not None and call.state in (CallState.ENDING, CallState.ENDED)

    async def stored(self, sid: str) -> tuple[str | None, int]:
        told = await self.server.ask("HMGET", f"{self.prefix}:{{{sid}}}:call", "state", "generation")
        assert isinstance(told, list)
        state, generation = told
        return (state.decode() if state else None), int(generation or 0)

    def read(self, sid: str, document: str) -> None:
        """The token and the generation that a document names."""
        for token in _MEDIA.findall(document):
            self.tokens.append((sid, token))
        for generation in _GENERATION.findall(document):
            self.highest[sid] = max(self.highest[sid], int(generation))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[AnyWorker]]:
    """With a Redis and an event loop of its own. On a busy machine Redis is slow, which is not what is tested."""
    monkeypatch.setattr(link, "OPERATION_LIMIT_S", LIMIT_S / 4)
    monkeypatch.setattr(spare_copies, "SETTLE_LIMIT_S", LIMIT_S / 4)
    loop = asyncio.new_event_loop()
    stack = AsyncExitStack()
    try:
        AnyWorker.loop = loop
        AnyWorker.server = loop.run_until_complete(stack.enter_async_context(redis_server()))
        yield AnyWorker
    finally:
        loop.run_until_complete(stack.aclose())
        loop.close()


def test_a_call_never_goes_backwards_whatever_happens_where_and_when(machine: type[AnyWorker]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )


@dataclass(frozen=True)
class _Place:
    """Where a worker is told that Redis is."""

    url: str


@pytest.mark.anyio
async def test_a_redis_that_is_slow_in_all_it_does_costs_no_caller_the_call() -> None:
    token_header = {"I-Twilio-Idempotency-Token": "one"}
    async with asyncio.timeout(LIMIT_S), redis_server() as server, ToxicProxy("127.0.0.1", server.port) as proxy:
        worker = Worker(_Place(f"redis://127.0.0.1:{proxy.port}"), "slow", Clock())
        try:
            worker.client.headers.update(token_header)
            proxy.poison(down=Toxics(latency_ms=OPERATION_LIMIT_S * 1000 * 0.75))
            form = {**VOICE, "CallSid": SIDS[0]}
            assert "<Connect" in await worker.post("/twilio/voice", form)
            way_back = "/twilio/stream-ended?generation=1"
            document = await worker.post(way_back, {**form, "CallStatus": "in-progress"})
            assert "<Connect" in document and "generation=2" in document
        finally:
            await worker.die()
