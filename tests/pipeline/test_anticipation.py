"""One anticipated answer on the clock that jumps: kept back, then told from its beginning, or thrown away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from pipeline.anticipation import MOST_KEPT_S, Anticipation, Stage, asks_the_same
from pipeline.audio.formats import PCM_24K, PCMU, AudioFormat
from pipeline.commands import Anticipate, Respond
from pipeline.costs import Used
from pipeline.events.items import FunctionCallOutput, InputAudio, InputText, Item, Message, OutputText
from pipeline.provider import FunctionTool, Prompt
from pipeline.reports import AudioMade, Failed, Finished, Report, TextMade, ToolRequested
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, settle

pytestmark = pytest.mark.anyio

SECOND = b"\x20" * PCMU.bytes_in(1_000)
GREETING = Message(id="item_0", role="assistant", content=(OutputText(text="Hello."),))


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


def said(words: str, item_id: str = "item_1") -> Message:
    return Message(id=item_id, role="user", content=(InputAudio(transcript=words),))


def prompt(*items: Item) -> Prompt:
    return Prompt(instructions="Be kind.", items=(GREETING, *items))


GUESSED = Respond("", prompt(said("are you open")))
ASKED = replace(GUESSED, response_id="resp_1", prompt=prompt(said("Are you open?")))

Script = Callable[[Stage], Awaitable[None]]


class Desk:
    """Where an answer that is wanted goes: what came and when, and the room there is."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.times: list[float] = []
        self.clauses = 0
        self.used: list[tuple[str, tuple[Used, ...]]] = []
        self.has_room = asyncio.Event()
        self.has_room.set()
        self.stage = Stage(
            self._report,
            self._room,
            self._first_clause,
            lambda response_id, used: self.used.append((response_id, used)),
        )

    def _report(self, report: Report) -> None:
        self.reports.append(report)
        self.times.append(now_s())

    async def _room(self) -> None:
        await self.has_room.wait()

    def _first_clause(self) -> None:
        self.clauses += 1


@asynccontextmanager
async def anticipated(script: Script, desk: Desk, command: Respond = GUESSED) -> AsyncGenerator[Anticipation, None]:
    """An answer that does as its script says. At the end nothing of it still runs."""
    running = 0

    async def answer(made: Respond, format: AudioFormat, stage: Stage) -> None:
        nonlocal running
        assert (made, format) == (command, PCMU)
        running += 1
        try:
            await script(stage)
        finally:
            running -= 1

    async with asyncio.TaskGroup() as tasks:
        yield Anticipation(Anticipate(command), PCMU, answer, desk.stage, now_s, tasks)
        await settle()
        assert running == 0


async def speak(stage: Stage) -> None:
    """Two words, half a second apart, with a second of sound."""
    await asyncio.sleep(0.3)
    stage.report(TextMade("", "Yes,"))
    stage.first_clause()
    stage.report(AudioMade("", SECOND, "Yes,"))
    await stage.room()
    await asyncio.sleep(0.5)
    stage.report(TextMade("", " until nine."))
    stage.report(Finished("", 20, 3))


MADE = [
    TextMade("resp_1", "Yes,"),
    AudioMade("resp_1", SECOND, "Yes,"),
    TextMade("resp_1", " until nine."),
    Finished("resp_1", 20, 3),
]


async def test_nothing_of_it_is_told_before_it_is_wanted_and_then_all_of_it_at_once() -> None:
    desk = Desk()
    async with anticipated(speak, desk) as one:
        await asyncio.sleep(1.0)
        assert (desk.reports, desk.clauses) == ([], 0)
        assert (one.words, one.head_start_s) == (3, 1.0)
        await one.become("resp_1")
    assert (desk.reports, desk.clauses) == (MADE, 1)
    assert set(desk.times) == {1.0}


async def test_what_is_still_being_made_follows_as_it_is_made() -> None:
    desk = Desk()
    async with anticipated(speak, desk) as one:
        await asyncio.sleep(0.4)
        await one.become("resp_1")
    assert (desk.reports, desk.clauses) == (MADE, 1)
    assert desk.times == pytest.approx([0.4, 0.4, 0.8, 0.8])


