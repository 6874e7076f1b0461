"""The model's leg of a session: one stream of words and tool requests per answer, whatever happens behind it.

Behind it stand a model and its spares. Who is slow to begin is raced by a second request, who fails is replaced by
the next, and who breaks off in mid-answer is continued by the next, told what was said already. It knows nothing of
voices, clauses or sessions.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from pipeline.costs import Used
from pipeline.events.items import FunctionCall, Item, Message
from pipeline.legs.continuation import continued, joined
from pipeline.legs.fault import fault_of, is_final, log_if_ours
from pipeline.legs.lineup import Lineup
from pipeline.legs.means import FAILED_LATELY, Means
from pipeline.legs.race import Alarm, Arrival, Came, Ended, Race, Rang
from pipeline.observations import Wasted
from pipeline.provider import (
    CutOff,
    LanguageModel,
    ModelOutput,
    Prompt,
    ProviderError,
    TextDelta,
    TokensUsed,
    ToolRequest,
)
from pipeline.stall import Stall
from pipeline.timing import Timing

MODEL_STALL_S: Final = 4.0
"""No word for this long, at the start or in the middle: the caller would think the line is dead."""

SPARED_MODEL_STALL_S: Final = 2.0
"""The same where another request can be made: first words take 0.3 to 1 s (published medians), and the next model
needs its own time within what a caller bears."""

SOONEST_HEDGE_S: Final = 0.6
LATEST_HEDGE_S: Final = 1.5
"""A second request is made after the 95th percentile of a provider's recent latency, but not sooner, since a fast
one's jitter is no harm, and not later, since it must come back before the stall."""

MOST_CONTINUATIONS: Final = 2
"""Of one answer: each seam may be heard, and what breaks three times is not chance."""

CHARS_PER_TOKEN: Final = 4
"""Of English, roughly; for estimates of what was wasted."""


@dataclass(eq=False, slots=True)
class _Attempt:
    """One request to one model."""

    place: int
    name: str
    prompt: Prompt
    timing: Timing
    limit_s: float
    stall: Stall = field(init=False)
    used: TokensUsed | None = None
    has_said: bool = False
    """It has added words to the answer."""
    chars: int = 0
    """Of all it has brought."""


_Arrival: TypeAlias = Arrival[_Attempt, ModelOutput]


class ModelLeg:
    """Of one session, over a model and its spares in order of preference."""

    def __init__(self, models: Sequence[LanguageModel], means: Means) -> None:
        self._models = tuple(models)
        self._means = means

    async def respond(self, prompt: Prompt) -> AsyncGenerator[ModelOutput, None]:
        """The answer, as `LanguageModel.respond` gives it.

        Where more than one request can be made, tool requests come at the end of the answer: those of a request
        that breaks off are not run. `TokensUsed` comes last and counts all requests that told theirs. Raises
        `ProviderError`, the last one's, when nobody is left to ask.
        """
        async with Race[_Attempt, ModelOutput]() as race:
            answer = _Answer(self._models, self._means, prompt, race)
            answer.begin()
            try:
                while not answer.is_over:
                    for output in answer.take(await race.next()):
                        yield output
                    answer.resume()
            finally:
                answer.settle()


