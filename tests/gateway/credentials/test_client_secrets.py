from __future__ import annotations

import itertools

import pytest

from gateway.credentials.client_secrets import REMEMBERED_S, ClientSecrets, SecretFault
from gateway.credentials.credential import Scope
from pipeline.dialects import Dialect
from tests.gateway.credentials.support import NOW_S, Clock

REALTIME = frozenset({Scope.REALTIME})


def secrets(
    clock: Clock | None = None, *, most: int = 10_000, most_session_bytes: int = 1_000_000
) -> ClientSecrets:
    numbers = itertools.count()
    return ClientSecrets(
        now=clock or Clock(),
        make_text=lambda: f"text-{next(numbers)}",
        most=most,
        most_session_bytes=most_session_bytes,
    )


def is_known(store: ClientSecrets, value: str) -> bool:
    try:
        store.read(value)
    except SecretFault:
        return False
    return True


def test_a_secret_stands_for_all_it_was_made_with() -> None:
    session = {"voice": "alloy"}
    store = secrets()
    value, grant = store.mint(
        "web", REALTIME, life_s=60, session=session, dialect=Dialect.BETA, is_transcription=True, max_uses=2
    )
    assert value == "ek_text-0"
    assert store.read(value) is grant
    assert (grant.owner, grant.scopes, grant.session, grant.dialect) == ("web", REALTIME, session, Dialect.BETA)
    assert (grant.is_transcription, grant.max_uses, grant.expires_at_s) == (True, 2, int(NOW_S) + 60)


@pytest.mark.parametrize("life_s", [9, 7201, 0, -1])
def test_a_life_out_of_range_is_refused(life_s: int) -> None:
    with pytest.raises(ValueError, match="expected 10 to 7200 s"):
        secrets().mint("web", REALTIME, life_s=life_s)


def test_a_secret_for_no_use_is_refused() -> None:
    with pytest.raises(ValueError, match="max_uses: expected 1 or more"):
        secrets().mint("web", REALTIME, life_s=60, max_uses=0)


@pytest.mark.parametrize("value", ["", "ek_", "ek_text-1", "text-0", "ek_\ud800"])
def test_an_unknown_secret_is_a_guess(value: str) -> None:
    store = secrets()
    store.mint("web", REALTIME, life_s=60)
    with pytest.raises(SecretFault, match="unknown") as fault:
        store.use(value)
    assert not fault.value.is_ours


def test_an_expired_secret_is_known_as_such_for_a_while_and_then_forgotten() -> None:
    clock = Clock()
    store = secrets(clock)
    value, _ = store.mint("web", REALTIME, life_s=60)
    clock.now_s += 59.9
    assert store.read(value)
    clock.now_s += 0.1
    with pytest.raises(SecretFault, match="expired") as fault:
        store.read(value)
    assert fault.value.is_ours
    clock.now_s += REMEMBERED_S
    store.mint("web", REALTIME, life_s=60)
    with pytest.raises(SecretFault, match="unknown"):
        store.read(value)
    assert len(store) == 1


def test_when_there_are_too_many_expired_ones_go_first_and_then_the_oldest() -> None:
    clock = Clock()
    store = secrets(clock, most=3)
    long, _ = store.mint("web", REALTIME, life_s=600)
    short, _ = store.mint("web", REALTIME, life_s=10)
    middle, _ = store.mint("web", REALTIME, life_s=600)
    clock.now_s += 10
    fourth, _ = store.mint("web", REALTIME, life_s=600)
    assert [is_known(store, value) for value in (long, short, middle, fourth)] == [True, False, True, True]
    fifth, _ = store.mint("web", REALTIME, life_s=600)
    assert [is_known(store, value) for value in (long, middle, fourth, fifth)] == [False, True, True, True]
    assert len(store) == 3


def test_session_objects_are_bounded_in_bytes() -> None:
    store = secrets(most_session_bytes=100)
    first, _ = store.mint("web", REALTIME, life_s=600, session_bytes=60)
    second, _ = store.mint("web", REALTIME, life_s=600, session_bytes=40)
    assert is_known(store, first)
    third, _ = store.mint("web", REALTIME, life_s=600, session_bytes=41)
    assert [is_known(store, value) for value in (first, second, third)] == [False, True, True]
    fourth, _ = store.mint("web", REALTIME, life_s=600, session_bytes=19)
    assert [is_known(store, value) for value in (second, third, fourth)] == [True, True, True]
