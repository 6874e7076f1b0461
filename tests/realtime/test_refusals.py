"""Who may not come in, and how they are told (Realtime reference, section A.5)."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from pipeline.dialects import Dialect
from tests.realtime.support import KEY, SUPERVISOR, Client, Service, keys_file, service

pytestmark = pytest.mark.anyio

INWORLD = "/api/v1/realtime/session?key=voice-1&protocol=realtime"


async def refused(gateway: Service, path: str, **how: Any) -> tuple[dict[str, Any], int, str]:
    """The one frame that comes, and the close frame."""
    is_beta = "beta" in str(how).lower()
    async with gateway.connected(path, dialect=Dialect.BETA if is_beta else Dialect.GA, **how) as client:
        code, reason = await client.closed()
    (frame,) = client.frames
    assert frame["type"] == "error"
    assert frame["event_id"]
    return frame["error"], code, reason


async def refused_by_http(gateway: Service, path: str, **how: Any) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as answer:
        async with gateway.connected(path, **how):
            pass
    return answer.value.response.status_code, json.loads(answer.value.response.body or b"{}")


@pytest.mark.parametrize("key", ["not-the-key-of-anybody-here", "ek_" + "0" * 32, None])
async def test_a_bad_key_is_let_in_to_be_told_so_on_openais_path(key: str | None) -> None:
    async with service() as gateway:
        error, code, reason = await refused(gateway, "/v1/realtime?model=m", key=key)
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
    assert (code, reason) == (3000, "invalid_request_error.invalid_api_key")


@pytest.mark.parametrize("key", ["not-the-key-of-anybody-here", None])
async def test_a_bad_key_is_answered_with_401_on_inworlds_path(key: str | None) -> None:
    async with service() as gateway:
        status, body = await refused_by_http(gateway, INWORLD, key=key)
    assert (status, body["code"]) == (401, 401)
    assert body["message"] == body["error"]["message"]
    assert body["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("path", ["/v1/realtime?model=m", INWORLD])
async def test_a_key_without_the_scope_is_answered_with_403_everywhere(path: str, tmp_path: Path) -> None:
    async with service(api_keys=keys_file(tmp_path)) as gateway:
        status, body = await refused_by_http(gateway, path, key=SUPERVISOR)
    assert (status, body["error"]["code"]) == (403, "insufficient_scope")


async def test_a_foreign_page_is_answered_with_403() -> None:
    async with service() as gateway:
        status, _ = await refused_by_http(gateway, "/v1/realtime", Origin="https://evil.example")
    assert status == 403


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("intent=transcription&model=m", "invalid_model"),
        ("intent=conversation", "invalid_intent"),
        ("model=" + "m" * 257, "invalid_model"),
        ("call_id=CA" + "0" * 32, "call_not_found"),
        ("call_id=sess_nobody", "call_not_found"),
    ],
)
async def test_what_is_wrong_in_the_address_is_named(query: str, code: str) -> None:
    async with service() as gateway:
        error, close_code, reason = await refused(gateway, f"/v1/realtime?{query}")
        status, body = await refused_by_http(gateway, f"/api/v1/realtime/session?{query}")
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert (close_code, reason) == (4000, f"invalid_request_error.{code}")
    assert status == (404 if code == "call_not_found" else 400)
    assert body["error"]["code"] == code


@pytest.mark.parametrize(
    "how", [{"OpenAI_Beta": "realtime=v1"}, {"subprotocols": ("realtime", "openai-beta.realtime-v1")}]
)
async def test_the_beta_can_be_switched_off(how: dict[str, Any]) -> None:
    async with service(realtime_beta="0") as gateway:
        error, code, reason = await refused(gateway, "/v1/realtime?model=m", **how)
    assert error["code"] == "beta_api_shape_disabled"
    assert error["message"].startswith("The Realtime Beta API is no longer supported.")
    assert (code, reason) == (4000, "invalid_request_error.beta_api_shape_disabled")


async def test_a_key_may_have_so_many_sessions_and_no_more(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"api_keys": keys_file(tmp_path), "realtime_sessions_per_key": "2"}
    async with service(**settings) as gateway, gateway.session(key=KEY) as first:
        async with gateway.session(key=KEY):
            error, code, _ = await refused(gateway, "/v1/realtime?model=m", key=KEY)
            assert (error["type"], error["code"]) == ("rate_limit_error", "SESSION_RESOURCES_EXHAUSTED")
            assert code == 1013
            status, body = await refused_by_http(gateway, INWORLD, key=KEY)
            assert (status, body["error"]["code"]) == (429, "SESSION_RESOURCES_EXHAUSTED")
            async with gateway.session():  # another key's
                pass
        await first.socket.close()
        async with gateway.session(key=KEY), gateway.session(key=KEY):
            pass


@pytest.mark.parametrize("path", ["/v1/realtime?model=m", INWORLD])
async def test_a_gateway_that_stops_sends_new_sessions_elsewhere_and_lets_others_go_on(path: str) -> None:
    async with service() as gateway, gateway.session() as client:
        gateway.running.gateway.drain()
        assert (await refused_by_http(gateway, path))[0] == 503
        await client.say("input_audio_buffer.clear")
        await client.hear("input_audio_buffer.cleared")
        assert await gateway.running.gateway.live_calls() == 1


async def test_a_browser_is_answered_with_its_subprotocol_even_when_it_is_refused() -> None:
    async with service() as gateway:
        offered = ("realtime", "openai-insecure-api-key.wrong-key-of-a-browser")
        async with gateway.connected(key=None, subprotocols=offered) as client:
            assert client.socket.subprotocol == "realtime"
            assert (await client.closed())[0] == 3000


async def test_a_refusal_is_no_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    async with service() as gateway:
        await refused_by_http(gateway, INWORLD, key="not-the-key-of-anybody-here")
        await refused(gateway, "/v1/realtime", key="not-the-key-of-anybody-here")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_refusals_are_counted_by_their_reason() -> None:
    async with service() as gateway:
        await refused(gateway, "/v1/realtime?intent=other")
        assert gateway.running.sample("realtime_refused_total", reason="invalid_intent") == 1


async def test_a_stranger_cannot_send_large_messages() -> None:
    """The limit is raised for who was let in, not for who is told why not."""
    async with service() as gateway:
        url = gateway.running.url.replace("http", "ws", 1)
        async with connect(f"{url}/v1/realtime", compression=None) as socket:
            client = Client(socket)
            assert (await client.closed())[0] == 3000
