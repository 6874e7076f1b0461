from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from twilio.request_validator import RequestValidator

from simulator.call_result import CallResult, EndReason, Happening
from simulator.call_setup import CallSetup
from simulator.caller import BargeIn, Dtmf, HangUp, Listen, Say, Wait
from simulator.phone_call import PhoneCall
from simulator.sound import Sound, pcm_of, samples_of
from simulator.voices import Voices
from tests.simulator.throwaway_gateway import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    JumpingClock,
    Line,
    ThrowawayGateway,
    running,
    tone,
    twiml,
)

pytestmark = pytest.mark.anyio

CONNECT = '<Connect><Stream url="/media/t0"><Parameter name="line" value="main"/></Stream></Connect>'
HELLO = Voices().clip("hello")


def setup_for(gateway: ThrowawayGateway, *steps: Any, **changes: Any) -> CallSetup:
    setup = CallSetup(
        voice_url=f"{gateway.url}/voice",
        to_number="+15550001111",
        from_number="+15550002222",
        account_sid=ACCOUNT_SID,
        auth_token=AUTH_TOKEN,
        steps=steps or (Wait(200), HangUp()),
        max_call_s=60,
    )
    return replace(setup, **changes)


async def place(gateway: ThrowawayGateway, *steps: Any, **changes: Any) -> CallResult:
    async with running(gateway), asyncio.timeout(20):
        return await PhoneCall(setup_for(gateway, *steps, **changes), clock=JumpingClock()).run()


def names(happenings: tuple[Happening, ...]) -> list[str]:
    return [one.name for one in happenings]


async def greet(line: Line) -> None:
    """Speaks for 500 ms at once, and never again."""
    await line.play(tone(500))
    await line.until_closed()


async def test_the_webhook_is_signed_so_that_the_twilio_package_agrees_and_has_twilios_fields() -> None:
    gateway = ThrowawayGateway(pages={"/voice": "<Hangup/>"})
    result = await place(gateway)
    method, path, form, headers = gateway.requests[0]
    assert method == "POST"
    assert RequestValidator(AUTH_TOKEN).validate(f"{gateway.url}{path}", form, headers["X-Twilio-Signature"])
    assert form["CallSid"] == result.call_sid
    assert (form["CallStatus"], form["Direction"], form["ApiVersion"]) == ("ringing", "inbound", "2010-04-01")
    assert (form["From"], form["To"], form["AccountSid"]) == ("+15550002222", "+15550001111", ACCOUNT_SID)
    assert "ForwardedFrom" not in form
    assert headers["I-Twilio-Idempotency-Token"]


