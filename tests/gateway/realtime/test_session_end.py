from __future__ import annotations

import pytest

from gateway.realtime.session_end import CLOSES, SessionEnd, of_disconnect


def test_every_end_has_a_close_frame_that_fits() -> None:
    assert CLOSES.keys() == set(SessionEnd)
    assert all(len(reason.encode()) <= 123 for _, reason in CLOSES.values())


@pytest.mark.parametrize(
    ("code", "end"),
    [
        (1000, SessionEnd.CLIENT_LEFT),
        (1005, SessionEnd.CLIENT_LEFT),
        (None, SessionEnd.CLIENT_LEFT),
        (1009, SessionEnd.TOO_LARGE),
        (1012, SessionEnd.STOPPING),
    ],
)
def test_the_servers_code_says_why_a_connection_is_gone(code: int | None, end: SessionEnd) -> None:
    assert of_disconnect(code) is end
