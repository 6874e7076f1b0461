"""Credentials over plain HTTP, used for what they are for: each that is minted opens a session, or is refused."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from gateway.credentials.keyring import base64_of
from pipeline.dialects import Dialect
from tests.calls.support import LIMIT_S
from tests.gateway.credentials.support import iw1_header, key_file, key_text
from tests.protocol.conftest import BEARER, House, open_house
from tests.protocol.peer import Event, connect
from tests.protocol.transports import Transport

pytestmark = pytest.mark.anyio

GA_PATH, IW_PATH = "/v1/realtime", "/api/v1/realtime/session?key=k&protocol=realtime"
SECRETS = "/v1/realtime/client_secrets"
ICE = '[{"urls": "turn:turn.example.com", "username": "u", "credential": "c"}]'


@pytest.fixture(scope="module")
async def shared_keyed(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House, None]:
    keys = key_file(tmp_path_factory.mktemp("keys"))
    async with open_house(SWITCHBOARD_API_KEYS=str(keys), SWITCHBOARD_REALTIME_ICE_SERVERS=ICE) as opened:
        yield opened


@pytest.fixture
def keyed(shared_keyed: House, transport: Transport) -> House:
    """A gateway with a file of API keys and a TURN server."""
    return replace(shared_keyed, transport=transport)


async def ask(
    house: House, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=house.running.url, timeout=LIMIT_S) as client:
        return await client.request(method, path, json=body, headers=BEARER if headers is None else headers)


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def error_of(response: httpx2.Response) -> dict[str, Any]:
    """What OpenAI's clients read, once Inworld's are found to read the same."""
    body = response.json()
    assert (body["code"], body["message"]) == (response.status_code, body["error"]["message"])
    assert body["error"].keys() == {"message", "type", "param", "code"}
    error: dict[str, Any] = body["error"]
    return error


async def first_session(house: House, headers: dict[str, str], path: str = GA_PATH, **asked: Any) -> Event:
    """The session that a credential opens."""
    async with house.connect(path, headers=headers, **asked) as peer:
        session: Event = (await peer.expect("session.created"))["session"]
        return session


@pytest.mark.proves("A2-client-secrets", "A2-secret-opens", "A3-bearer")
async def test_a_client_secret_opens_the_session_it_was_made_for_again_and_again(house: House) -> None:
    asked = {"type": "realtime", "instructions": "Be brief.", "output_modalities": ["text"]}
    minted = await house.post(SECRETS, {"session": asked})
    assert minted["value"].startswith("ek_")
    life_s = minted["expires_at"] - datetime.now(UTC).timestamp()
    assert 590 < life_s <= 601
    assert asked.items() <= minted["session"].items()
    for _ in range(2):
        assert asked.items() <= (await first_session(house, bearer(minted["value"]))).items()
    offered = ["realtime", f"openai-insecure-api-key.{minted['value']}"]
    async with connect(house.running.url + GA_PATH, headers={}, subprotocols=offered) as peer:
        assert asked.items() <= (await peer.expect("session.created"))["session"].items()


@pytest.mark.proves("A2-client-secrets-range", "H1-http", "H2-statuses")
async def test_a_secrets_life_has_its_limits(house: House) -> None:
    for seconds, status in ((9, 400), (10, 200), (7_200, 200), (7_201, 400)):
        body = {"expires_after": {"anchor": "created_at", "seconds": seconds}}
        response = await ask(house, "POST", SECRETS, body)
        assert response.status_code == status
        if status == 400:
            assert error_of(response)["param"] == "expires_after.seconds"


@pytest.mark.proves("A2-client-secrets", "H1-http")
async def test_a_secret_is_not_made_for_a_session_that_cannot_be(house: House) -> None:
    response = await ask(house, "POST", SECRETS, {"session": {"type": "realtime", "flavour": 1}})
    assert response.status_code == 400
    assert (error_of(response)["code"], error_of(response)["param"]) == ("unknown_parameter", "session.flavour")


@pytest.mark.proves("A2-beta-sessions", "A4-beta-header")
async def test_a_secret_of_the_beta_opens_a_beta_connection(house: House) -> None:
    minted = await house.post("/v1/realtime/sessions", {"modalities": ["text"], "instructions": "Be brief."})
    assert minted["modalities"] == ["text"]
    assert 0 < minted["client_secret"]["expires_at"] - datetime.now(UTC).timestamp() <= 61
    session = await first_session(house, bearer(minted["client_secret"]["value"]), dialect=Dialect.BETA)
    assert (session["modalities"], session["instructions"]) == (["text"], "Be brief.")


@pytest.mark.proves("A2-token-generate", "A2-session-tokens", "A3-bearer")
@pytest.mark.parametrize("path", ["/auth/v1/tokens/token:generate", "/v1/sessionTokens/token:generate"])
async def test_who_signs_gets_a_token_that_opens(keyed: House, path: str) -> None:
    now_s = datetime.now(UTC).timestamp()
    nonce = f"{zlib.crc32(f'{path} {keyed.transport}'.encode()):011x}"
    signed = iw1_header(at_s=now_s, host=urlsplit(keyed.running.url).netloc, nonce=nonce)
    headers = {"Authorization": f"IW1-HMAC-SHA256 {signed}"}
    minted = await ask(keyed, "POST", path, {"key": "unity", "resources": ["workspaces/default"]}, headers)
    assert minted.status_code == 200, minted.text
    assert minted.json().keys() == {"token", "type", "expirationTime", "sessionId"}
    assert (await first_session(keyed, bearer(minted.json()["token"]), IW_PATH))["type"] == "realtime"
    again = await ask(keyed, "POST", path, {"key": "unity"}, headers)
    assert again.status_code in (401, 403), "a signature is good once"


@pytest.mark.proves("A2-token-generate", "H2-statuses")
async def test_a_wrong_signature_gets_nothing(keyed: House) -> None:
    signed = iw1_header(secret="not-the-secret-0123456789", at_s=datetime.now(UTC).timestamp())
    headers = {"Authorization": f"IW1-HMAC-SHA256 {signed}"}
    response = await ask(keyed, "POST", "/auth/v1/tokens/token:generate", {"key": "unity"}, headers)
    assert response.status_code == 403
    assert "invalid authorization signature" in error_of(response)["message"]


@pytest.mark.proves("A2-auth-tokens", "H2-statuses")
async def test_a_basic_key_gets_a_token_and_a_bearer_none(keyed: House) -> None:
    body = {"single_use": True, "ttl": "300s", "client_reference_id": "me"}
    basic = {"Authorization": f"Basic {base64_of(key_text('web'))}"}
    minted = await ask(keyed, "POST", "/auth/v1/tokens", body, basic)
    assert minted.status_code == 200, minted.text
    assert (minted.json()["singleUse"], minted.json()["clientReferenceId"]) == (True, "me")
    token = bearer(minted.json()["accessToken"])
    assert (await first_session(keyed, token, IW_PATH))["type"] == "realtime"
    async with connect(keyed.running.url + GA_PATH, headers=token) as peer:
        assert (await peer.closed())[0] == 3000, "it was for one session"
    refused = await ask(keyed, "POST", "/auth/v1/tokens", body, bearer(key_text("web")))
    assert refused.status_code in (401, 403)


@pytest.mark.proves("A2-ice-servers")
@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
async def test_the_servers_for_browsers_are_told(keyed: House, scheme: str) -> None:
    key = key_text("web") if scheme == "Bearer" else base64_of(key_text("web"))
    told = await ask(keyed, "GET", "/v1/realtime/ice-servers", headers={"Authorization": f"{scheme} {key}"})
    server = told.json()["ice_servers"][0]
    assert server["urls"] in ("turn:turn.example.com", ["turn:turn.example.com"])
    assert (server["username"], server["credential"]) == ("u", "c")


@pytest.mark.proves("H2-statuses", "H1-http")
async def test_what_is_wrong_with_a_request_is_told_by_its_status(keyed: House) -> None:
    assert (await ask(keyed, "POST", SECRETS, {}, {})).status_code == 401
    assert (await ask(keyed, "POST", SECRETS, {}, bearer(key_text("ops")))).status_code == 403
    assert (await ask(keyed, "DELETE", SECRETS)).status_code == 405
    async with httpx2.AsyncClient(base_url=keyed.running.url, timeout=LIMIT_S) as client:
        for content, kind, status in ((b"{", "application/json", 400), (b"a=b", "text/csv", 415)):
            response = await client.post(SECRETS, content=content, headers=BEARER | {"Content-Type": kind})
            assert response.status_code == status
            assert error_of(response)["type"] == "invalid_request_error"


@pytest.mark.proves("E1-cors")
async def test_a_page_of_this_machine_may_ask_for_a_secret(house: House) -> None:
    asked = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-openai-agents-sdk",
    }
    response = await ask(house, "OPTIONS", SECRETS, headers=asked)
    assert response.status_code < 300
    allowed = response.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "x-openai-agents-sdk", "openai-beta"))


@pytest.mark.proves("A3-long-token")
async def test_a_header_line_of_eight_thousand_characters_is_read(house: House) -> None:
    line = "Bearer eyJ." + "x" * (8_192 - len("Authorization: Bearer eyJ..y") - 2) + ".y"
    async with connect(house.running.url + GA_PATH, headers={"Authorization": line}) as peer:
        code, reason = await peer.closed()
    assert (code, reason) == (3000, "invalid_request_error.invalid_api_key"), "read, and found to be no key"
