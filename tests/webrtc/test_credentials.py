"""What opens a session over WebRTC: keys, client secrets, tokens; and the pages that may ask."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from gateway.credentials.keyring import base64_of
from pipeline.dialects import Dialect
from simulator.webrtc_exchange import Shape
from tests.gateway.credentials.support import key_file, key_text
from tests.gateway.webrtc.offers import CHROMIUM
from tests.webrtc.support import BEARER, CALLS, Rtc, error_of, rtc

pytestmark = pytest.mark.anyio

SECRETS = "/v1/realtime/client_secrets"
PAGE = "https://app.example.com"


@pytest.fixture(scope="module")
async def keyed(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rtc, None]:
    """A gateway with a file of API keys, one session for each, and a page that may ask."""
    keys = key_file(tmp_path_factory.mktemp("keys"))
    async with rtc(api_keys=str(keys), realtime_sessions_per_key="1", realtime_origins=PAGE) as opened:
        yield opened


async def secret(gateway: Rtc, **asked: Any) -> str:
    """A client secret of the operator's, by the endpoint that makes them."""
    minted = await gateway.ask("POST", SECRETS, json=asked)
    assert minted.status_code == 200, minted.text
    value: str = minted.json()["value"]
    return value


async def token(gateway: Rtc, *, is_single_use: bool) -> str:
    """A JWT of the key `web`."""
    basic = {"Authorization": f"Basic {base64_of(key_text('web'))}"}
    asked = {"single_use": is_single_use, "ttl": "300s"}
    minted = await gateway.ask("POST", "/auth/v1/tokens", basic, json=asked)
    assert minted.status_code == 200, minted.text
    value: str = minted.json()["accessToken"]
    return value


@pytest.mark.parametrize("shape", [Shape.OPENAI_SDP, Shape.OPENAI_MULTIPART, Shape.AGENTS_JS])
async def test_the_session_a_secret_was_made_with_is_in_effect(gateway: Rtc, shape: Shape) -> None:
    asked = {"type": "realtime", "instructions": "Be brief.", "output_modalities": ["text"]}
    key = await secret(gateway, session=asked)
    for _ in range(2):  # it is good until it expires
        async with gateway.client(key=key, shape=shape) as client:
            assert asked.items() <= (await client.expect("session.created"))["session"].items()


async def test_a_session_sent_along_stands_above_the_secrets(gateway: Rtc) -> None:
    key = await secret(gateway, session={"type": "realtime", "instructions": "The secret's.", "model": "s"})
    sent = {"type": "realtime", "instructions": "The offer's."}
    async with gateway.client(key=key, shape=Shape.OPENAI_MULTIPART, session=sent) as client:
        session = (await client.expect("session.created"))["session"]
        assert (session["instructions"], session["model"]) == ("The offer's.", "s")


async def test_a_secret_of_the_beta_makes_a_beta_connection(gateway: Rtc) -> None:
    minted = (await gateway.ask("POST", "/v1/realtime/sessions", json={"modalities": ["text"]})).json()
    key = minted["client_secret"]["value"]
    async with gateway.client(key=key, dialect=Dialect.BETA) as client:
        assert (await client.expect("session.created"))["session"]["modalities"] == ["text"]


@pytest.mark.parametrize("shape", [Shape.INWORLD_JSON, Shape.SEED])
async def test_a_token_opens(keyed: Rtc, shape: Shape) -> None:
    dialect = Dialect.SEED if shape is Shape.SEED else Dialect.IW
    key = await token(keyed, is_single_use=False)
    for _ in range(2):
        async with (
            keyed.leaving_nothing("client_left", dialect=dialect.value),
            keyed.client(key=key, shape=shape, dialect=dialect) as client,
        ):
            await client.expect("session.created")


async def test_inworlds_key_opens_by_basic(keyed: Rtc) -> None:
    basic = {"Authorization": f"Basic {base64_of(key_text('web'))}"}
    async with (
        keyed.leaving_nothing("client_left", dialect="iw"),
        keyed.client(key=None, headers=basic, shape=Shape.VISION_AGENTS, dialect=Dialect.IW) as client,
    ):
        await client.expect("session.updated")


async def test_what_may_be_used_once_is_used_up_by_the_first_offer_that_is_answered(keyed: Rtc) -> None:
    once = {"Authorization": f"Bearer {await token(keyed, is_single_use=True)}"}
    web = {"Authorization": f"Bearer {key_text('web')}"}
    bad_session = {"sdp": CHROMIUM, "session": {"audio": {"output": {"speed": 99}}}}
    async with keyed.leaving_nothing("hung_up", count=2):
        assert (await keyed.offer(once, sdp="v=0\r\n")).status_code == 400
        assert (await keyed.ask("POST", CALLS, once, json=bad_session)).status_code == 400
        assert (await keyed.ask("POST", CALLS, once | {"Content-Type": "text/plain"})).status_code == 415
        assert (await keyed.ask("GET", "/v1/realtime/ice-servers", once)).status_code == 200
        other = await keyed.offer(web)
        assert (await keyed.offer(once)).status_code == 429, "the key has no seat left"
        await keyed.ask("POST", f"{other.headers['location']}/hangup")
        await keyed.empty()
        answered = await keyed.offer(once)
        assert answered.status_code == 201
        again = await keyed.offer(once)
        assert (again.status_code, error_of(again)["code"]) == (401, "invalid_api_key")
        await keyed.ask("POST", f"{answered.headers['location']}/hangup")


ASKED = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-openai-agents-sdk",
}
PATHS = [CALLS, "/v1/realtime", "/v1/realtime/webrtc", f"{CALLS}/rtc_1/hangup"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_that_may_ask_is_told_so_before_and_shown_where_its_call_is(keyed: Rtc, path: str) -> None:
    answer = await keyed.ask("OPTIONS", path, {"Origin": PAGE} | ASKED)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Location" in answer.headers["access-control-expose-headers"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "x-openai-agents-sdk", "openai-beta"))


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_that_may_not_ask_is_told_nothing_else(keyed: Rtc, path: str) -> None:
    for method in ("OPTIONS", "POST"):
        answer = await keyed.ask(method, path, BEARER | {"Origin": "https://evil.example"} | ASKED)
        assert (answer.status_code, error_of(answer)["code"]) == (403, "origin_not_allowed")
        assert "access-control-allow-origin" not in answer.headers


async def test_a_page_can_read_its_answer_and_its_refusal(keyed: Rtc) -> None:
    async with keyed.leaving_nothing("hung_up"):
        answered = await keyed.offer(BEARER | {"Origin": PAGE})
        refused = await keyed.offer(BEARER | {"Origin": PAGE}, sdp="v=0\r\n")
        for answer in (answered, refused):
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert "Location" in answer.headers["access-control-expose-headers"]
        await keyed.ask("POST", f"{answered.headers['location']}/hangup", BEARER | {"Origin": PAGE})
