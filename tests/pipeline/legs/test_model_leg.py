"""The model's leg under the faults of a model and its spares: the words once, the tools once, nothing left open."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.costs import Used
from pipeline.events.items import FunctionCall, FunctionCallOutput, InputText, Message, OutputText
from pipeline.legs.model_leg import (
    MODEL_STALL_S,
    MOST_CONTINUATIONS,
    SPARED_MODEL_STALL_S,
    ModelLeg,
)
from pipeline.legs.pace import UNKNOWN_P95_S
from pipeline.legs.race import CLOSE_S
from pipeline.observations import Hedged, Wasted
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
from tests.fakes import STALL, FakeModel, Step, Wait
from tests.pipeline.legs.observed import Observed
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, settle, virtual_loop

pytestmark = pytest.mark.anyio

PROMPT = Prompt(instructions="Be kind.", items=())
ASKED = ToolRequest("call_1", "look_up", "{}")
USED = TokensUsed(20, 4)
STORY = [f"word{number}" for number in range(6)]
P95_S = UNKNOWN_P95_S["llm"]


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


def named(name: str, *script: Sequence[Step] | str) -> FakeModel:
    model = FakeModel(*script)
    model.name = name
    return model


def broken(*, retryable: bool = True) -> ProviderError:
    return ProviderError("llm", "is out of order", retryable=retryable)


@dataclass
class Thinking:
    """One answer of a leg: what it said by when, and how it ended."""

    models: Sequence[LanguageModel]
    observed: Observed = field(default_factory=Observed)
    prompt: Prompt = PROMPT
    outputs: list[ModelOutput] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    failure: ProviderError | None = None

    async def run(self) -> Thinking:
        began_s = now_s()
        try:
            async with (
                asyncio.timeout(120),
                aclosing(ModelLeg(self.models, self.observed.means).respond(self.prompt)) as outputs,
            ):
                async for output in outputs:
                    self.outputs.append(output)
                    self.times.append(now_s() - began_s)
        except ProviderError as error:
            self.failure = error
        self.took_s = now_s() - began_s
        return self

    @property
    def text(self) -> str:
        return "".join(output.text for output in self.outputs if isinstance(output, TextDelta))


async def test_an_answer_passes_untouched_and_is_timed() -> None:
    at = await Thinking([named("a", [Wait(0.3), "Hello", " you.", ASKED, USED])]).run()
    assert at.outputs == [TextDelta("Hello"), TextDelta(" you."), ASKED, USED]
    assert at.observed.timed == [("a", None)]
    assert at.observed.pace.knows("llm", "a") is False


async def test_alone_a_model_has_its_tool_requests_passed_at_once() -> None:
    at = await Thinking([named("a", [ASKED, Wait(1.0), "Hm."])]).run()
    assert at.times == [0.0, pytest.approx(1.0)]


async def test_with_a_spare_tool_requests_wait_for_the_end() -> None:
    at = await Thinking([named("a", [ASKED, Wait(1.0), "Hm.", CutOff("content_filter"), USED]), named("b")]).run()
    assert at.outputs == [TextDelta("Hm."), ASKED, CutOff("content_filter"), USED]


@pytest.mark.parametrize("retryable", [True, False])
async def test_a_failure_is_followed_by_the_spare_at_once(retryable: bool) -> None:
    at = await Thinking([named("a", [broken(retryable=retryable)]), named("b", "Hello.")]).run()
    assert (at.text, at.took_s) == ("Hello.", 0.0)
    assert at.observed.fallbacks == [("a", "b", "llm: is out of order")]
    assert at.observed.timed == [("a", "retryable" if retryable else "final"), ("b", None)]


async def test_a_model_without_a_word_makes_room_for_the_spare_after_two_seconds() -> None:
    at = await Thinking([named("a", [STALL]), named("b", "Hello.")]).run()
    assert at.times == [pytest.approx(SPARED_MODEL_STALL_S)]
    assert at.observed.timed == [("a", "stalled"), ("b", None)]


async def test_the_last_one_is_given_the_whole_time() -> None:
    at = await Thinking([named("a", [STALL]), named("b", [STALL])]).run()
    assert at.took_s == pytest.approx(SPARED_MODEL_STALL_S + MODEL_STALL_S)
    assert str(at.failure) == f"b: no word for {MODEL_STALL_S:g} seconds"


async def test_what_breaks_off_is_continued_after_its_last_word_and_its_tools_are_not_run() -> None:
    first, second = named("a", ["Good morning,", " my", ASKED, broken()]), named("b", ["name is", " Eve.", USED])
    at = await Thinking([first, second]).run()
    assert at.text == "Good morning, my name is Eve."
    assert at.outputs[-1] == USED and ASKED not in at.outputs
    _, unfinished, _ = (None, *second.prompts[0].items)
    assert isinstance(unfinished, Message) and unfinished.text == "Good morning, my"


async def test_a_continuation_that_says_nothing_says_that_it_was_complete() -> None:
    at = await Thinking([named("a", ["Good morning.", STALL]), named("b", [Wait(0.2)])]).run()
    assert (at.text, at.failure) == ("Good morning.", None)
    assert at.took_s == pytest.approx(SPARED_MODEL_STALL_S + 0.2)


async def test_an_answer_is_continued_only_so_often() -> None:
    models = [named(name, [f"{name} ", broken()]) for name in "abcdef"]
    at = await Thinking(models).run()
    assert at.text == "a b c "
    assert at.failure is not None and len(at.observed.fallbacks) == MOST_CONTINUATIONS


async def test_an_empty_answer_is_no_answer_where_somebody_else_can_be_asked() -> None:
    at = await Thinking([named("a", []), named("b", "Hello.")]).run()
    assert (at.text, at.observed.fallbacks) == ("Hello.", [("a", "b", "a: ended without an answer")])


async def test_an_empty_answer_with_its_tokens_is_one() -> None:
    at = await Thinking([named("a", [USED]), named("b", "Hello.")]).run()
    assert at.outputs == [USED]


CALLER_ASKS = Prompt("", (Message(id="item_1", role="user", content=(InputText(text="Well?"),)),))
SAID = Message(id="item_2", role="assistant", content=(OutputText(text="I'll do that."),))
RETURNED = FunctionCallOutput(id="item_3", call_id="call_1", output="{}")


async def test_a_caller_who_asks_is_owed_words_whatever_they_cost() -> None:
    at = await Thinking([named("a", [USED]), named("b", "Hello.")], prompt=CALLER_ASKS).run()
    assert at.text == "Hello."
    at = await Thinking([named("a", [USED])], prompt=CALLER_ASKS).run()
    assert "ended without an answer" in str(at.failure)


async def test_to_the_result_of_a_function_there_may_be_nothing_more_to_say() -> None:
    prompt = Prompt("", (*CALLER_ASKS.items, SAID, RETURNED))
    at = await Thinking([named("a", [USED]), named("b", "Hello.")], prompt=prompt).run()
    assert (at.outputs, at.failure) == ([USED], None)
    prompt = Prompt("", (*CALLER_ASKS.items, RETURNED))
    at = await Thinking([named("a", [USED]), named("b", "Hello.")], prompt=prompt).run()
    assert at.text == "Hello."


async def test_a_slow_model_is_raced_and_the_loser_is_stopped() -> None:
    model = named("a", [Wait(1.5), "Slow."], [Wait(0.2), "Fast."])
    at = await Thinking([model], Observed(hedges=True)).run()
    assert at.text == "Fast." and at.times == [pytest.approx(P95_S + 0.2)]
    assert model.running == 0
    (hedged,) = at.observed.hedged
    assert (hedged.kind, hedged.provider, hedged.won) == ("llm", "a", True)
    assert hedged.saved_s == pytest.approx(SPARED_MODEL_STALL_S - P95_S - 0.2)
    assert at.observed.wasted == [Wasted("a", len(PROMPT.instructions) // 4, 0, is_estimated=True)]


async def test_a_second_request_may_be_in_vain() -> None:
    at = await Thinking([named("a", [Wait(P95_S + 0.1), "First."], [Wait(0.2), "Second."])], Observed(True)).run()
    assert (at.text, at.observed.hedged) == ("First.", [Hedged("llm", "a", False)])


async def test_tokens_of_all_who_told_theirs_are_counted_and_the_losers_are_wasted() -> None:
    first = named("a", [USED, STALL], ["Hello.", TokensUsed(20, 5, 3)])
    at = await Thinking([first], Observed(True)).run()
    assert at.outputs == [TextDelta("Hello."), TokensUsed(40, 9, 3)]
    assert at.observed.wasted == [Wasted("a", 20, 4, is_estimated=False)]


async def test_hedges_end_with_the_sessions_budget() -> None:
    observed = Observed(hedges=True)
    for _ in range(2):
        assert (await Thinking([named("a", [STALL], "Hello.")], observed).run()).text == "Hello."
    at = await Thinking([named("a", [STALL], "Hello.")], observed).run()
    assert str(at.failure) == "a: no word for 4 seconds" and at.took_s == pytest.approx(MODEL_STALL_S)


async def test_one_that_was_raced_is_given_up_only_if_that_helps() -> None:
    """The second request was the last there could be: the first may still win."""
    at = await Thinking([named("a", [Wait(3.0), "Late."], [STALL])], Observed(True)).run()
    assert (at.text, at.observed.hedged) == ("Late.", [Hedged("llm", "a", False)])


async def test_one_that_refused_is_not_asked_again_but_others_are() -> None:
    refusing, failing = named("a", [broken(retryable=False)], "No."), named("b", [broken()], "Hello.")
    at = await Thinking([refusing, failing], Observed(True)).run()
    assert (at.text, len(refusing.prompts), len(failing.prompts)) == ("Hello.", 1, 2)


async def test_both_of_two_that_race_may_fail() -> None:
    at = await Thinking([named("a", [STALL], [Wait(0.1), broken()])], Observed(True)).run()
    assert str(at.failure) == f"a: no word for {MODEL_STALL_S:g} seconds"
    assert at.observed.hedged == [Hedged("llm", "a", False)]


async def test_who_failed_for_others_is_passed_over() -> None:
    observed = Observed()
    for _ in range(3):
        await Thinking([named("a", [STALL]), named("b", "Hello.")], observed).run()
    first = named("a", [STALL])
    at = await Thinking([first, named("b", "Hello.")], observed).run()
    assert (at.took_s, first.prompts) == (0.0, [])
    assert observed.fallbacks[-1] == ("a", "b", "it failed lately")


async def test_a_fault_of_ours_is_made_up_for_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    at = await Thinking([named("a", [ZeroDivisionError("a bug")]), named("b", "Hello.")]).run()
    assert (at.text, at.observed.timed[0]) == ("Hello.", ("a", "internal"))
    assert "failed by a fault of ours" in caplog.text


async def test_a_time_out_that_nobody_named_is_its_models() -> None:
    at = await Thinking([named("a", [TimeoutError()])]).run()
    assert str(at.failure) == "a: its own time was up"


async def test_what_a_long_conversation_wastes_is_estimated_from_all_of_it() -> None:
    items = (
        Message(id="1", role="user", content=(InputText(text="x" * 40),)),
        FunctionCall(id="2", call_id="c", name="f", arguments="y" * 40),
        FunctionCallOutput(id="3", call_id="c", output="z" * 40),
    )
    observed = Observed(hedges=True)
    async with aclosing(
        ModelLeg([named("a", [STALL], "Hello.")], observed.means).respond(Prompt("", items))
    ) as outputs:
        assert [output async for output in outputs] == [TextDelta("Hello.")]
    assert observed.wasted == [Wasted("a", 30, 0, is_estimated=True)]


async def test_a_word_at_the_very_moment_is_in_time() -> None:
    came = asyncio.Event()
    asyncio.get_running_loop().call_at(now_s() + SPARED_MODEL_STALL_S, came.set)

    class Punctual:
        name = "punctual"
        takes_images = False

        async def respond(self, prompt: Prompt) -> AsyncGenerator[ModelOutput, None]:
            await came.wait()
            yield TextDelta("Hello.")

    at = await Thinking([Punctual(), named("b")]).run()
    assert (at.text, at.took_s, at.observed.fallbacks) == ("Hello.", SPARED_MODEL_STALL_S, [])


class Stubborn:
    """A model that hangs in its clean-up."""

    name = "stubborn"
    takes_images = False
    running = 0

    async def respond(self, prompt: Prompt) -> AsyncGenerator[ModelOutput, None]:
        self.running += 1
        try:
            await asyncio.sleep(1_000)
            yield TextDelta("")
        finally:
            try:
                await asyncio.sleep(1_000)
            finally:
                self.running -= 1


async def test_a_loser_that_hangs_in_its_clean_up_holds_up_nobody() -> None:
    stubborn = Stubborn()
    at = await Thinking([stubborn, named("b", "Hello.")]).run()
    assert at.times == [pytest.approx(SPARED_MODEL_STALL_S)]
    assert at.took_s == pytest.approx(SPARED_MODEL_STALL_S + CLOSE_S)
    assert stubborn.running == 0


@pytest.mark.parametrize("after_s", [0.5, P95_S + 0.5, 2.5])
async def test_cancelling_closes_all_who_race(after_s: float) -> None:
    models = [named("a", [STALL], [STALL]), named("b", ["Hello", STALL])]
    task = asyncio.create_task(Thinking(models, Observed(True)).run())
    await asyncio.sleep(after_s)
    assert sum(model.running for model in models) > 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [model.running for model in models] == [0, 0]


async def test_whoever_takes_his_time_is_not_held_against_the_model() -> None:
    async with aclosing(ModelLeg([named("a", ["One", " two"]), named("b")], Observed().means).respond(PROMPT)) as o:
        words: list[ModelOutput] = []
        async for output in o:
            words.append(output)
            await asyncio.sleep(10 * MODEL_STALL_S)
    assert words == [TextDelta("One"), TextDelta(" two")]


async def test_closing_the_leg_in_mid_answer_closes_the_model() -> None:
    model = named("a", ["One", STALL])
    async with aclosing(ModelLeg([model], Observed().means).respond(PROMPT)) as outputs:
        await anext(outputs)
    await settle()
    assert model.running == 0


FAULTS = ("fail", "refuse", "stall", "slow")


class Narrator:
    """Tells `STORY` from where the prompt leaves off; each request with a fault of its own after some words."""

    takes_images = False

    def __init__(self, name: str, faults: list[tuple[int, str]]) -> None:
        self.name = name
        self.running = 0
        self._faults = deque(faults)

    async def respond(self, prompt: Prompt) -> AsyncGenerator[ModelOutput, None]:
        said = prompt.items[0].text.split() if prompt.items and isinstance(prompt.items[0], Message) else []
        words, fault = self._faults.popleft() if self._faults else (99, "none")
        self.running += 1
        try:
            is_spaced = False
            for number, word in enumerate(STORY[len(said) :]):
                if number == words:
                    match fault:
                        case "fail":
                            yield ASKED
                            raise broken()
                        case "refuse":
                            raise broken(retryable=False)
                        case "stall":
                            await asyncio.sleep(1e9)
                        case "slow":
                            await asyncio.sleep(1.1)
                yield TextDelta(f" {word}" if is_spaced else word)
                is_spaced = True
            yield ASKED
        finally:
            self.running -= 1


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 6), st.sampled_from(FAULTS)), max_size=3), min_size=1, max_size=3),
    st.booleans(),
)
def test_whatever_fails_the_words_come_once_and_in_order(
    scripts: list[list[tuple[int, str]]], hedges: bool
) -> None:
    narrators = [Narrator(f"model {number}", faults) for number, faults in enumerate(scripts)]
    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        at = runner.run(Thinking(narrators, Observed(hedges)).run())
    assert [narrator.running for narrator in narrators] == [0] * len(narrators)
    tools = [output for output in at.outputs if isinstance(output, ToolRequest)]
    if at.failure is None:
        assert (at.text.split(), tools) == (STORY, [ASKED])
    else:
        assert at.text.split() == STORY[: len(at.text.split())]
        assert tools == [] or len(narrators) == 1
    times = [0.0, *at.times, at.took_s]
    longest_s = max(after - before for before, after in zip(times, times[1:], strict=False))
    assert longest_s <= (2 * len(narrators) - 1) * SPARED_MODEL_STALL_S + MODEL_STALL_S + 1e-6


def use(name: str, **numbers: object) -> Used:
    return Used(provider=name, kind="llm", requests=1, **numbers)  # type: ignore[arg-type]  # fields of it


async def test_what_the_model_tells_of_its_tokens_is_what_was_used() -> None:
    at = await Thinking([named("a", [Wait(0.5), "Hello.", TokensUsed(20, 4, 3)])]).run()
    assert at.observed.used == [
        use("a", answered=1, first_s=0.5, input_tokens=20, cached_tokens=3, output_tokens=4)
    ]


async def test_a_model_that_does_not_count_is_counted_by_its_letters() -> None:
    at = await Thinking([named("a", ["Hello.", ASKED])]).run()
    letters = len("Hello.") + len(ASKED.name) + len(ASKED.arguments)
    (used,) = at.observed.used
    assert (used.input_tokens, used.output_tokens) == (len(PROMPT.instructions) // 4, letters // 4)
    assert used.is_estimated and used.answered == 1


async def test_both_of_two_that_race_are_paid_and_one_is_wasted() -> None:
    at = await Thinking([named("a", [USED, STALL], ["Hello.", TokensUsed(20, 5, 3)])], Observed(True)).run()
    lost, won = at.observed.used
    assert (lost.tokens, lost.wasted_tokens, lost.answered) == (24, 24, 0)
    assert (won.tokens, won.wasted_tokens, won.answered) == (25, 0, 1)
    (told,) = [output for output in at.outputs if isinstance(output, TokensUsed)]
    assert told.input_tokens + told.output_tokens == lost.tokens + won.tokens


async def test_who_refuses_at_once_is_not_paid_and_who_stalls_may_be() -> None:
    at = await Thinking([named("a", [broken()]), named("b", [STALL]), named("c", ["Hello.", USED])]).run()
    refused, stalled, answered = at.observed.used
    assert refused == use("a")
    assert (stalled.provider, stalled.wasted_tokens, stalled.is_estimated) == ("b", 2, True)
    assert (answered.provider, answered.tokens, answered.wasted_tokens) == ("c", 24, 0)


async def test_an_answer_that_breaks_off_is_paid_for_what_was_said() -> None:
    at = await Thinking([named("a", ["Hello there.", broken()]), named("b", [" How are you?", USED])]).run()
    broke, went_on = at.observed.used
    assert (broke.output_tokens, broke.is_estimated, broke.wasted_tokens) == (3, True, 0)
    assert went_on.tokens == 24


async def test_an_answer_nobody_wants_any_more_is_paid_for_what_was_said() -> None:
    observed = Observed()
    leg = ModelLeg([named("a", ["Hello there.", STALL])], observed.means)
    async with asyncio.timeout(120), aclosing(leg.respond(PROMPT)) as outputs:
        assert await anext(outputs) == TextDelta("Hello there.")
    assert [(each.output_tokens, each.is_estimated) for each in observed.used] == [(3, True)]