async def test_a_caller_hears_the_greeting_asks_is_answered_and_hangs_up() -> None:
    async def agent(line: Line) -> None:
        await line.play(tone(500))
        await line.send("mark", {"name": "greeted"})
        await line.until("media", 100)
        await line.play(tone(400))
        await line.until_closed()

    gateway = ThrowawayGateway(pages={"/voice": CONNECT}, agent=agent)
    result = await place(gateway, Listen(), Say(HELLO))
    assert result.end_reason is EndReason.CALLER_HUNG_UP
    assert result.complaints == ()
    [turn] = result.turns
    assert turn.text == "hello"
    assert turn.caller_stopped_ms - turn.caller_started_ms == pytest.approx(HELLO.duration_ms)
    assert turn.agent_heard_ms is not None and turn.agent_heard_ms > turn.caller_stopped_ms
    [greeting, answer] = result.agent_utterances
    assert turn.caller_started_ms == pytest.approx(greeting.end_ms + 700, abs=20)
    assert answer.start_ms == turn.agent_heard_ms
    assert result.heard_bytes == result.received_bytes == 900 * 8
    assert [one["mark"]["name"] for one in gateway.lines[0].of("mark")] == ["greeted"]
    assert gateway.lines[0].messages[-1]["event"] == "stop"
    said = result.caller_sound[int(turn.caller_started_ms) * 8 :][: len(HELLO.pcm) // 2]
    assert abs(said - samples_of(HELLO.pcm).astype(int)).max() < 400


async def test_an_interruption_is_measured_to_the_byte_of_what_was_heard() -> None:
    async def agent(line: Line) -> None:
        await line.play(tone(5_000))
        await line.send("mark", {"name": "a"})
        await line.until("media", 1_120 // 20)
        await line.send("clear")
        await line.until("mark")
        await line.until_closed()

    gateway = ThrowawayGateway(pages={"/voice": CONNECT}, agent=agent)
    result = await place(gateway, BargeIn(1_000, HELLO), HangUp())
    [interruption] = result.interruptions
    [cut] = result.cuts
    assert interruption.speech_started_ms == pytest.approx(1_000, abs=20)
    assert interruption.cleared_ms == pytest.approx(1_120, abs=40)
    assert cut.utterance_heard_bytes == cut.heard_bytes == result.heard_bytes
    assert cut.heard_bytes / 8 == pytest.approx(cut.at_ms, abs=40)
    assert interruption.agent_heard_ms_before == cut.utterance_heard_bytes / 8
    assert cut.discarded_bytes == 40_000 - cut.heard_bytes
    assert cut.since_caller_spoke_ms == cut.at_ms - interruption.speech_started_ms
    [back] = [one for one in result.happenings if one.name == "mark" and "is_played" in one.detail]
    assert back.detail["is_played"] is False
    assert not result.agent_sound[int(cut.at_ms + 1) * 8 :].any()


async def test_when_the_gateway_closes_the_action_url_is_asked_and_its_document_replaces_the_first() -> None:
    async def agent(line: Line) -> None:
        await line.until("media", 5)

    pages = {
        "/voice": '<Connect action="/next"><Stream url="/media/t0"/></Connect><Say>never</Say>',
        "/next": "<Say>good bye then</Say><Hangup/>",
    }
    gateway = ThrowawayGateway(pages=dict(pages), agent=agent)
    result = await place(gateway, Wait(60_000))
    assert result.spoken_verbs == ("good bye then",)
    assert result.end_reason is EndReason.HANGUP_VERB
    assert gateway.forms_at("/next")[0]["CallStatus"] == "in-progress"
    assert gateway.forms_at("/next")[0]["CallSid"] == result.call_sid


async def test_without_an_action_the_next_verb_follows_and_a_redirect_can_open_a_second_stream() -> None:
    async def agent(line: Line) -> None:
        await line.play(tone(200))
        await line.send("mark", {"name": "said"})
        await line.until("mark")

    def voice(form: dict[str, str]) -> web.Response:
        asked_before = len(gateway.forms_at("/voice"))
        return twiml(CONNECT + ("<Redirect>/voice</Redirect>" if asked_before == 1 else "<Pause/>"))

    gateway = ThrowawayGateway(pages={"/voice": voice}, agent=agent)
    result = await place(gateway, Wait(60_000))
    assert result.end_reason is EndReason.DOCUMENT_ENDED
    assert len(set(result.stream_sids)) == 2
    assert [line.stream_sid for line in gateway.lines] == list(result.stream_sids)
    first, second = result.agent_utterances
    assert second.start_ms >= first.end_ms == 200
    assert result.agent_sound[: 200 * 8].any() and result.agent_sound[int(second.start_ms) * 8 :].any()


async def test_callbacks_tell_of_the_stream_and_of_the_end_of_the_call() -> None:
    verbs = '<Connect><Stream url="/media/t0" name="n" statusCallback="/stream"/></Connect>'
    gateway = ThrowawayGateway(pages={"/voice": verbs, "/stream": "", "/status": ""}, agent=greet)
    async with running(gateway), asyncio.timeout(20):
        setup = setup_for(gateway, status_url=f"{gateway.url}/status")
        result = await PhoneCall(setup, clock=JumpingClock()).run()
    events = gateway.forms_at("/stream")
    assert [one["StreamEvent"] for one in events] == ["stream-started", "stream-stopped"]
    assert all(one["StreamSid"] == result.stream_sids[0] and one["StreamName"] == "n" for one in events)
    [status] = gateway.forms_at("/status")
    assert status["CallStatus"] == "completed"
    assert status["CallbackSource"] == "call-progress-events"
    assert (status["SequenceNumber"], status["CallDuration"]) == ("0", "1")
    assert status["Timestamp"].endswith("+0000")


async def test_a_refused_stream_is_told_to_the_callback_and_the_next_verb_runs() -> None:
    verbs = '<Connect><Stream url="/nowhere" statusCallback="/stream"/></Connect><Say>sorry</Say>'
    gateway = ThrowawayGateway(pages={"/voice": verbs, "/stream": ""})
    result = await place(gateway)
    assert [one.code for one in result.complaints] == [31920]
    [refused] = [one for one in result.happenings if one.name == "stream.refused"]
    assert refused.detail["http_status"] == 404
    [error] = gateway.forms_at("/stream")
    assert error["StreamEvent"] == "stream-error" and "404" in error["StreamError"]
    assert result.spoken_verbs == ("sorry",)


async def test_a_refused_stream_with_an_action_asks_the_action() -> None:
    verbs = '<Connect action="/next"><Stream url="/nowhere"/></Connect><Say>never</Say>'
    gateway = ThrowawayGateway(pages={"/voice": verbs, "/next": "<Hangup/>"})
    result = await place(gateway)
    assert result.end_reason is EndReason.HANGUP_VERB and result.spoken_verbs == ()


async def test_a_failing_webhook_asks_the_fallback_with_the_error() -> None:
    gateway = ThrowawayGateway(pages={"/fallback": "<Say>we are having trouble</Say>"})
    async with running(gateway), asyncio.timeout(20):
        setup = setup_for(gateway, fallback_url=f"{gateway.url}/fallback")
        result = await PhoneCall(setup, clock=JumpingClock()).run()
    [form] = gateway.forms_at("/fallback")
    assert (form["ErrorCode"], form["ErrorUrl"]) == ("11217", f"{gateway.url}/voice")
    assert result.spoken_verbs == ("we are having trouble",)


async def test_without_a_usable_document_the_call_ends_with_the_reason() -> None:
    gateway = ThrowawayGateway(pages={"/voice": lambda form: web.Response(text="hello"), "/status": ""})
    async with running(gateway), asyncio.timeout(20):
        setup = setup_for(gateway, status_url=f"{gateway.url}/status")
        result = await PhoneCall(setup, clock=JumpingClock()).run()
    assert result.end_reason is EndReason.APPLICATION_ERROR
    assert [one.code for one in result.complaints] == [12300]
    assert gateway.forms_at("/status")[0]["CallStatus"] == "failed"


@pytest.mark.parametrize(("reason", "status"), [("busy", "busy"), ("rejected", "no-answer")])
async def test_a_rejected_call_is_never_answered(reason: str, status: str) -> None:
    gateway = ThrowawayGateway(pages={"/voice": f'<Reject reason="{reason}"/>', "/status": ""})
    async with running(gateway), asyncio.timeout(20):
        setup = setup_for(gateway, status_url=f"{gateway.url}/status")
        result = await PhoneCall(setup, clock=JumpingClock()).run()
    assert result.end_reason is EndReason.REJECTED
    assert gateway.forms_at("/status")[0]["CallStatus"] == status


async def test_verbs_take_their_time_one_after_the_other() -> None:
    verbs = '<Say>one two three four</Say><Pause length="2"/><Play digits="12"/><Play>/a.wav</Play><Reject/>'
    gateway = ThrowawayGateway(pages={"/voice": verbs})
    result = await place(gateway, verb_speed=2.0)
    assert [one.detail["verb"] for one in result.happenings if one.name == "verb"] == [
        "Say", "Pause", "Play", "Play", "Reject",
    ]  # fmt: skip
    assert result.duration_s == pytest.approx((4 * 0.35 + 2 + 2 * 0.5) / 2)
    assert result.end_reason is EndReason.HANGUP_VERB


async def test_a_circle_of_redirects_ends_the_call() -> None:
    gateway = ThrowawayGateway(pages={"/voice": "<Redirect>/voice</Redirect>"})
    result = await place(gateway)
    assert result.end_reason is EndReason.TOO_MANY_DOCUMENTS


async def test_a_call_ends_at_its_time_limit_between_verbs_and_inside_a_stream() -> None:
    waiting = ThrowawayGateway(pages={"/voice": '<Pause length="90"/><Say>never</Say>'})
    result = await place(waiting)
    assert result.end_reason is EndReason.TOO_LONG and result.duration_s == pytest.approx(60)
    streaming = ThrowawayGateway(pages={"/voice": CONNECT}, agent=greet)
    result = await place(streaming, Wait(600_000), max_call_s=2)
    assert result.end_reason is EndReason.TOO_LONG
    assert streaming.lines[0].messages[-1]["event"] == "stop"


async def test_a_verb_that_is_not_played_ends_the_call_with_its_name_and_start_does_not() -> None:
    gateway = ThrowawayGateway(pages={"/voice": "<Start/><Refer action='/x'/>"})
    result = await place(gateway)
    assert result.end_reason is EndReason.UNPLAYABLE_VERB
    assert [one.detail["verb"] for one in result.happenings if one.name == "verb"] == ["Start", "Refer"]


async def test_a_document_that_twilio_would_warn_about_is_a_complaint_and_runs() -> None:
    gateway = ThrowawayGateway(pages={"/voice": "<Shout/><Say>hello there</Say>"})
    result = await place(gateway)
    assert [one.code for one in result.complaints] == [12200]
    assert result.spoken_verbs == ("hello there",)


async def test_a_callback_that_fails_is_a_complaint_and_nothing_else() -> None:
    gateway = ThrowawayGateway(pages={"/voice": "<Hangup/>"})
    async with running(gateway), asyncio.timeout(20):
        setup = setup_for(gateway, status_url=f"{gateway.url}/status")
        result = await PhoneCall(setup, clock=JumpingClock()).run()
    assert [one.code for one in result.complaints] == [11217]
    assert result.end_reason is EndReason.HANGUP_VERB


async def test_the_listener_hears_all_but_the_media_as_it_happens() -> None:
    heard: list[str] = []
    gateway = ThrowawayGateway(pages={"/voice": CONNECT}, agent=greet)
    async with running(gateway), asyncio.timeout(20):
        setup = setup_for(gateway, Dtmf("1"), HangUp(), noise_dbfs=None)
        call = PhoneCall(setup, listener=lambda one: heard.append(one.name), clock=JumpingClock())
        result = await call.run()
    assert call.call_sid == result.call_sid
    assert heard == [name for name in names(result.happenings) if name != "media"]
    assert "media" in names(result.happenings)
    assert heard[:6] == ["webhook", "twiml", "verb", "stream.opened", "connected", "start"]
    assert [one for one in heard if one in ("dtmf", "stream.ended", "call.ended")] == [
        "dtmf", "stream.ended", "call.ended",
    ]  # fmt: skip


async def test_a_call_on_the_machines_own_clock_runs_in_real_time() -> None:
    gateway = ThrowawayGateway(pages={"/voice": CONNECT}, agent=greet)
    quiet = Sound("", pcm_of(samples_of(bytes(3200)).astype(float)))
    async with running(gateway), asyncio.timeout(20):
        result = await PhoneCall(setup_for(gateway, Say(quiet), HangUp())).run()
    assert result.end_reason is EndReason.CALLER_HUNG_UP
    assert result.caller_sound.size >= 200 * 8
    timestamps = [int(one["media"]["timestamp"]) for one in gateway.lines[0].of("media")]
    assert timestamps == list(range(0, 20 * len(timestamps), 20))


async def test_a_stream_that_the_network_drops_is_followed_by_the_next_verb_of_the_document() -> None:
    twice = f"{CONNECT}<Redirect>/voice</Redirect>"
    gateway = ThrowawayGateway(pages={"/voice": lambda form: twiml(twice)}, agent=greet)
    result = await place(gateway, Wait(3_000), HangUp(), dropped_after_s=(1.0,))
    ends = [one.detail for one in result.happenings if one.name == "stream.ended"]
    assert [(end["by"], end["close_code"]) for end in ends] == [("gateway", 1006), ("caller", None)]
    assert result.end_reason is EndReason.CALLER_HUNG_UP
    first, second = gateway.lines
    assert "stop" not in [message["event"] for message in first.messages]
    assert "stop" in [message["event"] for message in second.messages]
