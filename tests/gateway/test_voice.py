from __future__ import annotations

import asyncio
import io
import json
import random
import socket
from dataclasses import replace
from xml.etree import ElementTree

import httpx2
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from gateway import logs, voice
from gateway.calls.call import RESUMES_PER_MINUTE, CallState, EndReason
from gateway.errors import TokenRefused
from gateway.voice import APOLOGY, NOBODY_ANSWERED
from tests.gateway.signed import ACCOUNT, CALL, FORM_TYPE, PUBLIC_URL, SETTINGS, STREAM, VOICE, Clock, House, sign
from twiml.overflow_words import words_in

WORDS = words_in(None)
ALL_BUSY = f"{WORDS.all_busy} {WORDS.try_later}"

ROUTES = [
    "/twilio/voice",
    "/twilio/stream-ended",
    "/twilio/dialled",
    "/twilio/fallback",
    "/twilio/status",
    "/twilio/stream",
]
IN_PROGRESS = VOICE | {"CallStatus": "in-progress"}


def verbs(response: httpx2.Response) -> list[str]:
    """The document's verbs, a spoken one with its words."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/xml")
    root = ElementTree.fromstring(response.text)
    return [f"Say {child.text}" if child.tag == "Say" else child.tag for child in root]


def token(response: httpx2.Response) -> str:
    stream = ElementTree.fromstring(response.text).find("Connect/Stream")
    assert stream is not None
    return stream.attrib["url"].rpartition("/")[2]


def way_back(response: httpx2.Response) -> str:
    connect = ElementTree.fromstring(response.text).find("Connect")
    assert connect is not None
    return connect.attrib["action"]


def connected(house: House) -> str:
    """A call whose stream has begun; gives its way back."""
    answer = house.post("/twilio/voice", VOICE)
    house.call.begin_stream(house.call.generation)
    return way_back(answer)


async def claims(house: House, secret: str) -> bool:
    try:
        await house.store.claim(secret, house.clock())
    except TokenRefused:
        return False
    return True


# The doors, the same for every route.


@pytest.mark.parametrize("path", ROUTES)
def test_an_unsigned_request_is_told_which_url_was_checked(path: str) -> None:
    house = House()
    response = house.post(path, VOICE, X_Twilio_Signature=sign("https://proxy.example" + path, VOICE))
    assert response.status_code == 403
    assert response.headers["content-type"].startswith("text/plain")
    assert PUBLIC_URL + path in response.text
    assert "PUBLIC_URL" in response.text
    assert house.sample("webhook_rejected_total", reason="bad_signature") == 1
    assert house.sample("webhook_requests_total", route=path, code="403") == 1
    assert house.store._calls == {}


def test_a_request_without_a_signature_is_refused_and_counted() -> None:
    house = House()
    assert house.client.post("/twilio/voice", data=VOICE).status_code == 403
    assert house.sample("webhook_rejected_total", reason="no_signature") == 1


def test_the_host_header_does_not_matter() -> None:
    assert House().post("/twilio/voice", VOICE, Host="evil.example").status_code == 200


def test_only_posts_are_answered() -> None:
    assert House().client.get("/twilio/voice").status_code == 405


@pytest.mark.parametrize("path", ROUTES)
def test_a_signed_form_that_makes_no_sense_is_refused_by_name(path: str) -> None:
    house = House()
    response = house.post(path, VOICE | {"CallSid": "CA1", "StreamEvent": "stream-started"})
    assert response.status_code == 400
    assert response.text == "CallSid: expected CA and 32 lower-case hex digits, got 'CA1'\n"
    assert house.sample("webhook_rejected_total", reason="schema") == 1


def test_the_calls_of_another_account_are_refused() -> None:
    house = House()
    response = house.post("/twilio/voice", VOICE | {"AccountSid": "AC" + "d" * 32})
    assert response.status_code == 403
    assert "TWILIO_ACCOUNT_SID" in response.text
    anybody = House(settings=replace(SETTINGS, account_sid=""))
    assert anybody.post("/twilio/voice", VOICE | {"AccountSid": "AC" + "d" * 32}).status_code == 200


@given(st.integers(0, 2**32))
def test_a_signed_request_cut_anew_opens_no_call_and_changes_none(seed: int) -> None:
    """Twilio strings names and values together without separators: one signature fits every cut of them."""
    house = House()
    signature = sign(PUBLIC_URL + "/twilio/voice", VOICE)
    strung = "".join(name + VOICE[name] for name in sorted(VOICE))
    dice = random.Random(seed)
    marks = sorted(dice.sample(range(1, len(strung)), dice.choice([1, 3, 5, 7, 11])))
    pieces = [strung[a:b] for a, b in zip([0, *marks], [*marks, len(strung)], strict=True)]
    form = dict(zip(pieces[::2], pieces[1::2], strict=True))
    response = house.post("/twilio/voice", form, X_Twilio_Signature=signature)
    assert response.status_code in (400, 403) or form == VOICE
    assert response.status_code == 200 or house.store._calls == {}


def test_a_signed_request_with_its_form_in_the_path_meets_no_route() -> None:
    strung = "".join(name + VOICE[name] for name in sorted(VOICE))
    response = House().post(
        "/twilio/voice" + strung, {}, X_Twilio_Signature=sign(PUBLIC_URL + "/twilio/voice", VOICE)
    )
    assert response.status_code == 404


# A call comes in.


def test_a_call_is_connected_to_a_stream_with_a_way_back() -> None:
    house = House()
    assert verbs(house.post("/twilio/voice", VOICE)) == ["Connect", "Redirect"]
    assert house.call.state is CallState.RINGING
    assert house.sample("webhook_requests_total", route="/twilio/voice", code="200") == 1


@pytest.mark.anyio
async def test_a_retry_before_the_stream_began_gets_a_fresh_token_and_voids_the_old() -> None:
    house = House()
    first, second = (token(house.post("/twilio/voice", VOICE)) for _ in range(2))
    assert house.sample("calls_active") == 1
    assert [await claims(house, secret) for secret in (first, second, second)] == [False, True, False]


@pytest.mark.anyio
async def test_a_replay_while_the_call_runs_gets_no_token() -> None:
    house = House()
    back = connected(house)
    response = house.post("/twilio/voice", VOICE)
    assert verbs(response) == ["Redirect"]
    assert ElementTree.fromstring(response.text)[0].text == back
    assert (house.call.state, house.call.token) == (CallState.STREAMING, None)


def test_a_hundred_replays_of_an_ended_call_change_nothing() -> None:
    house = House()
    connected(house)
    house.post("/twilio/status", VOICE | {"CallStatus": "completed", "SequenceNumber": "3"})
    for _ in range(100):
        assert verbs(house.post("/twilio/voice", VOICE)) == ["Hangup"]
    assert (house.call.state, house.call.generation) == (CallState.ENDED, 1)
    assert house.sample("calls_total", ended_reason="completed") == 1


def test_a_call_that_is_over_before_it_began_is_not_taken_in() -> None:
    house = House()
    assert verbs(house.post("/twilio/voice", VOICE | {"CallStatus": "canceled"})) == ["Hangup"]
    assert house.store._calls == {}


def test_a_full_house_apologises_and_never_says_busy() -> None:
    house = House(settings=replace(SETTINGS, max_calls=1))
    connected(house)
    another = VOICE | {"CallSid": "CA" + "e" * 32}
    assert verbs(house.post("/twilio/voice", another)) == [f"Say {ALL_BUSY}", "Hangup"]
    assert house.sample("calls_total", ended_reason="overload") == 1
    assert house.call.call_sid == CALL


def test_a_draining_house_takes_no_new_call_but_goes_on_with_those_it_has() -> None:
    house = House()
    house.post("/twilio/voice", VOICE)
    house.admits = False
    assert verbs(house.post("/twilio/voice", VOICE)) == ["Connect", "Redirect"]
    another = VOICE | {"CallSid": "CA" + "e" * 32}
    assert verbs(house.post("/twilio/voice", another)) == [f"Say {ALL_BUSY}", "Hangup"]


# The way back.


@pytest.mark.anyio
async def test_a_stream_that_breaks_is_replaced_and_the_old_token_is_worthless() -> None:
    house = House()
    back = connected(house)
    response = house.post(back, IN_PROGRESS)
    assert verbs(response) == ["Connect", "Redirect"]
    assert (house.call.state, house.call.generation) == (CallState.INTERRUPTED, 2)
    retried = house.post(back, IN_PROGRESS)
    assert [await claims(house, token(r)) for r in (response, retried)] == [False, True]


def test_a_late_word_of_an_earlier_stream_does_not_disturb_the_one_that_runs() -> None:
    house = House()
    first_back = connected(house)
    second_back = way_back(house.post(first_back, IN_PROGRESS))
    house.call.begin_stream(2)
    replayed = house.post(first_back, IN_PROGRESS)
    assert verbs(replayed) == ["Redirect"]
    assert ElementTree.fromstring(replayed.text)[0].text == second_back
    assert house.call.state is CallState.STREAMING


@pytest.mark.parametrize("query", ["", "?generation=x", "?generation=%D9%A3"])
def test_a_way_back_that_names_no_stream_means_the_last_one(query: str) -> None:
    house = House()
    connected(house)
    assert verbs(house.post("/twilio/stream-ended" + query, IN_PROGRESS)) == ["Connect", "Redirect"]


def test_a_call_that_was_meant_to_end_is_hung_up() -> None:
    house = House()
    back = connected(house)
    house.call.finish(EndReason.AGENT_HUNG_UP, house.clock())
    for _ in range(2):
        assert verbs(house.post(back, IN_PROGRESS)) == ["Hangup"]
    assert house.sample("calls_total", ended_reason="agent_hung_up") == 1


def test_a_farewell_the_agent_could_not_say_is_said_on_the_way_back() -> None:
    house = House()
    back = connected(house)
    house.call.finish(EndReason.PROVIDER_FAILED, house.clock(), farewell="Sorry & goodbye.")
    for _ in range(2):
        assert verbs(house.post(back, IN_PROGRESS)) == ["Say Sorry & goodbye.", "Hangup"]


def test_a_stream_that_keeps_breaking_ends_with_an_apology() -> None:
    house = House()
    back = connected(house)
    for _ in range(RESUMES_PER_MINUTE):
        answer = house.post(back, IN_PROGRESS)
        assert verbs(answer) == ["Connect", "Redirect"]
        back = way_back(answer)
    assert verbs(house.post(back, IN_PROGRESS)) == [f"Say {APOLOGY}", "Hangup"]
    assert house.sample("calls_total", ended_reason="resumes_exhausted") == 1


def test_a_call_we_have_forgotten_gets_an_apology() -> None:
    assert verbs(House().post("/twilio/stream-ended", IN_PROGRESS)) == [f"Say {APOLOGY}", "Hangup"]


def test_a_stream_that_ended_with_the_call_ends_the_call() -> None:
    house = House()
    back = connected(house)
    assert verbs(house.post(back, VOICE | {"CallStatus": "completed"})) == ["Hangup"]
    assert house.call.end_reason is EndReason.COMPLETED


# What Twilio tells.


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("completed", "completed"),
        ("busy", "busy"),
        ("failed", "failed"),
        ("no-answer", "no_answer"),
        ("canceled", "canceled"),
    ],
)
def test_a_final_status_ends_the_call_once(status: str, reason: str) -> None:
    house = House()
    connected(house)
    for _ in range(3):
        response = house.post("/twilio/status", VOICE | {"CallStatus": status, "SequenceNumber": "2"})
        assert (response.status_code, response.content) == (204, b"")
    assert house.completed == [CALL]
    assert house.sample("calls_total", ended_reason=reason) == 1


@given(st.permutations([("ringing", 1), ("in-progress", 2), ("completed", 3), ("completed", 3)]))
def test_in_whatever_order_they_come_statuses_never_take_a_call_backwards(order: list[tuple[str, int]]) -> None:
    house = House()
    connected(house)
    was_ended = False
    for status, number in order:
        house.post("/twilio/status", VOICE | {"CallStatus": status, "SequenceNumber": str(number)})
        is_ended = house.call.state is CallState.ENDED
        assert is_ended >= was_ended
        was_ended = is_ended
    assert house.completed == [CALL]


def test_an_older_status_than_those_heard_is_ignored() -> None:
    house = House()
    connected(house)
    house.post("/twilio/status", VOICE | {"CallStatus": "in-progress", "SequenceNumber": "5"})
    house.post("/twilio/status", VOICE | {"CallStatus": "failed", "SequenceNumber": "4"})
    assert house.call.state is CallState.STREAMING


def test_statuses_without_a_number_end_the_call_once() -> None:
    house = House()
    connected(house)
    for _ in range(2):
        house.post("/twilio/status", VOICE | {"CallStatus": "completed"})
    assert house.completed == [CALL]


def test_the_status_of_an_unknown_call_is_taken_note_of() -> None:
    house = House()
    assert house.post("/twilio/status", VOICE | {"CallStatus": "completed"}).status_code == 204
    assert house.completed == []


@pytest.mark.anyio
async def test_what_becomes_of_a_stream_stands_in_the_journal(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    connected(house)
    told = VOICE | {"StreamSid": STREAM, "StreamEvent": "stream-started"}
    failed = told | {"StreamEvent": "stream-error", "StreamError": "31920"}
    assert [house.post("/twilio/stream", form).status_code for form in (told, failed)] == [204, 204]
    journal = await house.store.journal(CALL)
    assert journal is not None
    assert journal.recent(since=2) == [
        {"event": "twilio.stream-started", "at_s": 100.0, "stream_sid": STREAM, "error": None},
        {"event": "twilio.stream-error", "at_s": 100.0, "stream_sid": STREAM, "error": "31920"},
    ]
    assert [record.message for record in caplog.records] == ["stream failed"]


def test_the_fallback_apologises_and_ends_the_call() -> None:
    house = House()
    connected(house)
    report = {
        "CallSid": CALL,
        "AccountSid": ACCOUNT,
        "ErrorCode": "11200",
        "ErrorUrl": PUBLIC_URL + "/twilio/voice",
    }
    for _ in range(2):
        assert verbs(house.post("/twilio/fallback", report)) == [f"Say {APOLOGY}", "Hangup"]
    assert house.completed == [CALL]
    assert house.sample("calls_total", ended_reason="failed") == 1


# When we are at fault.


class BrokenClock(Clock):
    def __call__(self) -> float:
        raise OSError("no clock")


@pytest.mark.parametrize("path", ["/twilio/voice", "/twilio/stream-ended"])
def test_a_caller_hears_an_apology_whatever_breaks_and_the_log_says_whose_call_it_was(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House()
    connected(house)

    async def find(_call_sid: str) -> None:
        raise OSError("no clock")

    monkeypatch.setattr(house.store, "find", find)
    output = io.StringIO()
    undo = logs.configure("error", "json", output=output)
    try:
        assert verbs(house.post(path, IN_PROGRESS)) == [f"Say {APOLOGY}", "Hangup"]
    finally:
        undo()
    logged = json.loads(output.getvalue())
    assert (logged["call_sid"], logged["route"]) == (CALL, path)
    assert logged["exception"].endswith("OSError: no clock")


def test_a_request_no_caller_waits_on_is_told_the_truth() -> None:
    house = House()
    connected(house)
    house.desk.now = BrokenClock()
    response = house.post("/twilio/status", VOICE | {"CallStatus": "completed"})
    assert (response.status_code, response.text) == (500, "The gateway failed; its log says why.\n")


def test_no_caller_waits_while_calls_that_others_abandoned_are_swept_up(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()

    async def sweep(_now_s: float) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(house.store, "sweep", sweep)
    assert verbs(house.post("/twilio/voice", VOICE)) == ["Connect", "Redirect"]


def test_a_caller_is_not_kept_waiting_by_a_store_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()

    async def hang(call_sid: str) -> None:
        await house.store.arrival("never")

    monkeypatch.setattr(voice, "ACT_BUDGET_S", 0.0)
    monkeypatch.setattr(house.store, "find", hang)
    assert verbs(house.post("/twilio/voice", VOICE)) == [f"Say {APOLOGY}", "Hangup"]


# Over a real socket.


@pytest.mark.anyio
@pytest.mark.parametrize("target", ["/twilio/voice", "/twilio/voice?a=%20b&c=%2F", "/twilio/v%6Fice"])
async def test_over_a_real_socket_the_target_is_checked_byte_for_byte(target: str) -> None:
    house = House()
    config = uvicorn.Config(house.client.app, log_config=None, lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    # Listening already, so that a client may connect before the server is up.
    listening = socket.create_server(("127.0.0.1", 0))
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(server.serve([listening]))
        port = listening.getsockname()[1]
        headers = {"X-Twilio-Signature": sign(PUBLIC_URL + target, VOICE), "Content-Type": FORM_TYPE}
        async with httpx2.AsyncClient(trust_env=False) as client:
            response = await client.post(f"http://127.0.0.1:{port}{target}", data=VOICE, headers=headers)
        server.should_exit = True
    assert verbs(response) == ["Connect", "Redirect"]


def test_a_transfer_is_dialled_on_the_way_back_and_its_end_is_no_silence() -> None:
    house = House()
    back = connected(house)
    house.call.finish(EndReason.TRANSFERRED, house.clock(), transfer_to="+493012345678")
    answer = house.post(back, IN_PROGRESS)
    assert verbs(answer) == ["Dial"]
    assert "+493012345678" in answer.text
    assert f"{PUBLIC_URL}/twilio/dialled" in answer.text
    assert house.call.end_reason is EndReason.TRANSFERRED
    assert verbs(house.post("/twilio/dialled", IN_PROGRESS | {"DialCallStatus": "completed"})) == ["Hangup"]
    unanswered = house.post("/twilio/dialled", IN_PROGRESS | {"DialCallStatus": "no-answer"})
    assert verbs(unanswered) == [f"Say {NOBODY_ANSWERED}", "Hangup"]
