from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.auth import SignatureCheck
from gateway.calls.admission import Admission
from gateway.calls.call import Call, CallState, EndReason, WayBack
from gateway.calls.keys import ENDED_TTL_S, Keys
from gateway.calls.media_tokens import TOKEN_LIFE_S, MediaTokens
from gateway.calls.redis_store import RedisStore
from gateway.calls.scripts import SAVE
from gateway.calls.spare_copies import MOST_BYTES_AT_ONCE
from gateway.calls.store import ABANDONED_AFTER_S, SWEEP_EVERY_S
from gateway.errors import Outpaced, StoreUnavailable, TokenRefused
from gateway.front_desk import FrontDesk
from gateway.gate import Gate
from gateway.metrics import Metrics
from gateway.redis.link import RedisLink
from pipeline.events.config import SessionConfig
from pipeline.events.items import AnyItem, InputText, Message
from pipeline.limits import USUAL
from pipeline.snapshot import Snapshot
from tests.gateway.signed import SETTINGS
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

SID = f"CA{1:032x}"
LIMIT_S = 20.0


@dataclass
class Clock:
    at_s: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at_s


@dataclass
class Conversation:
    """What a stream would have to tell."""

    items: list[AnyItem] = field(default_factory=list)
    config: SessionConfig = field(default_factory=SessionConfig)
    is_lost: bool = False

    def say(self, words: str) -> None:
        content = (InputText(text=words),)
        self.items.append(Message(id=f"item_{len(self.items)}", role="user", content=content))

    def snapshot(self) -> Snapshot | None:
        return Snapshot(items=tuple(self.items), config=self.config)

    def lose(self) -> None:
        self.is_lost = True


@dataclass
class Deployment:
    """Workers that share one Redis."""

    server: RedisServer
    stack: AsyncExitStack
    clock: Clock = field(default_factory=Clock)

    async def worker(self, name: str, *, writes: bool = True, prefix: str = "test") -> RedisStore:
        link = RedisLink(self.server.url, cluster=self.server.is_cluster, now=time.monotonic)
        self.stack.push_async_callback(link.aclose)
        tokens = MediaTokens(["secret"], unix=self.clock)
        store = RedisStore(link, Keys(prefix), tokens, worker_id=name, now=self.clock)
        if writes:
            writing = asyncio.create_task(store.copies.run())

            async def stop() -> None:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)

            self.stack.push_async_callback(stop)
        return store


@asynccontextmanager
async def deployment(*, cluster: bool = False) -> AsyncIterator[Deployment]:
    async with asyncio.timeout(LIMIT_S), redis_server(cluster=cluster) as server, AsyncExitStack() as stack:
        yield Deployment(server, stack)


async def opened(store: RedisStore, sid: str = SID, at_s: float = 1_800_000_000.0) -> Call:
    call = Call(call_sid=sid, from_="+14155550134", to="+1", agent="reception", started_at_s=at_s)
    await store.open(call)
    return call


async def found(store: RedisStore, sid: str = SID) -> Call:
    call = await store.find(sid)
    assert call is not None
    return call


async def refusal(store: RedisStore, token: str) -> str:
    with pytest.raises(TokenRefused) as refused:
        await store.claim(token, store._now())
    return refused.value.reason


async def until(condition: object, *, is_true: object = True) -> None:
    """Waits until a condition that others bring about holds; the deployment's limit bounds it."""
    assert callable(condition)
    while condition() != is_true:  # noqa: ASYNC110 - others bring it about, and nobody tells
        await asyncio.sleep(0.01)


def told(call: Call) -> list[str]:
    """What was said, as another worker reads it."""
    assert call.talk is not None
    snapshot = call.talk.snapshot(SessionConfig(), USUAL)
    return [item.text for item in snapshot.items if isinstance(item, Message)]


