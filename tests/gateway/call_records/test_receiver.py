from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.call_records.outbox import Letter
from gateway.call_records.receiver import Answer, Receiver, Reply, read_retry_after
from tests.certificates import Authority
from tests.gateway.call_records.support import BEGAN_S, LIMIT_S, SECRET, Behaviour, Clock, inbox, sid

pytestmark = pytest.mark.anyio

LETTER = Letter(sid(1), f'{{"data":{{"call_sid":"{sid(1)}","words":"für"}}}}'.encode(), BEGAN_S, 1)
UNIX_S = 1_793_424_242.9


@asynccontextmanager
async def receiver(
    url: str, limit_s: float = LIMIT_S, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    async with (
        asyncio.timeout(LIMIT_S),
        Receiver(url, SECRET, limit_s=limit_s, unix=Clock(UNIX_S), tls=tls) as one,
    ):
        yield one


async def answer_to(behaviour: Behaviour, limit_s: float = LIMIT_S) -> Answer:
    async with inbox(behaviour) as box, receiver(box.url, limit_s) as one:
        return await one.post(LETTER)


@pytest.mark.parametrize(
    ("behaviour", "answer"),
    [
        (200, Answer(Reply.TAKEN)),
        (202, Answer(Reply.TAKEN)),
        (400, Answer(Reply.NEVER, "HTTP 400")),
        (410, Answer(Reply.NEVER, "HTTP 410")),
        (413, Answer(Reply.NEVER, "HTTP 413")),
        (422, Answer(Reply.NEVER, "HTTP 422")),
        (401, Answer(Reply.NOT_NOW, "HTTP 401")),
        (404, Answer(Reply.NOT_NOW, "HTTP 404")),
        (429, Answer(Reply.NOT_NOW, "HTTP 429")),
        (500, Answer(Reply.NOT_NOW, "HTTP 500")),
        ((503, {"retry-after": "120"}), Answer(Reply.NOT_NOW, "HTTP 503", wait_s=120.0)),
        ("drop", Answer(Reply.NOT_NOW, "RemoteProtocolError")),
        ("endless", Answer(Reply.TAKEN)),
        ("broken", Answer(Reply.TAKEN)),
    ],
    ids=str,
)
async def test_what_an_answer_means(behaviour: Behaviour, answer: Answer) -> None:
    assert await answer_to(behaviour) == answer


async def test_a_receiver_that_hangs_is_given_up_in_time() -> None:
    assert await answer_to("hang", limit_s=0.05) == Answer(Reply.NOT_NOW, "no answer within 0.05 s")


async def test_a_receiver_that_is_not_there_is_tried_again() -> None:
    async with inbox() as box:
        pass
    async with receiver(box.url) as one:
        assert await one.post(LETTER) == Answer(Reply.NOT_NOW, "ConnectError")


async def test_a_redirect_is_not_followed() -> None:
    async with inbox() as elsewhere, inbox((307, {"location": elsewhere.url})) as box, receiver(box.url) as one:
        answer = await one.post(LETTER)
    assert answer == Answer(Reply.NOT_NOW, "HTTP 307, a redirect, which is not followed")
    assert elsewhere.requests == []


async def test_one_connection_serves_many_records() -> None:
    async with inbox() as box, receiver(box.url) as one:
        for _ in range(3):
            assert (await one.post(LETTER)).reply is Reply.TAKEN
        assert len(box.requests) == 3
        assert len(one._http._transport._pool.connections) == 1  # type: ignore[attr-defined]  # the library's own


async def test_the_signature_is_what_openssl_computes() -> None:
    async with inbox() as box, receiver(box.url) as one:
        await one.post(LETTER)
    (request,) = box.requests
    assert request.body == LETTER.body
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == f"call_ended_{sid(1)}"
    assert request.headers["webhook-timestamp"] == "1793424242"
    key = base64.b64decode(SECRET.removeprefix("whsec_")).hex()
    signed = f"{request.headers['webhook-id']}.1793424242.".encode() + request.body
    digest = await asyncio.to_thread(
        subprocess.run,
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"],
        input=signed,
        capture_output=True,
        check=True,
        timeout=LIMIT_S,
    )
    assert request.headers["webhook-signature"] == "v1," + base64.b64encode(digest.stdout).decode()


async def test_a_certificate_nobody_vouches_for_is_not_believed(tmp_path: Path) -> None:
    Authority("the test's authority").write(tmp_path, "127.0.0.1")
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    async with inbox(tls=theirs) as box:
        async with receiver(box.url) as one:
            assert await one.post(LETTER) == Answer(Reply.NOT_NOW, "ConnectError")
        trusting = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        async with receiver(box.url, tls=trusting) as one:
            assert await one.post(LETTER) == Answer(Reply.TAKEN)


def test_a_secret_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        Receiver("https://example.com", "secret", limit_s=1, unix=Clock())


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("", 0.0),
        ("30", 30.0),
        (" 5 ", 5.0),
        ("-5", 0.0),
        ("²", 0.0),
        ("99999999999999999999", 0.0),
        ("soon", 0.0),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Fri, 15 Jan 2027 08:01:00 -0000", 60.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("Fri, 99 Jan 2027 07:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, wait_s: float) -> None:
    assert read_retry_after(text, BEGAN_S) == wait_s
