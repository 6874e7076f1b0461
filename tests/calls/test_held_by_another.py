"""A call whose answers another Switchboard makes: ours against ours, over a real socket."""

from __future__ import annotations

import pytest

from pipeline.agent import load_agent
from pipeline.events.conversation import ConversationItemTruncated
from pipeline.events.response import ResponseDone
from pipeline.providers.source import Source
from pipeline.upstream.remote import RemoteRealtime
from simulator.standins.realtime import RealtimeStandin
from tests.calls.support import cascade, spoken
from tests.fakes import FakeModel, FakeTranscriber
from tests.pipeline.upstream.support import HeldCall, call_held_by
from tests.realtime.support import OPERATOR_TOKEN, service

pytestmark = pytest.mark.anyio

LONG = " ".join(f"word{number}" for number in range(40)) + "."


def statuses(call: HeldCall) -> list[str]:
    return [done.response.status for done in call.seen(ResponseDone)]


async def test_another_switchboard_hears_answers_and_knows_what_was_heard_of_it() -> None:
    model = FakeModel("Hello.", LONG, "All right.")
    transcriber = FakeTranscriber("Tell me everything.", "Stop!")
    async with service(cascade(model=model, transcriber=transcriber)) as other:
        source = Source(
            name="switchboard",
            agent=load_agent("reception"),
            api_key=OPERATOR_TOKEN,
            base_url=other.running.url,
        )
        async with call_held_by(RemoteRealtime(source), RealtimeStandin(), greeting="Hello.") as call:
            await call.until(lambda: statuses(call) and call.session.ledger.is_drained)
            await call.utter()
            await call.until(lambda: call.phone.position > 8 * 1_700)
            await call.utter()
            await call.until(lambda: len(statuses(call)) == 3 and call.session.ledger.is_drained)
            (cut,) = call.seen(ConversationItemTruncated)
            said = call.said
    assert [role for role, _ in said] == ["assistant", "user", "assistant", "user", "assistant"]
    heard = said[2][1]
    assert heard and LONG.startswith(heard)
    assert abs(len(heard.split()) - cut.audio_end_ms / 200) <= 2
    told = spoken(model.prompts[-1])
    assert [text for role, text in told if role == "user"] == ["Tell me everything.", "Stop!"]
    remembered = [text for role, text in told if role == "assistant"][-1]
    assert LONG.startswith(remembered)
    assert abs(len(remembered.split()) - cut.audio_end_ms / 200) <= 2