async def test_one_that_is_wanted_before_anything_was_made_is_an_answer_like_any_other() -> None:
    desk = Desk()
    async with anticipated(speak, desk) as one:
        await one.become("resp_1")
    assert (desk.reports, desk.clauses) == (MADE, 1)
    assert desk.times == pytest.approx([0.3, 0.3, 0.8, 0.8])


async def test_one_that_is_abandoned_tells_nothing_and_stops() -> None:
    desk = Desk()
    async with anticipated(speak, desk) as one:
        await asyncio.sleep(0.4)
        one.abandon()
    assert desk.reports == []
    assert now_s() == pytest.approx(0.4, abs=1e-3)


USED = Used(provider="fake", kind="llm", requests=1, input_tokens=20, output_tokens=3)


async def test_what_went_into_one_that_is_abandoned_after_its_end_is_told_as_wasted() -> None:
    desk = Desk()

    async def finish(stage: Stage) -> None:
        stage.report(TextMade("", "Yes."))
        stage.report(Finished("", 20, 3, used=(USED,)))

    async with anticipated(finish, desk) as one:
        await settle()
        one.abandon()
    assert (desk.reports, desk.used) == ([], [("", (USED.wasted(),))])


async def test_what_went_into_one_that_is_cut_off_is_told_where_it_belongs() -> None:
    async def cut(stage: Stage) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stage.used("", (USED,))

    desk = Desk()
    async with anticipated(cut, desk) as one:
        await settle()
        one.abandon()
    async with anticipated(cut, desk) as one:
        becoming = asyncio.create_task(one.become("resp_1"))
        await settle()
        becoming.cancel()
        await asyncio.wait([becoming])
    assert desk.used == [("", (USED.wasted(),)), ("resp_1", (USED,))]


async def babble(stage: Stage) -> None:
    """A second of sound after the other, for as long as there is room."""
    for number in range(6):
        stage.report(AudioMade("", SECOND, str(number)))
        await stage.room()
    stage.report(Finished("", 0, 0))


def sounds(desk: Desk) -> list[str]:
    return [made.text for made in desk.reports if isinstance(made, AudioMade)]


async def test_it_waits_once_it_has_made_a_few_seconds_of_sound() -> None:
    desk, pieces = Desk(), 0

    async def count(stage: Stage) -> None:
        nonlocal pieces
        while True:
            pieces += 1
            stage.report(AudioMade("", SECOND))
            await stage.room()

    async with anticipated(count, desk) as one:
        await asyncio.sleep(60.0)
        assert pieces == MOST_KEPT_S
        one.abandon()


async def test_what_is_made_while_there_is_no_room_keeps_its_place() -> None:
    desk = Desk()

    async def slowly(stage: Stage) -> None:
        stage.report(AudioMade("", SECOND, "0"))
        await asyncio.sleep(1.0)  # until after it is wanted, while what was kept finds no room
        stage.report(AudioMade("", SECOND, "1"))
        stage.report(TextMade("", "late"))

    async with anticipated(slowly, desk) as one:
        desk.has_room.clear()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(one.become("resp_1"))
            await asyncio.sleep(2.0)
            assert sounds(desk) == ["0"]
            desk.has_room.set()
    assert [type(made) for made in desk.reports] == [AudioMade, AudioMade, TextMade]
    assert sounds(desk) == ["0", "1"]


async def test_one_that_is_wanted_keeps_to_the_room_of_the_line() -> None:
    desk = Desk()
    async with anticipated(babble, desk) as one:
        await settle()
        async with asyncio.TaskGroup() as tasks:
            desk.has_room.clear()
            tasks.create_task(one.become("resp_1"))
            await asyncio.sleep(1.0)
            assert sounds(desk) == ["0"]
            desk.has_room.set()
            await asyncio.sleep(1.0)
    assert sounds(desk) == ["0", "1", "2", "3", "4", "5"]
    assert desk.reports[-1] == Finished("resp_1", 0, 0)


