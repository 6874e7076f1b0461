from __future__ import annotations

from contextlib import ExitStack
from typing import cast

import pytest

from gateway.credentials.credential import ALL_SCOPES, Credential, Kind, Scope
from gateway.errors import CredentialRefused, Refusal
from gateway.realtime.directory import MOST_SIDE_BANDS, Directory, LiveSession
from pipeline.engine import Engine

CALL = "CA" + "0" * 32


def session(id: str = "sess_1", owner: str = "acme") -> LiveSession:
    return LiveSession(id=id, owner=owner, engine=cast(Engine, None), opened_at_s=0.0)


def credential(*scopes: Scope, owner: str = "acme", kind: Kind = Kind.KEY) -> Credential:
    return Credential(owner=owner, scopes=frozenset(scopes), kind=kind)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_key_has_so_many_seats_and_no_more(over: int) -> None:
    directory = Directory(3)
    seats = [directory.seat("acme") for _ in range(3 + over)]
    for seat in seats[:3]:
        seat.__enter__()
    for seat in seats[3:]:
        with pytest.raises(Refusal, match="SESSION_RESOURCES_EXHAUSTED") as refusal:
            seat.__enter__()
        assert refusal.value.status_code == 429
    with directory.seat("other"):
        assert directory.seated == len(seats[:3]) + 1
    for seat in seats[:3]:
        seat.__exit__(None, None, None)
    assert directory.seated == 0


def test_without_a_limit_there_is_always_a_seat() -> None:
    directory = Directory()
    with ExitStack() as seats:
        for _ in range(500):
            seats.enter_context(directory.seat("acme"))
        assert directory.seated == 500
    assert directory.seated == 0


def test_a_session_can_be_joined_while_it_is_listed() -> None:
    directory, live, own = Directory(), session(), credential(Scope.REALTIME)
    with directory.listed(live):
        assert directory.ids() == ["sess_1"]
        assert directory.join("sess_1", own) is live
        assert not live.over.is_set()
    assert live.over.is_set()
    with pytest.raises(Refusal) as refusal:
        directory.join("sess_1", own)
    assert (refusal.value.status_code, refusal.value.reason) == (404, "call_not_found")


def test_a_calls_newer_stream_takes_the_place_of_the_one_before() -> None:
    directory, before, after = Directory(), session(CALL, "operator"), session(CALL, "operator")
    controller = credential(Scope.CONTROL)
    with directory.listed(after):
        with directory.listed(before):
            pass
        assert before.over.is_set()
    with directory.listed(before):
        with directory.listed(after):
            assert directory.join(CALL, controller) is after
        assert directory.ids() == []


@pytest.mark.parametrize(
    ("who", "id", "status"),
    [
        (credential(Scope.REALTIME), "sess_1", None),
        (credential(Scope.REALTIME, kind=Kind.DEV), "sess_1", None),
        (credential(Scope.CONTROL, owner="boss"), "sess_1", None),
        (credential(*ALL_SCOPES, owner="boss"), "sess_1", None),
        (credential(Scope.REALTIME, owner="other"), "sess_1", 404),
        (credential(Scope.REALTIME, kind=Kind.CLIENT_SECRET), "sess_1", 403),
        (credential(Scope.REALTIME, kind=Kind.ACCESS_TOKEN), "sess_1", 403),
        (credential(), "sess_1", 403),
        (credential(Scope.REALTIME), CALL, 403),
        (credential(Scope.REALTIME, owner="operator"), CALL, 403),
        (credential(Scope.CONTROL), CALL, None),
    ],
)
def test_who_may_join_what(who: Credential, id: str, status: int | None) -> None:
    directory = Directory()
    with directory.listed(session()), directory.listed(session(CALL, "operator")):
        if status is None:
            assert directory.join(id, who).id == id
        else:
            with pytest.raises(Refusal) as refusal:
                directory.join(id, who)
            assert refusal.value.status_code == status
            assert isinstance(refusal.value, CredentialRefused) == (status == 403)


def test_a_session_takes_so_many_side_bands_and_no_more() -> None:
    directory, live, own = Directory(), session(), credential(Scope.REALTIME)
    with directory.listed(live):
        joined = [directory.joined(directory.join("sess_1", own)) for _ in range(MOST_SIDE_BANDS)]
        for one in joined:
            one.__enter__()
        with pytest.raises(Refusal) as refusal:
            directory.join("sess_1", own)
        assert (refusal.value.status_code, refusal.value.reason) == (429, "too_many_side_bands")
        joined[0].__exit__(None, None, None)
        assert directory.join("sess_1", own) is live
        for one in joined[1:]:
            one.__exit__(None, None, None)
    assert live.side_bands == 0
