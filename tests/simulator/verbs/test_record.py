from __future__ import annotations

import pytest

from simulator.call_result import EndReason
from simulator.caller import Dtmf, HangUp, Listen, Say, Wait
from simulator.sound import Sound
from tests.simulator.verbs.played import played

pytestmark = pytest.mark.anyio

TWO_SECONDS = Sound("please call me", bytes(2 * 16_000))
RECORD = '<Record action="/recorded" timeout="3" recordingStatusCallback="/status" {}/><Say>nothing there</Say>'
PAGES = {"/voice": RECORD.format(""), "/recorded": "<Hangup/>", "/status": ""}


async def test_what_the_caller_says_is_a_recording_that_the_action_and_the_callback_hear_of() -> None:
    result, gateway = await played(dict(PAGES), Say(TWO_SECONDS), Listen())
    [form], [status] = gateway.forms_at("/recorded"), gateway.forms_at("/status")
    assert (form["RecordingDuration"], form["Digits"]) == ("2", "")
    assert form["RecordingSid"].startswith("RE") and form["RecordingUrl"].endswith(form["RecordingSid"])
    assert (status["RecordingStatus"], status["RecordingUrl"]) == ("completed", form["RecordingUrl"])
    [recording] = [one.detail for one in result.happenings if one.name == "recording"]
    assert (recording["text"], recording["seconds"]) == ("please call me", 2.0)
    assert result.duration_s == pytest.approx(0.5 + 2 + 3)


async def test_a_key_ends_it_at_once_if_it_is_one_that_does() -> None:
    pages = PAGES | {"/voice": RECORD.format('finishOnKey="#" playBeep="false"')}
    result, gateway = await played(dict(pages), Say(TWO_SECONDS), Dtmf("1#"))
    assert gateway.forms_at("/recorded")[0]["Digits"] == "#"
    assert result.duration_s == pytest.approx(2)


async def test_a_recording_goes_on_after_a_short_pause_and_ends_at_its_longest() -> None:
    pages = PAGES | {"/voice": RECORD.format('maxLength="3"')}
    _, gateway = await played(dict(pages), Say(TWO_SECONDS), Wait(500), Say(TWO_SECONDS), Listen())
    assert gateway.forms_at("/recorded")[0]["RecordingDuration"] == "3"


async def test_who_hangs_up_has_left_a_message() -> None:
    result, gateway = await played(dict(PAGES), Say(TWO_SECONDS), HangUp())
    [form] = gateway.forms_at("/recorded")
    assert (form["Digits"], form["CallStatus"], form["RecordingDuration"]) == ("hangup", "completed", "2")
    assert result.end_reason is EndReason.CALLER_HUNG_UP
    _, gateway = await played(dict(PAGES), HangUp())
    assert gateway.forms_at("/recorded") == []


async def test_nothing_said_is_no_recording_and_the_next_verb_follows() -> None:
    pages = PAGES | {"/voice": RECORD.format('recordingStatusCallbackEvent="completed absent"')}
    result, gateway = await played(dict(pages), Listen())
    assert gateway.forms_at("/recorded") == []
    assert gateway.forms_at("/status")[0]["RecordingStatus"] == "absent"
    assert result.spoken_verbs == ("nothing there",)
    _, quiet = await played(dict(PAGES), Listen())
    assert quiet.forms_at("/status") == []
