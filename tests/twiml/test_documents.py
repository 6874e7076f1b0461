from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twiml import documents
from twiml.documents import (
    connect_stream,
    dial,
    enqueue,
    gather_key,
    hang_up,
    leave,
    redirect,
    reject,
    say_and_dial,
    say_and_hang_up,
    say_and_record,
    say_and_wait,
)
from twiml.errors import DocumentError

STREAM = "wss://voice.example/twilio/media/t0ken"
ACTION = "https://voice.example/twilio/stream-ended?generation=1"
STATUS = "https://voice.example/twilio/stream"

EVERY_CODE_POINT = st.text(st.characters(exclude_categories=()))
"""Lone surrogates and controls too, which `st.text()` alone leaves out in part."""


def connect(
    stream_url: str = STREAM,
    parameters: Mapping[str, str] | None = None,
    action_url: str = ACTION,
    redirect_url: str = ACTION,
    status_callback_url: str = STATUS,
) -> str:
    return connect_stream(stream_url, parameters or {}, action_url, redirect_url, status_callback_url)


def readable(text: str) -> str:
    """What XML 1.0 lets through, code point by code point, with line ends as a parser makes them."""

    def is_char(c: str) -> bool:
        n = ord(c)
        return c in "\t\n\r" or 0x20 <= n <= 0xD7FF or 0xE000 <= n <= 0xFFFD or n >= 0x10000

    return re.sub("\r\n|\r", "\n", "".join(filter(is_char, text)))


def test_a_stream_is_connected_with_the_way_back_behind_it() -> None:
    root = ElementTree.fromstring(connect(parameters={"agent": "reception"}))
    assert [child.tag for child in root] == ["Connect", "Redirect"]
    assert root[0].attrib == {"action": ACTION, "method": "POST"}
    stream = root[0][0]
    assert stream.attrib == {"url": STREAM, "statusCallback": STATUS, "statusCallbackMethod": "POST"}
    assert [(child.tag, child.attrib) for child in stream] == [
        ("Parameter", {"name": "agent", "value": "reception"})
    ]
    assert (root[1].text, root[1].attrib) == (ACTION, {"method": "POST"})


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("https://voice.example/media", "expected wss://host/path"),
        ("wss:///media", "expected wss://host/path"),
        ("wss://[::1/media", "Stream url: Invalid IPv6 URL"),
        ("wss://voice.example", "expected a path"),
        ("wss://voice.example/", "expected a path"),
        ("wss://voice.example//", "expected a path"),
        ("wss://voice.example/media/", "without a trailing slash"),
        ("wss://voice.example/media?token=1", "no query"),
        ("wss://voice.example/media?", "no query"),
        ("wss://voice.example/media#x", "no fragment"),
        ("wss://voice.example/me dia", "visible ASCII"),
        ("wss://voice.example/media\n", "visible ASCII"),
        ("", "visible ASCII"),
    ],
)
def test_a_stream_url_twilio_would_refuse_is_refused_by_name(url: str, complaint: str) -> None:
    with pytest.raises(DocumentError, match=re.escape(complaint)):
        connect(stream_url=url)


@pytest.mark.parametrize("place", ["action_url", "redirect_url", "status_callback_url"])
def test_a_url_with_a_space_is_refused_wherever_it_stands(place: str) -> None:
    with pytest.raises(DocumentError, match="visible ASCII"):
        connect(**{place: "https://voice.example/a b"})  # type: ignore[arg-type]  # the key is one of three strings


def test_a_parameter_may_have_499_characters_with_its_name_and_no_more() -> None:
    assert "v" * 498 in connect(parameters={"n": "v" * 498})
    with pytest.raises(DocumentError, match="fewer than 500 characters together, got 500"):
        connect(parameters={"n": "v" * 499})


@pytest.mark.parametrize("name", ["", "1st", "a b", "a\x00", "ä"])
def test_a_parameter_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(DocumentError, match="Parameter name"):
        connect(parameters={name: "x"})


def test_a_document_over_64_kilobytes_is_refused() -> None:
    many = {f"p{i}": "v" * 450 for i in range(150)}
    with pytest.raises(DocumentError, match="at most 65536 bytes"):
        connect(parameters=many)


@given(EVERY_CODE_POINT, st.none() | EVERY_CODE_POINT)
def test_any_text_can_be_said_and_adds_no_element(text: str, language: str | None) -> None:
    root = ElementTree.fromstring(say_and_hang_up(text, language))
    said = readable(text)
    if said.strip():
        assert [child.tag for child in root] == ["Say", "Hangup"]
        assert root[0].text == said
        assert not list(root[0])
        assert root[0].attrib == ({} if language is None else {"language": readable(language)})
    else:
        assert [child.tag for child in root] == ["Hangup"]


@given(EVERY_CODE_POINT)
def test_any_parameter_value_comes_through_as_it_was(value: str) -> None:
    root = ElementTree.fromstring(connect(parameters={"name": value[:400]}))
    assert root[0][0][0].attrib == {"name": "name", "value": readable(value[:400])}


@pytest.mark.parametrize("hostile", ["</Say><Dial>+1900</Dial>", '"/><Dial/>', "<![CDATA[", "&#60;", "\x00\ud800"])
def test_markup_in_a_text_stays_text(hostile: str) -> None:
    root = ElementTree.fromstring(say_and_hang_up("a" + hostile))
    assert root[0].text == "a" + readable(hostile)
    assert [child.tag for child in root.iter()] == ["Response", "Say", "Hangup"]


