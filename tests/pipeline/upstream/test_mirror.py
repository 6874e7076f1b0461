from __future__ import annotations

from typing import Any

from pipeline.events import conversation as conv
from pipeline.events.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Item,
    McpCall,
    Message,
    OutputAudio,
)
from pipeline.events.response import OutputItemAdded
from pipeline.upstream.mirror import Mirror


def typed(item_id: str, text: str) -> Message:
    return Message(id=item_id, role="user", content=(InputText(text=text),))


def spoken(item_id: str, text: str) -> Message:
    return Message(id=item_id, role="assistant", content=(OutputAudio(transcript=text),))


def said(item_id: str, text: str | None) -> Message:
    return Message(id=item_id, role="user", content=(InputAudio(transcript=text),))


def made(mirror: Mirror, item: Any, response_id: str = "resp") -> None:
    mirror.see(OutputItemAdded(event_id="e", response_id=response_id, output_index=0, item=item))


def cut(item_id: str, ms: int) -> conv.ConversationItemTruncated:
    return conv.ConversationItemTruncated(event_id="e", item_id=item_id, content_index=0, audio_end_ms=ms)


def brief(requests: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """What each request does, to which item, and where."""
    told = []
    for request in requests:
        item_id = request.get("item_id") or request["item"]["id"]
        extra = [str(request[key]) for key in ("audio_end_ms", "previous_item_id") if key in request]
        told.append((request["type"].rpartition(".")[2], item_id, *extra))
    return told


def test_a_conversation_that_began_elsewhere_is_told_whole_and_once() -> None:
    mirror = Mirror()
    items: tuple[Item, ...] = (
        typed("a", "Hi."),
        spoken("b", "Hello."),
        FunctionCall(id="c", call_id="call", name="f", arguments="{}"),
        FunctionCallOutput(id="d", call_id="call", output="1"),
    )
    told = mirror.sync(items)
    assert brief(told) == [("create", "a"), ("create", "b"), ("create", "c"), ("create", "d")]
    assert told[1]["item"]["content"] == [{"type": "output_text", "text": "Hello."}]
    assert mirror.sync(items) == []


def test_what_is_put_between_goes_after_what_stands_before_it() -> None:
    mirror = Mirror()
    mirror.sync((typed("a", "1"), typed("c", "3")))
    assert brief(mirror.sync((typed("a", "1"), typed("b", "2"), typed("c", "3")))) == [("create", "b", "a")]
    first = (typed("z", "0"), typed("a", "1"), typed("b", "2"), typed("c", "3"))
    assert brief(mirror.sync(first)) == [("create", "z", "root")]


def test_what_the_remote_made_itself_it_is_not_told() -> None:
    mirror = Mirror()
    mirror.utter("u")
    assert mirror.sync((said("u", "Hi."),)) == []
    mirror.commit("u", "theirs_u")
    made(mirror, spoken("a", ""))
    mirror.write("resp", "theirs_a", ms=400)
    mirror.call("call", "theirs_c")
    mirror.asking("call")
    call = FunctionCall(id="c", call_id="call", name="f", arguments="{}")
    made(mirror, call)
    assert mirror.sync((said("u", "Hi."), spoken("a", "Hello."), call)) == []
    assert [mirror.knows(f"theirs_{one}") for one in "uacx"] == [True, True, True, False]
    assert mirror.response_of("a") == "resp"


def test_an_answer_is_cut_where_it_was_heard_and_never_past_its_end() -> None:
    mirror = Mirror()
    made(mirror, spoken("a", ""))
    mirror.write("resp", "one", 0, 400)
    mirror.write("resp", "one", 0, 100)
    assert brief(mirror.see(cut("a", 320))) == [("truncate", "one", "320")]
    assert brief(mirror.see(cut("a", 9_000))) == [("truncate", "one", "500")]
    assert brief(mirror.see(cut("a", 0))) == [("truncate", "one", "0")]
    assert mirror.see(cut("stranger", 10)) == []


def test_an_answer_in_several_items_is_cut_in_the_one_that_was_being_heard() -> None:
    mirror = Mirror()
    made(mirror, spoken("a", ""))
    for theirs in ("one", "two", "three"):
        mirror.write("resp", theirs, 0, 400)
    assert brief(mirror.see(cut("a", 500))) == [("truncate", "two", "100"), ("delete", "three")]


def test_what_was_told_as_text_and_is_cut_is_told_anew_under_another_id() -> None:
    mirror = Mirror()
    mirror.sync((spoken("a", "one two three"), typed("b", "Hm?")))
    assert brief(mirror.see(cut("a", 300))) == [("delete", "a")]
    (again,) = mirror.sync((spoken("a", "one"), typed("b", "Hm?")))
    assert again["item"]["content"][0]["text"] == "one"
    assert again["item"]["id"] != "a" and len(again["item"]["id"]) <= 32
    assert again["previous_item_id"] == "root"


def test_what_is_deleted_or_no_more_told_is_taken_from_the_remote() -> None:
    mirror = Mirror()
    mirror.sync((typed("a", "Hi."), typed("b", "Ho.")))
    made(mirror, spoken("c", ""))
    mirror.write("resp", "theirs_c")
    gone = [conv.ConversationItemDeleted(event_id="e", item_id=one) for one in ("a", "c")]
    assert [brief(mirror.see(event)) for event in gone] == [[("delete", "a")], [("delete", "theirs_c")]]
    assert brief(mirror.sync(())) == [("delete", "b")]


def test_of_an_answer_nobody_heard_nothing_is_kept() -> None:
    mirror = Mirror()
    mirror.write("resp", "one")
    assert brief(mirror.forget("resp")) == [("delete", "one")]
    assert mirror.forget("resp") == []


def test_a_tool_of_an_mcp_server_is_a_function_to_the_remote() -> None:
    mirror = Mirror()
    mirror.call("theirs", "theirs_c")
    mirror.asking("theirs")
    made(mirror, McpCall(id="mcp_1", server_label="s", name="f", arguments="{}"))
    call = FunctionCall(id="mcp_1", call_id="mcp_1", name="f", arguments="{}")
    running = FunctionCallOutput(id="mcp_1_now", call_id="mcp_1", output="running")
    over = FunctionCallOutput(id="mcp_1_out", call_id="mcp_1", output="42")
    (told,) = mirror.sync((call, running))
    assert told["item"]["call_id"] == "theirs"
    assert brief(mirror.sync((call, over))) == [("delete", "mcp_1_now"), ("create", "mcp_1_out")]


def test_sound_that_came_with_an_item_is_brought_as_it_came() -> None:
    mirror = Mirror()
    item = Message(id="a", role="user", content=(InputAudio(transcript=None), InputText(text="Listen.")))
    mirror.see(conv.ConversationItemAdded(event_id="e", previous_item_id=None, item=item))
    assert mirror.bring("b", b"\x01") is None
    told = mirror.bring("a", b"\x01\x02")
    assert told is not None
    assert told["item"]["content"] == [
        {"type": "input_audio", "audio": "AQI="},
        {"type": "input_text", "text": "Listen."},
    ]
    assert mirror.sync((item,)) == []


def test_the_input_of_an_answer_names_what_is_there_and_brings_the_rest() -> None:
    mirror = Mirror(beta=True)
    mirror.commit("u", "theirs_u")
    picture = Message(id="p", role="user", content=(InputImage(image_url="data:x"),))
    told = mirror.references((said("u", None), spoken("", "Hello."), picture, said("", None)))
    assert told == [
        {"type": "item_reference", "id": "theirs_u"},
        {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_image", "image_url": "data:x", "detail": "auto"}],
        },
    ]


def test_an_id_too_long_for_the_remote_has_a_short_one_there() -> None:
    (told,) = Mirror().sync((typed("x" * 60, "Hi."),))
    assert len(told["item"]["id"]) <= 32
