from __future__ import annotations

import hashlib
import hmac

from gateway.calls.seals import SEAL_BYTES, Seals


def test_a_seal_is_opened_by_who_has_one_of_the_keys() -> None:
    letter = Seals(["old"]).sealed(b"text")
    assert Seals(["new", "old"]).opened(letter) == b"text"
    assert Seals(["new"]).opened(letter) is None


def test_a_signature_made_with_the_bare_secret_is_no_seal() -> None:
    forged = hmac.digest(b"key", b"text", hashlib.sha256)[:SEAL_BYTES] + b"text"
    assert Seals(["key"]).opened(forged) is None
