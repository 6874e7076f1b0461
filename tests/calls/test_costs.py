"""A whole call over three stand-ins: what they bill is what is told, counted and kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.events.config import ServerVad
from simulator.caller import HangUp, Listen, Say
from simulator.standins.openai_chat import Said, usage_of
from tests.calls.support import clip
from tests.calls.test_remote_providers import REMOTE, house

pytestmark = pytest.mark.anyio

ANSWERS = ("We are open from nine to six.", "On Sunday we are closed.")
HEARD = ("what are your opening hours", "and on sunday")
SCRIPT = (
    Listen(quiet_ms=300),
    Say(clip("opening-hours")),
    Listen(quiet_ms=300),
    Say(clip("opening-hours")),
    Listen(quiet_ms=300),
    HangUp(),
)
PRICES = """
["openai/gpt-test"]
input = 1000.0
output = 2000.0
["deepgram/flux"]
audio_minute = 0.6
["cartesia/sonic-3.5"]
characters = 100.0
"""


def by_kind(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["kind"]: each for each in record["providers"]}


@pytest.mark.parametrize("preemptive", ["0", "1"])
async def test_what_the_services_bill_is_what_is_told_counted_and_kept(tmp_path: Path, preemptive: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(PRICES)
    agent = replace(REMOTE, turn_detection=ServerVad(silence_duration_ms=600))
    async with house(
        agent,
        *ANSWERS,
        transcripts=HEARD,
        SWITCHBOARD_PRICES=str(path),
        SWITCHBOARD_PREEMPTIVE=preemptive,
        SWITCHBOARD_HEDGING="0",
    ) as here:
        result = await here.gateway.call(*SCRIPT)
        journal = await here.gateway.journal(result.call_sid)
        call = await here.gateway.find(result.call_sid)
        asked = [request.body["messages"] for request in here.mind.asked]
        counted = {
            direction: here.gateway.sample(
                "provider_tokens_total", provider="openai/gpt-test", kind="llm", direction=direction
            )
            for direction in ("input", "output")
        }
        spoken = here.gateway.sample("provider_characters_total", provider="cartesia/sonic-3.5")
        heard_s = here.gateway.sample("provider_audio_seconds_total", provider="deepgram/flux", kind="stt")
        spent = here.gateway.sample("cost_usd_total", provider="openai/gpt-test", kind="llm")
    assert result.complaints == ()
    bills = [usage_of(messages, Said(answer), 0) for messages, answer in zip(asked, ANSWERS, strict=True)]
    billed = {
        "input": sum(bill["prompt_tokens"] for bill in bills),
        "output": sum(bill["completion_tokens"] for bill in bills),
    }
    assert counted == billed

    (whole,) = [event for event in journal if event["event"] == "call.cost"]
    turns = [event for event in journal if event["event"] == "turn.cost"]
    thought, said, understood = (by_kind(whole)[kind] for kind in ("llm", "tts", "stt"))
    assert (thought["input_tokens"], thought["output_tokens"]) == (billed["input"], billed["output"])
    assert "is_estimated" not in thought and "wasted_tokens" not in thought
    told = [by_kind(turn)["llm"] for turn in turns if "llm" in by_kind(turn)]
    assert [(each["input_tokens"], each["output_tokens"]) for each in told] == [
        (bill["prompt_tokens"], bill["completion_tokens"]) for bill in bills
    ]
    assert said["characters"] == spoken == sum(map(len, ("Hello there.", *ANSWERS)))
    assert understood["audio_s"] == pytest.approx(heard_s, abs=0.001)
    assert heard_s == pytest.approx(sum(len(one.audio) for one in here.ears.heard) / 8_000, abs=0.1)

    price = (billed["input"] * 1_000 + billed["output"] * 2_000) / 1_000_000
    assert thought["cost_usd"] == pytest.approx(price) and spent == pytest.approx(price)
    assert whole["cost_usd"] == pytest.approx(price + heard_s * 0.01 + spoken * 0.0001, abs=1e-6)
    assert whole["cost_usd"] == pytest.approx(sum(turn["cost_usd"] for turn in turns), abs=1e-6)
    assert {each.kind: each.requests for each in call.tally.used} == {"tts": 3, "stt": 2, "llm": 2}
    assert all(each["first_ms"] >= 0 for each in (thought, said, understood))
