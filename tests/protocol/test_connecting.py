"""The way in and out: paths, credentials, dialects, refusals, side-bands, and how a connection is closed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from gateway.credentials.keyring import base64_of
from pipeline.dialects import Dialect
from simulator.caller import Dtmf, HangUp, Listen, Wait
from tests.calls.support import AGENT, LIMIT_S
from tests.gateway.credentials.support import key_file, key_text
from tests.protocol.conftest import BEARER, KEY, House, open_house
from tests.protocol.peer import Peer, connect, names
from tests.protocol.providers import MUSE
from tests.protocol.transports import Transport

pytestmark = pytest.mark.anyio

GA_PATH, IW_PATH = "/v1/realtime", "/api/v1/realtime/session"
IWS = f"{IW_PATH}?key=voice-1737&protocol=realtime"
BETA = {**BEARER, "OpenAI-Beta": "realtime=v1"}
BAD = {"Authorization": "Bearer sk-" + "x" * 40}


@pytest.fixture(scope="module")
async def shared_keyed(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House, None]:
    keys = key_file(tmp_path_factory.mktemp("keys"))
    async with open_house(SWITCHBOARD_API_KEYS=str(keys)) as opened:
        yield opened


@pytest.fixture
def keyed(shared_keyed: House, transport: Transport) -> House:
    """A gateway with a file of API keys, one for each scope."""
    return replace(shared_keyed, transport=transport)


async def status_of(url: str, **asked: Any) -> int:
    """The HTTP status a handshake is refused with."""
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, **asked):
            pass
    return refused.value.response.status_code


async def turned_away(url: str, **asked: Any) -> tuple[dict[str, Any], int, str]:
    """The error, close code and reason of a handshake that is refused inside."""
    async with connect(url, **asked) as peer:
        code, reason = await peer.closed()
    assert names(peer.frames) == ["error"]
    return peer.frames[0]["error"], code, reason


async def model_of(peer: Peer) -> str:
    session: dict[str, str] = (await peer.expect("session.created"))["session"]
    return session["model"]


# Paths and parameters


@pytest.mark.proves("A1-ga-path", "A4-ga", "C2-model", "D1-created-first", "B2-conversation-created")
async def test_openai_s_path_opens_a_ga_session_with_the_model_of_the_address(house: House) -> None:
    async with house.connect(f"{GA_PATH}?model=my-model") as peer:
        created, conversation = await peer.next(), await peer.next()
    assert names([created, conversation]) == ["session.created", "conversation.created"]
    assert (created["session"]["type"], created["session"]["model"]) == ("realtime", "my-model")
    assert conversation["conversation"].keys() == {"id", "object"}
    assert conversation["conversation"]["object"] == "realtime.conversation"


@pytest.mark.proves("D1-created-first")
async def test_a_client_that_speaks_first_is_heard_after_session_created(house: House) -> None:
    async with house.connect(GA_PATH) as peer:
        await peer.send("session.update", session={"type": "realtime", "instructions": "Be brief."})
        events = await peer.until("session.updated")
    assert names(events) == ["session.created", "conversation.created", "session.updated"]
    assert events[0]["session"]["instructions"] == AGENT.instructions


@pytest.mark.proves("A1-unknown-query")
async def test_parameters_that_nobody_knows_are_passed_over(house: House) -> None:
    path = f"{GA_PATH}?model=m&temperature=0.8&voice=alloy&temperature=1&x"
    async with connect(house.running.url + path, headers=BEARER) as peer:
        assert await model_of(peer) == "m"


@pytest.mark.proves("A1-iw-path", "A4-seed")
@pytest.mark.parametrize(
    ("query", "dialect"),
    [("", Dialect.SEED), ("?key=voice-1", Dialect.SEED), ("?protocol=realtime", Dialect.IW),
     ("?key=voice-1&protocol=realtime", Dialect.IW)],
)  # fmt: skip
async def test_inworlds_path_needs_no_parameter_and_protocol_decides_the_dialect(
    house: House, query: str, dialect: Dialect
) -> None:
    async with connect(house.running.url + IW_PATH + query, headers=BEARER, dialect=dialect) as peer:
        session = (await peer.expect("session.created"))["session"]
    assert ("turnDetection" in session) == (dialect is Dialect.SEED)


@pytest.mark.proves("A1-azure-paths")
@pytest.mark.parametrize("path", ["/openai/realtime", "/openai/v1/realtime"])
async def test_the_paths_of_azures_clients_are_served(house: House, path: str) -> None:
    url = f"{house.running.url}{path}?api-version=2024-10-01-preview&model=m"
    async with connect(url, headers=BEARER) as peer:
        assert await model_of(peer) == "m"


@pytest.mark.proves("A1-compression")
async def test_a_client_that_offers_compression_is_served(house: House) -> None:
    async with connect(house.running.url + GA_PATH, headers=BEARER, compression="deflate") as peer:
        await peer.expect("conversation.created")
        await peer.update(output_modalities=["text"])
        await peer.say("Hello")
        await peer.send("response.create")
        assert (await peer.answer())[-1]["response"]["status"] == "completed"


@pytest.mark.proves("A1-intent", "C2-transcription-session")
async def test_the_intent_to_transcribe_opens_a_transcription_session(house: House) -> None:
    async with house.connect(f"{GA_PATH}?intent=transcription") as peer:
        session = (await peer.expect("session.created"))["session"]
    assert session["type"] == "transcription"
    assert "output" not in session["audio"] and "model" not in session


# Credentials


@pytest.mark.proves("A3-bearer", "A3-basic")
@pytest.mark.parametrize("path", [GA_PATH, IWS])
@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
async def test_a_key_opens_in_a_header_as_bearer_or_as_basic(keyed: House, path: str, scheme: str) -> None:
    key = key_text("web") if scheme == "Bearer" else base64_of(key_text("web"))
    async with keyed.connect(path, headers={"Authorization": f"{scheme} {key}"}) as peer:
        await peer.expect("session.created")


@pytest.mark.proves("A3-subprotocol")
async def test_a_key_opens_as_a_subprotocol_and_realtime_is_answered(house: House) -> None:
    offered = ["realtime", f"openai-insecure-api-key.{KEY}", "openai-agents-sdk.0.20.0"]
    async with connect(house.running.url + GA_PATH, subprotocols=offered) as peer:
        assert peer.socket.subprotocol == "realtime"
        await peer.expect("session.created")


@pytest.mark.proves("A3-subprotocol-alone")
async def test_realtime_is_answered_where_nothing_else_is_offered(house: House) -> None:
    async with connect(house.running.url + IWS, headers=BEARER, subprotocols=["realtime"]) as peer:
        assert peer.socket.subprotocol == "realtime"
    async with connect(house.running.url + GA_PATH, headers=BEARER) as peer:
        assert peer.socket.subprotocol is None


@pytest.mark.proves("A3-token-query")
@pytest.mark.parametrize("path", [f"{GA_PATH}?model=m&", f"{IWS}&"])
async def test_a_token_in_the_address_is_as_good_as_a_bearer(house: House, path: str) -> None:
    async with connect(f"{house.running.url}{path}token={KEY}") as peer:
        await peer.expect("session.created")


@pytest.mark.proves("A3-dev-switch")
async def test_without_a_credential_only_a_gateway_for_development_opens(house: House) -> None:
    assert await status_of(house.running.url + IWS) == 401
    async with open_house(SWITCHBOARD_INSECURE_DEV="1", SWITCHBOARD_TOKEN="") as open_to_all:
        async with connect(open_to_all.running.url + GA_PATH) as peer:
            await peer.expect("session.created")


# Dialects


@pytest.mark.proves("A4-beta-header")
async def test_a_header_asks_for_the_beta_dialect(house: House) -> None:
    async with house.connect(f"{GA_PATH}?model=m", headers=BETA, dialect=Dialect.BETA) as peer:
        session = (await peer.expect("session.created"))["session"]
    assert session["modalities"] == ["text", "audio"] and session["input_audio_format"] == "pcm16"


@pytest.mark.proves("A4-beta-subprotocol")
async def test_a_subprotocol_asks_for_the_beta_dialect(house: House) -> None:
    offered = ["realtime", f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1"]
    async with connect(house.running.url + GA_PATH, subprotocols=offered, dialect=Dialect.BETA) as peer:
        assert peer.socket.subprotocol == "realtime"
        assert "modalities" in (await peer.expect("session.created"))["session"]


@pytest.mark.proves("A4-beta-off")
async def test_where_the_beta_is_off_its_clients_are_told_so() -> None:
    async with open_house(SWITCHBOARD_REALTIME_BETA="false") as house:
        error, code, reason = await turned_away(house.running.url + GA_PATH, headers=BETA, dialect=Dialect.BETA)
        async with connect(house.running.url + GA_PATH, headers=BEARER) as peer:
            await peer.expect("session.created")
    assert (error["type"], error["code"]) == ("invalid_request_error", "beta_api_shape_disabled")
    assert error["message"] == (
        "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."
    )
    assert (code, reason) == (4000, "invalid_request_error.beta_api_shape_disabled")


# Refusals


@pytest.mark.proves("A5-bad-key-ga", "H1-shape")
@pytest.mark.parametrize("headers", [BAD, {}, {"Authorization": "Basic eDp5"}])
async def test_a_bad_key_is_told_inside_on_openais_path(house: House, headers: dict[str, str]) -> None:
    error, code, reason = await turned_away(house.running.url + GA_PATH, headers=headers)
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
    assert (error["param"], error["event_id"]) == (None, None)
    assert (code, reason) == (3000, "invalid_request_error.invalid_api_key")
    if headers is BAD:
        assert error["message"].startswith("Incorrect API key provided: ") and "x" * 20 not in error["message"]


@pytest.mark.proves("A5-bad-key-iw")
@pytest.mark.parametrize("path", [IW_PATH, IWS])
async def test_a_bad_key_is_told_by_http_on_inworlds_path(house: House, path: str) -> None:
    assert await status_of(house.running.url + path, headers=BAD) == 401


@pytest.mark.proves("A5-bad-intent")
async def test_an_unknown_intent_is_refused(house: House) -> None:
    error, code, reason = await turned_away(f"{house.running.url}{GA_PATH}?intent=sing", headers=BEARER)
    assert error["code"] == "invalid_intent"
    assert (code, reason) == (4000, "invalid_request_error.invalid_intent")


@pytest.mark.proves("A5-bad-model")
async def test_a_transcription_session_takes_no_model(house: House) -> None:
    url = f"{house.running.url}{GA_PATH}?intent=transcription&model=m"
    error, code, reason = await turned_away(url, headers=BEARER)
    assert (error["code"], error["message"]) == (
        "invalid_model",
        "You must not provide a model parameter for transcription sessions.",
    )
    assert (code, reason) == (4000, "invalid_request_error.invalid_model")


@pytest.mark.proves("A5-no-access", "H2-statuses")
async def test_a_key_that_may_not_open_sessions_is_told_by_http(keyed: House) -> None:
    ops = {"Authorization": f"Bearer {key_text('ops')}"}
    assert await status_of(keyed.running.url + GA_PATH, headers=ops) == 403
    assert await status_of(keyed.running.url + IWS, headers=ops) == 403


@pytest.mark.proves("H2-statuses")
async def test_one_session_too_many_is_refused() -> None:
    async with open_house(SWITCHBOARD_REALTIME_SESSIONS_PER_KEY="1") as house, house.session():
        assert await status_of(house.running.url + IWS, headers=BEARER) == 429
        error, code, _ = await turned_away(house.running.url + GA_PATH, headers=BEARER)
        assert (error["code"], code) == ("SESSION_RESOURCES_EXHAUSTED", 1013)


@pytest.mark.proves("A5-draining", "H2-statuses")
async def test_a_gateway_that_stops_takes_no_session_and_closes_those_there_are() -> None:
    async with open_house() as house:
        peer_up = asyncio.Event()

        async def stay() -> tuple[int, str]:
            async with house.session() as peer:
                peer_up.set()
                return await peer.closed()

        async with asyncio.TaskGroup() as tasks:
            staying = tasks.create_task(stay())
            async with asyncio.timeout(LIMIT_S):
                await peer_up.wait()
            house.running.gateway.drain()
            assert await status_of(house.running.url + GA_PATH, headers=BEARER) == 503
            house.running.server.should_exit = True
        assert staying.result()[0] in (1001, 1012)


@pytest.mark.proves("A5-expiry")
async def test_a_session_ends_with_its_longest_life(transport: Transport) -> None:
    brief = open_house(transport=transport, SWITCHBOARD_REALTIME_SESSION_S="1")
    async with brief as house, house.session() as peer:
        goodbye = await peer.ended()
    error = peer.frames[-1]["error"]
    assert error["code"] == "session_expired"
    assert error["message"] == "Your session hit the maximum duration of 1 seconds."
    assert goodbye == ((1001, error["message"]) if transport is Transport.WEBSOCKET else None)


# Frames


@pytest.mark.proves("A5-not-json")
@pytest.mark.parametrize("text", ["", "hello", "{", "[1]", b"\xff\xfe", b"\x00" * 40])
async def test_a_frame_that_is_no_event_gets_an_error_and_no_more(house: House, text: str | bytes) -> None:
    async with house.session() as peer:
        await peer.send_text(text)
        error = (await peer.expect("error"))["error"]
        assert error["type"] == "invalid_request_error" and error["code"] in ("invalid_json", "invalid_event")
        assert (error["param"], error["event_id"]) == (None, None)
        await peer.update(instructions="Alive.")


@pytest.mark.proves("A5-binary")
async def test_a_binary_frame_of_json_is_read(house: House) -> None:
    async with house.session() as peer:
        await peer.send_text(json.dumps({"type": "input_audio_buffer.clear"}).encode())
        await peer.expect("input_audio_buffer.cleared")


@pytest.mark.proves("A1-largest-event")
async def test_a_frame_past_the_limit_closes_the_connection() -> None:
    async with open_house(SWITCHBOARD_REALTIME_MAX_EVENT_MIB="1") as house, house.session() as peer:
        head = '{"type":"input_audio_buffer.clear","x":"'
        await peer.send_text(head + "x" * (1024 * 1024 - len(head) - 2) + '"}')
        await peer.expect("input_audio_buffer.cleared")
        await peer.send_text("x" * (1024 * 1024 + 1))
        assert (await peer.closed())[0] == 1009


@pytest.mark.proves("A1-largest-event", "B0-append-limit")
async def test_fifteen_mebibytes_of_sound_are_one_event_and_a_byte_more_is_refused(house: House) -> None:
    async with house.session() as peer:
        await peer.update(audio={"input": {"turn_detection": None}})
        most = 15 * 1024 * 1024
        await peer.append(bytes(most))
        assert await peer.fence() == []
        await peer.append(bytes(most + 1))
        error = (await peer.expect("error"))["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "audio")
        await peer.send("input_audio_buffer.commit")
        await peer.expect("input_audio_buffer.committed")


# Side-bands


@pytest.mark.proves("A1-call-id", "E1-side-band")
async def test_a_second_connection_hears_all_and_may_send(house: House) -> None:
    async with house.connect(GA_PATH) as peer:
        session_id = (await peer.expect("session.created"))["session"]["id"]
        await peer.expect("conversation.created")
        async with house.side_band(session_id) as side:
            assert (await side.expect("session.created"))["session"]["id"] == session_id
            await side.send("session.update", session={"type": "realtime", "output_modalities": ["text"]})
            await peer.updated()
            await side.updated()
            await peer.say("Hello")
            await side.send("response.create")
            heard = await peer.answer()
            assert names(await side.answer()) == names(heard)
            wrong = await side.refused("conversation.item.delete", item_id="nobody")
            assert wrong["code"] == "item_delete_invalid_item_id"
            assert await peer.fence() == [], "what a side-band does wrong is told to it alone"
        assert (await peer.update(instructions="Still here."))["instructions"] == "Still here."


@pytest.mark.proves("A1-call-id", "E1-side-band")
async def test_a_side_band_ends_with_what_it_joined(house: House) -> None:
    async with house.connect(GA_PATH) as peer:
        session_id = (await peer.expect("session.created"))["session"]["id"]
        await peer.update(instructions=MUSE)
        async with house.side_band(session_id) as side:
            await side.expect("session.created")
            await peer.leave()
            assert await side.closed() == (1000, "session_over")


@pytest.mark.proves("A1-unknown-call-id")
async def test_a_call_that_nobody_has_cannot_be_joined(house: House) -> None:
    error, code, _ = await turned_away(f"{house.running.url}{GA_PATH}?call_id=rtc_none", headers=BEARER)
    assert error["code"] == "call_not_found" and 3000 <= code < 5000
    assert await status_of(f"{house.running.url}{IW_PATH}?call_id=rtc_none", headers=BEARER) == 404


async def live_call(house: House) -> str:
    """The CallSid of the one call that streams."""
    directory = house.running.gateway.directory
    async with asyncio.timeout(LIMIT_S):
        while not (calls := [id for id in directory.ids() if id.startswith("CA")]):  # noqa: ASYNC110 - a mere list
            await asyncio.sleep(0.01)
    return calls[0]


@pytest.mark.proves("B2-dtmf", "A1-call-id")
async def test_a_key_pressed_on_a_phone_is_told_to_who_has_joined_the_call(house: House) -> None:
    began_s = int(time.time())
    async with asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(house.running.call(Listen(), Wait(500), Dtmf("5#"), Wait(500), HangUp()))
        call_sid = await live_call(house)
        async with connect(f"{house.running.url}{GA_PATH}?call_id={call_sid}", headers=BEARER) as side:
            assert (await side.next())["session"]["audio"]["input"]["format"]["type"] == "audio/pcmu"
            pressed = [await side.expect("input_audio_buffer.dtmf_event_received") for _ in range(2)]
            assert (await side.closed())[0] == 1000
    assert [event["event"] for event in pressed] == ["5", "#"]
    assert all(began_s <= event["received_at"] <= time.time() for event in pressed)
    assert not calling.result().complaints
