"""The worker, and all behind it, against the stand-in: whole calls over a real socket."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.audio.formats import PCMU
from pipeline.events.conversation import (
    ConversationItemCreate,
    ConversationItemTruncated,
    TranscriptionCompleted,
)
from pipeline.events.items import FunctionCallOutput, InputText, Message
from pipeline.events.response import OutputAudioDelta, ResponseCancel, ResponseCreate, ResponseDone
from pipeline.events.session import SessionUpdate
from pipeline.observations import ProviderTimed, TurnUsed
from pipeline.provider import FunctionTool
from pipeline.upstream import far_session
from simulator.standins.fault import Fault, Faults
from simulator.standins.realtime import RealtimeStandin
from simulator.standins.realtime_answer import Call
from simulator.standins.tone import hum_ulaw
from tests.pipeline.upstream.support import APOLOGY, CONFIG, HeldCall, held_call

pytestmark = pytest.mark.anyio

LONG = " ".join(f"word{number}" for number in range(40))
WEATHER = FunctionTool("weather", "Tells it.", {"type": "object", "properties": {"city": {"type": "string"}}})


def statuses(call: HeldCall) -> list[str]:
    return [done.response.status for done in call.seen(ResponseDone)]


def kinds(call: HeldCall, session: int = -1) -> list[str]:
    """What a session of the remote was asked, sound left out and repetitions with it."""
    requests = call.standin.sessions[session].heard.requests
    return [one["type"] for one in requests if one["type"] != "input_audio_buffer.append"]


async def test_a_caller_is_heard_and_answered_and_g711_passes_untouched() -> None:
    standin = RealtimeStandin(answers=["We open at nine."], words=["When do you open?"])
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: statuses(call) and call.session.ledger.is_drained)
        played = b"".join(delta.delta for delta in call.seen(OutputAudioDelta))
        assert call.said == [("user", "When do you open?"), ("assistant", "We open at nine.")]
        assert statuses(call) == ["completed"]
    (heard,) = call.far.heard.commits
    assert heard in bytes(call.spoken)
    assert played == hum_ulaw(4)
    assert kinds(call) == ["session.update", "input_audio_buffer.commit", "response.create"]
    assert [timed.kind for timed in call.seen(ProviderTimed)] == ["realtime"]
    session = call.far.heard.of("session.update")[0]["session"]
    assert session["audio"]["input"]["turn_detection"] is None
    assert session["audio"]["input"]["format"] == {"type": "audio/pcmu"}


async def test_who_cuts_in_is_obeyed_and_the_remote_keeps_only_what_was_heard() -> None:
    standin = RealtimeStandin(answers=[LONG, "All right."], words=["Tell me.", "Stop!"])
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: call.phone.position > PCMU.bytes_in(1_500))
        await call.utter()
        await call.until(lambda: len(statuses(call)) == 2 and call.session.ledger.is_drained)
        (cut,) = call.seen(ConversationItemTruncated)
        assert call.said[1] == ("assistant", LONG[: len(call.said[1][1])])
        heard_words = len(call.said[1][1].split())
        assert abs(heard_words - cut.audio_end_ms / 200) <= 2
        assert call.said[2:] == [("user", "Stop!"), ("assistant", "All right.")]
    (truncate,) = call.far.heard.of("conversation.item.truncate")
    assert truncate["audio_end_ms"] == cut.audio_end_ms
    assert [item["content"][0].get("transcript") for item in call.far.items][-1] == "All right."


async def test_an_answer_still_being_made_is_cancelled_before_it_is_truncated() -> None:
    standin = RealtimeStandin(answers=[LONG, "Yes."], words=["Tell me.", "Stop!"], gap_s=0.1)
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: call.phone.position > PCMU.bytes_in(400))
        await call.utter()
        await call.until(lambda: len(statuses(call)) == 2 and call.session.ledger.is_drained)
        assert statuses(call) == ["cancelled", "completed"]
    asked = kinds(call)
    assert asked.index("response.cancel") < asked.index("conversation.item.truncate")
    assert asked.count("response.cancel") == 1


async def test_a_greeting_is_said_word_for_word() -> None:
    standin = RealtimeStandin()
    async with held_call(standin, greeting="Hello, who is calling?") as call:
        await call.until(lambda: statuses(call))
        assert call.said == [("assistant", "Hello, who is calling?")]
    (asked,) = call.far.heard.of("response.create")
    assert asked["response"]["input"] == []


async def test_a_function_runs_once_and_its_result_is_there_before_the_next_question() -> None:
    config = msgspec.structs.replace(CONFIG, tools=(WEATHER,))
    standin = RealtimeStandin(answers=[("One moment.", Call("weather", '{"city":"Rome"}')), "It is sunny."])
    async with held_call(standin, config=config) as call:
        await call.utter()
        await call.until(lambda: statuses(call))
        (asked,) = [
            item for item in call.session.conversation.items if item.id == call.session.conversation.last_id
        ]
        assert getattr(asked, "arguments", "") == '{"city":"Rome"}'
        output = FunctionCallOutput(id="", call_id=getattr(asked, "call_id", ""), output="sunny")
        call.engine.receive(ConversationItemCreate(item=output))
        call.engine.receive(ResponseCreate())
        await call.until(lambda: len(statuses(call)) == 2)
        assert call.said[-2:] == [("assistant", "It is sunny."), ("function", "sunny")]
        assert kinds(call)[-3:] == ["response.create", "conversation.item.create", "response.create"]
    (offered,) = call.far.heard.of("session.update")[0]["session"]["tools"]
    assert offered["name"] == "weather"
    assert [item["type"] for item in call.far.items][-2:] == ["function_call_output", "message"]


async def test_what_the_client_writes_changes_and_deletes_the_remote_knows_too() -> None:
    standin = RealtimeStandin()
    async with held_call(standin, plays=False, config=msgspec.structs.replace(CONFIG, turn_detection=None)) as call:
        await call.until(lambda: standin.sessions and call.far.heard.requests)
        note = Message(id="note", role="system", content=(InputText(text="It is Monday."),))
        call.engine.receive(ConversationItemCreate(item=note))
        call.engine.receive(
            SessionUpdate(session=msgspec.structs.replace(call.session.config, instructions="Be brief."))
        )
        aside = msgspec.structs.replace(call.session.config, output_modality="text")
        call.engine.receive(ResponseCreate(config=aside, is_out_of_band=True, metadata={"topic": "x"}))
        await call.until(lambda: statuses(call))
        assert len(call.far.items) == 1
    (asked,) = call.far.heard.of("response.create")
    assert asked["response"]["conversation"] == "none"
    assert asked["response"]["output_modalities"] == ["text"]
    assert call.far.heard.of("session.update")[-1]["session"]["instructions"] == "Be brief."
    assert call.far.heard.of("conversation.item.create")[0]["item"]["id"] == "note"


async def test_a_cancelled_answer_of_which_nothing_was_heard_is_not_kept_by_the_remote() -> None:
    standin = RealtimeStandin(answers=[LONG], delay_s=0.3)
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: call.far.heard.of("response.create"))
        call.engine.receive(ResponseCancel())
        await call.wait(400)
        assert statuses(call) == ["cancelled"]
        assert [item["role"] for item in call.far.items] == ["user"]


async def test_words_the_remote_could_not_understand_are_no_reason_to_apologise() -> None:
    standin = RealtimeStandin(words=[""])
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: statuses(call))
        assert [one.transcript for one in call.seen(TranscriptionCompleted)] == [""]
        assert statuses(call) == ["completed"]


@pytest.mark.parametrize("refused", ["session.audio.output.voice", "session.tools"])
async def test_what_a_service_does_not_take_of_the_configuration_it_goes_without(refused: str) -> None:
    standin = RealtimeStandin(refuses=[refused])
    async with held_call(standin, config=msgspec.structs.replace(CONFIG, voice="anna", tools=(WEATHER,))) as call:
        await call.utter()
        await call.until(lambda: statuses(call))
        assert statuses(call) == ["completed"]
    assert len(call.far.heard.of("session.update")) == 2


async def test_without_the_format_of_the_line_there_is_no_session() -> None:
    standin = RealtimeStandin(refuses=["session.audio.input.format"])
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: len(statuses(call)) == 2)
        assert statuses(call) == ["failed", "completed"]
        assert call.said[-1] == ("assistant", APOLOGY)


AGAIN = [Fault.HANG, Fault.CLOSE_1006, Fault.CLOSE_1011, Fault.GARBAGE, Fault.ZERO_AUDIO]


@pytest.mark.parametrize("fault", AGAIN)
async def test_what_breaks_before_anything_was_heard_is_asked_again_elsewhere(fault: Fault) -> None:
    standin = RealtimeStandin(Faults(then=[fault]), answers=["Yes.", "Yes."], words=["Is it open?"] * 2)
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: statuses(call) and call.session.ledger.is_drained)
        assert statuses(call) == ["completed"]
        assert call.said == [("user", "Is it open?"), ("assistant", "Yes.")]
    assert len(standin.sessions) == (1 if fault is Fault.ZERO_AUDIO else 2)


BROKEN = [Fault.STALL, Fault.CLOSE_1006, Fault.CLOSE_1011, Fault.GARBAGE]


@pytest.mark.parametrize("fault", BROKEN)
async def test_what_breaks_in_mid_answer_ends_with_an_apology_and_the_next_turn_is_answered(fault: Fault) -> None:
    standin = RealtimeStandin(Faults(then=[fault]), answers=["one two three four", "Yes."], gap_s=0.05)
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: len(statuses(call)) == 2 and call.session.ledger.is_drained)
        assert statuses(call) == ["failed", "completed"]
        assert call.said[1] in [("assistant", "one"), ("assistant", "one two")]
        assert call.said[2] == ("assistant", APOLOGY)
        await call.utter()
        await call.until(lambda: len(statuses(call)) == 3)
        assert statuses(call)[-1] == "completed"
    told = [item["content"][0].get("text") for item in standin.sessions[-1].items]
    assert told[:3] == ["something was said", call.said[1][1], APOLOGY]


@pytest.mark.parametrize("fault", [Fault.SLOW_DRIP, Fault.ODD_PCM])
async def test_what_is_slow_or_oddly_cut_is_heard_to_its_end(fault: Fault) -> None:
    standin = RealtimeStandin(Faults(always=fault), answers=["Yes."])
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: statuses(call) and call.session.ledger.is_drained)
        assert b"".join(delta.delta for delta in call.seen(OutputAudioDelta)) == hum_ulaw(1)


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.TOO_MANY, Fault.BROKEN])
async def test_who_is_not_let_in_is_apologised_for(fault: Fault) -> None:
    standin = RealtimeStandin(Faults(always=fault))
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: len(statuses(call)) == 2)
        assert statuses(call) == ["failed", "completed"]
        assert call.said[-1] == ("assistant", APOLOGY)
    assert len(standin.handshakes) >= (2 if fault is Fault.REFUSE else 3)


async def test_a_session_that_ends_is_followed_by_another_unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far_session, "PLAUSIBLE_S", range(1, 60))
    standin = RealtimeStandin(answers=["Nine.", "Yes."], words=["When?", "Really?"], lives_s=6.0)
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: statuses(call) and call.session.ledger.is_drained)
        events = len(call.observed)
        await call.until(lambda: len(standin.sessions) == 2 and standin.open == 1)
        assert len(call.observed) == events
        await call.utter()
        await call.until(lambda: len(statuses(call)) == 2)
        assert [text for _, text in call.said] == ["When?", "Nine.", "Really?", "Yes."]
    told = [item["content"][0].get("text") for item in standin.sessions[-1].items]
    assert told[:2] == ["When?", "Nine."]


async def test_a_remote_service_tells_what_its_answers_took_and_of_what() -> None:
    standin = RealtimeStandin(answers=["We open at nine."], words=["When do you open?"])
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: statuses(call) and call.session.ledger.is_drained)
        (done,), (told,) = call.seen(ResponseDone), call.seen(TurnUsed)
    usage = done.response.usage
    assert usage is not None and usage.used == told.used and told.response_id == done.response.id
    (used,) = told.used
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (10, 2, 5)
    assert (usage.input_audio_tokens, usage.output_audio_tokens) == (6, 4)
    assert (used.provider, used.kind, used.requests, used.answered) == ("openai/stand-in", "realtime", 1, 1)
    assert (used.input_tokens, used.output_tokens, used.cost_usd) == (10, 5, None)
    assert (used.input_audio_tokens, used.output_audio_tokens) == (6, 4)
    assert used.audio_s == pytest.approx(4 * 0.2)


async def test_a_cancelled_answer_is_paid_for_when_the_remote_says_what_it_took() -> None:
    standin = RealtimeStandin(answers=[LONG, "Yes."], words=["Tell me.", "Stop!"], gap_s=0.1)
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: call.phone.position > PCMU.bytes_in(400))
        await call.utter()
        await call.until(lambda: len(statuses(call)) == 2 and call.session.ledger.is_drained)
        responses = [done.response.id for done in call.seen(ResponseDone)]
        told = call.seen(TurnUsed)
    assert [each.response_id for each in told] == responses
    assert all(used.requests == 1 for each in told for used in each.used)


async def test_an_answer_that_is_lost_was_asked_for_all_the_same() -> None:
    standin = RealtimeStandin(Faults(then=[Fault.CLOSE_1011]), answers=["Yes.", "Yes."], words=["When?"] * 2)
    async with held_call(standin) as call:
        await call.utter()
        await call.until(lambda: statuses(call))
        told = call.seen(TurnUsed)
    assert [(used.requests, used.tokens) for each in told for used in each.used] == [(1, 0), (1, 15)]
