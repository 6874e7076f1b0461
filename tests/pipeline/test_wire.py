"""Client events as text: what each becomes, what each bad one deserves, how a connection chooses its spelling."""

from __future__ import annotations

import json
import tomllib
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.audio.formats import PCM_24K
from pipeline.costs import Used
from pipeline.dialects import Dialect
from pipeline.events import conversation as conv
from pipeline.events import input_audio, output_audio
from pipeline.events import response as resp
from pipeline.events import session as sess
from pipeline.events.config import SessionConfig
from pipeline.events.event import ClientEvent
from pipeline.events.input_audio import InputAudioBufferAppend
from pipeline.events.items import InputText, ItemReference, Message
from pipeline.events.refusal import BadEvent
from pipeline.limits import Limits
from pipeline.wire import CLIENT_EVENTS, DELTA_BYTES, LARGE_TEXT_BYTES, Wire, split

CORPUS = Path(__file__).parent.parent / "corpus" / "bad_events"
BAD_EVENTS: dict[str, dict[str, str]] = tomllib.loads((CORPUS / "index.toml").read_text())
CONFIG = SessionConfig()
GA, BETA, IW, SEED = Dialect.GA, Dialect.BETA, Dialect.IW, Dialect.SEED
GREETING = Message(id="", role="user", content=(InputText(text="hi"),))
GREETING_JSON = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}


def wire(dialect: Dialect = GA, **limits: int) -> Wire:
    return Wire(dialect, opened_at_s=0, limits=Limits(**limits))


def decoded(event: dict[str, Any], dialect: Dialect = GA) -> ClientEvent:
    return wire(dialect).decode(msgspec.json.encode(event), CONFIG)


def refusal(text: bytes, wire: Wire) -> tuple[str, str | None, str | None]:
    with pytest.raises(BadEvent) as caught:
        wire.decode(text, CONFIG)
    assert caught.value.message and len(caught.value.message) < 1_000
    return caught.value.code, caught.value.param, caught.value.event_id


@pytest.mark.parametrize("name", BAD_EVENTS)
def test_every_bad_event_of_the_corpus_is_refused_by_name(name: str) -> None:
    expected = BAD_EVENTS[name]
    text = (CORPUS / f"{name}.txt").read_bytes()
    found = refusal(text, wire(Dialect(expected.get("dialect", "ga"))))
    assert found == (expected["code"], expected.get("param"), expected.get("event_id"))


def test_the_corpus_and_its_index_name_the_same_files() -> None:
    assert {path.stem for path in CORPUS.glob("*.txt")} == set(BAD_EVENTS)


GOOD: list[tuple[dict[str, Any], ClientEvent]] = [
    ({"type": "input_audio_buffer.append", "audio": "QUJD"}, InputAudioBufferAppend(audio=b"ABC")),
    ({"type": "input_audio_buffer.append", "audio": ""}, InputAudioBufferAppend(audio=b"")),
    ({"type": "input_audio_buffer.commit"}, input_audio.InputAudioBufferCommit()),
    ({"type": "input_audio_buffer.clear"}, input_audio.InputAudioBufferClear()),
    ({"type": "output_audio_buffer.clear"}, output_audio.OutputAudioBufferClear()),
    ({"type": "conversation.item.create", "item": GREETING_JSON}, conv.ConversationItemCreate(item=GREETING)),
    (
        {"type": "conversation.item.create", "item": GREETING_JSON, "previous_item_id": "root"},
        conv.ConversationItemCreate(item=GREETING, previous_item_id="root"),
    ),
    ({"type": "conversation.item.retrieve", "item_id": "i"}, conv.ConversationItemRetrieve(item_id="i")),
    ({"type": "conversation.item.delete", "item_id": "i"}, conv.ConversationItemDelete(item_id="i")),
    (
        {"type": "conversation.item.truncate", "item_id": "i", "content_index": 1, "audio_end_ms": 1000.0},
        conv.ConversationItemTruncate(item_id="i", content_index=1, audio_end_ms=1000),
    ),
    ({"type": "response.create"}, resp.ResponseCreate()),
    (
        {
            "type": "response.create",
            "response": {
                "conversation": "none",
                "metadata": {"topic": "x"},
                "input": [{"type": "item_reference", "id": "item_1"}, GREETING_JSON],
            },
        },
        resp.ResponseCreate(
            is_out_of_band=True, metadata={"topic": "x"}, input=(ItemReference(id="item_1"), GREETING)
        ),
    ),
    ({"type": "response.cancel"}, resp.ResponseCancel()),
    ({"type": "response.cancel", "response_id": "r"}, resp.ResponseCancel(response_id="r")),
    (
        {"type": "session.update", "session": {"type": "realtime", "instructions": "Be kind."}},
        sess.SessionUpdate(session=msgspec.structs.replace(CONFIG, instructions="Be kind.")),
    ),
]


