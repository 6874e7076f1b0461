from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import overflow
from gateway.calls.admission import Admission, Limits, Verdict
from gateway.gate import Gate
from gateway.overflow import KEPT_LIMIT, PAUSE_S, Plan
from tests.gateway.signed import ACCOUNT, CALL, PUBLIC_URL, VOICE, Clock, House
from twiml.overflow import read_ladder
from twiml.overflow_words import words_in
from twiml.webhooks import read_voice

WORDS = words_in("en")
GERMAN = words_in("de")
RECORDING = "RE" + "d" * 32
RECORDED = {
    "RecordingSid": RECORDING,
    "RecordingUrl": "https://api.twilio.com/Recordings/RE",
    "RecordingDuration": "7",
}
WAITING = {"QueuePosition": "2", "QueueTime": "5", "AvgQueueTime": "30", "CurrentQueueSize": "2"}
ALL = "queue, callback, +493012345, voicemail"


class Ladder:
    """The ladder's routes behind signed forms, its gate, and what it kept."""

    def __init__(self, ladder: str = ALL, **plan: Any) -> None:
        self.house = House()
        self.gate = Gate(admission=Admission(Limits(calls=1)), now=Clock())
        self.kept: list[Mapping[str, str]] = []
        self.disk_is_full = False
        routes = overflow.routes(self.house.desk, self.gate, Plan(ladder=read_ladder(ladder), **plan), self.keep)
        self.house.client.app.router.routes.extend(routes)  # type: ignore[attr-defined]  # it is Starlette's

    async def keep(self, message: Mapping[str, str]) -> None:
        if self.disk_is_full:
            raise OSError("the disk is full")
        self.kept.append(message)

    def post(self, step: str, rung: int, waited: str = "", **fields: str) -> ElementTree.Element:
        target = f"/twilio/overflow{step}?rung={rung}" + (f"&waited={waited}" if waited else "")
        response: httpx2.Response = self.house.post(target, VOICE | fields)
        assert (response.status_code, response.headers["content-type"]) == (200, "application/xml")
        return ElementTree.fromstring(response.text)

    def begin(self, verdict: Verdict = Verdict.WORKER_FULL, **query: str) -> ElementTree.Element:
        return ElementTree.fromstring(self.gate.refuse(read_voice(VOICE), verdict, query))


def said(document: ElementTree.Element) -> str:
    return " ".join(one.text or "" for one in document.iter("Say"))


def place_in(url: str) -> str:
    return url.removeprefix(f"{PUBLIC_URL}/twilio/overflow")


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_document_of_the_ladder_begins_with_a_sentence_and_names_the_next_rung(language: str) -> None:
    ladder = Ladder(language=language)
    for rung, (verb, url) in enumerate(
        [("Enqueue", "Redirect"), ("Gather", "Redirect"), ("Dial", ""), ("Record", "Redirect")]
    ):
        document = ladder.post("", rung)
        assert next(iter(document.iter("Say"))).text
        assert document.find(verb) is not None
        if url:
            follows = document.findtext(url)
            assert follows is not None and place_in(follows) == f"?rung={rung + 1}"
    assert said(ladder.post("", 4)) == words_in(language).try_later
    assert said(ladder.post("", 99)) == words_in(language).try_later
    assert {one.attrib["language"] for one in ladder.post("", 1).iter("Say")} == {words_in(language).language}


def test_the_first_words_say_that_all_lines_are_busy_and_later_ones_do_not() -> None:
    ladder = Ladder("voicemail, callback")
    assert said(ladder.begin()).startswith(WORDS.all_busy)
    assert WORDS.all_busy not in said(ladder.post("", 1))
    assert ladder.house.sample("calls_refused_total", reason="worker_full") == 1
    assert ladder.house.sample("overflow_total", rung="voicemail") == 1


def test_a_call_that_is_over_is_offered_nothing() -> None:
    assert [one.tag for one in Ladder().post("", 1, CallStatus="completed")] == ["Hangup"]


def test_a_caller_is_told_the_place_then_thanked_and_told_a_wait_that_is_long() -> None:
    ladder = Ladder("queue")
    ladder.gate.resume("CAother", line="+1")
    position = WORDS.position.format(position=2)
    assert said(ladder.post("/wait", 0, **WAITING)) == position
    assert said(ladder.post("/wait", 0, **WAITING | {"QueueTime": "15"})) == WORDS.hold
    assert said(ladder.post("/wait", 0, **WAITING | {"QueuePosition": "1"})) == WORDS.next
    long = said(ladder.post("/wait", 0, **WAITING | {"AvgQueueTime": "181"}))
    assert long == f"{position} {WORDS.minutes.format(minutes=3)}"
    assert said(ladder.post("/wait", 0, **WAITING | {"AvgQueueTime": "9999"})) == position


