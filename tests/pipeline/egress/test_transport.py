from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from pipeline.egress.allowed import read_allowed
from pipeline.egress.guard import Egress
from pipeline.egress.refusal import EgressRefused, Reason
from pipeline.egress.transport import MOST_BYTES, GuardedTransport, guarded_client
from simulator.standins.serving import cut, served
from tests.pipeline.egress.canary import Names, canary

pytestmark = pytest.mark.anyio


class Site:
    """A web server that keeps what it was sent."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.sent_bytes = 0

    async def answer(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        match request.path_params["what"]:
            case "redirect":
                return RedirectResponse(request.query_params["to"], status_code=307)
            case "big":
                return StreamingResponse(self._flood(request))
            case "events":
                return StreamingResponse(self._flood(request), media_type="text/event-stream")
            case "declared":
                return Response(b"x" * (MOST_BYTES + 1))
            case "packed":
                return Response(b"x", headers={"content-encoding": "gzip"})
            case "drip":
                return StreamingResponse(self._drip())
            case "silent":
                await asyncio.Event().wait()
            case "torn":
                return StreamingResponse(self._torn(request))
            case _:
                return Response(b"fine")
        raise AssertionError("unreachable")

    async def _flood(self, request: Request) -> AsyncIterator[bytes]:
        for _ in range(100):
            if await request.is_disconnected():
                return
            yield b"x" * 1024 * 1024
            self.sent_bytes += 1024 * 1024

    async def _drip(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    async def _torn(self, request: Request) -> AsyncIterator[bytes]:
        yield b"x"
        cut(request.scope)


@contextlib.asynccontextmanager
async def site() -> AsyncGenerator[tuple[Site, str], None]:
    served_site = Site()
    app = Starlette(routes=[Route("/{what}", served_site.answer, methods=["GET", "POST"])])
    async with served(app) as place:
        yield served_site, place


def loopback(*ports: int) -> Egress:
    return Egress(read_allowed(",".join(f"127.0.0.1:{port}" for port in ports)), resolve=Names())


def port_of(place: str) -> int:
    return int(place.rpartition(":")[2])


async def test_an_answer_comes_and_connections_are_kept() -> None:
    async with site() as (_, place), guarded_client(loopback(port_of(place))) as client:
        for _ in range(3):
            assert (await client.get(f"http://{place}/x")).text == "fine"


async def test_a_name_that_turns_inward_after_the_check_reaches_nothing() -> None:
    async with canary() as bird:
        names = Names(turning_example=[["93.184.215.14"], ["127.0.0.1", "::1"]])
        egress = Egress(read_allowed(f"other.example:{bird.port}"), resolve=names)
        assert (await egress.destination("https://turning.example/")).addresses == ("93.184.215.14",)
        async with guarded_client(egress) as client:
            with pytest.raises(EgressRefused) as refused:
                await client.get("https://turning.example/")
        assert refused.value.reason is Reason.ADDRESS
        assert len(names.asked) == 2
        assert bird.knocks == 0


async def test_a_connection_goes_to_an_address_that_was_judged() -> None:
    """The only look-up is ours: the name exists nowhere else, and the connection is made all the same."""
    async with site() as (seen, place):
        names = Names(shop_example=[["127.0.0.1"], ["192.0.2.1"]])
        egress = Egress(read_allowed(f"shop.example:{port_of(place)}"), resolve=names)
        async with guarded_client(egress) as client:
            assert (await client.get(f"http://shop.example:{port_of(place)}/x")).text == "fine"
        assert seen.headers[0]["host"] == f"shop.example:{port_of(place)}"
        assert names.asked == ["shop.example"]


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async with site() as (_, place):
        names = Names(shop_example=[["127.0.0.2", "127.0.0.1"]])  # nobody listens at the first
        egress = Egress(read_allowed(f"shop.example:{port_of(place)}"), resolve=names)
        async with guarded_client(egress) as client:
            assert (await client.get(f"http://shop.example:{port_of(place)}/x")).text == "fine"


async def test_a_redirect_inward_is_refused_even_when_redirects_are_followed() -> None:
    async with site() as (_, place), canary() as bird, guarded_client(loopback(port_of(place))) as client:
        for target in (f"http://127.0.0.1:{bird.port}/", f"http://[::1]:{bird.port}/", "https://localhost/"):
            with pytest.raises(EgressRefused):
                await client.get(f"http://{place}/redirect", params={"to": target}, follow_redirects=True)
        assert bird.knocks == 0


async def test_a_redirect_is_not_followed_and_takes_no_credentials_along() -> None:
    async with site() as (_, place), site() as (other, other_place):
        egress = loopback(port_of(place), port_of(other_place))
        secrets = {"authorization": "Bearer geheim", "x-key": "geheim"}
        async with guarded_client(egress, headers=secrets) as client:
            target = f"http://{other_place}/x"
            response = await client.get(f"http://{place}/redirect", params={"to": target})
            assert response.status_code == 307
            assert other.headers == []


async def test_proxies_and_passwords_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with site() as (seen, place), canary() as bird:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{bird.port}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{bird.port}")
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password geheim\n")
        monkeypatch.setenv("NETRC", str(netrc))
        async with guarded_client(loopback(port_of(place))) as client:
            assert (await client.get(f"http://{place}/x")).text == "fine"
        assert bird.knocks == 0
        assert "authorization" not in seen.headers[0]


@pytest.mark.parametrize(
    ("what", "reason"),
    [("big", Reason.TOO_LARGE), ("declared", Reason.TOO_LARGE), ("packed", Reason.ENCODED)],
)
async def test_an_answer_is_read_to_a_bound(what: str, reason: Reason) -> None:
    async with site() as (seen, place), guarded_client(loopback(port_of(place))) as client:
        with pytest.raises(EgressRefused) as refused:
            await client.get(f"http://{place}/{what}")
        assert refused.value.reason is reason
        assert seen.sent_bytes < 50 * MOST_BYTES
        assert seen.headers[0]["accept-encoding"] == "identity"
        assert (await client.get(f"http://{place}/x")).text == "fine"


async def test_an_event_stream_may_be_longer_and_ends_too() -> None:
    async with site() as (_, place):
        transport = GuardedTransport(loopback(port_of(place)), most_stream_bytes=3 * MOST_BYTES)
        async with httpx2.AsyncClient(transport=transport) as client:
            read_bytes = 0
            with pytest.raises(EgressRefused) as refused:
                async with client.stream("GET", f"http://{place}/events") as response:
                    async for piece in response.aiter_raw():
                        read_bytes += len(piece)
            assert refused.value.reason is Reason.TOO_LARGE
            assert 2 * MOST_BYTES <= read_bytes <= 3 * MOST_BYTES


@pytest.mark.parametrize("what", ["drip", "silent"])
async def test_an_answer_that_never_ends_is_cut(what: str) -> None:
    async with site() as (_, place):
        async with guarded_client(loopback(port_of(place)), answer_limit_s=0.2) as client:
            with pytest.raises(EgressRefused) as refused:
                await client.get(f"http://{place}/{what}")
            assert refused.value.reason is Reason.TOO_SLOW


async def test_errors_of_the_network_are_those_of_the_client() -> None:
    async with site() as (_, place), guarded_client(loopback(port_of(place), 1)) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get(f"http://{place}/torn")
        with pytest.raises(httpx2.ConnectError):
            await client.get("http://127.0.0.1:1/")


@pytest.mark.parametrize("host", ["shop.example", "other.example"])
async def test_tls_is_spoken_in_the_name_that_was_asked_for(host: str, tmp_path: Path) -> None:
    """The certificate is that of shop.example, and the address comes from the guard."""
    asked_for: list[str | None] = []
    server_tls, client_tls = certificate("shop.example", tmp_path, asked_for.append)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_tls) as server:
        port = server.sockets[0].getsockname()[1]
        egress = Egress(
            read_allowed(f"*.example:{port}"),
            resolve=Names(shop_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]]),
            tls=client_tls,
        )
        async with guarded_client(egress) as client:
            if host == "shop.example":
                assert (await client.get(f"https://{host}:{port}/")).text == "fine"
            else:
                with pytest.raises(httpx2.ConnectError, match="Hostname mismatch"):
                    await client.get(f"https://{host}:{port}/")
    assert asked_for == [host]


def certificate(
    host: str, folder: Path, hear: Callable[[str | None], None]
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for `host`, and that of a client that believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(pem + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    server.sni_callback = lambda _, asked, __: hear(asked)
    return server, ssl.create_default_context(cadata=pem.decode())


NETWORKS = ["127.0.0.0/8", "0.0.0.0/8", "10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16", "172.16.0.0/12"]
INSIDE = st.one_of(*(st.ip_addresses(network=ipaddress.ip_network(network)) for network in NETWORKS))
ENCODINGS: list[Callable[[int], str]] = [
    lambda n: str(ipaddress.IPv4Address(n)),
    lambda n: str(n),
    hex,
    lambda n: f"0{n:o}",
    lambda n: ".".join(hex(part) for part in n.to_bytes(4, "big")),
    lambda n: ".".join(f"0{part:o}" for part in n.to_bytes(4, "big")),
    lambda n: f"{n >> 24}.{n & 0xFFFFFF}",
    lambda n: f"{n >> 24}.{n >> 16 & 255}.{n & 0xFFFF}",
    lambda n: f"[::{ipaddress.IPv4Address(n)}]",
    lambda n: f"[::ffff:{ipaddress.IPv4Address(n)}]",
    lambda n: f"[::ffff:{n >> 16:x}:{n & 0xFFFF:x}]",
    lambda n: f"[::ffff:0:{n >> 16:x}:{n & 0xFFFF:x}]",
    lambda n: f"[64:ff9b::{ipaddress.IPv4Address(n)}]",
    lambda n: f"[2002:{n >> 16:x}:{n & 0xFFFF:x}::]",
    lambda n: f"[2a00::5efe:{n >> 16:x}:{n & 0xFFFF:x}]",
    lambda n: str(ipaddress.IPv4Address(n)).translate(str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")),
    lambda n: str(ipaddress.IPv4Address(n)).translate(str.maketrans("0123456789", "０１２３４５６７８９")),
    lambda n: str(ipaddress.IPv4Address(n)).replace(".", "。"),
    lambda n: f"example.com@{ipaddress.IPv4Address(n)}",
    lambda n: f"example.com\\@{ipaddress.IPv4Address(n)}",
    lambda n: f"{ipaddress.IPv4Address(n)}.",
]


def test_no_spelling_of_an_address_inside_knocks_anywhere() -> None:
    @settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(INSIDE, st.sampled_from(ENCODINGS), st.sampled_from(["https", "http"]), st.booleans())
    def spell(address: ipaddress.IPv4Address, encode: Callable[[int], str], scheme: str, is_loop: bool) -> None:
        number = 0x7F000001 if is_loop else int(address)
        url = f"{scheme}://{encode(number)}:{bird.port}/"
        with pytest.raises((EgressRefused, httpx2.InvalidURL)):
            runner.run(knock(url))

    async def knock(url: str) -> None:
        # The port is open to any name, and names resolve by the real system: only addresses can hold it back.
        async with guarded_client(Egress(read_allowed(f"*.example:{bird.port}"), tls=tls)) as client:
            await client.get(url)

    tls = ssl.create_default_context()
    with asyncio.Runner() as runner:
        canaries = canary()
        bird = runner.run(canaries.__aenter__())
        try:
            spell()
        finally:
            runner.run(canaries.__aexit__(None, None, None))
    assert bird.knocks == 0