@pytest.mark.parametrize(
    ("event", "expected"), GOOD, ids=lambda value: value["type"] if type(value) is dict else ""
)
def test_every_client_event_is_understood_with_and_without_an_event_id(
    event: dict[str, Any], expected: ClientEvent
) -> None:
    assert decoded(event) == expected
    assert decoded(event | {"event_id": None}) == expected
    longest = "x" * 512
    assert decoded(event | {"event_id": longest}) == msgspec.structs.replace(expected, event_id=longest)


@pytest.mark.parametrize(
    ("event", "expected"), GOOD, ids=lambda value: value["type"] if type(value) is dict else ""
)
def test_order_of_fields_and_fields_nobody_knows_change_nothing(
    event: dict[str, Any], expected: ClientEvent
) -> None:
    assert decoded({"later": {"a": [1]}} | dict(reversed(event.items()))) == expected


def test_the_good_events_are_all_there_are() -> None:
    assert {event["type"] for event, _ in GOOD} == set(CLIENT_EVENTS)
    assert {type(event) for _, event in GOOD} == set(get_args(ClientEvent))


def test_an_unknown_type_is_answered_with_the_types_there_are() -> None:
    with pytest.raises(BadEvent) as caught:
        wire().decode(b'{"type":"speak"}', CONFIG)
    named = ", ".join(f"'{name}'" for name in CLIENT_EVENTS)
    assert caught.value.message == f"Invalid value: 'speak'. Supported values are: {named}."


def test_the_beta_dialect_alone_has_an_update_for_transcription_sessions() -> None:
    listening = msgspec.structs.replace(CONFIG, type="transcription")
    text = b'{"type":"transcription_session.update","event_id":"e","session":{}}'
    event = wire(BETA).decode(text, listening)
    assert isinstance(event, sess.SessionUpdate)
    assert (event.session.type, event.event_id) == ("transcription", "e")
    with pytest.raises(BadEvent) as caught:
        wire(BETA).decode(b'{"type":"speak"}', CONFIG)
    assert "'transcription_session.update'" in caught.value.message


@pytest.mark.parametrize(("dialect", "clamps"), [(GA, False), (BETA, False), (IW, True), (SEED, True)])
def test_a_truncation_past_the_end_means_the_end_on_inworlds_paths(dialect: Dialect, clamps: bool) -> None:
    event = {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 1}
    truncate = decoded(event, dialect)
    assert isinstance(truncate, conv.ConversationItemTruncate) and truncate.clamps is clamps


@pytest.mark.parametrize("size", [4, 2 * LARGE_TEXT_BYTES], ids=["small", "large"])
def test_an_append_may_be_as_long_as_the_limit_and_not_a_byte_longer(size: int) -> None:
    text = b'{"type":"input_audio_buffer.append","audio":"%s","event_id":"e"}' % b64encode(bytes(size))
    assert wire(append_bytes=size).decode(text, CONFIG) == InputAudioBufferAppend(audio=bytes(size), event_id="e")
    assert wire(append_bytes=size + 1).decode(text, CONFIG) == InputAudioBufferAppend(
        audio=bytes(size), event_id="e"
    )
    assert refusal(text, wire(append_bytes=size - 1)) == ("invalid_value", "audio", "e")


def test_a_large_event_that_is_no_append_is_read_as_a_small_one_is() -> None:
    words = "x" * LARGE_TEXT_BYTES
    item = {"type": "message", "role": "user", "content": words}
    event = decoded({"type": "conversation.item.create", "item": item})
    assert isinstance(event, conv.ConversationItemCreate) and event.item == Message(
        id="", role="user", content=(InputText(text=words),)
    )