def test_music_is_played_in_the_queue_with_and_without_a_key_to_press() -> None:
    for text in ("queue", "queue, callback"):
        ladder = Ladder(text, hold_music="https://cdn.example/hold.mp3")
        ladder.gate.resume("CAother", line="+1")
        assert next(ladder.post("/wait", 0, **WAITING).iter("Play")).text == "https://cdn.example/hold.mp3"


def test_room_takes_a_caller_out_of_the_queue_and_to_the_voice_url_with_a_seat() -> None:
    ladder = Ladder()
    assert [one.tag for one in ladder.post("/wait", 0, **WAITING)] == ["Gather"]  # another is before this one
    assert [one.tag for one in ladder.post("/wait", 0, **WAITING | {"QueuePosition": "1"})] == ["Leave"]
    assert ladder.gate.admission.held == 1
    document = ladder.post("/left", 0, waited="10", QueueResult="leave", QueueTime="8")
    assert document.findtext("Redirect") == f"{PUBLIC_URL}/twilio/voice?waited=18"
    assert ladder.gate.admit(CALL, line=VOICE["To"]) is Verdict.ADMITTED


def test_who_lost_the_seat_to_another_waits_on_and_not_from_the_start() -> None:
    ladder = Ladder(queue_limit_s=60)
    ladder.gate.resume("CAother", line="+1")
    document = ladder.post("/left", 0, waited="10", QueueResult="leave", QueueTime="8")
    queue = document.find("Enqueue")
    assert queue is not None and place_in(queue.attrib["waitUrl"]) == "/wait?rung=0&waited=18"
    key = ladder.post("/wait", 0, waited="18", **WAITING).find("Gather")
    assert key is not None and place_in(key.attrib["action"]) == "/wait-key?rung=0&waited=18"
    again = ladder.begin(waited="30").find("Enqueue")
    assert again is not None and place_in(again.attrib["action"]) == "/left?rung=0&waited=30"
    # Until the time is up, here, in the queue, or at the voice URL.
    assert [one.tag for one in ladder.post("/wait", 0, waited="56", **WAITING)] == ["Leave"]
    assert ladder.post("/left", 0, waited="56", QueueResult="leave", QueueTime="5").find("Gather") is not None
    assert ladder.begin(waited="61").find("Gather") is not None


@pytest.mark.parametrize("result", ["queue-full", "error", "system-error"])
def test_who_cannot_be_queued_gets_the_next_offer(result: str) -> None:
    assert Ladder("queue, voicemail").post("/left", 0, QueueResult=result).find("Record") is not None


def test_who_hangs_up_in_the_queue_gives_the_seat_back() -> None:
    ladder = Ladder()
    ladder.post("/wait", 0, **WAITING | {"QueuePosition": "1"})
    assert [one.tag for one in ladder.post("/left", 0, QueueResult="hangup")] == ["Hangup"]
    assert ladder.gate.admission.held == 0


def test_a_gateway_that_stops_keeps_nobody_in_the_queue() -> None:
    ladder = Ladder("queue, voicemail")
    ladder.gate.is_open = lambda: False
    assert [one.tag for one in ladder.post("/wait", 0, **WAITING)] == ["Leave"]
    assert ladder.post("/left", 0, QueueResult="leave", QueueTime="8").find("Record") is not None
    assert ladder.begin(Verdict.DRAINING, waited="8").find("Record") is not None


def test_a_callback_is_noted_once_however_often_it_is_asked_for() -> None:
    ladder = Ladder()
    ladder.gate.resume("CAother", line="+1")
    assert ladder.post("/wait-key", 0, Digits="2", **WAITING).find("Gather") is not None
    for step in ("/key", "/key", "/wait-key"):
        document = ladder.post(step, 1, Digits="1")
        assert [one.tag for one in document] == ["Say", "Hangup"]
        assert said(document) == WORDS.will_call_back
    assert ladder.kept == [{"kind": "callback", "call_sid": CALL, "from": VOICE["From"], "to": VOICE["To"]}]


def test_without_a_number_there_is_nobody_to_call_back() -> None:
    ladder = Ladder()
    ladder.gate.resume("CAother", line="+1")
    withheld = {"From": "anonymous"}
    assert ladder.post("", 1, **withheld).find("Dial") is not None
    assert ladder.post("/key", 1, Digits="1", **withheld).find("Dial") is not None
    assert ladder.post("/wait", 0, **WAITING | withheld).find("Gather") is None
    assert ladder.kept == []


