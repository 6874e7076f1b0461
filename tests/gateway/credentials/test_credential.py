from __future__ import annotations

import pytest

from gateway.credentials.credential import Credential, Kind, Scope, read_scopes
from gateway.errors import CredentialRefused


def credential(*scopes: Scope) -> Credential:
    return Credential(owner="web", scopes=frozenset(scopes), kind=Kind.KEY)


def test_a_scope_is_granted_by_name_and_admin_holds_all() -> None:
    assert [credential(Scope.REALTIME).allows(scope) for scope in Scope] == [True, False, False]
    assert [credential(Scope.CONTROL).allows(scope) for scope in Scope] == [False, True, False]
    assert [credential(Scope.ADMIN).allows(scope) for scope in Scope] == [True, True, True]
    assert not any(credential().allows(scope) for scope in Scope)


def test_a_missing_scope_is_refused_with_what_there_is() -> None:
    credential(Scope.CONTROL).demand(Scope.CONTROL)
    with pytest.raises(CredentialRefused, match="needs the scope `admin`.* web has: control, realtime") as refused:
        credential(Scope.REALTIME, Scope.CONTROL).demand(Scope.ADMIN)
    assert (refused.value.status_code, refused.value.code) == (403, "insufficient_scope")
    with pytest.raises(CredentialRefused, match="has: none"):
        credential().demand(Scope.REALTIME)


def test_scopes_are_read_by_name() -> None:
    assert read_scopes(["admin", "realtime", "admin"]) == {Scope.ADMIN, Scope.REALTIME}
    with pytest.raises(ValueError, match="root"):
        read_scopes(["root"])