@pytest.mark.parametrize("words", ["hi", "x" * LARGE_TEXT_BYTES])
def test_a_servers_own_buffer_is_read_as_it_is(words: str) -> None:
    event = {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": words}}
    text = msgspec.json.encode(event)
    assert wire().decode(bytearray(text), CONFIG) == wire().decode(text, CONFIG)


def test_sound_with_escaped_slashes_is_understood_at_any_size() -> None:
    for size in (30, 3 * LARGE_TEXT_BYTES):
        encoded = b64encode(b"\xff" * size).replace(b"/", b"\\/")
        text = b'{"type":"input_audio_buffer.append","audio":"%s"}' % encoded
        assert wire().decode(text, CONFIG) == InputAudioBufferAppend(audio=b"\xff" * size)


def test_sound_with_any_escape_json_has_is_understood_at_any_size() -> None:
    for size in (30, 3 * LARGE_TEXT_BYTES):
        encoded = b64encode(b"\xff" * size).replace(b"/", b"\\u002f")
        text = b'{"type":"input_audio_buffer.append","audio":"%s"}' % encoded
        assert wire().decode(text, CONFIG) == InputAudioBufferAppend(audio=b"\xff" * size)


@pytest.mark.parametrize("sound", [b"QUJD", b64encode(bytes(LARGE_TEXT_BYTES))], ids=["small", "large"])
@pytest.mark.parametrize(("depth", "fits"), [(65, True), (64, True), (63, False)])
def test_an_append_is_no_deeper_than_any_event(sound: bytes, depth: int, fits: bool) -> None:
    deep = b"[" * 63 + b"]" * 63
    text = b'{"type":"input_audio_buffer.append","audio":"%s","x":%s,"event_id":"e"}' % (sound, deep)
    if fits:
        expected = InputAudioBufferAppend(audio=b64decode(sound), event_id="e")
        assert wire(depth=depth).decode(text, CONFIG) == expected
    else:
        assert refusal(text, wire(depth=depth)) == ("invalid_json", None, None)


def test_an_append_with_much_beside_the_sound_is_read_all_the_same() -> None:
    text = b'{"type":"input_audio_buffer.append","audio":"QUJD","x":"%s"}' % (b"x" * 500)
    assert wire().decode(text, CONFIG) == InputAudioBufferAppend(audio=b"ABC")


def test_a_response_that_asks_for_nothing_special_is_as_the_session_is() -> None:
    nothing = {"instructions": None, "metadata": {"client_event_id": "r1"}}
    assert decoded({"type": "response.create", "response": nothing}) == resp.ResponseCreate(
        metadata={"client_event_id": "r1"}
    )
    special = decoded({"type": "response.create", "response": {"instructions": "Sing."}})
    assert isinstance(special, resp.ResponseCreate)
    assert special.config == msgspec.structs.replace(CONFIG, instructions="Sing.")


GA_SHAPED = b'{"type":"session.update","session":{"type":"realtime"}}'
CAMEL_SHAPED = b'{"type":"session.update","session":{"instructions":"Be kind."}}'
DELTA = resp.TranscriptDelta(event_id="e", response_id="r", item_id="i", output_index=0, delta="hi")
UPDATED = sess.SessionUpdated(event_id="e", session_id="s", session=CONFIG)
CREATED = resp.ResponseCreated(
    event_id="e", response=resp.ResponseSnapshot(id="r", status="in_progress", conversation_id=None)
)


def name_of_delta(wire: Wire) -> str:
    name: str = msgspec.json.decode(wire.encode(DELTA) or b"")["type"]
    return name


def test_a_seed_connection_whose_first_update_has_ga_shape_speaks_inworlds_from_its_answer_on() -> None:
    seed = wire(SEED)
    seed.decode(GA_SHAPED, CONFIG)
    assert (seed.dialect, name_of_delta(seed)) == (SEED, "response.audio_transcript.delta")
    told = seed.encode(UPDATED)
    assert told is not None and b"turnDetection" not in told
    assert (seed.dialect, name_of_delta(seed)) == (IW, "response.output_audio_transcript.delta")


def test_a_seed_connection_stays_one_when_its_first_update_is_the_seeds() -> None:
    seed = wire(SEED)
    for text in (CAMEL_SHAPED, GA_SHAPED):
        seed.decode(text, CONFIG)
        seed.encode(UPDATED)
        assert (seed.dialect, name_of_delta(seed)) == (SEED, "response.audio_transcript.delta")


def test_a_seed_connection_stays_one_once_a_response_was_created() -> None:
    before, between = wire(SEED), wire(SEED)
    before.encode(CREATED)
    before.decode(GA_SHAPED, CONFIG)
    between.decode(GA_SHAPED, CONFIG)
    between.encode(CREATED)
    for seed in (before, between):
        seed.encode(UPDATED)
        assert (seed.dialect, name_of_delta(seed)) == (SEED, "response.audio_transcript.delta")


def test_an_update_that_is_refused_decides_nothing() -> None:
    seed = wire(SEED)
    bad = b'{"type":"session.update","session":{"turnDetection":{"type":"guess"}}}'
    assert refusal(bad, seed)[0] == "invalid_value"
    seed.decode(GA_SHAPED, CONFIG)
    seed.encode(UPDATED)
    assert seed.dialect is IW


@pytest.mark.parametrize("dialect", [GA, BETA, IW])
def test_all_other_connections_keep_the_dialect_they_came_with(dialect: Dialect) -> None:
    other = wire(dialect)
    other.decode(GA_SHAPED, CONFIG)
    other.encode(UPDATED)
    assert other.dialect is dialect


def test_long_sound_is_split_into_deltas_that_join_to_it_and_have_ids_of_their_own() -> None:
    sound = bytes(range(256)) * 300
    whole = resp.OutputAudioDelta(event_id="e", response_id="r", item_id="i", output_index=0, delta=sound)
    parts = split(whole)
    assert b"".join(part.delta for part in parts) == sound
    assert all(0 < len(part.delta) <= DELTA_BYTES for part in parts)
    assert [part.event_id for part in parts] == ["e", "e_1", "e_2", "e_3"]
    assert split(parts[0]) == [parts[0]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.dictionaries(
    st.sampled_from(
        ["event_id", "audio", "session", "item", "item_id", "previous_item_id", "response", "response_id"]
        + ["audio_end_ms", "content_index"]
    ),
    JSON
    | st.fixed_dictionaries(
        {
            "type": st.sampled_from(
                ["message", "function_call", "function_call_output", "realtime", "item_reference"]
            )
        },
        optional={
            "role": st.sampled_from(["user", "assistant", "system"]) | JSON,
            "content": st.lists(
                st.fixed_dictionaries(
                    {"type": st.sampled_from(["input_text", "input_audio", "input_image", "output_text", "audio"])},
                    optional={"text": JSON, "audio": JSON, "transcript": JSON, "image_url": JSON, "detail": JSON},
                ),
                max_size=2,
            )
            | JSON,
            "call_id": JSON,
            "name": JSON,
            "arguments": JSON,
            "output": JSON,
            "input": st.lists(JSON, max_size=2),
            "metadata": JSON,
            "audio": JSON,
            "tools": JSON,
        },
    ),
)


@given(st.binary(max_size=64), st.sampled_from(list(Dialect)))
@example(b"\xff", GA)
def test_any_bytes_are_an_event_or_refused(text: bytes, dialect: Dialect) -> None:
    understood_or_refused(text, wire(dialect))


@given(st.sampled_from([*CLIENT_EVENTS, "transcription_session.update"]), FIELDS, st.sampled_from(list(Dialect)))
def test_any_fields_of_any_event_are_understood_or_refused(
    kind: str, fields: dict[str, Any], dialect: Dialect
) -> None:
    try:
        text = msgspec.json.encode({"type": kind} | fields)
    except (OverflowError, UnicodeEncodeError):
        return  # no JSON
    understood_or_refused(text, wire(dialect))


def understood_or_refused(text: bytes, wire: Wire) -> None:
    """Whatever is understood can be written again; whatever is refused can be told."""
    try:
        event = wire.decode(text, CONFIG)
    except BadEvent as refusal:
        msgspec.json.encode([refusal.code, refusal.message, refusal.param, refusal.event_id])
    else:
        assert isinstance(event, get_args(ClientEvent))
        if isinstance(event, conv.ConversationItemCreate):
            assert wire.encode(conv.ConversationItemAdded(event_id="e", previous_item_id=None, item=event.item))


def test_costs_are_told_only_to_whom_they_concern() -> None:
    used = (Used(provider="stub", kind="llm", requests=1, input_tokens=3),)
    response = resp.ResponseSnapshot(
        id="resp_1",
        status="completed",
        conversation_id="conv_1",
        output=(),
        usage=resp.Usage(input_tokens=3, output_tokens=1, used=used),
        output_modality="text",
        max_output_tokens=None,
        voice=None,
        output_format=PCM_24K,
        temperature=None,
    )
    done = resp.ResponseDone(event_id="event_1", response=response)
    for tells_costs in (True, False):
        told = json.loads(Wire(Dialect.GA, opened_at_s=0, tells_costs=tells_costs).encode(done) or b"")
        usage = told["response"]["usage"]
        assert ("switchboard" in usage) is tells_costs
        assert (usage["input_tokens"], usage["output_tokens"]) == (3, 1)
