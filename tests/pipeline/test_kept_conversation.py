"""Kept conversations: what is in them, that nothing of it is lost, and that they never grow past their bounds."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio.formats import PCM_16K, PCM_24K, PCMA
from pipeline.events.config import (
    McpServer,
    NamedTool,
    SemanticVad,
    ServerVad,
    SessionConfig,
    Tool,
    Transcription,
)
from pipeline.events.items import (
    AnyItem,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    ListedTool,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpError,
    McpListTools,
    Message,
    OutputAudio,
    OutputText,
)
from pipeline.kept_conversation import (
    MOST_BYTES,
    MOST_ITEMS,
    KeptConversation,
    Unreadable,
    configured,
    decoded,
    encoded,
    kept_of,
)
from pipeline.limits import USUAL, Limits
from pipeline.provider import FunctionTool
from tests.pipeline.expected import result, said, spoken, typed
from tests.pipeline.world import ASKS, CONFIGS, FREE, KINDS, TRANSCRIBING, Step, World

replace = msgspec.structs.replace

BASE: Final = SessionConfig(model="agent", instructions="Be brief.", voice="ada", language="de")
SECRET: Final = McpServer(server_label="mail", server_url="https://mail.example", authorization="hush")
CUSTOM: Final = SessionConfig(
    model="large",
    instructions="Ändere nichts. 🐳",
    output_modality="text",
    voice="eve",
    voice_model="warm",
    speed=1.25,
    input_format=PCMA,
    output_format=PCM_16K,
    transcription=Transcription(model="fast", language="de", prompt="names"),
    turn_detection=SemanticVad(eagerness="low", interrupt_response=False),
    tools=(FunctionTool("look", "Looks.", {"type": "object", "properties": {"x": {"type": "number"}}}),),
    tool_choice=NamedTool(type="function", name="look"),
    parallel_tool_calls=False,
    max_output_tokens=512,
    temperature=0.3,
    include=("item.input_audio_transcription.logprobs",),
    truncation="disabled",
    provider_data={"auto_tool_response": True},
)
EVERY_KIND: Final[tuple[AnyItem, ...]] = (
    Message(id="1", role="system", content=(InputText(text="Mind the gap."),)),
    Message(
        id="2",
        role="user",
        content=(
            InputText(text="Hör zu \u2028 \x01"),
            InputAudio(transcript="hello"),
            InputAudio(transcript=None),
            InputImage(image_url="data:image/png;base64,AA==", detail="low"),
        ),
    ),
    Message(id="3", role="assistant", content=(OutputText(text="Yes."),)),
    Message(id="4", role="assistant", content=(OutputAudio(transcript="I was"),), status="incomplete"),
    Message(id="5", role="assistant", content=(OutputAudio(),), status="incomplete"),
    Message(id="6", role="assistant", content=(), status="incomplete"),
    FunctionCall(id="7", call_id="call_1", name="look", arguments="{}"),
    result("8", "call_1", '{"a": 1}'),
    FunctionCall(id="9", call_id="call_2", name="look", arguments="{", status="incomplete"),
    McpListTools(
        id="10",
        server_label="free",
        tools=(ListedTool(name="look", description="", input_schema={"a": [1]}, annotations={"b": None}),),
    ),
    McpApprovalRequest(id="11", server_label="asks", name="write", arguments="{}"),
    McpApprovalResponse(id="12", approval_request_id="11", approve=True, reason="fine"),
    McpCall(id="13", server_label="asks", name="write", arguments="{}", approval_request_id="11", output="done"),
    McpCall(
        id="14",
        server_label="free",
        name="look",
        arguments="{}",
        error=McpError(type="http_error", message="gone", code=410),
    ),
    McpCall(id="15", server_label="free", name="look", arguments="{}"),
)


def items_kept(*items: AnyItem) -> tuple[AnyItem, ...]:
    return decoded(encoded(KeptConversation(items=items, session={}))).items


def restored(config: SessionConfig, base: SessionConfig, *, serves_mcp: bool = True) -> SessionConfig:
    kept = decoded(encoded(kept_of((), config)))
    return configured(kept, base, USUAL, serves_mcp=serves_mcp)


def pictured(item_id: str, size: int) -> Message:
    image = InputImage(image_url="data:image/png;base64," + "A" * size)
    return Message(id=item_id, role="user", content=(InputText(text="This?"), image))


def test_every_kind_of_item_reads_as_it_was_kept() -> None:
    assert items_kept(*EVERY_KIND) == EVERY_KIND


kinds = st.sampled_from(KINDS)
steps = st.lists(st.tuples(kinds, st.integers(0, 7), st.booleans()), max_size=120)


@given(steps, st.booleans(), st.integers(0, len(CONFIGS) - 1))
@settings(derandomize=True, max_examples=150, deadline=None)
def test_of_any_session_that_ends_anyhow_all_is_read_again(steps: list[Step], plays: bool, first: int) -> None:
    world = World(plays=plays, first=first)
    for step in steps:
        world.do(step)
    world.end()
    session = world.session
    kept = kept_of(session.conversation.items, session.config)
    text = encoded(kept)
    assert decoded(text) == kept
    assert b'"audio":"' not in text
    assert configured(decoded(text), BASE, USUAL, serves_mcp=True) == replace(session.config, language="de")
    own = [item for item in session.conversation.items if isinstance(item, Message | FunctionCall)]
    assert [item for item in kept.items if isinstance(item, Message | FunctionCall)] == own


# What only the old session could have ended


def test_a_call_under_way_has_failed() -> None:
    under_way = McpCall(id="mcp_1", server_label="free", name="look", arguments="{}")
    (call,) = kept_of((under_way,), BASE).items
    assert isinstance(call, McpCall) and isinstance(call.error, McpError)
    assert call == replace(under_way, error=call.error)
    assert (call.error.type, call.error.message) == (
        "tool_execution_error",
        "The session was cut off before the result came.",
    )


def test_a_call_that_has_come_to_its_end_stays_as_it_is() -> None:
    ended = EVERY_KIND[12:14]
    assert kept_of((*EVERY_KIND[10:12], *ended), BASE).items[2:] == ended


def test_a_request_that_nobody_answered_is_withdrawn_and_one_that_was_answered_stays() -> None:
    open_request = McpApprovalRequest(id="mcpr_2", server_label="asks", name="write", arguments="{}")
    answered = EVERY_KIND[10:12]
    assert kept_of((*answered, open_request), BASE).items == answered


def test_listings_are_not_kept_because_servers_are_asked_again() -> None:
    assert kept_of((said("a", "Hi"), EVERY_KIND[9]), BASE).items == (said("a", "Hi"),)


def test_a_function_that_still_awaits_its_output_is_kept() -> None:
    call = EVERY_KIND[6]
    assert kept_of((call,), BASE).items == (call,)


# The configuration


@pytest.mark.parametrize("config", (*CONFIGS, CUSTOM, replace(CUSTOM, turn_detection=None)))
def test_a_session_object_is_there_again(config: SessionConfig) -> None:
    """All but its language, which is the agent's."""
    assert restored(config, BASE) == replace(config, language="de")


