"""Every published client's way of posting an offer, and what it reads of the answer and on the channel."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dialects import Dialect
from simulator.webrtc_exchange import Shape
from tests.webrtc.support import BEARER, Rtc, say_text, types

pytestmark = pytest.mark.anyio

CAMEL = {"instructions": "Be brief.", "turnDetection": {"type": "server_vad", "silenceDurationMs": 400}}
GA = {"type": "realtime", "instructions": "Be brief."}

SHAPES = [
    (Shape.OPENAI_SDP, 201, "application/sdp", Dialect.GA),
    (Shape.OPENAI_MULTIPART, 201, "application/sdp", Dialect.GA),
    (Shape.AGENTS_JS, 201, "application/sdp", Dialect.GA),
    (Shape.INWORLD_JSON, 201, "application/json", Dialect.IW),
    (Shape.VISION_AGENTS, 201, "application/json", Dialect.IW),
    (Shape.SEED, 200, "application/json", Dialect.SEED),
]


@pytest.mark.proves("A2-calls", "A2-webrtc", "E1-late-candidates", "F7-vision-agents")
@pytest.mark.parametrize(("shape", "status", "media_type", "dialect"), SHAPES, ids=[one[0] for one in SHAPES])
async def test_a_client_of_each_shape_is_answered_in_it_and_has_an_answer_in_its_dialect(
    gateway: Rtc, shape: Shape, status: int, media_type: str, dialect: Dialect
) -> None:
    session = CAMEL if shape is Shape.SEED else GA
    async with gateway.client(shape=shape, session=session, dialect=dialect) as client:
        assert client.status == status
        assert client.headers["Content-Type"] == media_type
        assert client.headers["Cache-Control"] == "no-store"
        assert client.headers["Location"].startswith("/v1/realtime/calls/rtc_")
        assert client.call_id == client.headers["Location"].rsplit("/", 1)[-1]
        created = await client.expect("session.created")
        await client.expect("conversation.created")
        assert types(client.frames)[:2] == ["session.created", "conversation.created"]
        # Where the request has a place for it, the session is in effect at once.
        is_signalled = shape not in (Shape.OPENAI_SDP, Shape.AGENTS_JS)
        assert (created["session"]["instructions"] == "Be brief.") == is_signalled
        assert ("turnDetection" in created["session"]) == (dialect is Dialect.SEED)
        assert created["session"]["id"] == client.session_id
        await say_text(client, "hi")
        done = (await client.expect("response.done"))["response"]
        assert done["status"] == "completed"
        delta = "response.audio_transcript" if dialect is Dialect.SEED else "response.output_audio_transcript"
        assert f"{delta}.delta" in types(client.frames)
        await client.expect("output_audio_buffer.stopped")
        await client.heard()


@pytest.mark.parametrize("shape", list(Shape))
async def test_the_model_that_is_asked_for_is_the_sessions(gateway: Rtc, shape: Shape) -> None:
    dialect = {one[0]: one[3] for one in SHAPES}[shape]
    session = None if shape is Shape.SEED else {"type": "realtime"}
    async with gateway.client(shape=shape, session=session, model="a-model", dialect=dialect) as client:
        assert (await client.expect("session.created"))["session"]["model"] == "a-model"


async def test_inworlds_client_may_send_its_session_again_in_any_spelling(gateway: Rtc) -> None:
    async with gateway.client(shape=Shape.INWORLD_JSON, session=GA, dialect=Dialect.IW) as client:
        await client.expect("session.created")
        await client.send("session.update", session={"instructions": "Be short."})
        assert (await client.expect("session.updated"))["session"]["instructions"] == "Be short."
        assert client.ice_servers == []


@pytest.mark.proves("A2-beta-webrtc")
@pytest.mark.parametrize("path", ["/v1/realtime", "/v1/realtime/calls"])
async def test_the_beta_connects_by_its_address_and_its_header(gateway: Rtc, path: str) -> None:
    answer = await gateway.offer(BEARER | {"OpenAI-Beta": "realtime=v1"}, path=f"{path}?model=m")
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/sdp")
    assert answer.text.startswith("v=0\r\n")
    call_id = answer.headers["location"].rsplit("/", 1)[-1]
    assert (await gateway.ask("POST", f"/v1/realtime/calls/{call_id}/hangup")).status_code == 200
    await gateway.empty()


async def test_a_beta_client_is_spoken_to_in_its_words(gateway: Rtc) -> None:
    beta = {"OpenAI-Beta": "realtime=v1"}
    async with gateway.client(headers=beta, dialect=Dialect.BETA) as client:
        created = await client.expect("session.created")
        assert "modalities" in created["session"]
        await client.send("session.update", session={"modalities": ["text"]})
        await client.expect("session.updated")
        await say_text(client, "hi")
        await client.expect("response.text.delta")
        await client.expect("response.done")


async def test_a_transcription_session_is_one(gateway: Rtc) -> None:
    session: dict[str, Any] = {"type": "transcription"}
    async with gateway.client(shape=Shape.OPENAI_MULTIPART, session=session) as client:
        assert (await client.expect("session.created"))["session"]["type"] == "transcription"


async def test_a_client_without_a_microphone_types_and_hears(gateway: Rtc) -> None:
    async with gateway.client(has_microphone=False) as client:
        await client.expect("session.created")
        await say_text(client, "hi")
        await client.heard()
        await client.expect("output_audio_buffer.stopped")


async def test_an_offer_may_say_that_it_is_utf_8(gateway: Rtc) -> None:
    answer = await gateway.offer(BEARER | {"Content-Type": "application/sdp; charset=utf-8"})
    assert answer.status_code == 201
    assert (await gateway.ask("POST", f"{answer.headers['location']}/hangup")).status_code == 200
    await gateway.empty()
