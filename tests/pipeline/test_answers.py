"""Our own side: one response at a time, and how far the whole conversation has come."""

from __future__ import annotations

import msgspec
import pytest

from pipeline import commands, reports
from pipeline.answers import MOST_FAILURES, Answers
from pipeline.audio.formats import PCMU
from pipeline.conversation import Conversation
from pipeline.events.config import SessionConfig
from pipeline.events.response import ResponseCreate
from pipeline.item_requests import ItemRequests
from pipeline.kept_audio import KeptAudio
from pipeline.limits import USUAL
from pipeline.mcp_calls import McpCalls
from pipeline.mcp_listings import McpListings
from pipeline.output_line import OutputLine
from pipeline.phase import LEGAL_STEPS, Phase
from pipeline.provider import FunctionTool, Prompt
from pipeline.response import ResponseState
from tests.fakes import Ids
from tests.pipeline.expected import (
    busy,
    called,
    cancelled,
    closed,
    created,
    cut_off,
    ended,
    failed,
    has_played,
    joined,
    opened,
    result,
    spoken,
    truncated,
    typed,
    words,
)

CONFIG = SessionConfig(instructions="Be kind.", input_format=PCMU, output_format=PCMU)
RATE_HZ = CONFIG.output_format.rate_hz
PROMPT = Prompt(instructions="Be kind.", items=())


class Stage:
    """Answers, and what they hang on."""

    def __init__(
        self, *, plays: bool = True, own_tools: tuple[str, ...] = ("look",), apology: str = "Sorry."
    ) -> None:
        ids = Ids()
        self.conversation = Conversation("conv_1")
        line = self.line = OutputLine(CONFIG.output_format, KeptAudio(0), ids, plays=plays)
        self.ledger = line.ledger
        items = ItemRequests(self.conversation, line, ids, USUAL, takes_images=False)
        self.answers = Answers(
            self.conversation,
            line,
            items,
            ids,
            own_tools=frozenset(own_tools),
            apology=apology,
            listings=McpListings(self.conversation, items, ids, USUAL),
            mcp_calls=McpCalls(self.conversation, items, ids, USUAL),
        )

    def speak(self, response_id: str, words: str, ms: int) -> None:
        """The answer under way has these words, and sound of this length."""
        self.answers.think(reports.TextMade(response_id, words))
        if ms:
            sound = bytes(CONFIG.output_format.bytes_in(ms))
            self.answers.speak(reports.AudioMade(response_id, sound, words))


def test_an_answer_from_beginning_to_end() -> None:
    stage = Stage()
    answers = stage.answers
    was_free = answers.is_free
    assert answers.respond(CONFIG) == [created("resp_1"), commands.Respond("resp_1", PROMPT)]
    assert (was_free, answers.is_free) == (True, False)
    assert answers.think(reports.TextMade("resp_1", "Hi.")) == [
        *opened("resp_1", "item_1", None),
        words("resp_1", "item_1", "Hi."),
    ]
    assert answers.finish(reports.Finished("resp_1", 5, 1)) == [
        *closed("resp_1", "item_1", "Hi.", None),
        ended("resp_1", spoken("item_1", "Hi."), tokens=(5, 1)),
    ]
    assert answers.is_free and answers.active is None


def test_only_what_was_spoken_to_its_end_is_finished_in_the_ledger() -> None:
    done, broken_off = Stage(plays=False), Stage(plays=False)
    for stage in (done, broken_off):
        stage.answers.respond(CONFIG)
        stage.speak("resp_1", "Good morning to you.", 1_000)
        stage.ledger.play(RATE_HZ)
    done.answers.finish(reports.Finished("resp_1"))
    broken_off.answers.cancel("client_cancelled")
    assert done.ledger.heard("item_1").text == "Good morning to you."
    assert broken_off.ledger.heard("item_1").text == "Good morning to"


def test_reports_of_another_response_are_passed_over() -> None:
    stage = Stage()
    answers = stage.answers
    answers.respond(CONFIG)
    other = "resp_7"
    assert answers.think(reports.TextMade(other, "x")) == []
    assert answers.speak(reports.AudioMade(other, b"xx")) == []
    assert answers.request(reports.ToolRequested(other, "call_1", "look", "{}")) == []
    assert answers.finish(reports.Finished(other)) == []
    assert answers.fail(reports.Failed(other, "x", "x"), CONFIG) == []
    assert stage.ledger.end == 0


def test_cancelling_nothing_does_nothing() -> None:
    assert Stage().answers.cancel("client_cancelled") == ([], [])
    assert Stage().answers.interrupt() == ([], [])