def test_what_was_the_default_again_when_it_was_kept_replaces_what_a_new_session_would_have() -> None:
    base = replace(CUSTOM, temperature=None, voice_model=None, provider_data=None, include=None)
    plain = SessionConfig(model="m", parallel_tool_calls=False)
    assert restored(plain, base) == plain


@pytest.mark.parametrize("config", TRANSCRIBING)
def test_a_transcription_session_stays_one(config: SessionConfig) -> None:
    again = restored(config, BASE)
    assert (again.type, again.turn_detection) == ("transcription", config.turn_detection)
    assert (again.input_format, again.transcription) == (config.input_format, config.transcription)
    base = replace(BASE, type="transcription", transcription=Transcription())
    assert restored(config, base).turn_detection == config.turn_detection


def test_who_may_only_transcribe_gets_no_session_that_answers() -> None:
    base = replace(BASE, type="transcription", transcription=Transcription())
    assert restored(CUSTOM, base) == base


def test_secrets_are_not_kept() -> None:
    with_headers = replace(ASKS, headers={"x-key": "hidden"})
    kept = kept_of((), replace(BASE, tools=(SECRET, with_headers, FREE)))
    assert (b"hush" in encoded(kept), b"hidden" in encoded(kept)) == (False, False)
    assert kept.secretive == ("mail", "asks")