@pytest.mark.parametrize("cluster", [False, True], ids=["one", "cluster"])
async def test_a_call_taken_in_by_one_worker_streams_on_another_and_goes_on_on_a_third(cluster: bool) -> None:
    async with deployment(cluster=cluster) as here:
        one, two, three = [await here.worker(name) for name in ("one", "two", "three")]
        token = await one.issue_token(await opened(one), here.clock())
        call = await two.claim(token, here.clock())
        assert (call.from_, call.state, call.generation) == ("+14155550134", CallState.RINGING, 1)
        call.begin_stream(1)
        talk = Conversation()
        async with two.attend(call, talk.snapshot, talk.lose) as attended:
            for words in ("Where is my order?", "It is 4 7 1 1."):
                talk.say(words)
                attended.touch()
            await two.copies.settle(SID)
            seen = await found(three)
            assert (seen.state, seen.holder, told(seen)) == (
                CallState.STREAMING,
                "two",
                ["Where is my order?", "It is 4 7 1 1."],
            )
            # Its worker dies here, for all the others know: Twilio asks again, and any worker answers.
            assert seen.way_back(1, here.clock()) is WayBack.AGAIN
            token = await three.issue_token(seen, here.clock())
            again = await one.claim(token, here.clock())
            assert (again.generation, told(again)) == (2, ["Where is my order?", "It is 4 7 1 1."])
            again.begin_stream(2)
            async with one.attend(again, talk.snapshot, lambda: None):
                await one.copies.settle(SID)
                # The one that was believed dead learns that it has nothing more to say.
                talk.say("Is anybody there?")
                attended.touch()
                await until(lambda: talk.is_lost)
                assert call.generation == 2
            assert two.here == 0


async def test_a_token_opens_its_call_exactly_once_however_many_workers_race() -> None:
    async with deployment() as here:
        workers = [await here.worker(f"w{number}", writes=False) for number in range(4)]
        for number in range(25):
            sid = f"CA{number:032x}"
            token = await workers[0].issue_token(await opened(workers[0], sid), here.clock())
            claims = [worker.claim(token, here.clock()) for worker in workers * 10]
            results = await asyncio.gather(*claims, return_exceptions=True)
            winners = [result for result in results if isinstance(result, Call)]
            losers = [result for result in results if isinstance(result, TokenRefused)]
            assert (len(winners), len(losers)) == (1, 39)
            assert {loser.reason for loser in losers} == {"used"}


async def test_a_new_token_voids_the_earlier_one_and_an_old_or_forged_one_opens_nothing() -> None:
    async with deployment() as here:
        one, two = await here.worker("one", writes=False), await here.worker("two", writes=False)
        call = await opened(one)
        first = await one.issue_token(call, here.clock())
        second = await one.issue_token(call, here.clock())
        assert await refusal(two, first) == "expired"
        assert await refusal(two, "guessed") == "unknown"
        assert await refusal(two, second[:-1] + ("0" if second[-1] != "0" else "1")) == "unknown"
        here.clock.at_s += TOKEN_LIFE_S * 2
        assert await refusal(two, second) == "expired"


async def test_a_token_of_a_call_that_has_ended_opens_nothing() -> None:
    async with deployment() as here:
        one, two = await here.worker("one", writes=False), await here.worker("two", writes=False)
        call = await opened(one)
        token = await one.issue_token(call, here.clock())
        assert await one.end(call, EndReason.CANCELED, here.clock())
        assert await refusal(two, token) == "expired"


async def test_of_two_workers_that_answer_the_same_webhook_one_has_to_look_again() -> None:
    async with deployment() as here:
        one, two = await here.worker("one", writes=False), await here.worker("two", writes=False)
        await opened(one)
        with pytest.raises(KeyError):
            await opened(two)
        mine, theirs = await found(one), await found(two)
        await one.issue_token(mine, here.clock())
        with pytest.raises(Outpaced):
            await two.issue_token(theirs, here.clock())
        assert (await found(two)).generation == 1


async def test_a_call_ends_once_whoever_says_so_and_its_worker_is_told() -> None:
    async with deployment() as here:
        one, two = await here.worker("one"), await here.worker("two")
        token = await one.issue_token(await opened(one), here.clock())
        call = await two.claim(token, here.clock())
        call.begin_stream(1)
        talk = Conversation()
        async with two.attend(call, talk.snapshot, talk.lose):
            await two.copies.settle(SID)
            assert await one.end(await found(one), EndReason.COMPLETED, here.clock())
            assert not await one.end(await found(one), EndReason.FAILED, here.clock())
            talk.say("Hello?")
            await until(lambda: talk.is_lost)
        assert (call.state, await one.live_count()) == (CallState.ENDED, 0)
        assert [(known.call_sid, known.state) for known in await one.calls()] == [(SID, CallState.ENDED)]