@pytest.mark.parametrize("has_room", [True, False], ids=["while it is made", "while it waits for room"])
async def test_whoever_is_cancelled_while_it_becomes_the_answer_takes_it_along(has_room: bool) -> None:
    desk = Desk()
    if not has_room:
        desk.has_room.clear()

    async def endless(stage: Stage) -> None:
        stage.report(AudioMade("", SECOND))
        await asyncio.Event().wait()

    async with anticipated(endless, desk) as one:
        await settle()
        becoming = asyncio.create_task(one.become("resp_1"))
        await asyncio.sleep(1.0)
        becoming.cancel()
        await asyncio.wait([becoming])
        assert becoming.cancelled()
    assert len(desk.reports) == 1


async def test_a_fault_of_ours_is_a_failure_like_a_providers(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()

    async def trip(stage: Stage) -> None:
        await asyncio.sleep(0.1)
        raise ZeroDivisionError

    async with anticipated(trip, desk) as one:
        assert one.suits(ASKED, PCMU)
        await one.become("resp_1")
        assert one.has_failed is False, "nothing of it is kept any more"
    assert desk.reports == [Failed("resp_1", "internal_error", "internal error")]
    assert "ZeroDivisionError" in caplog.text


async def test_one_that_has_failed_suits_nobody() -> None:
    desk = Desk()

    async def fail(stage: Stage) -> None:
        stage.report(Failed("", "model_failed", "is out of order"))

    async with anticipated(fail, desk) as one:
        await settle()
        assert one.has_failed
        assert not one.suits(ASKED, PCMU)


async def test_functions_it_asks_for_are_kept_back_with_all_the_rest() -> None:
    desk = Desk()

    async def ask(stage: Stage) -> None:
        stage.report(ToolRequested("", "call_1", "transfer", "{}"))
        stage.report(Finished("", 9, 9))

    async with anticipated(ask, desk) as one:
        await settle()
        assert (desk.reports, one.words) == ([], 0)
        await one.become("resp_1")
    assert desk.reports == [ToolRequested("resp_1", "call_1", "transfer", "{}"), Finished("resp_1", 9, 9)]


@pytest.mark.parametrize(
    ("asked", "usual", "suits"),
    [
        (ASKED, PCMU, True),
        (replace(ASKED, format=PCMU), PCM_24K, True),
        (ASKED, PCM_24K, False),
        (replace(ASKED, format=PCM_24K), PCMU, False),
        (replace(ASKED, script="Sorry."), PCMU, False),
        (replace(ASKED, speaks=False), PCMU, False),
        (replace(ASKED, voice="anna"), PCMU, False),
        (replace(ASKED, speed=1.2), PCMU, False),
        (replace(ASKED, prompt=prompt(said("are you open now"))), PCMU, False),
    ],
)
async def test_it_suits_who_asks_for_the_same(asked: Respond, usual: AudioFormat, suits: bool) -> None:
    async with anticipated(speak, Desk()) as one:
        assert one.suits(asked, usual) is suits
        one.abandon()


TYPED = Message(id="item_1", role="user", content=(InputText(text="Are you open?"),))


@pytest.mark.parametrize(
    ("guessed", "asked", "is_same"),
    [
        (prompt(), prompt(), True),
        (Prompt("", ()), Prompt("", ()), True),
        (prompt(said("are you open")), prompt(said("Are you OPEN?!")), True),
        (prompt(said("are you open")), prompt(said("are you opening")), False),
        (prompt(said("are you open")), prompt(said("are you open", "item_2")), False),
        (prompt(said("are you open")), prompt(said("hm"), said("are you open")), False),
        (prompt(said("a"), said("b", "item_2")), prompt(said("A"), said("b", "item_2")), False),
        (prompt(said("are you open")), prompt(TYPED), False),
        (prompt(TYPED), prompt(TYPED), True),
        (prompt(said("")), prompt(said("")), True),
        (prompt(GREETING), prompt(GREETING), True),
        (prompt(said("a")), replace(prompt(said("a")), instructions="Be brief."), False),
        (prompt(said("a")), replace(prompt(said("a")), tools=(FunctionTool("f"),)), False),
        (
            prompt(FunctionCallOutput(id="i", call_id="c", output="ok")),
            prompt(FunctionCallOutput(id="i", call_id="c", output="OK")),
            False,
        ),
    ],
)
def test_prompts_ask_the_same_if_only_the_spelling_of_the_last_words_differs(
    guessed: Prompt, asked: Prompt, is_same: bool
) -> None:
    assert asks_the_same(guessed, asked) is is_same