def test_a_server_is_there_again_unless_it_had_secrets() -> None:
    functions: tuple[Tool, ...] = (FunctionTool("look"),)
    assert restored(replace(BASE, tools=(*functions, SECRET, FREE)), BASE).tools == (*functions, FREE)


def test_a_server_whose_secrets_the_new_session_has_is_there_as_the_new_one_has_it() -> None:
    newer = replace(SECRET, authorization="hush 2", require_approval="never")
    assert restored(replace(BASE, tools=(FREE, SECRET)), replace(BASE, tools=(newer,))).tools == (FREE, newer)


def test_a_gateway_that_serves_no_servers_brings_none_back() -> None:
    config = replace(BASE, tools=(FunctionTool("look"), FREE), instructions="Go on.")
    assert restored(config, BASE, serves_mcp=False) == replace(config, tools=(FunctionTool("look"),))


def test_nobody_insists_on_a_server_that_is_gone() -> None:
    choice = NamedTool(type="mcp", server_label="mail")
    config = replace(BASE, tools=(SECRET, FREE), tool_choice=choice, instructions="Go on.")
    assert restored(config, BASE) == replace(config, tools=(FREE,), tool_choice="auto")
    chosen = replace(config, tools=(FREE,), tool_choice=NamedTool(type="mcp", server_label="free"))
    assert restored(chosen, BASE) == chosen


def test_a_configuration_that_is_refused_here_is_not_gone_on_with() -> None:
    kept = decoded(encoded(kept_of(EVERY_KIND, replace(BASE, instructions="x" * 100))))
    assert configured(kept, BASE, Limits(instructions_chars=10)) == BASE


def test_a_configuration_too_large_is_not_kept_but_its_conversation_is() -> None:
    large = replace(BASE, provider_data={"note": "x" * MOST_BYTES})
    kept = decoded(encoded(kept_of((typed("a", "Hi"),), large)))
    assert kept == KeptConversation(items=(typed("a", "Hi"),), session={})
    assert configured(kept, BASE, USUAL) == BASE


def test_tools_that_are_no_list_are_passed_over() -> None:
    """Only a file that was tampered with has such."""
    kept = KeptConversation(items=(), session={"type": "realtime", "tools": 3, "instructions": "Go on."})
    assert configured(kept, BASE, USUAL) == replace(BASE, instructions="Go on.")


# Bounds


def test_the_newest_items_are_kept_when_there_is_no_room_for_all() -> None:
    items = tuple(typed(f"item_{number}", "x" * 10_000) for number in range(200))
    text = encoded(KeptConversation(items=items, session={}))
    kept = decoded(text).items
    assert kept == items[-len(kept) :]
    assert MOST_BYTES - 10_200 < len(text) <= MOST_BYTES


def test_no_more_items_are_kept_than_a_new_session_has_room_for() -> None:
    items = tuple(typed(f"item_{number}", "x") for number in range(MOST_ITEMS + 7))
    assert items_kept(*items) == items[7:]
    output = result("last", "call_1", "{}")
    assert items_kept(EVERY_KIND[6], *items, output) == items[8:]


def test_pictures_go_before_words_do() -> None:
    items = (typed("a", "Hi"), pictured("b", MOST_BYTES), pictured("c", 10))
    assert items_kept(*items) == (typed("a", "Hi"), typed("b", "This?"), typed("c", "This?"))
    assert items_kept(items[0], items[2]) == (items[0], items[2])


