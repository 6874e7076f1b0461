from __future__ import annotations

import pytest

from gateway.realtime.own_session import expiry_text


@pytest.mark.parametrize(("life_s", "life"), [(3_600, "60 minutes"), (60, "1 minutes"), (90, "90 seconds")])
def test_the_longest_life_is_told_in_the_protocols_words(life_s: int, life: str) -> None:
    assert expiry_text(life_s) == f"Your session hit the maximum duration of {life}."
