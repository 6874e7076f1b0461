"""The oracle sees what it is there for: each kind of frame that breaks a stock client makes it raise."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.dialects import Dialect
from pipeline.events import session as sess
from pipeline.events.config import SessionConfig
from pipeline.wire import Wire
from tests.pipeline.oracle import Oracle
from tests.pipeline.wire_examples import EXAMPLES

GA, BETA, IW, SEED = Dialect.GA, Dialect.BETA, Dialect.IW, Dialect.SEED


def begun(dialect: Dialect) -> Oracle:
    oracle = Oracle(dialect)
    event = sess.SessionCreated(event_id="first", session_id="s", session=SessionConfig())
    oracle.see(Wire(dialect, opened_at_s=0).encode(event) or b"")
    return oracle


def text_of(name: str, dialect: Dialect = GA) -> str:
    text = next(example for example in EXAMPLES if example.name == name).text(dialect)
    assert text is not None
    return text


def changed(name: str, change: Callable[[dict[str, Any]], object], dialect: Dialect = GA) -> str:
    event = json.loads(text_of(name, dialect))
    change(event)
    return json.dumps(event)


BROKEN: list[tuple[str, Dialect, str, Callable[[dict[str, Any]], object]]] = [
    ("a null in an item", GA, "function call", lambda event: event["item"].update(name=None)),
    ("a null in a part", GA, "assistant text", lambda event: event["item"]["content"][0].update(text=None)),
    (
        "no transcript",
        GA,
        "user audio is shown without its bytes",
        lambda e: e["item"]["content"][0].pop("transcript"),
    ),
    ("sound in an item", GA, "user text", lambda event: event["item"]["content"][0].update(audio="AAAA")),
    ("sound without format", GA, "retrieved with its sound", lambda e: e["item"]["content"][0].pop("format")),
    ("no usage of a transcription", GA, "heard", lambda event: event.pop("usage")),
    ("usage that is null", GA, "heard", lambda event: event.update(usage=None)),
    ("no content_index", GA, "heard so far", lambda event: event.pop("content_index")),
    ("no name of a function", GA, "arguments done", lambda event: event.pop("name")),
    ("a name of a function in beta", BETA, "arguments done", lambda event: event.update(name="look")),
    ("a voice that is null", GA, "begun", lambda e: e["response"]["audio"]["output"].update(voice=None)),
    ("a beta voice that is null", BETA, "begun", lambda event: event["response"].update(voice=None)),
    ("a count that is null", GA, "completed", lambda e: e["response"]["usage"].update(input_tokens=None)),
    ("usage before the end", GA, "begun", lambda event: event["response"].update(usage={})),
    ("an end without details", GA, "failed", lambda event: event["response"].update(status_details=None)),
    ("an end that is none", GA, "completed", lambda event: event["response"].update(status="in_progress")),
    ("no metadata", GA, "begun", lambda event: event["response"].pop("metadata")),
    ("Inworld's reason", GA, "failed", lambda e: e["response"]["status_details"].update(reason="server_error")),
    ("a rate of 16 kHz", GA, "begun", lambda e: e["response"]["audio"]["output"]["format"].update(rate=16_000)),
    ("a part by its beta name", GA, "assistant text", lambda e: e["item"]["content"][0].update(type="text")),
    ("a part by its GA name", BETA, "assistant text", lambda e: e["item"]["content"][0].update(type="output_text")),
    ("an unknown event", GA, "cleared", lambda event: event.update(type="ping")),
    ("an unknown event in beta", BETA, "cleared", lambda event: event.update(type="ping")),
    ("a beta name in GA", GA, "text", lambda event: event.update(type="response.text.delta")),
    ("a beta name in IW", IW, "text", lambda event: event.update(type="response.text.delta")),
    ("a GA name in beta", BETA, "text", lambda event: event.update(type="response.output_text.delta")),
    ("a GA name in the seed", SEED, "text", lambda event: event.update(type="response.output_text.delta")),
    ("an added item in GA's legacy name", GA, "user text", lambda e: e.update(type="conversation.item.created")),
    ("an event beta lacks", BETA, "cleared", lambda e: e.update(type="input_audio_buffer.timeout_triggered")),
    ("a backchannel in GA", GA, "cleared", lambda event: event.update(type="response.backchannel.skipped")),
    ("a backchannel with a response", IW, "a backchannel done", lambda event: event.update(response_id="r")),
    ("a backchannel with a null", IW, "a backchannel done", lambda event: event.update(phrase=None)),
    ("an error without its param", GA, "the official error", lambda event: event["error"].pop("param")),
    ("an event_id told before", GA, "cleared", lambda event: event.update(event_id="first")),
    ("an empty event_id", GA, "cleared", lambda event: event.update(event_id="")),
    ("a frame of 1 MiB", GA, "text", lambda event: event.update(delta="x" * 1024 * 1024)),
]


@pytest.mark.parametrize(("dialect", "name", "change"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_what_breaks_a_client_is_seen(
    dialect: Dialect, name: str, change: Callable[[dict[str, Any]], object]
) -> None:
    begun(dialect).see(text_of(name, dialect))
    with pytest.raises(AssertionError):
        begun(dialect).see(changed(name, change, dialect))


def test_what_is_not_json_is_seen() -> None:
    with pytest.raises(AssertionError, match="not JSON"):
        begun(GA).see('{"type":"input_audio_buffer.cleared","event_id":"e","x":NaN}')


def test_the_first_event_is_session_created_or_a_refusal() -> None:
    Oracle(GA).see(text_of("the official error"))
    with pytest.raises(AssertionError, match="first event"):
        Oracle(GA).see(text_of("cleared"))


def test_a_seed_connection_that_turns_is_followed() -> None:
    oracle, wire, config = begun(SEED), Wire(SEED, opened_at_s=0), SessionConfig()
    oracle.see(text_of("text", SEED))
    wire.decode(b'{"type":"session.update","session":{"type":"realtime"}}', config)
    oracle.see(wire.encode(sess.SessionUpdated(event_id="2", session_id="s", session=config)) or b"")
    assert oracle.dialect is IW
    oracle.see(changed("text", lambda event: event.update(event_id="3")))


def test_inworlds_own_is_no_fault_on_its_path() -> None:
    oracle = begun(IW)
    oracle.see(text_of("failed", IW))
    rate = changed("begun", lambda e: e["response"]["audio"]["output"]["format"].update(rate=16_000))
    oracle.see(json.dumps(json.loads(rate) | {"event_id": "2"}))


def test_mcp_events_are_judged_too() -> None:
    ids = {"event_id": "1", "response_id": "r", "item_id": "i", "output_index": 0, "delta": "{"}
    arguments = {"type": "response.mcp_call_arguments.delta"} | ids
    begun(GA).see(json.dumps(arguments | {"obfuscation": ""}))
    with pytest.raises(AssertionError, match="a string"):
        begun(GA).see(json.dumps(arguments | {"obfuscation": None}))
    call = {
        "id": "m",
        "object": "realtime.item",
        "type": "mcp_call",
        "server_label": "s",
        "name": "n",
        "arguments": "{}",
    }
    done = {"type": "conversation.item.done", "event_id": "2", "previous_item_id": None, "item": call}
    begun(GA).see(json.dumps(done | {"item": call | {"output": None}}))
    with pytest.raises(AssertionError, match="output"):
        begun(GA).see(json.dumps(done))
