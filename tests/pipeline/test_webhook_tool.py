from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from pipeline.egress.allowed import read_allowed
from pipeline.egress.guard import Egress
from pipeline.webhook_tool import MOST_BYTES, Signature, WebhookFailed, WebhookTools
from simulator.standins.serving import cut, served

pytestmark = pytest.mark.anyio

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
CALL = {"id": "call_1", "from": "+15550100"}


@dataclass
class Receiver:
    """A tool of somebody else's, who verifies as the docstring says."""

    key: bytes = KEY
    now_s: int = 1_700_000_000
    seen_ids: set[str] = field(default_factory=set)
    bodies: list[Any] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        body = await request.body()
        if not self._is_genuine(dict(request.headers), body):
            return Response("not genuine", status_code=401)
        self.bodies.append(json.loads(body))
        match request.path_params["what"]:
            case "json":
                return Response('{"in_stock": 3}', media_type="application/json")
            case "odd":
                return Response(b"caf\xe9")
            case "empty":
                return Response(status_code=204)
            case "fails":
                return Response("no such order", status_code=404)
            case "fails-silently":
                return Response(status_code=500)
            case "moved":
                return RedirectResponse("https://example.com/", status_code=308)
            case "big":
                return Response(b"x" * (MOST_BYTES + 1))
            case "torn":
                return StreamingResponse(self._torn(request))
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def _torn(self, request: Request) -> AsyncIterator[bytes]:
        yield b"x"
        cut(request.scope)

    def _is_genuine(self, headers: dict[str, str], body: bytes) -> bool:
        id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        if abs(int(timestamp) - self.now_s) > 300 or id in self.seen_ids:
            return False
        self.seen_ids.add(id)
        mac = hmac.new(self.key, digestmod=hashlib.sha256)
        for part in (id.encode(), b".", timestamp.encode(), b".", body):
            mac.update(part)
        version, _, signature = headers["webhook-signature"].partition(",")
        return version == "v1" and hmac.compare_digest(base64.b64decode(signature), mac.digest())


@contextlib.asynccontextmanager
async def tool(**options: Any) -> AsyncGenerator[tuple[Receiver, str, WebhookTools], None]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/{what}", receiver.take, methods=["POST"])])
    async with served(app) as place:
        egress = Egress(read_allowed(place))
        options = {"now_s": lambda: 1_700_000_000.9} | options
        async with WebhookTools(egress, SECRET, **options) as webhooks:
            yield receiver, f"http://{place}", webhooks


async def test_a_call_arrives_signed_and_its_answer_comes_back() -> None:
    async with tool() as (receiver, place, webhooks):
        assert await webhooks.call(f"{place}/json", "stock", {"item": "lämp"}, CALL) == '{"in_stock": 3}'
        assert await webhooks.call(f"{place}/empty", "stock", {}, {}) == ""
        assert await webhooks.call(f"{place}/odd", "stock", {}, {}) == "caf\ufffd"
        assert receiver.bodies[0] == {"tool": "stock", "arguments": {"item": "lämp"}, "call": CALL}
        assert len(receiver.seen_ids) == 3


@pytest.mark.parametrize("wrong", [{"key": b"x" * 32}, {"now_s": 1_700_000_400}, {"seen_ids": {"msg_1"}}], ids=str)
async def test_a_receiver_can_refuse_forgeries_old_calls_and_replays(wrong: dict[str, Any]) -> None:
    async with tool(new_id=lambda: "msg_1") as (receiver, place, webhooks):
        for name, value in wrong.items():
            setattr(receiver, name, value)
        with pytest.raises(WebhookFailed, match="stock failed with HTTP 401: not genuine"):
            await webhooks.call(f"{place}/json", "stock", {}, {})
        assert receiver.bodies == []


def test_a_signature_is_that_of_the_specification() -> None:
    """The example of https://github.com/standard-webhooks/standard-webhooks, "Signature scheme"."""
    signature = Signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signature.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("fails", "stock failed with HTTP 404: no such order"),
        ("fails-silently", "stock failed with HTTP 500."),
        ("moved", "stock is configured with an address that has moved (HTTP 308)."),
        ("big", "stock gave no usable answer (too_large)."),
        ("torn", "stock could not be reached."),
        ("hangs", "stock did not answer within 0.3 seconds."),
    ],
)
async def test_a_failure_is_a_sentence_for_the_model_and_never_a_second_call(what: str, message: str) -> None:
    async with tool(limit_s=0.3) as (receiver, place, webhooks):
        with pytest.raises(WebhookFailed) as failed:
            await webhooks.call(f"{place}/{what}?key=geheim", "stock", {}, {})
        assert str(failed.value) == message
        assert len(receiver.bodies) == 1


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/geheim", "https://metadata.example\\@x/geheim", "http://x.example/"]
)
async def test_the_guard_holds_for_webhooks(url: str) -> None:
    async with WebhookTools(Egress(), SECRET) as webhooks:
        with pytest.raises(WebhookFailed) as failed:
            await webhooks.call(url, "stock", {}, {})
        assert "geheim" not in str(failed.value)


async def test_only_connecting_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    async def post(self: httpx2.AsyncClient, url: str, **_: Any) -> httpx2.Response:
        tries.append(url)
        if len(tries) == 1:
            raise httpx2.ConnectError("refused")
        return httpx2.Response(200, text="fine")

    monkeypatch.setattr(httpx2.AsyncClient, "post", post)
    async with WebhookTools(Egress(), SECRET) as webhooks:
        assert await webhooks.call("https://shop.example/", "stock", {}, {}) == "fine"
    assert len(tries) == 2


async def test_a_place_where_nobody_listens_is_told() -> None:
    async with WebhookTools(Egress(read_allowed("127.0.0.1:1")), SECRET) as webhooks:
        with pytest.raises(WebhookFailed, match="could not be reached"):
            await webhooks.call("http://127.0.0.1:1/", "stock", {}, {})


@pytest.mark.parametrize("secret", ["", "geheim", SECRET.removeprefix("whsec_"), "whsec_", "whsec_AAAA", "whsec_ü",
                                    f"whsec_{base64.b64encode(bytes(65)).decode()}"])  # fmt: skip
def test_a_weak_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_") as refused:
        Signature(secret)
    assert len(secret) < 8 or secret not in str(refused.value)