@pytest.mark.parametrize(
    ("ms", "played_ms", "cut_follows", "cut"),
    [
        (0, 0, False, [truncated("item_1", 0)]),
        (0, 0, True, [truncated("item_1", 0)]),
        (800, 800, False, [truncated("item_1", 800)]),
        (800, 300, False, [truncated("item_1", 800)]),
        (800, 300, True, []),
    ],
)
def test_words_that_got_no_sound_are_taken_back_unless_a_cut_follows(
    ms: int, played_ms: int, cut_follows: bool, cut: list[object]
) -> None:
    stage = Stage()
    stage.answers.respond(CONFIG)
    stage.speak("resp_1", "Hello.", ms)
    stage.line.play(played_ms * RATE_HZ // 1000)
    stops, events = stage.answers.cancel("turn_detected", cut_follows=cut_follows)
    assert stops == [commands.Cancel("resp_1")]
    assert events == [
        *closed("resp_1", "item_1", "Hello.", None, "incomplete"),
        cancelled("resp_1", spoken("item_1", "Hello.", "incomplete")),
        *([has_played("resp_1")] if 0 < ms == played_ms else []),
        *cut,
    ]


def test_what_a_later_flush_cannot_cut_is_cut_at_once() -> None:
    """An earlier answer still plays while the next one has words and no sound."""
    stage = Stage()
    answers = stage.answers
    answers.respond(CONFIG)
    stage.speak("resp_1", "Hello.", 800)
    answers.finish(reports.Finished("resp_1"))
    answers.respond(CONFIG)
    stage.speak("resp_2", "Well.", 0)
    stops, events = answers.interrupt()
    assert stops == [commands.Cancel("resp_2"), commands.Flush()]
    assert events[-1] == truncated("item_2", 0)
    assert [cut.item_id for cut in stage.ledger.flush(0)] == ["item_1"]


def test_functions_of_ours_run_when_the_answer_is_over() -> None:
    stage = Stage()
    answers = stage.answers
    tools = (FunctionTool("look"), FunctionTool("theirs"))
    answers.respond(msgspec.structs.replace(CONFIG, tools=tools))
    own = answers.request(reports.ToolRequested("resp_1", "call_1", "look", "{}"))
    answers.request(reports.ToolRequested("resp_1", "call_2", "theirs", "{}"))
    assert own == called("resp_1", "item_1", "call_1", "look", "{}", None)
    assert answers.finish(reports.Finished("resp_1"))[1:] == [commands.CallTool("call_1", "look", "{}")]
    assert not answers.is_free
    returned = reports.ToolReturned("call_1", "{}")
    assert answers.keep_result(returned, ends_call=False) == joined(result("item_3", "call_1", "{}"), "item_2")
    assert answers.keep_result(returned, ends_call=False) == []
    assert answers.is_free


def test_a_conversation_that_is_ending_hangs_up_when_all_is_heard() -> None:
    stage = Stage()
    answers = stage.answers
    answers.respond(CONFIG)
    stage.speak("resp_1", "Goodbye.", 500)
    answers.request(reports.ToolRequested("resp_1", "call_1", "look", "{}"))
    answers.finish(reports.Finished("resp_1"))
    answers.keep_result(reports.ToolReturned("call_1", "{}", ends_call=True), ends_call=True)
    assert (answers.phase.name, answers.is_free) == ("ENDING", False)
    assert answers.hang_up_if_due() == []
    stage.ledger.play(stage.ledger.end)
    assert answers.hang_up_if_due() == [commands.HangUp("agent_hung_up")]
    assert (answers.phase.name, answers.hang_up_if_due()) == ("ENDED", [])


def test_an_answer_that_was_asked_for_holds_the_hanging_up() -> None:
    stage = Stage(plays=False)
    answers = stage.answers
    answers.respond(CONFIG)
    answers.request(reports.ToolRequested("resp_1", "call_1", "look", "{}"))
    answers.finish(reports.Finished("resp_1"))
    answers.keep_result(reports.ToolReturned("call_1", "{}", ends_call=True), ends_call=True)
    answers.respond(CONFIG)
    assert answers.hang_up_if_due() == []
    answers.finish(reports.Finished("resp_2"))
    assert answers.hang_up_if_due() == [commands.HangUp("agent_hung_up")]


def test_apologies_follow_failures_until_there_were_too_many() -> None:
    answers = Stage().answers
    answers.respond(CONFIG)
    for number in range(1, MOST_FAILURES + 1):
        is_voiceless = number == 2
        assert answers.fail(reports.Failed(f"resp_{number}", "x", "gone", is_voiceless), CONFIG) == [
            failed(f"resp_{number}", code="x", message="gone"),
            created(f"resp_{number + 1}"),
            commands.Respond(f"resp_{number + 1}", PROMPT, script="Sorry.", is_recorded=is_voiceless),
        ]
    last = answers.fail(reports.Failed(f"resp_{MOST_FAILURES + 1}", "x", "gone"), CONFIG)
    assert last[1:] == [commands.HangUp("provider_failed", farewell="Sorry.")]
    assert answers.apologise(CONFIG, is_voiceless=False) == [], "nothing begins after the end"


def test_after_closing_nothing_is_under_way_and_nothing_begins() -> None:
    stage = Stage()
    answers = stage.answers
    answers.respond(CONFIG)
    stage.speak("resp_1", "Hello.", 500)
    assert answers.close() == [
        commands.Cancel("resp_1"),
        commands.Flush(),
        *closed("resp_1", "item_1", "Hello.", None, "incomplete"),
        cancelled("resp_1", spoken("item_1", "Hello.", "incomplete"), reason="client_cancelled"),
    ]
    stage.ledger.flush(0)
    assert answers.close() == []
    assert not answers.is_free
    assert answers.apologise(CONFIG, is_voiceless=False) == []


def test_every_phase_has_its_legal_steps_and_the_end_is_the_end() -> None:
    assert set(LEGAL_STEPS) == set(Phase)
    assert LEGAL_STEPS[Phase.ENDED] == frozenset()
    answers = Stage().answers
    answers.close()
    with pytest.raises(AssertionError, match="^a conversation that is ended cannot become talking$"):
        answers._step(Phase.TALKING)  # no way in from outside leads here: the table is the last guard


def test_states_of_a_response_are_told_in_the_protocols_words() -> None:
    assert [state.value for state in ResponseState] == [
        "in_progress",
        "completed",
        "cancelled",
        "failed",
        "incomplete",
    ]


def test_a_model_that_is_cut_off_leaves_an_answer_incomplete_whose_every_word_was_said() -> None:
    """Realtime reference, section D.11."""
    stage = Stage(plays=False)
    stage.answers.respond(CONFIG)
    stage.speak("resp_1", "Good morning to you.", 1_000)
    stage.ledger.play(RATE_HZ)
    item = spoken("item_1", "Good morning to you.", "incomplete")
    assert stage.answers.finish(reports.Finished("resp_1", cut_off="content_filter")) == [
        *closed("resp_1", "item_1", "Good morning to you.", None, "incomplete"),
        cut_off("resp_1", item, reason="content_filter"),
    ]
    assert stage.ledger.heard("item_1").text == "Good morning to you."


def test_an_answer_that_is_held_begins_once_and_is_told_what_was_said_meanwhile() -> None:
    stage = Stage()
    answers = stage.answers
    assert answers.release() == []
    assert answers.respond(CONFIG, remark="Now.", is_held=True) == [created("resp_1")]
    assert not answers.is_free
    stage.conversation.add(typed("mine", "Hello."))
    told = Prompt(instructions="Be kind.\n\nNow.", items=(typed("mine", "Hello."),))
    assert answers.release() == [commands.Respond("resp_1", told)]
    assert answers.release() == []


def test_an_answer_that_was_held_and_is_over_is_not_begun_in_place_of_the_next() -> None:
    answers = Stage().answers
    answers.respond(CONFIG, is_held=True)
    answers.cancel("client_cancelled")
    answers.respond(CONFIG)
    assert answers.release() == []


def test_what_waits_for_the_end_of_an_answer_is_refused_when_it_is_broken_off() -> None:
    for breaks_off in (lambda a: a.cancel("turn_detected")[1], lambda a: a.interrupt()[1], Answers.close):
        answers = Stage().answers
        answers.respond(CONFIG)
        answers.queued = ResponseCreate(event_id="next")
        assert breaks_off(answers)[-1] == busy("resp_1", "next")
        assert answers.queued is None


def test_what_waits_is_refused_when_too_many_failures_end_the_call() -> None:
    answers = Stage().answers
    answers.respond(CONFIG)
    for number in range(1, MOST_FAILURES + 1):
        answers.fail(reports.Failed(f"resp_{number}", "x", "gone"), CONFIG)
    answers.queued = ResponseCreate(event_id="next")
    last = f"resp_{MOST_FAILURES + 1}"
    assert answers.fail(reports.Failed(last, "x", "gone"), CONFIG) == [
        failed(last, code="x", message="gone"),
        busy(last, "next"),
        commands.HangUp("provider_failed", farewell="Sorry."),
    ]


def test_any_number_of_answers_run_out_of_band() -> None:
    stage = Stage(plays=False)
    answers = stage.answers
    answers.respond(CONFIG)
    items = (typed("", "And?"),)
    told = Prompt(instructions="Be kind.", items=items)
    for number in (2, 3):
        assert answers.respond_aside(CONFIG, input=items, metadata={"n": "x"}) == [
            created(f"resp_{number}", {"n": "x"}, conversation_id=None),
            commands.Respond(f"resp_{number}", told, input=items, is_out_of_band=True),
        ]
    stage.speak("resp_2", "Aside.", 100)
    assert stage.ledger.end == 0
    assert list(answers.asides) == ["resp_2", "resp_3"]
    assert answers.interrupt()[0] == [commands.Cancel("resp_1")]
    answers.finish(reports.Finished("resp_2"))
    answers.fail(reports.Failed("resp_3", "x", "gone"), CONFIG)
    assert (answers.asides, answers.active) == ({}, None)
    with pytest.raises(KeyError):
        answers.cancel_aside("resp_2")
