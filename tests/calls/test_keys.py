"""Keys: they interrupt like a word, and reach the model as one entry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.caller import Dtmf, HangUp, Listen, Wait
from tests.calls.support import AGENT, cascade, happened, running_gateway, spoken
from tests.fakes import FakeModel

pytestmark = pytest.mark.anyio

MENU = replace(
    AGENT, greeting="Please key in the number of your order and then press the hash key, or wait a moment."
)


async def test_keys_interrupt_the_agent_and_reach_the_model_as_one_entry() -> None:
    """One caller ends the entry with #, the other by pressing nothing more; both at once, to save time."""
    model = FakeModel("Thank you.", "Thank you.")
    async with running_gateway(providers=cascade(model=model), agent=MENU) as house:
        hashed, paused = await house.calls(
            [
                (Wait(500), Dtmf("4815#"), Wait(600), HangUp()),
                (Wait(500), Dtmf("4815"), Listen(quiet_ms=300), HangUp()),
            ]
        )
        told = [await house.journal(result.call_sid, "dtmf") for result in (hashed, paused)]
        heard = [await house.journal(result.call_sid, "transcript.truncated") for result in (hashed, paused)]
    assert [len(one) for one in told] == [5, 4]
    assert [(len(result.cuts), result.cuts[0].discarded_bytes > 0) for result in (hashed, paused)] == [
        (1, True)
    ] * 2
    assert [spoken(prompt)[1:] for prompt in model.prompts] == [
        [("user", "[keypad] 4815#")],
        [("user", "[keypad] 4815")],
    ]
    # The agent had begun to speak and was cut off; the model knows no more of the menu than the caller.
    assert [spoken(prompt)[0] for prompt in model.prompts] == [("assistant", one[0]["heard"]) for one in heard]
    assert all(MENU.greeting.startswith(one[0]["heard"]) and len(one[0]["heard"]) < 40 for one in heard)
    # The keys themselves are nobody's business but the agent's.
    assert "4815" not in str(told)
    by_hash, by_pause = (
        result.agent_utterances[-1].start_ms - [one.at_ms for one in happened(result, "dtmf")][-1]
        for result in (hashed, paused)
    )
    assert by_hash < 1_000 < 1_900 < by_pause
