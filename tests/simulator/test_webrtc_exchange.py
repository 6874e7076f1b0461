"""Each published client's way of posting an offer, to a server that notes what came."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from simulator.webrtc_exchange import HABITS, Exchange, Exchanged, IceServer, OfferRefused, Shape
from tests.simulator.throwaway_webrtc import ThrowawayWebRtc, webrtc

pytestmark = pytest.mark.anyio

OFFER = "v=0\r\ns=-\r\n"
ANSWER = "v=0\r\ns=answer\r\n"
SESSION = {"type": "realtime", "instructions": "Grüße."}


@asynccontextmanager
async def to(server: ThrowawayWebRtc, **headers: str) -> AsyncIterator[Exchange]:
    server.canned_answer = ANSWER
    async with webrtc(server), aiohttp.ClientSession() as http:
        yield Exchange(http, server.url + "/", "sk-1", headers)


async def exchanged(server: ThrowawayWebRtc, shape: Shape, *args: Any) -> Exchanged:
    async with to(server) as exchange:
        return await exchange.offer(OFFER, shape, *args)


@pytest.mark.parametrize("shape", Shape)
async def test_every_shape_posts_the_offer_and_reads_the_answer(shape: Shape) -> None:
    server = ThrowawayWebRtc()
    answer = await exchanged(server, shape, SESSION)
    (asked,) = server.asked
    assert answer.answer_sdp == ANSWER
    assert asked.sdp == OFFER
    assert asked.path == HABITS[shape].path
    assert asked.headers["Authorization"] == "Bearer sk-1"
    assert asked.headers["Accept"] == HABITS[shape].accept
    assert asked.session == (SESSION if HABITS[shape].session_key else None)


@pytest.mark.parametrize("shape", [Shape.OPENAI_SDP, Shape.OPENAI_MULTIPART, Shape.AGENTS_JS])
async def test_a_call_id_is_the_end_of_the_location(shape: Shape) -> None:
    answer = await exchanged(ThrowawayWebRtc(), shape)
    assert (answer.status, answer.call_id, answer.session_id) == (201, "rtc_1", None)


@pytest.mark.parametrize("shape", [Shape.INWORLD_JSON, Shape.VISION_AGENTS])
async def test_a_call_id_stands_in_the_json_answer(shape: Shape) -> None:
    answer = await exchanged(ThrowawayWebRtc(), shape)
    assert (answer.status, answer.call_id, answer.session_id) == (200, "rtc_1", None)


async def test_the_seed_answer_tells_the_session_instead() -> None:
    answer = await exchanged(ThrowawayWebRtc(), Shape.SEED)
    assert (answer.status, answer.call_id, answer.session_id) == (200, None, "sess_1")


async def test_a_raw_offer_has_its_content_type_and_the_model_in_the_query() -> None:
    server = ThrowawayWebRtc()
    await exchanged(server, Shape.OPENAI_SDP, None, "a model/1&x")
    assert server.asked[0].headers["Content-Type"] == "application/sdp"
    assert server.asked[0].query == {"model": "a model/1&x"}


@pytest.mark.parametrize(("shape", "model"), [(Shape.OPENAI_SDP, {"model": "m"}), (Shape.INWORLD_JSON, {})])
async def test_what_more_is_asked_for_stands_in_the_address(shape: Shape, model: dict[str, str]) -> None:
    server = ThrowawayWebRtc()
    await exchanged(server, shape, None, "m", {"session_id": "sess_1&x"})
    assert server.asked[0].query == {"session_id": "sess_1&x", **model}


async def test_a_form_has_two_typed_parts() -> None:
    server = ThrowawayWebRtc()
    await exchanged(server, Shape.OPENAI_MULTIPART, SESSION)
    assert server.asked[0].types == {"sdp": "application/sdp", "session": "application/json"}


async def test_without_a_session_the_form_has_one_part() -> None:
    server = ThrowawayWebRtc()
    await exchanged(server, Shape.OPENAI_MULTIPART)
    assert server.asked[0].types == {"sdp": "application/sdp"}
    assert server.asked[0].headers["Content-Type"].startswith("multipart/form-data; boundary=")


@pytest.mark.parametrize("shape", [Shape.OPENAI_MULTIPART, Shape.INWORLD_JSON, Shape.SEED])
async def test_a_model_goes_with_the_session_where_there_is_a_place_for_it(shape: Shape) -> None:
    server = ThrowawayWebRtc()
    await exchanged(server, shape, {"type": "realtime"}, "m")
    assert server.asked[0].session == {"type": "realtime", "model": "m"}
    assert server.asked[0].query == {}


async def test_agents_js_names_its_sdk_and_own_headers_win() -> None:
    server = ThrowawayWebRtc()
    async with to(server, Authorization="Basic abc") as exchange:
        await exchange.offer(OFFER, Shape.AGENTS_JS)
    assert server.asked[0].headers["X-OpenAI-Agents-SDK"].startswith("openai-agents-sdk.")
    assert server.asked[0].headers["Authorization"] == "Basic abc"


async def test_without_a_key_there_is_no_authorization() -> None:
    server = ThrowawayWebRtc(canned_answer=ANSWER)
    async with webrtc(server), aiohttp.ClientSession() as http:
        await Exchange(http, server.url, None).offer(OFFER, Shape.OPENAI_SDP)
    assert "Authorization" not in server.asked[0].headers


async def test_a_refusal_tells_status_body_and_headers() -> None:
    with pytest.raises(OfferRefused, match="the server answered 401") as refusal:
        await exchanged(ThrowawayWebRtc(refuses=401), Shape.OPENAI_SDP)
    assert refusal.value.status == 401
    assert refusal.value.json == {"error": {"message": "no"}}
    assert refusal.value.headers["Content-Type"].startswith("application/json")


async def test_a_json_answer_without_sdp_is_none() -> None:
    with pytest.raises(OfferRefused, match="the server answered 200"):
        await exchanged(ThrowawayWebRtc(forgets_sdp=True), Shape.INWORLD_JSON)


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ({"ice_servers": [{"urls": "stun:s"}]}, [IceServer(("stun:s",), None, None)]),
        (
            {"iceServers": [{"url": ["turn:t", "turns:t"], "username": "u", "credential": "c"}]},
            [IceServer(("turn:t", "turns:t"), "u", "c")],
        ),
        ({"ice_servers": [{}]}, [IceServer((), None, None)]),
        ({}, []),
    ],
)
async def test_ice_servers_are_read_in_all_their_spellings(told: Any, read: list[IceServer]) -> None:
    server = ThrowawayWebRtc(ice_servers=told)
    async with to(server) as exchange:
        assert await exchange.ice_servers() == read
    assert server.asked[0].headers["Authorization"] == "Bearer sk-1"


@pytest.mark.parametrize(
    ("shape", "session"),
    [
        (Shape.OPENAI_MULTIPART, {"type": "realtime", "model": "m"}),
        (Shape.VISION_AGENTS, {"type": "realtime", "model": "m"}),
        (Shape.SEED, {"model": "m"}),
    ],
)
async def test_a_model_alone_makes_a_session_of_the_shape(shape: Shape, session: dict[str, str]) -> None:
    server = ThrowawayWebRtc()
    await exchanged(server, shape, None, "m")
    assert server.asked[0].session == session


def test_shapes_differ_in_what_they_offer_and_wait_for() -> None:
    bare = {shape for shape in Shape if not HABITS[shape].waits_for_candidates}
    asking = {shape for shape in Shape if HABITS[shape].asks_for_ice_servers}
    assert bare == {Shape.AGENTS_JS, Shape.VISION_AGENTS}
    assert asking == {Shape.INWORLD_JSON, Shape.VISION_AGENTS}
    assert json.dumps({shape: HABITS[shape].updates_within_s for shape in bare}, sort_keys=True) == (
        '{"agents-js": 5.0, "vision-agents": 10.0}'
    )