def test_an_item_that_has_no_room_by_itself_costs_no_other() -> None:
    monster = typed("b", "\x01" * (MOST_BYTES // 5))  # six characters each as JSON
    assert items_kept(typed("a", "Hi"), monster, typed("c", "Ho")) == (typed("a", "Hi"), typed("c", "Ho"))


PADDING: Final = "x" * (MOST_BYTES - 1_000)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (FunctionCall(id="a", call_id="call_1", name="f", arguments="{}"), result("b", "call_1", PADDING)),
        (result("a", "call_1", "{}"), FunctionCall(id="b", call_id="call_1", name="f", arguments=PADDING)),
        (EVERY_KIND[10], replace(EVERY_KIND[11], reason=PADDING)),
        (EVERY_KIND[10], replace(EVERY_KIND[12], output=PADDING)),
    ],
)
def test_what_belongs_together_goes_together(first: AnyItem, second: AnyItem) -> None:
    between = typed("between", "y" * 2_000)
    assert items_kept(first, between, second, typed("last", "Bye")) == (typed("last", "Bye"),)


def test_what_belongs_to_nothing_stays() -> None:
    """A call that a client put in without a `call_id`, and one whose server asked nobody."""
    lone = (
        replace(EVERY_KIND[6], call_id=""),
        typed("between", "y" * 2_000),
        FunctionCallOutput(id="b", call_id="", output=PADDING),
    )
    assert items_kept(*lone) == lone[2:]
    call = McpCall(id="c", server_label="free", name="look", arguments="{}", output=PADDING)
    assert items_kept(replace(call, id="d", output=""), lone[1], call) == (call,)


words = st.text(max_size=40)
parts = st.one_of(st.builds(OutputText, text=words), st.builds(OutputAudio, transcript=words))
messages = st.builds(
    lambda content, status: Message(id="", role="assistant", content=tuple(content), status=status),
    st.lists(parts, max_size=3),
    st.sampled_from(("completed", "incomplete", "in_progress")),
)


@given(st.lists(messages, max_size=30), st.integers(0, 30))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_whatever_is_said_what_is_kept_is_the_end_of_it(said_in_order: list[Message], heavy: int) -> None:
    items = tuple(replace(item, id=f"item_{at}") for at, item in enumerate(said_in_order))
    if heavy < len(items):
        items = (*items[:heavy], spoken("heavy", "z" * (MOST_BYTES - 500)), *items[heavy:])
    kept = items_kept(*items)
    assert kept == items[len(items) - len(kept) :]


# What can't be read


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"\xff",
        b'{"v":1,"items":[]}',
        b'{"v":2,"items":[],"session":{}}',
        b'{"v":1,"session":{},"items":[{"type":"poem","id":"a"}]}',
        b'{"v":1,"session":{},"items":[{"type":"message","id":"a"}]}',
        b'{"v":1,"session":' + b'{"a":' * 5_000,
    ],
)
def test_what_is_no_kept_conversation_is_said_to_be_none(text: bytes) -> None:
    with pytest.raises(Unreadable, match="No kept conversation"):
        decoded(text)


def test_two_items_of_one_id_are_no_conversation() -> None:
    twice: dict[str, Any] = {"v": 1, "session": {}, "items": [typed("a", "1"), typed("a", "2")]}
    with pytest.raises(Unreadable, match="same id"):
        decoded(msgspec.json.encode(twice))


def test_half_a_file_is_no_conversation() -> None:
    whole = encoded(kept_of(EVERY_KIND, BASE))
    for length in range(0, len(whole), 97):
        with pytest.raises(Unreadable):
            decoded(whole[:length])


def test_the_turn_detection_of_a_phone_reads_as_it_was() -> None:
    config = replace(BASE, turn_detection=ServerVad(idle_timeout_ms=6_000), output_format=PCM_24K)
    assert restored(config, BASE).turn_detection == config.turn_detection