async def test_what_happened_is_read_on_every_worker_to_its_last_event() -> None:
    async with deployment() as here:
        one, two = await here.worker("one"), await here.worker("two")
        token = await one.issue_token(await opened(one), here.clock())
        await one.note(SID, {"event": "stream.offered", "at_s": 1.0})
        call = await two.claim(token, here.clock())
        call.begin_stream(1)
        talk = Conversation()
        async with two.attend(call, talk.snapshot, talk.lose) as attended:
            reading = await one.journal(SID)
            assert reading is not None
            seen: list[str] = []

            async def follow() -> None:
                async for event in reading.follow():
                    seen.append(event["event"])  # noqa: PERF401 - it is looked at as it grows

            following = asyncio.create_task(follow())
            attended.journal.append({"event": "stream.started", "at_s": 2.0})
            attended.touch()
            await until(lambda: seen, is_true=["stream.offered", "stream.started"])
            assert await two.end(call, EndReason.CALLER_HUNG_UP, here.clock())
            await following
        assert seen[-1] == "call.ended"
        assert [event["event"] for event in await reading.read(1)] == ["stream.started", "call.ended"]
        assert await one.journal(f"CA{9:032x}") is None


async def test_what_another_version_wrote_into_a_journal_is_passed_over() -> None:
    async with deployment() as here:
        one = await here.worker("one", writes=False)
        await opened(one)
        await one.note(SID, {"event": "call.started", "at_s": 1.0})
        for field_, value in (("event", "{"), ("event", "[]"), ("other", "{}")):
            await here.server.ask("XADD", Keys("test").journal(SID), "*", field_, value)
        await one.note(SID, {"event": "call.ended", "at_s": 2.0})
        reading = await one.journal(SID)
        assert reading is not None
        assert [event["event"] for event in await reading.read()] == ["call.started", "call.ended"]


async def test_a_redis_that_has_forgotten_everything_is_told_all_of_it_again() -> None:
    async with deployment() as here:
        one, two = await here.worker("one"), await here.worker("two")
        token = await one.issue_token(await opened(one), here.clock())
        call = await two.claim(token, here.clock())
        call.begin_stream(1)
        talk = Conversation()
        talk.say("Remember the number 4 7 1 1.")
        async with two.attend(call, talk.snapshot, talk.lose) as attended:
            attended.journal.append({"event": "stream.started", "at_s": 2.0})
            await two.copies.settle(SID)
            await here.server.ask("FLUSHALL")
            talk.say("And my name.")
            await two.copies.settle(SID)
            again = await found(one)
            assert told(again) == ["Remember the number 4 7 1 1.", "And my name."]
            assert again.from_ == "+14155550134"
            reading = await one.journal(SID)
            assert reading is not None
            assert [event["event"] for event in await reading.read()] == ["stream.started"]
            await until(lambda: two.copies._told_alive_at_s > 0)
            assert not talk.is_lost


async def test_without_redis_calls_are_taken_in_and_stream_and_are_known_once_it_is_back() -> None:
    async with deployment() as here:
        one, two, three = [await here.worker(name) for name in ("one", "two", "three")]
        here.server.kill()
        call = await opened(one)
        token = await one.issue_token(call, here.clock())
        with pytest.raises(StoreUnavailable):
            await one.find(SID)
        streaming = await two.claim(token, here.clock())
        assert streaming.is_forgotten
        assert await refusal(two, token) == "used"
        streaming.from_ = "+14155550134"
        streaming.begin_stream(1)
        talk = Conversation()
        talk.say("Hello?")
        async with two.attend(streaming, talk.snapshot, talk.lose):
            assert not await two.copies.settle(SID)
            await here.server.restart()
            while (known := await _perhaps(three)) is None:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
            assert (told(known), known.from_, known.holder) == (["Hello?"], "+14155550134", "two")


async def _perhaps(store: RedisStore) -> Call | None:
    try:
        return await store.find(SID)
    except StoreUnavailable:
        return None


