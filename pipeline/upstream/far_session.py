"""The far session: one session with a remote Realtime service, from its first event to the loss of its connection.

It knows which of our requests each event answers: configuration, commits, responses. What the caller said goes to
`Hearing`, what the remote makes to the `Answer` that asked for it; errors that are mere races go nowhere.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final, assert_never

from pipeline.events.config import SessionConfig
from pipeline.events.conversation import ConversationItemDone, ConversationItemTruncated
from pipeline.events.event import ServerEvent
from pipeline.events.items import Item
from pipeline.provider import ProviderError
from pipeline.upstream import requests, wire
from pipeline.upstream.answer import Answer, AnswerState
from pipeline.upstream.configuration import Configuration
from pipeline.upstream.connection import Connection
from pipeline.upstream.hearer import Hearer
from pipeline.upstream.mirror import Mirror
from pipeline.upstream.requests import Request
from pipeline.upstream.shape import Upstream

log = logging.getLogger(__name__)

COMMIT_LIMIT_S: Final = 2.0
"""From a commit to its acknowledgement, which costs a service nothing: past it, it has stopped listening."""

BUSY: Final = "conversation_already_has_active_response"
HARMLESS: Final = frozenset({"response_cancel_not_active", "session_expired"})
"""A race with an answer's own end; and an announcement of the close that follows it."""

PLAUSIBLE_S: Final = range(30, 24 * 60 * 60)
"""A session's remaining life by the remote's clock; anything else tells of clocks that differ."""


class FarState(enum.Enum):
    OPENING = "opening"
    READY = "ready"
    """Configured: it may be used."""
    LOST = "lost"


LEGAL_STEPS: Final[dict[FarState, frozenset[FarState]]] = {
    FarState.OPENING: frozenset({FarState.READY, FarState.LOST}),
    FarState.READY: frozenset({FarState.LOST}),
    FarState.LOST: frozenset(),
}


