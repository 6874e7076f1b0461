"""One response: the order of its events, whatever it is made of and however it ends."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pipeline.conversation import Conversation
from pipeline.events import conversation as conv
from pipeline.events import response as resp
from pipeline.events.items import FunctionCall, Message, OutputText
from pipeline.response import LEGAL_STEPS, IllegalStep, Response, ResponseState
from tests.fakes import Ids
from tests.pipeline.expected import EVENT, called, closed, created, ended, opened, sound, spoken, typed, words
from tests.pipeline.feeding import CONFIG

OVER = [state for state in ResponseState if state is not ResponseState.IN_PROGRESS]


def response(*, speaks: bool = True, conversation: Conversation | None = None) -> Response:
    return Response(
        Conversation("conv_1") if conversation is None else conversation,
        Ids(),
        replace(CONFIG, output_modality="audio" if speaks else "text"),
    )


def test_words_and_sound_share_one_message() -> None:
    answer = response(conversation=Conversation("conv_1", (typed("mine", "Hi."),)))
    assert answer.created() == created("resp_1")
    nobody = answer.spoken_item_id
    assert nobody is None
    assert [*answer.say("Hel"), *answer.sound(b"hel"), *answer.say("lo."), *answer.sound(b"lo")] == [
        *opened("resp_1", "item_1", "mine"),
        words("resp_1", "item_1", "Hel"),
        sound("resp_1", "item_1", b"hel"),
        words("resp_1", "item_1", "lo."),
        sound("resp_1", "item_1", b"lo"),
    ]
    assert answer.spoken_item_id == "item_1"
    usage = resp.Usage(input_tokens=3, output_tokens=2)
    assert answer.end(ResponseState.COMPLETED, usage=usage) == [
        *closed("resp_1", "item_1", "Hello.", "mine"),
        ended("resp_1", spoken("item_1", "Hello."), tokens=(3, 2)),
    ]
    assert answer.spoken_item_id is None


def test_sound_may_come_before_any_word() -> None:
    assert response().sound(b"hm") == [*opened("resp_1", "item_1", None), sound("resp_1", "item_1", b"hm")]


def test_a_response_in_writing_has_text_where_a_spoken_one_has_sound() -> None:
    answer = response(speaks=False)
    item = Message(id="item_1", role="assistant", content=(OutputText(text="Hello."),))
    empty = Message(id="item_1", role="assistant", content=(), status="in_progress")
    assert [*answer.say("Hello."), *answer.end(ResponseState.COMPLETED)] == [
        resp.OutputItemAdded(event_id=EVENT, response_id="resp_1", output_index=0, item=empty),
        conv.ConversationItemAdded(event_id=EVENT, previous_item_id=None, item=empty),
        resp.ContentPartAdded(
            event_id=EVENT,
            response_id="resp_1",
            item_id="item_1",
            output_index=0,
            part=resp.TextPart(text=""),
        ),
        resp.OutputTextDelta(
            event_id=EVENT, response_id="resp_1", item_id="item_1", output_index=0, delta="Hello."
        ),
        resp.OutputTextDone(event_id=EVENT, response_id="resp_1", item_id="item_1", output_index=0, text="Hello."),
        resp.ContentPartDone(
            event_id=EVENT,
            response_id="resp_1",
            item_id="item_1",
            output_index=0,
            part=resp.TextPart(text="Hello."),
        ),
        conv.ConversationItemDone(event_id=EVENT, previous_item_id=None, item=item),
        resp.OutputItemDone(event_id=EVENT, response_id="resp_1", output_index=0, item=item),
        ended("resp_1", item, modality="text"),
    ]


def test_functions_stand_beside_the_message_in_the_order_they_were_begun() -> None:
    conversation = Conversation("conv_1")
    answer = response(conversation=conversation)
    assert answer.call("call_1", "look", "{}") == called("resp_1", "item_1", "call_1", "look", "{}", None)
    answer.say("Wait.")
    assert answer.call("call_2", "ask", "{}")[0].output_index == 2  # type: ignore[union-attr]  # OutputItemAdded
    look, ask = (
        FunctionCall(id=f"item_{at}", call_id=f"call_{n}", name=name, arguments="{}")
        for at, n, name in ((1, 1, "look"), (3, 2, "ask"))
    )
    assert answer.end(ResponseState.COMPLETED)[-1] == ended("resp_1", look, spoken("item_2", "Wait."), ask)
    assert answer.calls == [look, ask]
    assert conversation.items == (look, spoken("item_2", "Wait."), ask)


@pytest.mark.parametrize("state", [s for s in OVER if s is not ResponseState.COMPLETED])
def test_whatever_breaks_it_off_its_message_is_closed_as_incomplete(state: ResponseState) -> None:
    answer = response()
    answer.say("Hel")
    *closers, done = answer.end(state)
    assert closers == closed("resp_1", "item_1", "Hel", None, "incomplete")
    assert isinstance(done, resp.ResponseDone)
    assert done.response.status == state.value
    assert done.response.usage == resp.Usage(), "numbers, never null, in a response that is done"


@pytest.mark.parametrize("then", list(ResponseState))
@pytest.mark.parametrize("first", OVER)
def test_a_response_ends_once(first: ResponseState, then: ResponseState) -> None:
    answer = response()
    answer.end(first)
    with pytest.raises(IllegalStep, match=f"^response resp_1: {first.value} cannot become {then.value}$"):
        answer.end(then)


def test_every_state_has_its_legal_steps() -> None:
    assert set(LEGAL_STEPS) == set(ResponseState)
    assert LEGAL_STEPS[ResponseState.IN_PROGRESS] == frozenset(OVER)


def test_a_message_deleted_by_the_peer_is_closed_outside_the_conversation() -> None:
    conversation = Conversation("conv_1")
    answer = response(conversation=conversation)
    answer.say("Hello.")
    conversation.delete("item_1")
    expected = closed("resp_1", "item_1", "Hello.", None)
    del expected[-2]  # conversation.item.done
    assert answer.end(ResponseState.COMPLETED)[:-1] == expected
    assert conversation.items == ()


def test_a_response_out_of_band_is_told_by_its_own_events_alone() -> None:
    answer = Response(None, Ids(), CONFIG, {"topic": "x"})
    outputs = [answer.created(), *answer.say("Hi."), *answer.call("call_1", "look", "{}")]
    outputs += answer.end(ResponseState.COMPLETED)
    call = FunctionCall(id="item_2", call_id="call_1", name="look", arguments="{}")
    about_items = {conv.ConversationItemAdded, conv.ConversationItemDone}
    in_it = [
        created("resp_1", {"topic": "x"}, conversation_id=None),
        *opened("resp_1", "item_1", None),
        words("resp_1", "item_1", "Hi."),
        *called("resp_1", "item_2", "call_1", "look", "{}", None, 1),
        *closed("resp_1", "item_1", "Hi.", None),
        ended("resp_1", spoken("item_1", "Hi."), call, metadata={"topic": "x"}, conversation_id=None),
    ]
    assert outputs == [event for event in in_it if type(event) not in about_items]


def test_the_first_response_of_an_empty_conversation_names_it() -> None:
    answer = response(conversation=Conversation("conv_1"))
    assert answer.created() == created("resp_1")


def test_a_response_shows_how_it_was_to_be_made() -> None:
    config = replace(CONFIG, voice="eve", max_output_tokens=70, temperature=0.5)
    event = Response(Conversation("conv_1"), Ids(), config).created()
    assert isinstance(event, resp.ResponseCreated)
    shown = event.response
    assert (shown.voice, shown.max_output_tokens, shown.temperature, shown.output_format) == (
        "eve",
        70,
        0.5,
        CONFIG.output_format,
    )
