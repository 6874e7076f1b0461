from __future__ import annotations

from gateway.webrtc.link_end import LinkEnd


def test_ends_are_words_fit_for_a_label() -> None:
    assert [end.value for end in LinkEnd] == [
        "never_connected",
        "connection_lost",
        "peer_left",
        "message_too_large",
    ]
