from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import logs

CALL = "CA" + "0123456789abcdef" * 2
AUTH_TOKEN = "fedcba9876543210" * 2

logger = logging.getLogger("gateway.test")


class Output(io.StringIO):
    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().split("\n") if line]


@pytest.fixture
def output() -> Iterator[Output]:
    sink = Output()
    undo = logs.configure("debug", "json", secrets=("canary",), output=sink)
    yield sink
    undo()


@pytest.fixture
def text_output() -> Iterator[Output]:
    sink = Output()
    undo = logs.configure("info", "text", output=sink)
    yield sink
    undo()


def test_a_record_is_one_json_object_with_the_call_it_is_about(output: Output) -> None:
    with logs.about(CALL, "MZ1"):
        logger.info("call %s", "answered", extra={"seconds": 1.5, "is_new": True, "agent": None, "tags": ["a"]})
    logger.warning("alone")
    first, second = output.records
    assert first.pop("ts").endswith("Z")
    assert list(first.items()) == [
        ("level", "info"),
        ("logger", "gateway.test"),
        ("event", "call answered"),
        ("call_sid", CALL),
        ("stream_sid", "MZ1"),
        ("seconds", 1.5),
        ("is_new", True),
        ("tags", "['a']"),
    ]
    assert "call_sid" not in second


def test_an_exception_stays_on_its_line(output: Output) -> None:
    try:
        raise ValueError("bad\nnews")
    except ValueError:
        logger.exception("failed")
    (record,) = output.records
    assert record["exception"].startswith("Traceback")
    assert record["exception"].endswith("ValueError: bad\nnews")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET /twilio/media/s3-cr_t HTTP", "GET /twilio/media/••• HTTP"),
        ("wss://h/twilio/media/s3cr?x", "wss://h/twilio/media/•••?x"),
        ("Authorization: Bearer abc.def-g", "Authorization: Bearer •••"),
        ("basic QUM6dG9r==", "basic •••"),
        (f"token={AUTH_TOKEN}", "token=•••"),
        (f"call {CALL}", f"call {CALL}"),
        (
            '"WebSocket /v1/realtime?model=m&token=abc.d-e" [accepted]',
            '"WebSocket /v1/realtime?model=m&token=•••" [accepted]',
        ),
        ("realtime, openai-insecure-api-key.abc.def, x", "realtime, openai-insecure-api-key.•••, x"),
        ("said eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.s-g_n to us", "said ••• to us"),
        ("sk-proj-abcdefgh12", "sk-•••"),
        ("ek_abcdefgh12", "ek_•••"),
        ("from +14155550134", "from +1 415 ••• 0134"),
        ("From=%2B14155550134", "From=+1 415 ••• 0134"),
        ("a canary sings", "a ••• sings"),
    ],
)
def test_secrets_and_numbers_are_masked_wherever_they_stand(output: Output, text: str, masked: str) -> None:
    logger.info(text, extra={"more": text})
    (record,) = output.records
    assert (record["event"], record["more"]) == (masked, masked)


@pytest.mark.parametrize("format", ["json", "text"])
def test_several_workers_that_write_into_one_place_are_told_apart(format: str) -> None:
    sink = Output()
    undo = logs.configure("info", format, output=sink, worker="host-w2-5f3a9c")
    logger.info("here")
    logger.info("of another", extra={"worker": "host-w1-000000"})
    undo()
    assert ["host-w2-5f3a9c" in line for line in sink.lines] == [True, False]


def test_a_record_below_the_level_is_not_written(text_output: Output) -> None:
    logger.debug("quiet")
    assert text_output.lines == []


def test_text_for_people_has_the_call_first_and_a_traceback_below(text_output: Output) -> None:
    with logs.about(CALL):
        try:
            raise ValueError("bad\x1b[2Jnews")
        except ValueError:
            logger.exception("failed\nforged line", extra={"route": "/twilio/voice"})
    head, *below = text_output.lines
    assert head.endswith(r"error   gateway.test CA…cdef failed\nforged line route=/twilio/voice")
    assert all(line.startswith("    ") for line in below)
    assert below[-1] == r"    ValueError: bad\x1b[2Jnews"


@given(st.text(st.characters(exclude_categories=())))
def test_any_words_stay_on_one_line_and_can_be_written_out(words: str) -> None:
    record = logging.makeLogRecord({"name": "x", "msg": "%s", "args": (words,), "levelname": "INFO"})
    for line in (logs.JsonLines().format(record), logs.TextLines().format(record)):
        assert len(line.splitlines()) == 1
        line.encode()
    assert isinstance(json.loads(logs.JsonLines().format(record))["event"], str)


def test_uvicorn_speaks_through_the_same_format(output: Output) -> None:
    logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "\x1b[1mStarted"})
    access = logging.getLogger("uvicorn.access")
    access.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1", "GET", "/twilio/media/s3cret", "1.1", 101)
    started, request = output.records
    assert started["event"] == "Started"
    assert "color_message" not in started
    assert request["event"] == '127.0.0.1 - "GET /twilio/media/••• HTTP/1.1" 101'


def test_logs_go_to_stderr_unless_told_otherwise_and_can_be_undone() -> None:
    root = logging.getLogger()
    before = root.handlers[:]
    undo = logs.configure("info", "json")
    (sink,) = root.handlers
    assert isinstance(sink, logging.StreamHandler)
    assert sink.stream is sys.stderr
    undo()
    assert root.handlers == before
