from __future__ import annotations

import pytest

from gateway.credentials.access_tokens import AccessToken, AccessTokens, TokenFault
from gateway.credentials.credential import Scope
from tests.gateway.credentials.support import NEW, NOW_S, Clock

MAX_S = 3600
REALTIME = frozenset({Scope.REALTIME})


def tokens(clock: Clock | None = None) -> AccessTokens:
    ids = iter(f"id-{number}" for number in range(100))
    return AccessTokens((NEW,), max_life_s=MAX_S, now=clock or Clock(), make_id=lambda: next(ids))


def test_what_was_minted_is_read_again() -> None:
    mint = tokens()
    text, token = mint.mint("web", [Scope.CONTROL, Scope.REALTIME], life_s=60, is_single_use=True, session_id="s-1")
    assert mint.read(text) == token
    assert token == AccessToken(
        subject="web",
        scopes=frozenset({Scope.CONTROL, Scope.REALTIME}),
        issued_at_s=int(NOW_S),
        expires_at_s=int(NOW_S) + 60,
        token_id="id-0",
        session_id="s-1",
        is_single_use=True,
    )


@pytest.mark.parametrize("life_s", [0, -1, MAX_S + 1])
def test_a_life_that_would_not_be_accepted_is_not_minted(life_s: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 3600 s"):
        tokens().mint("web", REALTIME, life_s=life_s)


@pytest.mark.parametrize("life_s", [1, MAX_S])
def test_the_shortest_and_the_longest_life_are_minted_and_accepted(life_s: int) -> None:
    mint = tokens()
    text, _ = mint.mint("web", REALTIME, life_s=life_s)
    assert mint.read(text).expires_at_s == int(NOW_S) + life_s


@pytest.mark.parametrize("subject", ["", "x" * 65, "a b", "a:b", "a\n"])
def test_a_subject_that_would_not_be_accepted_is_not_minted(subject: str) -> None:
    with pytest.raises(ValueError, match="^subject: expected"):
        tokens().mint(subject, REALTIME, life_s=60)


def test_a_single_use_token_begins_one_session_and_may_be_looked_at_before() -> None:
    mint = tokens()
    text, _ = mint.mint("web", REALTIME, life_s=60, is_single_use=True)
    token = mint.read(text)
    assert not mint.was_used(token)
    mint.use(token)
    assert mint.was_used(token)
    with pytest.raises(TokenFault, match="used before") as fault:
        mint.use(token)
    assert fault.value.is_ours


def test_a_token_for_many_uses_is_never_used_up() -> None:
    mint = tokens()
    _, token = mint.mint("web", REALTIME, life_s=60)
    for _ in range(3):
        mint.use(token)
    assert not mint.was_used(token)


def test_a_used_token_cannot_come_back_within_the_leeway_of_its_end() -> None:
    clock = Clock()
    mint = tokens(clock)
    text, token = mint.mint("web", REALTIME, life_s=60, is_single_use=True)
    mint.use(token)
    clock.now_s += 64.9
    with pytest.raises(TokenFault, match="used before"):
        mint.use(mint.read(text))


def test_no_secret_is_in_the_repr_of_a_signing_key() -> None:
    assert NEW.secret not in repr(NEW)
