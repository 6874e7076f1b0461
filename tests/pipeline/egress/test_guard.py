from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pipeline.egress import guard
from pipeline.egress.allowed import read_allowed
from pipeline.egress.guard import ClientServers, Destination, Egress
from pipeline.egress.refusal import EgressRefused, Reason
from tests.pipeline.egress.canary import Names
from tests.pipeline.egress.test_url import BAD, OTHER_SCHEMES

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.215.14"

INSIDE = [
    "https://localhost/",
    "https://127.0.0.1/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/",
    "https://0.0.0.0/",
    "https://255.255.255.255/",
    "https://224.0.0.1/",
    "https://198.18.0.1/",
    "https://192.0.2.1/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:0:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::169.254.169.254]/",
    "https://[64:ff9b:1::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[2a00::5efe:7f00:1]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[100::1]/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://mixed.example/",
    "https://nat64.example/",
]
NAMES: dict[str, list[list[str]]] = {
    "localhost": [["127.0.0.1", "::1"]],
    "metadata.google.internal": [["169.254.169.254"]],
    "mixed.example": [[PUBLIC, "10.0.0.1"]],
    "nat64.example": [["64:ff9b::a00:1"]],
    "good.example": [[PUBLIC, "2606:4700:4700::1111", PUBLIC]],
    "empty.example": [[]],
    "odd.example": [["not an address"]],
}


def egress(allowed: str = "", client_servers: ClientServers = ClientServers.OFF) -> Egress:
    return Egress(read_allowed(allowed), client_servers=client_servers, resolve=Names(**NAMES))


@pytest.mark.parametrize("url", INSIDE)
async def test_nothing_inside_is_reached(url: str) -> None:
    with pytest.raises(EgressRefused) as refused:
        await egress().destination(url)
    assert refused.value.reason is Reason.ADDRESS
    assert "SWITCHBOARD_EGRESS_ALLOW" in str(refused.value)


@pytest.mark.parametrize("url", [*BAD, *OTHER_SCHEMES, "http://good.example/", "https://good.example:6379/"])
async def test_no_other_url_is_reached_either(url: str) -> None:
    with pytest.raises(EgressRefused):
        await egress().destination(url)


async def test_a_public_name_is_resolved_once_and_every_address_given() -> None:
    names = Names(good_example=[[PUBLIC, "2606:4700:4700::1111", PUBLIC]])
    found = await Egress(resolve=names).destination("https://Good.example/mcp")
    assert found == Destination("https://good.example/mcp", "good.example", 443, (PUBLIC, "2606:4700:4700::1111"))
    assert names.asked == ["good.example"]


@pytest.mark.parametrize("url", ["https://gone.example/", "https://empty.example/", "https://odd.example/"])
async def test_a_name_without_an_address_is_refused(url: str) -> None:
    with pytest.raises(EgressRefused, match="no address") as refused:
        await egress().destination(url)
    assert refused.value.reason is Reason.LOOKUP


async def test_a_slow_name_server_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    monkeypatch.setattr(guard, "LOOKUP_LIMIT_S", 0.01)
    with pytest.raises(EgressRefused, match="within"):
        await Egress(resolve=hang).destination("https://good.example/")


def test_a_refusal_shows_neither_path_nor_query_nor_address() -> None:
    with pytest.raises(EgressRefused) as refused:
        egress().check("http://good.example/geheim?key=geheim")
    assert "geheim" not in str(refused.value)
    with pytest.raises(EgressRefused) as refused:
        asyncio.run(egress().destination("https://metadata.google.internal/geheim"))
    assert "169.254" not in str(refused.value) and "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("localhost:9000", "http://localhost:9000/"),
        ("localhost", "http://localhost/"),
        ("127.0.0.0/8,::1", "https://localhost/"),
        ("127.0.0.0/8:*,[::1]:*", "http://localhost:9000/"),
        ("10.0.0.0/8", "https://10.0.0.1/"),
        ("10.0.0.0/8", "https://mixed.example/"),
        ("good.example:6379", "https://good.example:6379/"),
        ("good.example", "http://good.example/"),
        ("169.254.169.254", "http://169.254.169.254/"),
    ],
)
async def test_what_the_operator_lists_is_reached(allowed: str, url: str) -> None:
    assert (await egress(allowed).destination(url)).addresses


@pytest.mark.parametrize(
    ("allowed", "url", "reason"),
    [
        ("localhost:9000", "http://localhost:9001/", Reason.SCHEME),
        ("localhost:9000", "https://localhost:9001/", Reason.PORT),
        ("127.0.0.0/8", "https://localhost/", Reason.ADDRESS),
        ("10.0.0.0/8", "http://mixed.example/", Reason.SCHEME),
        ("10.0.0.0/8:9000", "https://mixed.example:9000/", Reason.PORT),
        ("metadata.google.internal", "https://metadata.google.internal/", Reason.ADDRESS),
        ("*.example", "https://nat64.example/", Reason.ADDRESS),
    ],
)
async def test_the_list_opens_nothing_else(allowed: str, url: str, reason: Reason) -> None:
    with pytest.raises(EgressRefused) as refused:
        await egress(allowed).destination(url)
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("http://localhost:9000/mcp", "http://localhost:9001/mcp"),
        ("http://127.0.0.1:9000/mcp", "http://127.0.0.2:9000/mcp"),
        ("http://[::1]:9000/mcp", "http://[::2]:9000/mcp"),
    ],
)
async def test_what_an_agents_file_names_is_trusted_and_nothing_besides(url: str, other: str) -> None:
    trusting = egress().trusting(url)
    assert (await trusting.destination(url)).url == url
    with pytest.raises(EgressRefused):
        await trusting.destination(other)


@pytest.mark.parametrize(
    ("policy", "url", "may"),
    [
        (ClientServers.OFF, "https://good.example/", False),
        (ClientServers.OFF, "https://listed.example/", False),
        (ClientServers.LISTED, "https://good.example/", False),
        (ClientServers.LISTED, "https://listed.example/", True),
        (ClientServers.LISTED, "http://10.0.0.1:9000/", True),
        (ClientServers.LISTED, "https://127.0.0.1/", False),
        (ClientServers.PUBLIC, "https://good.example/", True),
        (ClientServers.PUBLIC, "https://listed.example/", True),
        (ClientServers.PUBLIC, "https://127.0.0.1/", False),
        (ClientServers.PUBLIC, "http://2130706433/", False),
    ],
)
def test_clients_may_name_what_the_operator_lets_them(policy: ClientServers, url: str, may: bool) -> None:
    guarded = egress("listed.example,10.0.0.1:9000", client_servers=policy)
    assert (guarded.client_refusal(url) is None) is may
    assert (guarded.client_refusal(url) is None) is may


def test_clients_may_name_nothing_unless_somebody_says_so() -> None:
    refusal = Egress(resolve=Names()).client_refusal("https://good.example/")
    assert refusal is not None and refusal.reason is Reason.CLIENT
    assert "SWITCHBOARD_MCP_CLIENT_SERVERS" in str(refusal)
