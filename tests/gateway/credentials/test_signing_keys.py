from __future__ import annotations

import pytest

from gateway.credentials.signing_keys import LEAST_SECRET_BYTES, MOST_KEYS, SigningKey, read_signing_keys

SECRET = "s" * LEAST_SECRET_BYTES


def test_the_first_key_is_the_first_and_a_colon_may_stand_in_a_secret() -> None:
    assert read_signing_keys(f"2026b:{SECRET}, 2026a:a:{SECRET}") == (
        SigningKey("2026b", SECRET),
        SigningKey("2026a", f"a:{SECRET}"),
    )


def test_a_secret_at_the_least_length_is_taken_and_one_below_is_not() -> None:
    assert read_signing_keys(f"a:{SECRET}")
    with pytest.raises(ValueError, match="has 31 bytes and needs at least 32; make one with: openssl rand -hex 32"):
        read_signing_keys(f"a:{SECRET[:-1]}")


def test_all_faults_are_told_together_and_none_repeats_a_secret() -> None:
    hidden = "hidden-secret"
    text = f"{hidden},a b:{hidden},c:,d:{hidden},e:{hidden}\x80{SECRET},f:{SECRET},f:{SECRET}1"
    with pytest.raises(ValueError) as fault:
        read_signing_keys(text)
    told = str(fault.value)
    assert told.count(";") >= 5
    assert "key 1 is not written kid:secret" in told
    assert "two keys named f" in told
    assert hidden not in told
    assert SECRET not in told


def test_at_most_eight_keys_are_taken() -> None:
    keys = [f"k{number}:{SECRET}" for number in range(MOST_KEYS + 1)]
    assert len(read_signing_keys(",".join(keys[:-1]))) == MOST_KEYS
    with pytest.raises(ValueError, match="there are 9 keys"):
        read_signing_keys(",".join(keys))
