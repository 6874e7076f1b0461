from __future__ import annotations

import msgspec
import pytest

from gateway.realtime.ice_servers import IceServer, read_ice_servers


def test_servers_are_read_and_written_alike() -> None:
    text = (
        '[{"urls":"stun:stun.example:3478"},'
        '{"urls":["turn:t.example?transport=tcp","TURNS:t.example"],"username":"u","credential":"c"}]'
    )
    servers = read_ice_servers(text)
    assert servers == (
        IceServer("stun:stun.example:3478"),
        IceServer(("turn:t.example?transport=tcp", "TURNS:t.example"), "u", "c"),
    )
    assert msgspec.json.encode(servers).decode() == text
    assert read_ice_servers("[]") == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("stun:stun.example", "is no JSON list of servers"),
        ('{"urls": "stun:x"}', "is no JSON list of servers"),
        ('[{"url": "stun:x"}]', "is no JSON list of servers"),
        ('[{"urls": []}]', "is no JSON list of servers"),
        ('[{"urls": 1}]', "is no JSON list of servers"),
        ("[" * 5000, "is no JSON list of servers"),
        ('[{"urls": "https://x"}]', "'https://x' is no stun:, stuns:, turn: or turns: URL"),
        ('[{"urls": ["stun:a", "stun:"]}]', "'stun:' is no"),
        ('[{"urls": ["stun:x", "turns:y"], "username": "u"}]', "'turns:y' needs a username and a credential"),
        ('[{"urls": "turn:x", "credential": "c"}]', "'turn:x' needs a username and a credential"),
    ],
)
def test_what_a_browser_would_not_take_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError) as fault:
        read_ice_servers(text)
    assert complaint in str(fault.value)


@pytest.mark.parametrize(
    ("server", "lacks"),
    [
        (IceServer("stun:x"), False),
        (IceServer("turn:x"), True),
        (IceServer(("stun:x", "TURNS:x")), True),
        (IceServer("turn:x", "u"), True),
        (IceServer("turn:x", "u", "c"), False),
    ],
)
def test_a_turn_server_without_a_credential_is_known(server: IceServer, lacks: bool) -> None:
    assert server.lacks_credential is lacks
    if not server.username:
        text = msgspec.json.encode([server]).decode()
        assert read_ice_servers(text) == (server,), "whether it may stand so, another setting says"


def test_a_credential_is_in_no_repr_and_no_fault() -> None:
    assert "hidden" not in repr(IceServer("turn:x", "u", "hidden"))
    with pytest.raises(ValueError) as fault:
        read_ice_servers('[{"urls": "http:x", "username": "u", "credential": "hidden"}]')
    assert "hidden" not in str(fault.value)
