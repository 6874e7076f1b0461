"""Server events on the wire, byte for byte in four dialects, and before OpenAI's own models."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from pipeline.audio.formats import PCM_16K, PCMA, PCMU
from pipeline.dialects import Dialect
from pipeline.events import conversation as conv
from pipeline.events import session as sess
from pipeline.events.config import SessionConfig
from pipeline.events.event import ServerEvent
from pipeline.events.items import ContentPart, FunctionCall, InputAudio, InputImage, Message, OutputAudio
from pipeline.events.response import ResponseCreated, ResponseSnapshot
from pipeline.session_object import shown
from pipeline.wire import Wire
from tests.pipeline.oracle import Oracle
from tests.pipeline.wire_examples import EXAMPLES, OPENED_AT_S, Example

DIALECTS = list(Dialect)
SECOND_OF_PCM24K = bytes(48_000)


def wire(dialect: Dialect) -> Wire:
    return Wire(dialect, opened_at_s=OPENED_AT_S, expires_at_s=OPENED_AT_S + 3_600)


def encoded(wire: Wire, event: ServerEvent) -> str:
    text = wire.encode(event)
    assert text is not None
    return text.decode()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.value)
@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda example: f"{example.event.__struct_config__.tag}: {example.name}"
)
def test_every_server_event_is_written_byte_for_byte_as_its_dialect_has_it(
    example: Example, dialect: Dialect
) -> None:
    text = wire(dialect).encode(example.event)
    assert (None if text is None else text.decode()) == example.text(dialect)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.value)
def test_every_server_event_passes_the_models_of_openais_package(dialect: Dialect) -> None:
    speaker, oracle = wire(dialect), Oracle(dialect)
    config = SessionConfig()
    oracle.see(encoded(speaker, sess.SessionCreated(event_id="1", session_id="s", session=config)))
    oracle.see(encoded(speaker, sess.SessionUpdated(event_id="2", session_id="s", session=config)))
    for number, example in enumerate(EXAMPLES):
        text = speaker.encode(msgspec.structs.replace(example.event, event_id=f"event_{number}"))
        if text is not None:
            oracle.see(text)


def test_the_examples_hold_every_server_event_there_is() -> None:
    shown_by_tests_below = {sess.SessionCreated, sess.SessionUpdated}
    assert {type(example.event) for example in EXAMPLES} | shown_by_tests_below == set(get_args(ServerEvent))


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.value)
@pytest.mark.parametrize("kind", [sess.SessionCreated, sess.SessionUpdated])
def test_a_session_is_told_with_its_whole_configuration_and_when_it_ends(
    kind: type[sess.SessionCreated] | type[sess.SessionUpdated], dialect: Dialect
) -> None:
    config = SessionConfig(model="m", input_format=PCMU)
    session = shown(config, dialect, session_id="s", expires_at=1_756_327_600)
    name = kind.__struct_config__.tag
    assert encoded(wire(dialect), kind(event_id="e", session_id="s", session=config)) == (
        f'{{"type":"{name}","event_id":"e","session":{msgspec.json.encode(session).decode()}}}'
    )


def test_the_beta_dialect_has_its_own_names_for_a_transcription_session() -> None:
    config = SessionConfig(type="transcription")
    speaker, oracle = wire(Dialect.BETA), Oracle(Dialect.BETA)
    created = oracle.see(encoded(speaker, sess.SessionCreated(event_id="1", session_id="s", session=config)))
    updated = oracle.see(encoded(speaker, sess.SessionUpdated(event_id="2", session_id="s", session=config)))
    assert [created["type"], updated["type"]] == ["transcription_session.created", "transcription_session.updated"]


def retrieved(*parts: ContentPart, role: str = "user") -> conv.ConversationItemRetrieved:
    item = Message(id="i", role=role, content=parts)  # type: ignore[arg-type]  # one of three
    return conv.ConversationItemRetrieved(event_id="9", item=item)


def test_a_retrieved_sound_is_named_by_the_format_the_session_last_told() -> None:
    speaker = wire(Dialect.GA)
    both = retrieved(InputAudio(transcript="hi", audio=b"a"), OutputAudio(transcript="yes", audio=b"b"))
    assert [part["format"] for part in parts_of(speaker, both)] == ["pcm16", "pcm16"]
    config = SessionConfig(input_format=PCMU, output_format=PCMA)
    speaker.encode(sess.SessionUpdated(event_id="1", session_id="s", session=config))
    assert parts_of(speaker, both) == [
        {"type": "input_audio", "transcript": "hi", "audio": "YQ==", "format": "g711_ulaw"},
        {"type": "output_audio", "transcript": "yes", "audio": "Yg==", "format": "g711_alaw"},
    ]


def test_a_retrieved_item_without_sound_is_shown_as_it_is() -> None:
    assert parts_of(wire(Dialect.GA), retrieved(InputAudio(transcript=None))) == [
        {"type": "input_audio", "transcript": None}
    ]
    call = FunctionCall(id="i", call_id="", name="look", arguments="{}")
    text = encoded(wire(Dialect.GA), conv.ConversationItemRetrieved(event_id="e", item=call))
    assert "call_id" not in msgspec.json.decode(text)["item"]


def parts_of(speaker: Wire, event: ServerEvent) -> list[dict[str, object]]:
    parts: list[dict[str, object]] = msgspec.json.decode(encoded(speaker, event))["item"]["content"]
    return parts


def test_a_retrieved_sound_that_fits_into_no_frame_is_left_out_and_its_words_stay() -> None:
    fits = retrieved(InputAudio(transcript="hi", audio=SECOND_OF_PCM24K * 15))
    too_long = retrieved(InputAudio(transcript="hi", audio=SECOND_OF_PCM24K * 16))
    assert "audio" in parts_of(wire(Dialect.GA), fits)[0]
    assert parts_of(wire(Dialect.GA), too_long) == [{"type": "input_audio", "transcript": "hi"}]
    assert len(encoded(wire(Dialect.GA), fits)) < 1024 * 1024


def test_a_picture_that_fits_into_no_frame_is_told_without_its_bytes() -> None:
    picture = InputImage(image_url="data:image/png;base64," + "A" * 1024 * 1024)
    bare = [{"type": "input_image", "detail": "auto"}]
    item = Message(id="i", role="user", content=(picture,))
    added = conv.ConversationItemAdded(event_id="e", previous_item_id=None, item=item)
    assert parts_of(wire(Dialect.GA), added) == bare
    assert parts_of(wire(Dialect.GA), retrieved(picture)) == bare


def test_inworlds_rates_are_told_in_a_response_as_they_are() -> None:
    response = ResponseSnapshot(id="r", status="in_progress", conversation_id="c", output_format=PCM_16K)
    text = encoded(wire(Dialect.IW), ResponseCreated(event_id="e", response=response))
    told = msgspec.json.decode(text)["response"]
    assert told["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 16_000}
    judge = Oracle(Dialect.IW)
    judge.see(encoded(wire(Dialect.IW), sess.SessionCreated(event_id="1", session_id="s", session=SessionConfig())))
    judge.see(text)