async def test_a_call_that_gives_no_sign_of_life_is_ended_by_one_worker_once() -> None:
    async with deployment() as here:
        one, two = await here.worker("one", writes=False), await here.worker("two", writes=False)
        await opened(one)
        here.clock.at_s += ABANDONED_AFTER_S - SWEEP_EVERY_S
        assert await two.sweep(here.clock()) == []
        here.clock.at_s += 2 * SWEEP_EVERY_S
        swept = [*await one.sweep(here.clock()), *await two.sweep(here.clock())]
        assert [call.end_reason for call in swept] == [EndReason.ABANDONED]
        assert await one.live_count() == 0


async def test_a_webhook_asked_again_finds_its_answer_on_another_worker() -> None:
    async with deployment() as here:
        one, two = await here.worker("one", writes=False), await here.worker("two", writes=False)
        assert await two.recall(SID, "/twilio/voice t1") is None
        await one.remember(SID, "/twilio/voice t1", "<Response/>")
        assert await two.recall(SID, "/twilio/voice t1") == "<Response/>"
        assert await two.recall(SID, "/twilio/voice t2") is None


async def test_every_key_expires_and_none_of_another_deployment_is_seen() -> None:
    async with deployment() as here:
        one, other = await here.worker("one"), await here.worker("one", prefix="staging")
        token = await one.issue_token(await opened(one), here.clock())
        await one.note(SID, {"event": "stream.offered", "at_s": 1.0})
        await one.remember(SID, "r", "a")
        call = await one.claim(token, here.clock())
        talk = Conversation()
        async with one.attend(call, talk.snapshot, talk.lose):
            await one.copies.settle(SID)
        assert await other.find(SID) is None
        assert await other.calls() == []
        assert [known.call_sid for known in await one.calls()] == [SID]
        names = await here.server.ask("KEYS", "*")
        assert isinstance(names, list)
        assert {name.rpartition(b":")[0].rpartition(b":")[2] for name in names} >= {
            b"test",
            b"once",
            b"answer",
            b"witness",
        }
        lives = {name: await here.server.ask("TTL", name) for name in names}
        assert all(isinstance(ttl_s, int) and ttl_s > 0 for ttl_s in lives.values()), lives


async def test_a_word_that_comes_after_the_end_of_a_call_does_not_keep_it_longer() -> None:
    async with deployment() as here:
        one = await here.worker("one")
        call = await opened(one)
        await one.note(SID, {"event": "stream.offered", "at_s": 1.0})
        assert await one.end(call, EndReason.COMPLETED, here.clock())
        await one.note(SID, {"event": "stream.status", "at_s": 2.0})
        life_s = await here.server.ask("TTL", Keys("test").journal(SID))
        assert isinstance(life_s, int)
        assert 0 < life_s <= ENDED_TTL_S


async def test_a_call_of_which_nothing_changes_is_written_anew_when_redis_has_forgotten_it() -> None:
    async with deployment() as here:
        one, two = await here.worker("one"), await here.worker("two")
        token = await one.issue_token(await opened(one), here.clock())
        call = await two.claim(token, here.clock())
        call.begin_stream(1)
        talk = Conversation()
        talk.say("Hold on a minute.")
        async with two.attend(call, talk.snapshot, talk.lose):
            await two.copies.settle(SID)
            # The witness is written after the first look.
            while not await here.server.ask("EXISTS", "test:witness:two"):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
            await here.server.ask("FLUSHALL")
            while (known := await _perhaps(one)) is None:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
            assert told(known) == ["Hold on a minute."]


async def test_of_two_workers_that_end_a_call_at_once_one_has_ended_it() -> None:
    async with deployment() as here:
        one, two = await here.worker("one"), await here.worker("two")
        for number in range(20):
            sid = f"CA{number:032x}"
            token = await one.issue_token(await opened(one, sid), here.clock())
            call = await two.claim(token, here.clock())
            call.begin_stream(1)
            talk = Conversation()
            async with two.attend(call, talk.snapshot, talk.lose):
                await two.copies.settle(sid)
                theirs = await found(one, sid)
                ends = [
                    one.end(theirs, EndReason.COMPLETED, here.clock()),
                    two.end(call, EndReason.CALLER_HUNG_UP, here.clock()),
                ]
                results = await asyncio.gather(*ends, return_exceptions=True)
                assert results.count(True) == 1, results