class _Answer:
    """One answer in the making."""

    def __init__(
        self,
        models: Sequence[LanguageModel],
        means: Means,
        prompt: Prompt,
        race: Race[_Attempt, ModelOutput],
    ) -> None:
        self.is_over = False
        self._models = models
        self._means = means
        self._first_prompt = self._prompt = prompt
        self._race = race
        self._lineup = Lineup("llm", [model.name for model in models], means)
        self._may_restart = len(models) > 1 or means.hedges
        self._attempts: list[_Attempt] = []
        """Those that may still answer."""
        self._winner: _Attempt | None = None
        self._hedged: _Attempt | None = None
        """The second request, until it is known whether it was of use."""
        self._said = ""
        self._is_held = False
        """Something of the winner's has been taken, and is being dealt with."""
        self._breaks = 0
        self._held: list[ToolRequest | CutOff] = []
        self._used: list[TokensUsed] = []

    def begin(self) -> None:
        first = self._lineup.next()
        assert first is not None, "a leg has at least one model"
        if first:
            self._means.fell_back("llm", self._models[0].name, self._models[first].name, FAILED_LATELY)
        attempt = self._ask(first)
        if self._means.hedges:
            p95_s = self._means.pace.p95_s("llm", attempt.name)
            self._race.alarm(attempt, Alarm.SLOW).owes(min(max(p95_s, SOONEST_HEDGE_S), LATEST_HEDGE_S))

    def take(self, arrival: _Arrival) -> list[ModelOutput]:
        """What follows for the answer. Raises the last failure when nobody is left to ask."""
        match arrival:
            case Came(by=by, thing=output):
                return self._came(by, output)
            case Rang(by=by, alarm=Alarm.SLOW):
                self._hedge(by)
            case Rang(by=by):
                self._stalled(by)
            case Ended(by=by, error=Exception() as error):
                failure = fault_of(error, by.name)
                by.timing.failed(failure)
                self._failed(by, failure)
            case _:
                return self._ended(arrival.by)
        return []

    def resume(self) -> None:
        """What was taken has been dealt with: time runs again."""
        if self._winner is not None and self._is_held and not self.is_over:
            self._winner.stall.owes(self._winner.limit_s)
        self._is_held = False

    def settle(self) -> None:
        """It is over, or nobody wants the rest of it: tell what it has used."""
        for attempt in self._attempts:
            self._means.used(_used_by(attempt))

    def _ask(self, place: int) -> _Attempt:
        model, limit_s = self._models[place], self._limit_s()
        attempt = _Attempt(place, model.name, self._prompt, self._means.timing("llm", model.name), limit_s)
        self._attempts.append(attempt)
        self._race.start(attempt, model.respond(self._prompt))
        attempt.stall = self._race.alarm(attempt, Alarm.STALLED)
        attempt.stall.owes(limit_s)
        return attempt

    def _limit_s(self) -> float:
        return SPARED_MODEL_STALL_S if self._lineup.has_more else MODEL_STALL_S

    def _hedge(self, slow: _Attempt) -> None:
        if self._winner is None and self._lineup.hedge(slow.place):
            self._hedged = self._ask(slow.place)

    def _came(self, by: _Attempt, output: ModelOutput) -> list[ModelOutput]:
        if isinstance(output, TokensUsed):
            by.used = output
            self._used.append(output)
            return []
        if self._winner is None:
            self._win(by)
        by.stall.rests()  # whoever takes it may take his time
        self._is_held = True
        match output:
            case TextDelta(text=text):
                by.chars += len(text)
                if by.prompt is not self._first_prompt and not by.has_said:
                    text = joined(self._said, text)
                by.has_said = by.has_said or bool(text)
                self._said += text
                return [TextDelta(text)]
            case ToolRequest(name=name, arguments=arguments):
                by.chars += len(name) + len(arguments)
                if not self._may_restart:
                    return [output]
                self._held.append(output)
            case _:
                self._held.append(output)
        return []

    def _win(self, by: _Attempt) -> None:
        pace, now_s = self._means.pace, self._means.now()
        self._winner = by
        by.timing.came()
        pace.took("llm", by.name, by.timing.seconds)
        pace.worked("llm", by.name, now_s)
        saved_s = 0.0
        for loser in self._attempts:
            if loser is not by:
                self._race.stop(loser)
                pace.took("llm", loser.name, loser.timing.seconds)
                saved_s = max(saved_s, loser.limit_s - loser.timing.seconds)
                self._means.observe(_wasted(loser))
                self._means.used(_used_by(loser).wasted())
        self._attempts = [by]
        self._tell_hedge(by, saved_s)

    def _tell_hedge(self, winner: _Attempt | None, saved_s: float = 0.0) -> None:
        hedged, self._hedged = self._hedged, None
        if hedged is not None:
            has_won = winner is hedged
            self._means.hedged("llm", hedged.name, saved_s if has_won else None, won=has_won)

    def _stalled(self, by: _Attempt) -> None:
        if self._race.is_waited_for(by):
            by.stall.owes(by.limit_s)  # a word came at the very moment
            return
        if by.limit_s < MODEL_STALL_S and not self._lineup.has_more:
            # The other request was made meanwhile, so there is nothing to be gained by giving this one up.
            by.stall.owes(MODEL_STALL_S - by.limit_s)
            by.limit_s = MODEL_STALL_S
            return
        by.timing.stalled()
        stalled = ProviderError(by.name, f"no word for {by.limit_s:g} seconds", retryable=True)
        self._failed(by, stalled, has_stalled=True)

    def _ended(self, by: _Attempt) -> list[ModelOutput]:
        is_empty = self._winner is None and not self._said and (by.used is None or self._is_asked)
        if is_empty and (self._is_asked or len(self._attempts) > 1 or self._lineup.has_more):
            failure = ProviderError(by.name, "ended without an answer", retryable=True)
            by.timing.failed(failure)
            self._failed(by, failure)
            return []
        if self._winner is None:
            self._win(by)
        by.timing.done()
        self.is_over = True
        return [*self._held, *_sum_of(self._used)]

    @property
    def _is_asked(self) -> bool:
        """Somebody spoke last, and nobody has answered with words since; functions are none."""
        messages = (item for item in reversed(self._first_prompt.items) if isinstance(item, Message))
        last = next(messages, None)
        return last is not None and last.role == "user"

    def _failed(self, by: _Attempt, failure: Exception, *, has_stalled: bool = False) -> None:
        self._means.pace.failed("llm", by.name, self._means.now())
        if is_final(failure):
            self._lineup.refuse(by.place)
        self._race.stop(by)
        self._attempts.remove(by)
        # Who has stalled was told the prompt, and may be thinking; who refused at once is not paid for it.
        used = _used_by(by, is_paid=has_stalled or by.chars > 0)
        self._means.used(used if by is self._winner else used.wasted())
        if by is self._winner:
            self._winner = None
            self._held.clear()
            self._breaks += 1
            self._prompt = continued(self._first_prompt, self._said)
        following = self._lineup.next() if self._breaks <= MOST_CONTINUATIONS else None
        if following is not None:
            log_if_ours(failure, by.name)
            self._means.fell_back("llm", by.name, self._models[following].name, str(failure))
            self._ask(following)
        elif not self._attempts:
            self._tell_hedge(None)
            raise failure


