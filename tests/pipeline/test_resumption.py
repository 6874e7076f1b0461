"""How a conversation is gone on with: what the history keeps, and what comes first."""

from __future__ import annotations

import json

import msgspec
import pytest

from pipeline.events.items import (
    AnyItem,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    McpApprovalRequest,
    McpCall,
    McpError,
    McpListTools,
    Message,
)
from pipeline.opening import Act, Ending, Opening
from pipeline.prompts import prompt_of
from pipeline.resumption import BROKEN, LOST, UNKNOWN, resumption
from pipeline.snapshot import Snapshot, Spoken
from tests.pipeline.expected import result, said, spoken, typed
from tests.pipeline.feeding import CONFIG

replace = msgspec.structs.replace
ASKED = said("asked", "What is there?")
ANSWER = spoken("answer", "There is a table — at eight, or at nine.")
GOING = replace(ANSWER, status="in_progress")
CALL = FunctionCall(id="call", call_id="call_1", name="pay", arguments="{}")


def snapshot(*items: AnyItem, **fields: object) -> Snapshot:
    return replace(Snapshot(items=items, config=CONFIG), **fields)


def part(item_id: str, heard: str, *, is_whole: bool = True) -> Spoken:
    return Spoken(item_id=item_id, heard=heard, is_whole=is_whole)


def test_where_nothing_is_open_it_is_the_callers_turn() -> None:
    on = resumption(snapshot(ASKED, ANSWER))
    assert (on.history, on.opening) == ((ASKED, ANSWER), Opening(Act.WAIT))


def test_a_caller_who_was_speaking_is_listened_to_unless_something_is_to_be_said_first() -> None:
    on = resumption(snapshot(ASKED, ANSWER, is_speaking=True))
    assert (on.history, on.opening) == ((ASKED, ANSWER), Opening(Act.LISTEN, BROKEN))
    assert resumption(snapshot(ASKED, is_speaking=True, owes_answer=True)).opening.act is Act.ANSWER
    cut_in = snapshot(ASKED, ANSWER, is_speaking=True, spoken=(part("answer", ""),))
    assert resumption(cut_in).opening == Opening(Act.SAY, ANSWER.text)


def test_an_answer_that_broke_off_is_said_from_the_broken_word_on() -> None:
    on = resumption(snapshot(ASKED, ANSWER, spoken=(part("answer", "There is a table"),)))
    assert on.opening == Opening(Act.SAY, "at eight, or at nine.")
    assert on.history == (ASKED, spoken("answer", "There is a table —", "incomplete"))


def test_an_answer_of_which_nothing_was_heard_is_said_anew() -> None:
    on = resumption(snapshot(ASKED, ANSWER, spoken=(part("answer", ""),)))
    assert (on.history, on.opening) == ((ASKED,), Opening(Act.SAY, ANSWER.text))


def test_an_answer_whose_last_sound_alone_was_not_heard_is_whole() -> None:
    on = resumption(snapshot(ASKED, ANSWER, spoken=(part("answer", ANSWER.text),)))
    assert (on.history, on.opening) == ((ASKED, ANSWER), Opening(Act.WAIT))


def test_all_that_waits_to_be_heard_is_said_in_order() -> None:
    filler, last = spoken("filler", "One moment, please."), spoken("last", "Then nine.")
    parts = part("filler", "One moment"), part("answer", ""), part("last", "")
    on = resumption(snapshot(ASKED, filler, ANSWER, last, spoken=parts, promised="Or ten."))
    assert on.opening == Opening(Act.SAY, f"please. {ANSWER.text} Then nine. Or ten.")
    assert on.history == (ASKED, spoken("filler", "One moment,", "incomplete"))


def test_an_answer_still_being_thought_goes_on_where_it_was() -> None:
    on = resumption(
        snapshot(ASKED, GOING, spoken=(part("answer", "There is a table", is_whole=False),), owes_answer=True)
    )
    assert on.history == (ASKED, spoken("answer", "There is a table —", "incomplete"))
    assert on.opening.act is Act.ANSWER
    assert '"There is a table —"' in on.opening.words
    assert 'about to say: "at eight, or at nine."' in on.opening.words


def test_a_model_that_had_nothing_more_yet_is_told_the_place_alone() -> None:
    on = resumption(snapshot(ASKED, GOING, spoken=(part("answer", GOING.text, is_whole=False),)))
    assert on.history == (ASKED, spoken("answer", GOING.text, "incomplete"))
    assert on.opening.act is Act.ANSWER
    assert "about to say" not in on.opening.words


def test_of_a_long_answer_the_last_words_show_the_place() -> None:
    long = spoken("answer", " ".join(f"word{number}" for number in range(40)), "in_progress")
    on = resumption(snapshot(long, spoken=(part("answer", long.text, is_whole=False),)))
    assert "word39" in on.opening.words
    assert "word20" not in on.opening.words


def test_an_answer_of_which_nothing_was_heard_may_be_thought_anew() -> None:
    on = resumption(snapshot(ASKED, GOING, spoken=(part("answer", "", is_whole=False),), owes_answer=True))
    assert (on.history, on.opening) == ((ASKED,), Opening(Act.ANSWER))


def test_who_waits_is_answered_at_once() -> None:
    on = resumption(snapshot(ASKED, owes_answer=True))
    assert (on.history, on.opening) == ((ASKED,), Opening(Act.ANSWER))