def test_a_long_text_is_cut_to_what_twilio_says() -> None:
    root = ElementTree.fromstring(say_and_hang_up("a" * (documents.SAY_LIMIT_CHARS + 1)))
    assert root[0].text == "a" * documents.SAY_LIMIT_CHARS


@pytest.mark.parametrize(("document", "verb"), [(hang_up(), "Hangup"), (reject(), "Reject")])
def test_a_call_is_ended_or_turned_away_by_one_verb(document: str, verb: str) -> None:
    assert [child.tag for child in ElementTree.fromstring(document)] == [verb]


def test_a_redirect_asks_the_other_url_by_post() -> None:
    root = ElementTree.fromstring(redirect(ACTION))
    assert [(child.tag, child.text, child.attrib) for child in root] == [("Redirect", ACTION, {"method": "POST"})]


def test_a_transfer_dials_one_number_and_asks_what_became_of_it() -> None:
    (verb,) = ElementTree.fromstring(dial("+493012345678", "https://voice.example/twilio/dialled"))
    assert (verb.tag, verb.text) == ("Dial", "+493012345678")
    assert verb.attrib == {
        "action": "https://voice.example/twilio/dialled",
        "method": "POST",
        "timeout": str(documents.RING_S),
        "answerOnBridge": "true",
    }


@pytest.mark.parametrize("number", ["", "030123456", "+0123456789", "+49 30 123456", "sip:a@b", "+4930123456\n"])
def test_what_is_no_telephone_number_is_not_dialled(number: str) -> None:
    with pytest.raises(DocumentError, match="expected a number"):
        dial(number, "https://voice.example/twilio/dialled")


NEXT = "https://voice.example/twilio/overflow?rung=1&waited=3"


def test_a_caller_is_put_into_a_queue_whose_wait_and_end_are_asked_for() -> None:
    say, queue, back = ElementTree.fromstring(
        enqueue("line 1", text="Hold.", wait_url=ACTION, action_url=NEXT, redirect_url=STATUS, language="en-US")
    )
    assert (say.tag, say.text, say.attrib) == ("Say", "Hold.", {"language": "en-US"})
    assert (queue.tag, queue.text) == ("Enqueue", "line 1")
    assert queue.attrib == {"action": NEXT, "method": "POST", "waitUrl": ACTION, "waitUrlMethod": "POST"}
    assert (back.tag, back.text) == ("Redirect", STATUS)


@pytest.mark.parametrize("name", ["", "q" * 65])
def test_a_queue_has_a_name_that_twilio_takes(name: str) -> None:
    with pytest.raises(DocumentError, match="1 to 64 characters"):
        enqueue(name, text="", wait_url=ACTION, action_url=ACTION, redirect_url=ACTION)


def test_a_key_is_gathered_during_the_words_and_after_them() -> None:
    gather, back = ElementTree.fromstring(
        gather_key("Press 1.", again="Press 1, please.", action_url=NEXT, timeout_s=2, redirect_url=ACTION)
    )
    assert gather.attrib == {
        "input": "dtmf", "action": NEXT, "method": "POST", "numDigits": "1", "timeout": "2", "finishOnKey": "",
    }  # fmt: skip
    assert [(one.tag, one.text) for one in gather] == [
        ("Say", "Press 1."), ("Pause", None), ("Say", "Press 1, please."),
    ]  # fmt: skip
    assert (back.tag, back.text) == ("Redirect", ACTION)
    (alone,) = ElementTree.fromstring(gather_key("Hold.", action_url=NEXT, timeout_s=2, music_url=ACTION))
    assert [(one.tag, one.text) for one in alone] == [("Say", "Hold."), ("Play", ACTION)]


def test_a_message_is_recorded_with_an_end_and_a_way_on() -> None:
    say, record, back = ElementTree.fromstring(
        say_and_record("Speak.", action_url=NEXT, status_callback_url=STATUS, redirect_url=ACTION)
    )
    assert (say.text, back.tag, back.text) == ("Speak.", "Redirect", ACTION)
    assert record.attrib == {
        "action": NEXT,
        "method": "POST",
        "maxLength": str(documents.RECORD_LIMIT_S),
        "timeout": str(documents.RECORD_SILENCE_S),
        "finishOnKey": "#",
        "playBeep": "true",
        "recordingStatusCallback": STATUS,
        "recordingStatusCallbackMethod": "POST",
        "recordingStatusCallbackEvent": "completed absent",
    }


@pytest.mark.parametrize(
    ("music", "rest"), [("", ("Pause", None, {"length": "2"})), (ACTION, ("Play", ACTION, {}))]
)
def test_between_the_words_of_a_queue_there_is_music_or_a_pause(music: str, rest: object) -> None:
    say, after = ElementTree.fromstring(say_and_wait("Hold.", pause_s=2, music_url=music))
    assert (say.text, (after.tag, after.text, after.attrib)) == ("Hold.", rest)


def test_a_caller_leaves_the_queue_by_one_verb_and_is_told_before_a_number_is_called() -> None:
    assert [one.tag for one in ElementTree.fromstring(leave())] == ["Leave"]
    say, call = ElementTree.fromstring(say_and_dial("One moment.", "+493012345", NEXT, "de-DE"))
    assert (say.text, say.attrib, call.tag, call.text) == (
        "One moment.",
        {"language": "de-DE"},
        "Dial",
        "+493012345",
    )
