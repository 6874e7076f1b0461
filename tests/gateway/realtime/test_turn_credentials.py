from __future__ import annotations

import pytest

from gateway.realtime.ice_servers import IceServer
from gateway.realtime.turn_credentials import credential_of, servers_for

STUN = IceServer("stun:s.example")
TURN = IceServer("turn:t.example")
PAID = IceServer("turns:paid.example", "u", "c")
BOTH = IceServer(("stun:t.example", "TURN:t.example?transport=tcp"))


@pytest.mark.parametrize(
    ("username", "secret", "credential"),
    [
        # printf '%s' USERNAME | openssl dgst -sha1 -hmac SECRET -binary | base64
        ("1800000060:web", "north", "NUZf+LysDxQPd5MeK/KZGTvB0Os="),
        ("1800000060:web", "south", "Gj2ppOJIU6cmOd7Vsp/WLujzp6M="),
        ("1800003600:dev@example.com", "Z" * 80, "t8zMn+X0olKnOPtoktPX1O1n9fQ="),
    ],
)
def test_a_credential_is_the_one_a_turn_server_works_out(username: str, secret: str, credential: str) -> None:
    assert credential_of(username, secret) == credential


def test_who_lacks_a_credential_is_given_the_owners_until_it_expires() -> None:
    told = servers_for("web", [STUN, TURN, PAID, BOTH], secret="north", ttl_s=60, now_unix_s=1_800_000_000.9)
    username, credential = "1800000060:web", "NUZf+LysDxQPd5MeK/KZGTvB0Os="
    assert told == [
        STUN,
        IceServer("turn:t.example", username, credential),
        PAID,
        IceServer(BOTH.urls, username, credential),
    ]


def test_without_a_secret_the_servers_stay_as_they_are() -> None:
    assert servers_for("web", (STUN, TURN), secret="", ttl_s=60, now_unix_s=0) == [STUN, TURN]