# Two workers that both believe they stream the call.


async def streaming(store: RedisStore, token: str, here: Deployment) -> Call:
    """The token's call, its stream begun."""
    call = await store.claim(token, here.clock())
    call.begin_stream(call.generation)
    return call


async def test_who_has_offered_the_next_stream_itself_writes_nothing_over_the_worker_that_took_it() -> None:
    async with deployment() as here:
        one, two, three = [await here.worker(name) for name in ("one", "two", "three")]
        call = await streaming(one, await one.issue_token(await opened(one), here.clock()), here)
        before, after = Conversation(), Conversation()
        async with one.attend(call, before.snapshot, before.lose) as attended:
            before.say("Where is my order?")
            await one.copies.settle(SID)
            # Its socket is dead and does not know it. Twilio asks, and it happens to answer that itself.
            mine = await found(one)
            assert mine.way_back(1, here.clock()) is WayBack.AGAIN
            again = await streaming(two, await one.issue_token(mine, here.clock()), here)
            async with two.attend(again, after.snapshot, after.lose):
                after.say("It is 4 7 1 1.")
                await two.copies.settle(SID)
                before.say("Is anybody there?")
                attended.journal.append({"event": "speech.started", "at_s": 2.0})
                await one.copies.settle(SID)
                assert (before.is_lost, one.here) == (True, 0)
                known = await found(three)
                assert (known.state, known.holder, told(known)) == (
                    CallState.STREAMING,
                    "two",
                    ["It is 4 7 1 1."],
                )
        assert not after.is_lost


async def test_a_new_stream_begins_on_the_worker_that_has_not_noticed_the_end_of_the_last_one() -> None:
    async with deployment() as here:
        one, two = await here.worker("one"), await here.worker("two")
        call = await streaming(one, await one.issue_token(await opened(one), here.clock()), here)
        talk = Conversation()
        async with one.attend(call, talk.snapshot, talk.lose):
            await one.copies.settle(SID)
            theirs = await found(two)
            assert theirs.way_back(1, here.clock()) is WayBack.AGAIN
            again = await streaming(one, await two.issue_token(theirs, here.clock()), here)
            assert (again.generation, again.state) == (2, CallState.STREAMING)
            assert list(again.resumed_at_s) == [here.clock()], "a line that keeps breaking is still noticed"
            assert call.generation == 2, "the stream before has nothing more to say"
            async with one.attend(again, talk.snapshot, talk.lose):
                await one.copies.settle(SID)
                known = await found(two)
                assert (known.state, known.generation, known.holder) == (CallState.STREAMING, 2, "one")


@pytest.mark.parametrize("is_taken", [False, True], ids=["offered", "taken"])
async def test_a_stop_that_an_outpaced_stream_hears_late_does_not_end_the_call_elsewhere(is_taken: bool) -> None:
    async with deployment() as here, AsyncExitStack() as stack:
        one, two = await here.worker("one"), await here.worker("two")
        gate = Gate(admission=Admission(), now=here.clock)
        signatures, metrics = SignatureCheck(SETTINGS), Metrics("test")
        desk = FrontDesk(
            settings=SETTINGS, store=one, signatures=signatures, metrics=metrics, now=here.clock, gate=gate
        )
        call = await streaming(one, await one.issue_token(await opened(one), here.clock()), here)
        talk = Conversation()
        async with one.attend(call, talk.snapshot, talk.lose):
            await one.copies.settle(SID)
            # It was stopped, and what Twilio said to its stream meanwhile is read only now.
            theirs = await found(two)
            assert theirs.way_back(1, here.clock()) is WayBack.AGAIN
            token = await two.issue_token(theirs, here.clock())
            if is_taken:
                again = await streaming(two, token, here)
                await stack.enter_async_context(two.attend(again, talk.snapshot, lambda: None))
                await two.copies.settle(SID)
            assert not await desk.end_call(SID, EndReason.CALLER_HUNG_UP, generation=1)
            assert (await found(two)).is_live
            assert (talk.is_lost, call.generation) == (True, 2)
            assert await desk.end_call(SID, EndReason.COMPLETED), "whoever tells of the call itself is believed"