def test_a_filler_is_said_to_its_end_and_the_answer_follows() -> None:
    filler = spoken("filler", "One moment, please.")
    parts = part("filler", "One moment"), part("answer", "", is_whole=False)
    on = resumption(snapshot(ASKED, filler, GOING, spoken=parts, owes_answer=True))
    assert on.opening == Opening(Act.SAY, "please.", answers_then=True)
    assert on.history == (ASKED, spoken("filler", "One moment,", "incomplete"))


def test_the_remark_of_an_answer_that_had_not_begun_is_made_again() -> None:
    on = resumption(snapshot(ASKED, owes_answer=True, remark="Nobody spoke for 5 seconds."))
    assert on.opening == Opening(Act.ANSWER, "Nobody spoke for 5 seconds.")
    begun = snapshot(
        ASKED, GOING, spoken=(part("answer", "There", is_whole=False),), owes_answer=True, remark="Nobody spoke."
    )
    assert "Nobody spoke." not in resumption(begun).opening.words


def test_words_with_a_remark_are_left_to_the_model() -> None:
    on = resumption(snapshot(ANSWER, spoken=(part("answer", ""),), owes_answer=True, remark="Be quick."))
    assert on.opening.act is Act.ANSWER
    assert f'about to say: "{ANSWER.text}"' in on.opening.words
    assert on.opening.words.endswith("\n\nBe quick.")


def test_a_function_that_ran_has_an_output_that_says_what_nobody_knows() -> None:
    on = resumption(snapshot(ASKED, CALL, unreturned=("call_1",), owes_answer=True))
    asked, call, output = on.history
    assert (asked, call) == (ASKED, CALL)
    assert isinstance(output, FunctionCallOutput)
    assert (output.call_id, json.loads(output.output)) == ("call_1", {"error": UNKNOWN})
    assert on.opening == Opening(Act.ANSWER)


def test_a_function_of_the_clients_still_awaits_its_output() -> None:
    assert resumption(snapshot(ASKED, CALL)).history == (ASKED, CALL)
    returned = result("output", "call_1", "{}")
    assert resumption(snapshot(ASKED, CALL, returned)).history == (ASKED, CALL, returned)


def test_calls_of_servers_have_failed_and_requests_are_withdrawn() -> None:
    running = McpCall(id="mcp", server_label="free", name="look", arguments="{}")
    request = McpApprovalRequest(id="mcpr", server_label="free", name="look", arguments="{}")
    done = replace(running, id="done", output="found")
    on = resumption(snapshot(McpListTools(id="mcpl", server_label="free"), running, done, request))
    error = McpError(type="tool_execution_error", message=UNKNOWN)
    assert on.history == (replace(running, error=error), done)


@pytest.mark.parametrize("owes", [True, False])
def test_what_the_caller_said_and_nobody_understood_is_asked_for_again(owes: bool) -> None:
    on = resumption(snapshot(ASKED, ANSWER, said("lost"), owes_answer=owes))
    assert on.history == (ASKED, ANSWER)
    assert on.opening == (Opening(Act.ANSWER, LOST) if owes else Opening(Act.WAIT))


def test_what_was_lost_before_the_last_answer_is_not_asked_for() -> None:
    on = resumption(snapshot(said("lost"), ANSWER, ASKED, owes_answer=True))
    assert (on.history, on.opening) == ((ANSWER, ASKED), Opening(Act.ANSWER))


def test_an_answer_that_nobody_heard_answers_nothing_that_was_lost() -> None:
    on = resumption(snapshot(said("lost"), GOING, spoken=(part("answer", "", is_whole=False),), owes_answer=True))
    assert (on.history, on.opening) == ((), Opening(Act.ANSWER, LOST))


def test_words_that_came_with_a_sound_stay() -> None:
    content = (InputText(text="Listen."), InputAudio(transcript=None))
    item = Message(id="both", role="user", content=content)
    assert resumption(snapshot(item)).history == (item,)


def test_noise_is_no_loss() -> None:
    noise = said("noise", "")
    assert resumption(snapshot(noise, owes_answer=True)).opening == Opening(Act.ANSWER)


def test_keys_that_were_pressed_are_an_entry() -> None:
    on = resumption(snapshot(ASKED, typed("item_keys_2", "x"), keys="12", owes_answer=True))
    assert on.history[-1] == typed("item_keys_3", "[keypad] 12")


@pytest.mark.parametrize("to", ["", "+4930123456"])
def test_a_farewell_is_said_to_its_end(to: str) -> None:
    on = resumption(snapshot(ANSWER, spoken=(part("answer", "There is a table at eight"),), ending=Ending(to)))
    assert on.opening == Opening(Act.SAY, "or at nine.", ending=Ending(to))


def test_a_farewell_that_was_heard_only_ends_the_call() -> None:
    assert resumption(snapshot(ANSWER, ending=Ending())).opening == Opening(Act.WAIT, ending=Ending())


def test_an_answer_under_way_behind_a_farewell_is_begun_at_once() -> None:
    """Because none is begun any more once something else was said."""
    on = resumption(snapshot(ANSWER, spoken=(part("answer", "There"),), owes_answer=True, ending=Ending()))
    assert (on.opening.act, on.opening.ending) == (Act.ANSWER, Ending())
    assert "is a table" in on.opening.words


def test_the_model_reads_one_turn_of_the_agents_in_two_parts() -> None:
    on = resumption(snapshot(ASKED, ANSWER, spoken=(part("answer", "There is a table"),)))
    rest = spoken("rest", on.opening.words)
    told = [item for item in prompt_of(CONFIG, (*on.history, rest)).items if isinstance(item, Message)]
    assert [item.role for item in told] == ["user", "assistant", "assistant"]
    assert " ".join(item.text for item in told[1:]) == ANSWER.text
