"""Offers that are not answered: each refusal is JSON that both families of clients can read, and leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from gateway.realtime.offer_body import MOST_OFFER_BYTES
from simulator.webrtc_exchange import Shape
from tests.gateway.credentials.support import key_file, key_text
from tests.gateway.webrtc.offers import CHROMIUM, changed
from tests.webrtc.support import BEARER, CALLS, Rtc, error_of, hasty_rtc, rtc

pytestmark = pytest.mark.anyio

OFFER_PATHS = [CALLS, "/v1/realtime", "/v1/realtime/webrtc"]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
async def keyed(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rtc, None]:
    """A gateway of one session for each key."""
    keys = key_file(tmp_path_factory.mktemp("keys"))
    async with rtc(api_keys=str(keys), realtime_sessions_per_key="1") as opened:
        yield opened


@pytest.mark.parametrize("shape", [Shape.OPENAI_SDP, Shape.INWORLD_JSON, Shape.SEED])
@pytest.mark.parametrize("key", ["not-the-key-of-anybody-here", "ek_" + "0" * 32, None], ids=["key", "ek", "none"])
async def test_a_bad_key_is_refused_in_the_words_of_both_families(
    gateway: Rtc, shape: Shape, key: str | None
) -> None:
    async with gateway.leaving_nothing():
        refusal = await gateway.refused(shape=shape, key=key)
    assert refusal.status == 401
    assert refusal.headers["WWW-Authenticate"] == "Bearer"
    assert (error_of(refusal)["type"], error_of(refusal)["code"]) == ("invalid_request_error", "invalid_api_key")


async def test_a_key_for_other_things_is_refused(keyed: Rtc) -> None:
    async with keyed.leaving_nothing():
        refusal = await keyed.refused(key=key_text("ops"))
    assert (refusal.status, error_of(refusal)["code"]) == (403, "insufficient_scope")


async def test_a_strangers_body_is_not_even_read(gateway: Rtc) -> None:
    answer = await gateway.ask("POST", CALLS, JSON, content=b"{" * 100_000)
    assert answer.status_code == 401


NO_AUDIO = changed(CHROMIUM, ("m=audio", "m=video"))


@pytest.mark.parametrize("path", OFFER_PATHS)
@pytest.mark.parametrize("sdp", ["v=0\r\n", "no offer", NO_AUDIO], ids=["empty", "prose", "without audio"])
async def test_what_is_no_offer_is_refused(gateway: Rtc, path: str, sdp: str) -> None:
    async with gateway.leaving_nothing():
        answer = await gateway.offer(path=path, sdp=sdp)
    assert answer.status_code == 400
    assert (error_of(answer)["code"], error_of(answer)["param"]) == ("invalid_offer", "sdp")


async def test_nothing_at_all_is_missed_by_name(gateway: Rtc) -> None:
    for answer in (await gateway.offer(sdp=""), await gateway.ask("POST", CALLS, json={})):
        assert answer.status_code == 400
        assert (error_of(answer)["code"], error_of(answer)["param"]) == ("missing_required_parameter", "sdp")


async def test_an_offer_that_is_too_large_is_refused(gateway: Rtc) -> None:
    async with gateway.leaving_nothing():
        for answer in (
            await gateway.offer(sdp=CHROMIUM + "a=x\r\n" * (MOST_OFFER_BYTES // 5)),
            await gateway.ask("POST", CALLS, json={"sdp": "x" * (MOST_OFFER_BYTES + 1)}),
            await gateway.ask("POST", CALLS, json={"sdp": CHROMIUM, "more": "x" * 1_000_000}),
        ):
            assert answer.status_code == 413
            assert error_of(answer)["type"] == "invalid_request_error"


@pytest.mark.parametrize("kind", ["text/plain", "application/sdp; charset=utf-16", ""])
async def test_what_is_said_to_be_something_else_is_not_read(gateway: Rtc, kind: str) -> None:
    answer = await gateway.ask("POST", CALLS, BEARER | {"Content-Type": kind}, content=CHROMIUM.encode())
    assert (answer.status_code, error_of(answer)["code"]) == (415, "not_an_offer")


BAD_SESSIONS = [
    (
        "/v1/realtime/calls",
        "session",
        {"type": "realtime", "audio": {"output": {"speed": 99}}},
        "session.audio.output.speed",
    ),
    ("/v1/realtime/webrtc", "sessionConfig", {"turnDetection": {"type": "by-ear"}}, "session.turnDetection.type"),
    ("/v1/realtime/calls", "session", "brief", "session"),
]


@pytest.mark.parametrize(("path", "name", "session", "param"), BAD_SESSIONS)
async def test_a_session_that_cannot_be_had_is_refused_by_name(
    gateway: Rtc, path: str, name: str, session: Any, param: str
) -> None:
    async with gateway.leaving_nothing():
        answer = await gateway.ask("POST", path, json={"sdp": CHROMIUM, name: session})
    assert (answer.status_code, error_of(answer)["param"]) == (400, param)


async def test_a_form_with_a_bad_session_is_refused_too(gateway: Rtc) -> None:
    for session, param in (('{"type": "realtime", "flavour": 1}', "session.flavour"), ("{", "session")):
        parts = {"sdp": ("", CHROMIUM, "application/sdp"), "session": ("", session, "application/json")}
        answer = await gateway.ask("POST", CALLS, files=parts)
        assert (answer.status_code, error_of(answer)["param"]) == (400, param)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("intent=chat", "invalid_intent"),
        ("intent=transcription&model=m", "invalid_model"),
        ("model=", "invalid_model"),
    ],
)
async def test_what_is_wrong_in_the_address_is_named(gateway: Rtc, query: str, code: str) -> None:
    answer = await gateway.offer(path=f"{CALLS}?{query}")
    if query == "model=":
        assert answer.status_code == 201, "an empty parameter is none"
        await gateway.ask("POST", f"{answer.headers['location']}/hangup")
        return
    assert (answer.status_code, error_of(answer)["code"]) == (400, code)


async def test_a_key_has_so_many_sessions_and_an_offer_counts(keyed: Rtc) -> None:
    web, root = ({"Authorization": f"Bearer {key_text(id)}"} for id in ("web", "root"))
    async with keyed.leaving_nothing("hung_up", count=2):
        first = await keyed.offer(web)
        assert first.status_code == 201
        second = await keyed.offer(web)
        assert (second.status_code, error_of(second)["type"]) == (429, "rate_limit_error")
        assert error_of(second)["code"] == "SESSION_RESOURCES_EXHAUSTED"
        assert keyed.seated == 1
        other = await keyed.offer(root)
        assert other.status_code == 201
        for one in (first, other):
            assert (await keyed.ask("POST", f"{one.headers['location']}/hangup", root)).status_code == 200


async def test_a_gateway_that_stops_begins_nothing() -> None:
    async with rtc() as gateway:
        gateway.service.running.gateway.drain()
        for answer in (
            await gateway.offer(),
            await gateway.ask("POST", "/v1/realtime/webrtc", json={"sdp": CHROMIUM}),
        ):
            assert (answer.status_code, error_of(answer)["code"]) == (503, "draining")
        assert gateway.is_empty


@pytest.mark.parametrize("path", OFFER_PATHS)
async def test_where_it_is_switched_off_each_address_says_so(path: str) -> None:
    async with rtc(webrtc="0") as gateway:
        answer = await gateway.offer(path=path)
        assert (answer.status_code, error_of(answer)["code"]) == (501, "webrtc_not_served")
        assert "SWITCHBOARD_WEBRTC=1" in error_of(answer)["message"]


async def test_where_no_address_can_be_bound_clients_are_told_so_and_others_are_served() -> None:
    # 192.0.2.0/24 is nobody's (RFC 5737).
    async with rtc(webrtc_addresses="192.0.2.7") as gateway:
        async with gateway.leaving_nothing():
            answer = await gateway.offer()
        assert (answer.status_code, error_of(answer)["code"]) == (503, "webrtc_has_no_address")
        assert error_of(answer)["type"] == "server_error"
        assert "192.0.2.7" not in answer.text, "of the operator's network, clients are told nothing"
        async with gateway.service.session() as client:
            assert client.types[0] == "session.created"


async def test_many_offers_that_nobody_follows_leave_nothing() -> None:
    async with (
        hasty_rtc(limits={"connect_limit_s": 0.2}) as gateway,
        gateway.leaving_nothing("never_connected", count=20),
    ):
        answers = await asyncio.gather(*(gateway.offer() for _ in range(20)))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.headers["location"] for answer in answers}) == 20