def _sum_of(used: Sequence[TokensUsed]) -> list[TokensUsed]:
    """One for all; none for none."""
    if not used:
        return []
    return [
        TokensUsed(
            sum(each.input_tokens for each in used),
            sum(each.output_tokens for each in used),
            sum(each.cached_tokens for each in used),
        )
    ]


def _wasted(loser: _Attempt) -> Wasted:
    used = _used_by(loser)
    return Wasted(loser.name, used.input_tokens, used.output_tokens, is_estimated=used.is_estimated)


def _used_by(attempt: _Attempt, *, is_paid: bool = True) -> Used:
    """What the service has told; otherwise, if it is paid at all, what went there and came back."""
    told, first_s = attempt.used, attempt.timing.first_s
    is_estimated = told is None and is_paid
    if told is None:
        told = _estimated(attempt) if is_paid else TokensUsed(0, 0)
    return Used(
        provider=attempt.name,
        kind="llm",
        requests=1,
        answered=int(first_s is not None),
        first_s=first_s or 0.0,
        input_tokens=told.input_tokens,
        cached_tokens=told.cached_tokens,
        output_tokens=told.output_tokens,
        is_estimated=is_estimated,
    )


def _estimated(attempt: _Attempt) -> TokensUsed:
    chars = len(attempt.prompt.instructions) + sum(map(_chars_of, attempt.prompt.items))
    return TokensUsed(chars // CHARS_PER_TOKEN, attempt.chars // CHARS_PER_TOKEN)


def _chars_of(item: Item) -> int:
    match item:
        case Message():
            return len(item.text)
        case FunctionCall():
            return len(item.arguments)
        case _:
            return len(item.output)
