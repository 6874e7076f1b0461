from __future__ import annotations

import pytest

from simulator.call_result import EndReason
from simulator.caller import Dtmf, HangUp, Listen, Wait
from tests.simulator.verbs.played import played, verbs

pytestmark = pytest.mark.anyio

PROMPT = "<Say>one two three four five six seven eight nine ten</Say>"


async def test_a_key_during_the_prompt_cuts_it_short_and_goes_to_the_action() -> None:
    pages = {
        "/voice": f'<Gather numDigits="1" action="/key">{PROMPT}</Gather><Say>never</Say>',
        "/key": "<Hangup/>",
    }
    result, gateway = await played(dict(pages), Wait(1_000), Dtmf("7"))
    [form] = gateway.forms_at("/key")
    assert (form["Digits"], form["FinishedOnKey"], form["CallStatus"]) == ("7", "", "in-progress")
    assert result.duration_s == pytest.approx(1.0)
    assert result.end_reason is EndReason.HANGUP_VERB


async def test_more_keys_end_by_the_finishing_key_their_number_or_a_timeout() -> None:
    voice = '<Gather action="/key" timeout="3"/>'
    for keys, attributes, digits, finished in (
        ("12#9", "", "12", "#"),
        ("12#9", 'numDigits="2"', "12", ""),
        ("12", "", "12", ""),
        ("12#", 'finishOnKey=""', "12#", ""),
        ("1*", 'finishOnKey="*"', "1", "*"),
    ):
        pages = {"/voice": voice.replace("timeout", f"{attributes} timeout"), "/key": "<Hangup/>"}
        _, gateway = await played(dict(pages), Dtmf(keys))
        [form] = gateway.forms_at("/key")
        assert (form["Digits"], form["FinishedOnKey"]) == (digits, finished)


async def test_without_a_key_the_next_verb_follows_or_the_action_if_it_wants_to_know() -> None:
    result, gateway = await played({"/voice": '<Gather timeout="4" action="/key"/><Say>too late</Say>'}, Listen())
    assert result.spoken_verbs == ("too late",)
    assert result.duration_s == pytest.approx(4 + 2 * 0.35)
    pages = {"/voice": '<Gather actionOnEmptyResult="true" action="/key"/>', "/key": "<Hangup/>"}
    _, gateway = await played(dict(pages), Listen())
    assert gateway.forms_at("/key")[0]["Digits"] == ""


async def test_without_an_action_the_same_document_is_asked() -> None:
    result, gateway = await played({"/voice": '<Gather numDigits="1"/>'}, Dtmf("1"), Wait(1_000), HangUp())
    assert [form.get("Digits") for form in gateway.forms_at("/voice")] == [None, "1"]
    assert result.end_reason is EndReason.CALLER_HUNG_UP


async def test_prompts_are_sounds_and_pauses_and_nothing_else() -> None:
    verbs_inside = '<Play>/a.wav</Play><Pause length="2"/><Hangup/>'
    result, _ = await played({"/voice": f'<Gather timeout="1">{verbs_inside}</Gather>'}, Listen())
    assert verbs(result) == ["Gather", "Play", "Pause"]
    assert result.duration_s == pytest.approx(1 + 2 + 1)
    assert "does not belong into <Gather>" in result.complaints[0].message


async def test_a_caller_may_hang_up_in_a_menu() -> None:
    result, _ = await played({"/voice": f'<Gather action="/key">{PROMPT}</Gather>'}, Wait(700), HangUp())
    assert result.end_reason is EndReason.CALLER_HUNG_UP
    assert result.duration_s == pytest.approx(0.7)


async def test_a_call_ends_at_its_time_limit_in_a_menu() -> None:
    result, _ = await played({"/voice": '<Gather timeout="90"/><Say>x</Say>'}, Wait(600_000), max_call_s=5)
    assert result.end_reason is EndReason.TOO_LONG