async def test_that_nobody_remembers_what_was_said_is_known_to_the_worker_that_goes_on() -> None:
    async with deployment() as here:
        one, two = await here.worker("one", writes=False), await here.worker("two", writes=False)
        call = Call.forgotten(SID, 1, here.clock(), from_="+14155550134", to="+1", agent="reception")
        await one.open(call)
        assert call.way_back(1, here.clock()) is WayBack.AGAIN
        again = await two.claim(await one.issue_token(call, here.clock()), here.clock())
        assert again.is_forgotten


# A worker that gives no sign of life, and lives.


async def test_after_redis_was_away_for_long_the_calls_of_others_are_not_taken_for_abandoned() -> None:
    async with deployment() as here:
        one, two = await here.worker("one", writes=False), await here.worker("two", writes=False)
        writing = asyncio.create_task(one.copies.run())
        call = await streaming(one, await one.issue_token(await opened(one), here.clock()), here)
        talk = Conversation()
        async with one.attend(call, talk.snapshot, talk.lose):
            await one.copies.settle(SID)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            here.server.stop_signal()
            here.clock.at_s += 2 * ABANDONED_AFTER_S
            assert await two.sweep(here.clock()) == []
            here.server.cont()
            await until(lambda: two._link.is_open, is_true=False)
            here.clock.at_s += SWEEP_EVERY_S
            # Whoever is quicker: the one that streams the call has had no time to say that it does.
            assert await two.sweep(here.clock()) == []
            while not await here.server.ask("EXISTS", Keys("test").call(SID)):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
            assert (await found(two)).state is CallState.STREAMING
        here.clock.at_s += 2 * ABANDONED_AFTER_S
        assert [gone.call_sid for gone in await two.sweep(here.clock())] == [SID]


async def test_a_worker_whose_clock_is_ahead_ends_no_call_of_one_that_lives() -> None:
    async with deployment() as here:
        one, two = await here.worker("one"), await here.worker("two", writes=False)
        keys = Keys("test")
        call = await streaming(one, await one.issue_token(await opened(one), here.clock()), here)
        talk = Conversation()
        async with one.attend(call, talk.snapshot, talk.lose):
            await one.copies.settle(SID)
            await here.server.ask("SET", keys.worker("one"), "{}", "EX", 60)
            assert await two.sweep(here.clock() + 10 * ABANDONED_AFTER_S) == []
            assert (await found(two)).is_live
        # It has let go of the call and could not say so: then it is the one to notice.
        await here.server.ask("HSET", keys.call(SID), "state", "streaming")
        here.clock.at_s += 2 * ABANDONED_AFTER_S
        assert [gone.call_sid for gone in await one.sweep(here.clock())] == [SID]


# What is too much, or cannot be written.


async def test_a_call_whose_copy_cannot_be_made_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Snapshot | None:
        raise ValueError("a fault of ours")

    async with deployment() as here:
        one, two = await here.worker("one"), await here.worker("two")
        sids = [f"CA{number:032x}" for number in range(2)]
        first, second = [
            await streaming(one, await one.issue_token(await opened(one, sid), here.clock()), here) for sid in sids
        ]
        talk = Conversation()
        async with one.attend(first, broken, talk.lose), one.attend(second, talk.snapshot, talk.lose):
            for words in ("Hello?", "I am still here."):
                talk.say(words)
                assert await one.copies.settle(sids[1])
            assert told(await found(two, sids[1])) == ["Hello?", "I am still here."]
    assert [record.getMessage() for record in caplog.records].count(
        f"the spare copy of a call cannot be made: {sids[0]}"
    ) == 1


