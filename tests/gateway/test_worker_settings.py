from __future__ import annotations

import pytest

from gateway.worker_settings import seconds


@pytest.mark.parametrize(("text", "value_s"), [("0", 0.0), ("0.3", 0.3), ("1.25", 1.25), ("60", 60.0)])
def test_seconds_are_read_with_two_decimals_and_0_is_off(text: str, value_s: float) -> None:
    assert seconds(0.3, 60)(text) == value_s


@pytest.mark.parametrize("text", ["0.2", "61", "-1", "1.234", "1s", "1e1", "nan", ".5"])
def test_what_is_no_such_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither 0 nor seconds from 0\.3 to 60"):
        seconds(0.3, 60)(text)