class FarSession:
    """See the module's docstring. `run` lives as long as it does."""

    def __init__(self, upstream: Upstream, connection: Connection) -> None:
        self.upstream = upstream
        self.mirror = Mirror(beta=upstream.speaks_beta)
        self.state = FarState.OPENING
        self.failure: ProviderError | None = None
        """Why it was lost."""
        self.ends_at_s: float | None = None
        """By the event loop's clock; known once it is open."""
        self.lost = asyncio.Event()
        self._connection = connection
        self.give_up = connection.give_up
        """It is of no use any more, and why."""
        self._configuration = Configuration(upstream)
        self._is_configured = False
        self._news = asyncio.Event()
        self._is_open = self._has_sounded = False
        self._hearer: Hearer | None = None
        self._asked: deque[tuple[Answer, Request]] = deque()
        self._blocked: tuple[Answer, Request] | None = None
        """Refused because another is not quite over yet: asked again when it is."""
        self._running: dict[str, Answer] = {}
        """By the remote's id."""
        self._commits: deque[asyncio.TimerHandle] = deque()

    # Its life

    async def run(self) -> None:
        """Until it is lost or cancelled; `failure` then says why."""
        try:
            await self._connection.run(self._take)
        except ProviderError as error:
            self.failure = self.failure or error
        except Exception:
            log.exception("%s: an event could not be taken by a fault of ours", self.upstream.label)
            self.failure = ProviderError(self.upstream.label, "internal error", retryable=True)
        finally:
            self._lose()

    async def open(self, config: SessionConfig) -> None:
        """Wait until it is there, and configured. Raises the `ProviderError` it failed with."""
        while not self._is_open:
            await self._wait()
        self.configure(config)
        while self.state is FarState.OPENING:
            await self._wait()
        self._raise_if_lost()

    def configure(self, config: SessionConfig) -> None:
        """The session's configuration, from now on."""
        self._is_configured = True
        self.send(self._configuration.tell(config, with_voice=not self._has_sounded))

    @property
    def config(self) -> SessionConfig:
        """The configuration it was told last."""
        return self._configuration.session

    @property
    def is_idle(self) -> bool:
        """No answer is being made, and no sound waits for its acknowledgement."""
        return not (self._asked or self._blocked or self._running or self._commits)

    def _lose(self) -> None:
        if self.state is not FarState.LOST:
            self._step(FarState.LOST)
        self.failure = self.failure or ProviderError(self.upstream.label, "was closed", retryable=True)
        asked = [answer for answer, _ in self._asked] + ([self._blocked[0]] if self._blocked else [])
        for answer in [*asked, *self._running.values()]:
            answer.fail(self.failure)
        self._asked.clear()
        self._running.clear()
        self._blocked = None
        for timer in self._commits:
            timer.cancel()
        self._commits.clear()
        self.lost.set()
        self._news.set()

    def _step(self, state: FarState) -> None:
        if state not in LEGAL_STEPS[self.state]:
            raise AssertionError(f"a far session that is {self.state.value} cannot become {state.value}")
        self.state = state

    async def _wait(self) -> None:
        self._raise_if_lost()
        self._news.clear()
        await self._news.wait()
        self._raise_if_lost()

    def _raise_if_lost(self) -> None:
        if self.state is FarState.LOST and self.failure is not None:
            raise self.failure

    # What it is told

    def send(self, request: Request | bytes) -> None:
        if self.state is not FarState.LOST:
            self._connection.send(request)

    def listen(self, hearer: Hearer) -> None:
        """Who is told what it understands, from now on."""
        self._hearer = hearer

    def commit(self) -> None:
        """The sound sent since the last is what the caller has said."""
        self.send(requests.commit())
        timer = asyncio.get_running_loop().call_later(
            COMMIT_LIMIT_S, self.give_up, f"has not taken what was said within {COMMIT_LIMIT_S:g} seconds"
        )
        self._commits.append(timer)

    def see(self, event: ServerEvent, items: Callable[[], tuple[Item, ...]]) -> None:
        """An event of our session, whose conversation is `items` by now; the remote's should be the same."""
        told = self.mirror.see(event)
        if isinstance(event, ConversationItemTruncated) and told:
            self._stop(self.mirror.response_of(event.item_id))
        for request in told:
            self.send(request)
        if isinstance(event, ConversationItemDone):
            self.sync(items())

    def sync(self, items: tuple[Item, ...]) -> None:
        """The remote's conversation is to be this one."""
        for request in self.mirror.sync(items):
            self.send(request)

    def ask(self, answer: Answer, request: Request) -> None:
        """Ask for an answer."""
        self._asked.append((answer, request))
        self.send(request)

    def cancel(self, answer: Answer) -> None:
        """Nobody wants it any more."""
        if answer.state in (AnswerState.CANCELLED, AnswerState.OVER):
            return
        answer.step(AnswerState.CANCELLED)
        if self._blocked is not None and self._blocked[0] is answer:
            self._blocked = None
        elif answer.theirs is not None:
            self.send(requests.cancel(answer.theirs))

    def _stop(self, response_id: str | None) -> None:
        """What is cut must not go on being made."""
        for answer in list(self._running.values()):
            if answer.id == response_id:
                self.cancel(answer)

    # What it tells

    def _take(self, event: wire.RemoteEvent) -> None:
        match event:
            case wire.Opened(expires_at_s=expires_at_s):
                self._open(expires_at_s)
            case wire.Updated():
                if self.state is FarState.OPENING and self._is_configured:
                    self._step(FarState.READY)
                    self._news.set()
            case wire.Committed(item_id=item_id):
                if self._commits:
                    self._commits.popleft().cancel()
                    self._tell(lambda hearer: hearer.committed(item_id))
            case wire.Words():
                self._tell(lambda hearer: hearer.words(event))
            case wire.NoWords():
                self._tell(lambda hearer: hearer.no_words(event))
            case wire.Began(response_id=response_id, asked=asked):
                self._begin(response_id, asked)
            case wire.Ended():
                self._end(event)
            case wire.Refused():
                self._refuse(event)
            case wire.ItemBegan() | wire.Text() | wire.Sound() | wire.SoundDone() | wire.Called():
                self._pass_on(event)
            case _:
                assert_never(event)

    def _tell(self, tell: Callable[[Hearer], None]) -> None:
        if self._hearer is not None:
            tell(self._hearer)

    def _open(self, expires_at_s: float | None) -> None:
        left_s = self.upstream.session_s
        if expires_at_s is not None and int(told_s := expires_at_s - time.time()) in PLAUSIBLE_S:
            left_s = min(left_s, told_s)
        self.ends_at_s = asyncio.get_running_loop().time() + left_s
        self._is_open = True
        self._news.set()

    def _begin(self, theirs: str, asked: str | None) -> None:
        found = next((one for one in self._asked if one[0].id == asked), None)
        if found is None and asked is None and self._asked:
            found = self._asked[0]
        if found is None:  # nobody asked for it
            self.send(requests.cancel(theirs))
            return
        self._asked.remove(found)
        answer = found[0]
        self._running[theirs] = answer
        answer.begin(theirs)
        if answer.state is not AnswerState.RUNNING:
            self.send(requests.cancel(theirs))

    def _pass_on(self, event: wire.OfResponse) -> None:
        answer = self._running.get(event.response_id)
        if answer is None or answer.state is not AnswerState.RUNNING:
            return
        if not answer.is_aside:
            match event:
                case wire.Sound(item_id=item_id, content_index=index, audio=audio):
                    self._has_sounded = True
                    self.mirror.write(answer.id, item_id, index, answer.format.seconds_of(audio) * 1000)
                case wire.Text(item_id=item_id):
                    self.mirror.write(answer.id, item_id)
                case wire.Called(call_id=call_id, item_id=item_id):
                    self.mirror.call(call_id, item_id)
                case _:
                    pass
        answer.take(event)

    def _end(self, ended: wire.Ended) -> None:
        answer = self._running.pop(ended.response_id, None)
        if answer is not None:
            answer.settled(ended.usage)
            is_wanted = answer.state is AnswerState.RUNNING
            if is_wanted and not answer.is_aside:
                for call in ended.calls:
                    self.mirror.call(call.call_id, call.item_id)
            answer.take(ended)
            if answer.state is not AnswerState.OVER:
                answer.step(AnswerState.OVER)
            if not is_wanted and not answer.is_aside:
                self._forget(answer, ended)
        if self._blocked is not None:
            blocked, self._blocked = self._blocked, None
            self.ask(*blocked)

    def _forget(self, answer: Answer, ended: wire.Ended) -> None:
        """It was cancelled: what of it nobody heard is taken out of the remote's conversation."""
        if not answer.is_told:
            for request in self.mirror.forget(answer.id):
                self.send(request)
        for item_id in ended.item_ids:
            if not self.mirror.knows(item_id):
                self.send(requests.delete(item_id))

    def _refuse(self, refused: wire.Refused) -> None:
        event_id = refused.event_id or ""
        if refused.code in HARMLESS or event_id == requests.CANCEL_ID:
            log.debug("%s: %s", self.upstream.label, refused.message)
        elif not self._is_open:
            self._refuse_all(f"refused the session: {refused.code}: {refused.message}")
        elif event_id == requests.UPDATE_ID or (self.state is FarState.OPENING and not event_id):
            self._refuse_update(refused)
        elif event_id == requests.COMMIT_ID or refused.code == "input_audio_buffer_commit_empty":
            if self._commits:
                self._commits.popleft().cancel()
                self._tell(lambda hearer: hearer.refused(refused.message))
        elif event_id.startswith(requests.ASK_ID) or refused.code == BUSY:
            self._refuse_answer(refused, event_id.removeprefix(requests.ASK_ID))
        else:
            log.warning("%s: %s: %s", self.upstream.label, refused.code, refused.message)

    def _refuse_all(self, reason: str) -> None:
        """There is no use in asking once more."""
        self.failure = ProviderError(self.upstream.label, reason, retryable=False)
        self._connection.give_up(reason)

    def _refuse_update(self, refused: wire.Refused) -> None:
        """A service may know less than we: it is asked again without what it does not know."""
        if (update := self._configuration.without(refused.param)) is not None:
            log.info("%s takes no %s: %s", self.upstream.label, refused.param, refused.message)
            self.send(update)
        elif self.state is FarState.OPENING:
            self._refuse_all(f"refused the configuration: {refused.code}: {refused.message}")
        else:
            log.warning("%s keeps its configuration: %s", self.upstream.label, refused.message)

    def _refuse_answer(self, refused: wire.Refused, response_id: str) -> None:
        found = next((one for one in self._asked if one[0].id == response_id), None)
        if found is None and not response_id and self._asked:
            found = self._asked[0]
        if found is None:
            return
        self._asked.remove(found)
        if refused.code == BUSY and found[0].state is AnswerState.ASKED and self._blocked is None:
            self._blocked = found
            return
        message = f"refused to answer: {refused.code}: {refused.message}"
        found[0].fail(ProviderError(self.upstream.label, message, retryable=False))