async def test_many_long_conversations_are_written_in_pieces_that_redis_takes_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with deployment() as here, AsyncExitStack() as stack:
        one = await here.worker("one", writes=False)
        sids = [f"CA{number:032x}" for number in range(8)]
        for sid in sids:
            call = await streaming(one, await one.issue_token(await opened(one, sid), here.clock()), here)
            talk = Conversation()
            talk.say("x" * MOST_BYTES_AT_ONCE)
            await stack.enter_async_context(one.attend(call, talk.snapshot, talk.lose))
        sizes: list[int] = []
        batch = one._link.batch

        async def weighed(calls: Sequence[Any], *, op: str = "batch") -> list[Any]:
            sizes.append(sum(len(word) for call in calls for word in call.args if isinstance(word, bytes)))
            return await batch(calls, op=op)

        monkeypatch.setattr(one._link, "batch", weighed)
        writing = asyncio.create_task(one.copies.run())
        for sid in sids:
            while not await here.server.ask("HEXISTS", Keys("test").call(sid), "talk"):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        assert max(sizes) < 2 * MOST_BYTES_AT_ONCE


async def test_who_lists_the_calls_does_not_fetch_their_conversations() -> None:
    async with deployment() as here, AsyncExitStack() as stack:
        one, two = await here.worker("one"), await here.worker("two")
        sids = [f"CA{number:032x}" for number in range(10)]
        for sid in sids:
            call = await streaming(one, await one.issue_token(await opened(one, sid), here.clock()), here)
            talk = Conversation()
            talk.say("x" * 100_000)
            await stack.enter_async_context(one.attend(call, talk.snapshot, talk.lose))
            await one.copies.settle(sid)
        before = await _sent_bytes(here)
        listed = await two.calls()
        assert [(call.call_sid, call.state, call.holder) for call in listed] == [
            (sid, CallState.STREAMING, "one") for sid in sids
        ]
        assert await _sent_bytes(here) - before < 100_000


async def _sent_bytes(here: Deployment) -> int:
    stats = await here.server.ask("INFO", "stats")
    assert isinstance(stats, dict)
    return int(stats["total_net_output_bytes"])


async def test_however_many_items_go_at_once_the_conversation_is_written() -> None:
    async with redis_server() as server:
        gone = [f"item:{number}" for number in range(9_000)]
        args: list[str | int] = [1, "one", 1, 1, "streaming", "{}", 60_000, 10, len(gone), *gone, 2, "talk", "{}"]
        assert await server.ask("EVAL", SAVE.text, 2, "call", "journal", *args) == b"kept"
        assert await server.ask("HGET", "call", "talk") == b"{}"


async def test_a_call_moves_with_its_history_while_redis_is_full() -> None:
    async with deployment() as here:
        one, two, three = [await here.worker(name) for name in ("one", "two", "three")]
        call = await streaming(one, await one.issue_token(await opened(one), here.clock()), here)
        talk = Conversation()
        talk.say("Where is my order?")
        async with one.attend(call, talk.snapshot, talk.lose):
            await one.copies.settle(SID)
            await here.server.ask("CONFIG", "SET", "maxmemory", "1")
            theirs = await found(two)
            assert theirs.way_back(1, here.clock()) is WayBack.AGAIN
            token = await two.issue_token(theirs, here.clock())
            again = await streaming(three, token, here)
            assert (again.generation, told(again), again.is_forgotten) == (2, ["Where is my order?"], False)
            assert await refusal(three, token) == "used"
            async with three.attend(again, talk.snapshot, lambda: None):
                await here.server.ask("CONFIG", "SET", "maxmemory", "0")
                await three.copies.settle(SID)
                known = await found(two)
                assert (known.holder, known.generation) == ("three", 2)


async def test_an_offer_that_could_not_be_written_is_good_once_redis_is_back() -> None:
    async with deployment() as here:
        one, two = await here.worker("one"), await here.worker("two", writes=False)
        call = await streaming(one, await one.issue_token(await opened(one), here.clock()), here)
        talk = Conversation()
        async with one.attend(call, talk.snapshot, talk.lose):
            await one.copies.settle(SID)
            theirs = await found(two)
            assert theirs.way_back(1, here.clock()) is WayBack.AGAIN
            here.server.stop_signal()
            token = await two.issue_token(theirs, here.clock())
            here.server.cont()
            # It may not even have been heard of: Redis is as it was before.
            await here.server.ask("HSET", Keys("test").call(SID), "generation", 1, "state", "streaming")
            await until(lambda: two._link.is_open, is_true=False)
            again = await streaming(two, token, here)
            assert (again.generation, again.from_) == (2, "+14155550134")
