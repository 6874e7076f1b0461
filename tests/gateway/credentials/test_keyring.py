from __future__ import annotations

from pathlib import Path

import pytest

from gateway.credentials.credential import Scope
from gateway.credentials.keyring import (
    LEAST_SECRET_CHARS,
    LONGEST_KEY,
    Keyring,
    base64_of,
    digest_of,
    entry,
    load_keys,
    parse_keys,
    plain_text,
)
from gateway.errors import SettingsError
from tests.gateway.credentials.support import SECRETS, b64, key_file, key_text

HASH = "sha256:" + "0" * 64


def faults(text: str) -> list[str]:
    with pytest.raises(SettingsError) as error:
        parse_keys(text, "keys.toml")
    assert all(fault.startswith("SWITCHBOARD_API_KEYS: keys.toml: ") for fault in error.value.faults)
    return [fault.removeprefix("SWITCHBOARD_API_KEYS: keys.toml: ") for fault in error.value.faults]


@pytest.mark.parametrize("id", SECRETS)
def test_a_key_is_found_by_its_text_and_by_every_spelling_of_its_base64(tmp_path: Path, id: str) -> None:
    keyring = load_keys(key_file(tmp_path))
    text = key_text(id)
    for shown in (text, base64_of(text), base64_of(text).rstrip("="), b64(text.encode())):
        found = keyring.find(shown)
        assert found is not None
        assert found.id == id


@pytest.mark.parametrize(
    "shown",
    [
        "",
        ":",
        "web",
        "web:",
        "web:wrong",
        key_text("web") + " ",
        key_text("web").upper(),
        f"ops:{SECRETS['web']}",
        SECRETS["web"],
        base64_of(key_text("web"))[:-8],
        "!!!!",
        b64(b"\xff\xfe:\x00"),
        b64(b"no colon"),
        "wéb:\ud800",
        "a:" + "x" * LONGEST_KEY,
    ],
)
def test_what_is_no_key_is_not_found(tmp_path: Path, shown: str) -> None:
    assert load_keys(key_file(tmp_path)).find(shown) is None


def test_text_of_any_alphabet_of_base64_is_the_same() -> None:
    text = "id:???>>>~~~"
    assert "/" in base64_of(text)
    assert plain_text(base64_of(text)) == plain_text(b64(text.encode())) == text


def test_a_key_knows_its_scopes_and_keeps_a_secret_only_where_the_file_does(tmp_path: Path) -> None:
    keyring = load_keys(key_file(tmp_path))
    unity, web, root = (keyring.named(id) for id in ("unity", "web", "root"))
    assert unity is not None and web is not None and root is not None
    assert (unity.secret, web.secret) == (SECRETS["unity"], None)
    assert root.scopes == {Scope.ADMIN}
    assert SECRETS["unity"] not in repr(unity)
    assert keyring.named("nobody") is None


def test_a_ring_without_keys_is_false() -> None:
    assert not Keyring()
    assert Keyring().find("a:b") is None


def test_hash_and_secret_may_stand_together_if_they_agree() -> None:
    secret = "s" * LEAST_SECRET_CHARS
    right = digest_of(f"a:{secret}").hex()
    table = f'[[key]]\nid = "a"\nsecret = "{secret}"\nhash = "sha256:{{}}"\nscopes = ["realtime"]\n'
    assert parse_keys(table.format(right), "keys.toml").find(f"a:{secret}")
    (fault,) = faults(table.format("0" * 64))
    assert fault == "key[0].hash: is not the hash of id and secret beside it; leave the hash out"


@pytest.mark.parametrize(("length", "is_fault"), [(LEAST_SECRET_CHARS, False), (LEAST_SECRET_CHARS - 1, True)])
def test_a_secret_has_a_least_length(length: int, is_fault: bool) -> None:
    text = entry("a", "s" * length, [Scope.REALTIME], keeps_secret=True)
    if is_fault:
        assert faults(text) == [
            "key[0].secret: expected 16 or more characters of ASCII without a blank, got something else"
        ]
    else:
        assert parse_keys(text, "keys.toml")


def test_all_faults_of_a_file_are_told_together_and_none_repeats_a_secret() -> None:
    told = faults(
        f"""
        keys = 1
        [[key]]
        id = "a b"
        hash = "plain-secret"
        scopes = ["realtime", "superuser"]
        [[key]]
        hash = "{HASH}"
        scopes = []
        [[key]]
        id = "dev"
        secret = "with a blank plain-secret"
        scope = ["realtime"]
        [[key]]
        id = "twice"
        hash = "{HASH}"
        scopes = ["admin"]
        [[key]]
        id = "twice"
        hash = "{HASH}"
        scopes = "control"
        [[key]]
        id = "bare"
        scopes = ["control"]
        """
    )
    assert not [fault for fault in told if "plain-secret" in fault]
    assert [fault.split(":")[0] for fault in told] == [
        "keys",
        "key[0].id",
        "key[0].scopes",
        "key[0].hash",
        "key[1].id",
        "key[1].scopes",
        "key[2].id",
        "key[2].scopes",
        "key[2].scope",
        "key[2].secret",
        "key[5].hash",
        "key",
    ]
    assert "expected only realtime, control, admin, not 'superuser'" in told[2]
    assert "did you mean 'scopes'" in told[8]
    assert told[-1] == "key: there are 2 keys with the id 'twice'"


@pytest.mark.parametrize("text", ["", "key = 1", "key = []", "key = [1]", 'key = {id = "a"}'])
def test_a_file_without_keys_is_a_fault(text: str) -> None:
    assert faults(text) == ["key: expected one table [[key]] or more; switchboard key new writes one"]


def test_what_is_no_toml_or_cannot_be_read_is_told(tmp_path: Path) -> None:
    (fault,) = faults("[[key")
    assert fault.startswith("is not TOML: ")
    with pytest.raises(SettingsError, match="missing.toml: cannot be read .*; make one with: switchboard key new"):
        load_keys(tmp_path / "missing.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_keys(tmp_path / "binary.toml")