def test_a_message_that_cannot_be_kept_is_not_promised() -> None:
    ladder = Ladder("callback, voicemail")
    ladder.disk_is_full = True
    assert ladder.post("/key", 0, Digits="1").find("Record") is not None
    assert said(ladder.post("/recorded", 1, **RECORDED)) == WORDS.try_later
    ladder.disk_is_full = False
    assert said(ladder.post("/recorded", 1, **RECORDED)) == WORDS.message_kept


def test_a_message_is_kept_once_with_its_address() -> None:
    ladder = Ladder("voicemail")
    assert said(ladder.post("/recorded", 0, **RECORDED)) == WORDS.message_kept
    assert [one.tag for one in ladder.post("/recorded", 0, Digits="hangup", **RECORDED)] == ["Hangup"]
    assert ladder.kept == [
        {
            "kind": "voicemail",
            "call_sid": CALL,
            "from": VOICE["From"],
            "to": VOICE["To"],
            "recording_sid": RECORDING,
            "recording_url": RECORDED["RecordingUrl"],
            "seconds": "7",
        }
    ]


def test_what_was_kept_is_not_remembered_for_ever() -> None:
    ladder = Ladder("callback")
    for number in range(KEPT_LIMIT + 1):
        ladder.post("/key", 0, Digits="1", CallSid=f"CA{number:032x}")
    assert len(ladder.kept) == KEPT_LIMIT + 1
    ladder.post("/key", 0, Digits="1", CallSid=f"CA{0:032x}")
    assert len(ladder.kept) == KEPT_LIMIT + 2


def test_a_recording_that_will_never_be_is_written_down_and_a_ready_one_is_not() -> None:
    ladder = Ladder()
    form = {"CallSid": CALL, "AccountSid": ACCOUNT, "RecordingSid": RECORDING}
    for status in ("completed", "absent", "absent"):
        answer = ladder.house.post("/twilio/overflow/recording", form | {"RecordingStatus": status})
        assert answer.status_code == 204
    assert [(one["kind"], one["status"]) for one in ladder.kept] == [("recording_absent", "absent")]


@pytest.mark.parametrize(("status", "verbs"), [("completed", ["Hangup"]), ("busy", ["Redirect"])])
def test_after_the_other_number_the_call_ends_or_goes_on(status: str, verbs: list[str]) -> None:
    document = Ladder().post("/dialled", 2, DialCallStatus=status)
    assert [one.tag for one in document] == verbs
    assert document.findtext("Redirect") in (None, f"{PUBLIC_URL}/twilio/overflow?rung=3")


def test_a_failure_of_ours_is_an_apology_to_a_caller_and_the_truth_to_a_callback() -> None:
    ladder = Ladder()

    async def broken(_message: Mapping[str, str]) -> None:
        raise RuntimeError("unforeseen")

    broken_ladder = House()
    gate = ladder.gate
    routes = overflow.routes(broken_ladder.desk, gate, Plan(ladder=read_ladder(ALL), language="de"), broken)
    broken_ladder.client.app.router.routes.extend(routes)  # type: ignore[attr-defined]  # it is Starlette's
    answer = broken_ladder.post("/twilio/overflow/key?rung=1", VOICE | {"Digits": "1"})
    assert (answer.status_code, said(ElementTree.fromstring(answer.text))) == (200, GERMAN.try_later)
    form = {"CallSid": CALL, "AccountSid": ACCOUNT, "RecordingSid": RECORDING, "RecordingStatus": "absent"}
    assert broken_ladder.post("/twilio/overflow/recording", form).status_code == 500


@settings(deadline=None)
@given(
    ladder=st.lists(st.sampled_from(["queue", "callback", "voicemail", "+493012345"]), unique=True, max_size=4).map(
        lambda words: ",".join([*words, "apology"])
    ),
    rung=st.integers(0, 6),
    withheld=st.booleans(),
)
def test_no_document_leaves_a_caller_in_silence(ladder: str, rung: int, withheld: bool) -> None:
    """Pauses, and the times that keys and words are waited for, are what silence is made of."""
    fields = {"From": "anonymous"} if withheld else {}
    house = Ladder(ladder)
    house.gate.resume("CAother", line="+1")
    for document in (house.post("", rung, **fields), house.post("/wait", rung, **WAITING | fields)):
        assert said(document)
        quiet = [int(one.get("length", "1")) for one in document.iter("Pause")]
        quiet += [int(one.attrib["timeout"]) for tag in ("Gather", "Record") for one in document.iter(tag)]
        assert max(quiet, default=0) <= PAUSE_S + 1
        assert all(one.get("answerOnBridge") == "true" for one in document.iter("Dial"))
