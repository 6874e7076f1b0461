"""Whole calls over providers that stand elsewhere, each a stand-in behind a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.agent import Agent
from pipeline.agent_tools import AgentTool, BuiltInTool
from pipeline.backchannel import Backchannel
from pipeline.events.config import SemanticVad, ServerVad
from simulator.call_result import EndReason
from simulator.caller import Dtmf, HangUp, Listen, Say, Wait
from simulator.standins.cartesia import CartesiaStandin
from simulator.standins.deepgram import DeepgramStandin, deepgram_app
from simulator.standins.fault import Fault, Faults
from simulator.standins.openai import OpenAIScript, OpenAIStandIn
from simulator.standins.openai_chat import Called, Said, in_turn
from simulator.standins.serving import served
from tests.calls.support import AGENT, RunningGateway, clip, documents, running_gateway

pytestmark = pytest.mark.anyio

REMOTE = replace(
    AGENT,
    stt=("deepgram/flux",),
    llm=("openai/gpt-test",),
    tts=("cartesia/sonic-3.5",),
    voice=None,
    tools=(),
    dialogue=None,
)


@dataclass(frozen=True)
class House:
    """A gateway and the three it asks."""

    gateway: RunningGateway
    ears: DeepgramStandin
    mind: OpenAIStandIn
    voice: CartesiaStandin


@asynccontextmanager
async def house(
    agent: Agent,
    *answers: Said | str,
    transcripts: tuple[str, ...] = ("what are your opening hours",),
    mind_faults: Faults | None = None,
    first_token_s: float = 0.0,
    **settings: Any,
) -> AsyncGenerator[House, None]:
    ears = deepgram_app(transcripts, Faults())
    mind = OpenAIStandIn(
        OpenAIScript(answers=in_turn(*answers), first_token_s=first_token_s), mind_faults or Faults()
    )
    voice = CartesiaStandin(Faults())
    async with AsyncExitStack() as street:
        places = [await street.enter_async_context(served(app)) for app in (ears, mind.app, voice)]
        keys: dict[str, Any] = dict.fromkeys(
            ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY"), "key-of-a-stand-in"
        )
        running = running_gateway(
            agent=agent,
            DEEPGRAM_BASE_URL=f"http://{places[0]}",
            OPENAI_BASE_URL=f"http://{places[1]}/v1",
            CARTESIA_BASE_URL=f"http://{places[2]}",
            **keys,
            **settings,
        )
        yield House(await street.enter_async_context(running), ears, mind, voice)


def with_tools(*tools: AgentTool, **changes: object) -> Agent:
    return replace(REMOTE, tools=tools, **changes)  # type: ignore[arg-type]  # as tests give them


async def test_a_call_is_held_by_three_services_and_nothing_is_transcoded() -> None:
    script = (Listen(quiet_ms=300), Say(clip("opening-hours")), Listen(quiet_ms=300), HangUp())
    async with house(REMOTE, "We are open from nine to six.") as here:
        result = await here.gateway.call(*script)
        said = [
            (one["speaker"], one["text"]) for one in await here.gateway.journal(result.call_sid, "transcript.done")
        ]
    assert said == [
        ("agent", "Hello there."),
        ("caller", "what are your opening hours"),
        ("agent", "We are open from nine to six."),
    ]
    assert result.end_reason is EndReason.CALLER_HUNG_UP
    assert result.complaints == ()
    (turn,) = result.turns
    assert turn.agent_heard_ms is not None
    assert all("mulaw" in heard.query.get("encoding", "") for heard in here.ears.heard if heard.audio)
    formats = {
        str(message["output_format"]["encoding"]) for message in here.voice.sent if "output_format" in message
    }
    assert formats == {"pcm_mulaw"}


async def test_semantic_turns_end_where_the_recogniser_hears_the_end() -> None:
    agent = replace(REMOTE, turn_detection=SemanticVad(eagerness="low"))
    script = (Listen(quiet_ms=300), Say(clip("opening-hours")), Listen(quiet_ms=300), HangUp())
    async with house(agent, "We are open from nine to six.") as here:
        result = await here.gateway.call(*script)
    (turn,) = result.turns
    assert turn.agent_heard_ms is not None


async def test_digits_are_collected_kept_out_of_the_record_and_answered() -> None:
    agent = with_tools(BuiltInTool("collect_digits"))
    answers = (
        Said("Key in your number, please.", (Called("collect_digits", '{"most": 4}'),)),
        "Thank you, I have it.",
    )
    script = (
        Listen(quiet_ms=300),
        Say(clip("order-status")),
        Listen(quiet_ms=500),
        Dtmf("4711"),
        Listen(quiet_ms=500, patience_ms=4_000),  # the answer may have begun with the last digit
        HangUp(),
    )
    async with house(agent, *answers) as here:
        result = await here.gateway.call(*script)
        journal = await here.gateway.journal(result.call_sid)
    told = json.loads(here.mind.asked[-1].body["messages"][-1]["content"])
    assert told == {"digits": "4711", "ended": "complete"}
    assert "4711" not in json.dumps(journal)
    agent_said = [one["text"] for one in journal if one["event"] == "transcript.done" and one["speaker"] == "agent"]
    assert agent_said[-1] == "Thank you, I have it."


async def test_a_transfer_is_dialled_after_the_last_word() -> None:
    agent = with_tools(BuiltInTool("transfer", to={"sales": "+493012345678"}))
    answer = Said("I will put you through.", (Called("transfer", '{"to": "sales"}'),))
    script = (Listen(quiet_ms=300), Say(clip("person")), Wait(15_000))
    async with house(agent, answer) as here:
        result = await here.gateway.call(*script)
        call = await here.gateway.find(result.call_sid)
    dialled = documents(result)[-2]
    assert "<Dial" in dialled and "+493012345678" in dialled
    assert call.end_reason is not None and call.end_reason.value == "transferred"


async def test_a_message_is_on_the_disk_before_the_caller_hears_so(tmp_path: Path) -> None:
    agent = with_tools(BuiltInTool("take_message"))
    call = Called("take_message", '{"message": "Please call back", "name": "Ada"}')
    script = (Listen(quiet_ms=300), Say(clip("person")), Listen(quiet_ms=500), HangUp())
    path = tmp_path / "messages.jsonl"
    async with house(agent, Said("", (call,)), "I will tell them.", SWITCHBOARD_MESSAGES_FILE=str(path)) as here:
        await here.gateway.call(*script)
    (kept,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (kept["message"], kept["name"], kept["from"]) == ("Please call back", "Ada", "+15550100002")


async def test_who_waits_for_an_answer_is_told_so_in_the_agents_voice() -> None:
    agent = replace(REMOTE, fillers=("One moment, please.",))
    script = (Listen(quiet_ms=300), Say(clip("opening-hours")), Wait(6_000), HangUp())
    async with house(agent, "We are open.", first_token_s=1.9, SWITCHBOARD_HEDGING="0") as here:
        result = await here.gateway.call(*script)
        journal = await here.gateway.journal(result.call_sid)
    said = [one["text"] for one in journal if one["event"] == "transcript.done" and one["speaker"] == "agent"]
    assert said == ["Hello there.", "One moment, please.", "We are open."]
    assert [one["text"] for one in journal if one["event"] == "filler"] == ["One moment, please."]


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.TOO_MANY, Fault.CLOSE_1011])
async def test_a_model_that_fails_once_is_asked_again(fault: Fault) -> None:
    faults = Faults()
    script = (Listen(quiet_ms=300), Say(clip("opening-hours")), Wait(6_000), HangUp())
    async with house(REMOTE, "We are open from nine to six.", mind_faults=faults) as here:
        faults.inject(fault)
        result = await here.gateway.call(*script)
        journal = await here.gateway.journal(result.call_sid)
    assert faults.taken[0] is fault
    heard = " ".join(str(one.get("text", "")) for one in journal if one["event"] == "transcript.done")
    assert "nine to six." in heard


async def test_an_answer_begun_early_is_the_same_answer() -> None:
    agent = replace(REMOTE, turn_detection=ServerVad(silence_duration_ms=700))
    script = (Listen(quiet_ms=300), Say(clip("opening-hours")), Listen(quiet_ms=300), HangUp())
    async with house(agent, "We are open from nine to six.", SWITCHBOARD_PREEMPTIVE="1") as here:
        result = await here.gateway.call(*script)
        journal = await here.gateway.journal(result.call_sid)
    said = [one["text"] for one in journal if one["event"] == "transcript.done"]
    assert said == ["Hello there.", "what are your opening hours", "We are open from nine to six."]
    assert result.complaints == ()


async def test_who_speaks_at_length_hears_that_somebody_listens_and_is_not_interrupted() -> None:
    murmur = Backchannel(
        enabled=True, decider_kind="rule", rule_fire_probability=1.0, min_speech_ms=400, eval_interval_ms=200
    )
    agent = replace(REMOTE, backchannel=murmur)
    script = (Listen(quiet_ms=300), Say(clip("order-status")), Listen(quiet_ms=500), HangUp())
    async with house(agent, "It is on its way.") as here:
        result = await here.gateway.call(*script)
        journal = await here.gateway.journal(result.call_sid)
        murmured = here.gateway.sample("backchannels_total")
    assert murmured >= 1
    assert [one for one in journal if one["event"] == "interrupted"] == []
    said = [(one["speaker"], one["text"]) for one in journal if one["event"] == "transcript.done"]
    assert said[-1] == ("agent", "It is on its way.")
    assert not any("mm-hm" in text for _, text in said)
    assert result.complaints == ()
