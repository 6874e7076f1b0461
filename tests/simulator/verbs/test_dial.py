from __future__ import annotations

import pytest

from simulator.call_result import EndReason
from simulator.call_setup import DialOutcome, DialStatus
from simulator.caller import HangUp, Listen, Wait
from tests.simulator.verbs.played import played

pytestmark = pytest.mark.anyio

DIAL = '<Dial action="/dialled" timeout="20"><Number>+15550003333</Number></Dial><Say>never</Say>'


@pytest.mark.parametrize(
    ("outcome", "status", "duration", "seconds"),
    [
        (DialOutcome(DialStatus.COMPLETED, talk_s=7), "completed", "7", 2 + 7),
        (DialOutcome(DialStatus.BUSY), "busy", None, 2),
        (DialOutcome(DialStatus.NO_ANSWER), "no-answer", None, 20),
        (DialOutcome(DialStatus.FAILED), "failed", None, 2),
    ],
)
async def test_the_action_is_told_how_it_went(
    outcome: DialOutcome, status: str, duration: str | None, seconds: float
) -> None:
    pages = {"/voice": DIAL, "/dialled": "<Hangup/>"}
    result, gateway = await played(dict(pages), Listen(), dials=(outcome,))
    [form] = gateway.forms_at("/dialled")
    assert (form["DialCallStatus"], form.get("DialCallDuration")) == (status, duration)
    assert form["DialBridged"] == ("true" if duration else "false")
    assert form["DialCallSid"].startswith("CA") and form["DialCallSid"] != result.call_sid
    assert result.duration_s == pytest.approx(seconds)
    assert result.spoken_verbs == ()


async def test_without_an_action_the_next_verb_follows_and_outcomes_come_in_turn() -> None:
    busy_then_talk = (DialOutcome(DialStatus.BUSY), DialOutcome(DialStatus.COMPLETED, talk_s=1))
    voice = "<Dial>+15550003333</Dial><Dial>+15550004444</Dial><Dial>+15550005555</Dial><Say>done</Say>"
    result, _ = await played({"/voice": voice}, Listen(), dials=busy_then_talk)
    dials = [one.detail for one in result.happenings if one.name == "verb" and one.detail["verb"] == "Dial"]
    assert [one["outcome"] for one in dials] == ["busy", "completed", "completed"]
    assert result.spoken_verbs == ("done",)


async def test_a_caller_may_hang_up_while_it_rings() -> None:
    result, gateway = await played({"/voice": DIAL}, Wait(1_000), HangUp())
    assert result.end_reason is EndReason.CALLER_HUNG_UP
    assert gateway.forms_at("/dialled") == []


async def test_nobody_to_dial_is_a_warning_and_a_noun_that_is_not_played_ends_the_call() -> None:
    result, _ = await played({"/voice": "<Dial/><Dial><Client>bob</Client></Dial>"}, Listen())
    assert "names nobody" in result.complaints[0].message
    assert result.end_reason is EndReason.UNPLAYABLE_VERB
