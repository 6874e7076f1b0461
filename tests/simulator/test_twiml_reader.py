from __future__ import annotations

import pytest
from twilio.twiml.voice_response import Connect as TwilioConnect
from twilio.twiml.voice_response import VoiceResponse

from simulator.errors import TwimlRefused
from simulator.twiml_reader import read_twiml
from simulator.verb import (
    Connect,
    Document,
    Hangup,
    Leave,
    Other,
    Pause,
    Play,
    Redirect,
    Reject,
    Say,
    Stream,
)

BASE = "http://127.0.0.1:8080/twilio/voice"


def read(verbs: str, base_url: str = BASE) -> Document:
    body = f"<Response>{verbs}</Response>".encode()
    return read_twiml(body, content_type="text/xml; charset=utf-8", base_url=base_url)


def warnings(verbs: str) -> list[str]:
    document = read(verbs)
    assert all(one.code == 12200 for one in document.warnings)
    return [one.message for one in document.warnings]


def test_a_document_of_the_twilio_package_is_read_whole() -> None:
    response, connect = VoiceResponse(), TwilioConnect(action="/after", method="GET")
    stream = connect.stream(
        url="wss://voice.example.com/media/t0", name="n", status_callback="https://voice.example.com/stream"
    )
    stream.parameter(name="line", value="main & more")
    response.append(connect)
    response.say("One moment, please", voice="alice", language="en-US")
    response.redirect("resume", method="POST")
    body = str(response).encode()
    assert read_twiml(body, content_type="application/xml", base_url=BASE) == Document(
        (
            Connect(
                action="http://127.0.0.1:8080/after",
                method="GET",
                stream=Stream(
                    url="wss://voice.example.com/media/t0",
                    name="n",
                    track="inbound_track",
                    status_callback="https://voice.example.com/stream",
                    status_callback_method="POST",
                    parameters={"line": "main & more"},
                ),
            ),
            Say("One moment, please"),
            Redirect("http://127.0.0.1:8080/twilio/resume", "POST"),
        ),
        (),
    )


def test_every_other_verb_is_read() -> None:
    verbs = (
        '<Say>Hello <emphasis level="strong">you</emphasis> there</Say><Pause/><Pause length="3"/>'
        '<Play digits="1w2"/><Play>/a.wav</Play><Reject reason="busy"/><Reject/><Hangup/>'
        '<Refer action="/x"/>'
        '<Dial><Conference muted="true">c</Conference></Dial><Leave/><Connect><ConversationRelay url="wss://x"/></Connect>'
    )
    document = read(verbs)
    assert document.verbs == (
        Say("Hello you there"),
        Pause(1.0),
        Pause(3.0),
        Play(None, "1w2"),
        Play("http://127.0.0.1:8080/a.wav", None),
        Reject("busy"),
        Reject("rejected"),
        Hangup(),
        Other("Refer", {"action": "/x"}),
        Other("Dial/Conference", {"muted": "true"}),
        Leave(),
        Other("Connect/ConversationRelay", {"url": "wss://x"}),
    )
    assert document.warnings == ()


@pytest.mark.parametrize(
    ("base", "url", "read_as"),
    [
        (BASE, "/media/t0", "ws://127.0.0.1:8080/media/t0"),
        ("https://a.example/voice", "media", "wss://a.example/media"),
        (BASE, "wss://b.example/media", "wss://b.example/media"),
        (BASE, "https://b.example/media", "https://b.example/media"),
    ],
)
def test_a_relative_stream_address_is_resolved_on_the_document_as_a_socket(
    base: str, url: str, read_as: str
) -> None:
    [connect] = read(f'<Connect><Stream url="{url}"/></Connect>', base).verbs
    assert isinstance(connect, Connect) and connect.stream.url == read_as


def test_the_query_of_a_stream_address_is_stripped_with_a_warning() -> None:
    document = read('<Connect><Stream url="wss://a.example/media?token=x"/></Connect>')
    [connect] = document.verbs
    assert isinstance(connect, Connect) and connect.stream.url == "wss://a.example/media"
    assert "query string is stripped" in document.warnings[0].message


@pytest.mark.parametrize(
    ("verbs", "warning"),
    [
        ("<Shout/>", "<Shout> is not a verb"),
        ('<Gather timeout="long"/>', "<Gather timeout> is a whole number, got 'long'; 5 is taken"),
        ("<Number>+1</Number>", "<Number> is not a verb"),
        ('<Stream url="x"/>', "<Stream> is not a verb"),
        ('<Say volume="11">x</Say>', "no attribute 'volume'"),
        ("<Connect/>", "holds one noun, found 0"),
        ('<Pause length="x"/>', "got 'x'"),
        ('<Pause length="0"/>', "got '0'"),
        ('<Redirect method="PUT">/x</Redirect>', "got 'PUT'"),
        ('<Connect><Stream url="/m"><Param/></Stream></Connect>', "<Param> does not belong"),
        ('<Connect><Stream url="/m"><Parameter value="x"/></Stream></Connect>', "without a name"),
        (
            f'<Connect><Stream url="/m"><Parameter name="n" value="{"x" * 499}"/></Stream></Connect>',
            "499 are allowed",
        ),
    ],
)
def test_what_twilio_would_warn_about_is_a_warning(verbs: str, warning: str) -> None:
    [told] = warnings(verbs)
    assert warning in told


def test_a_parameter_of_499_characters_is_read() -> None:
    document = read(f'<Connect><Stream url="/m"><Parameter name="n" value="{"x" * 498}"/></Stream></Connect>')
    [connect] = document.verbs
    assert isinstance(connect, Connect) and connect.stream.parameters == {"n": "x" * 498}


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"<Response><Say>", "text/xml", 12100),
        (b"", "text/xml", 12100),
        (b"<!DOCTYPE x><Response/>", "text/xml", 12100),
        (b"<Answer/>", "text/xml", 12200),
        (b"<Response/>", "text/plain", 12300),
        (b"<Response/>", "", 12300),
        (b"<Response>" + b" " * 64_000 + b"</Response>", "text/xml", 11750),
    ],
)
def test_a_document_twilio_would_not_run_is_refused_with_its_number(
    body: bytes, content_type: str, code: int
) -> None:
    with pytest.raises(TwimlRefused) as refused:
        read_twiml(body, content_type=content_type, base_url=BASE)
    assert refused.value.code == code
    assert BASE in str(refused.value)
