from __future__ import annotations

from gateway.media_stream.taps import Taps


class Tap:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def hear(self, audio: bytes, timestamp_ms: int, now_s: float) -> None:
        self.told.append(("hear", audio, timestamp_ms, now_s))

    def sent(self, audio: bytes, position: int, now_s: float) -> None:
        self.told.append(("sent", audio, position, now_s))

    def played(self, position: int, now_s: float, *, by_mark: bool) -> None:
        self.told.append(("played", position, now_s, by_mark))

    def flushed(self, position: int, now_s: float) -> None:
        self.told.append(("flushed", position, now_s))

    def returned(self, position: int, now_s: float) -> None:
        self.told.append(("returned", position, now_s))


def test_all_who_listen_are_told_the_same_while_they_are_there() -> None:
    taps, one, two = Taps(), Tap(), Tap()
    taps.hear(b"nobody", 0, 0.0)
    with taps.attached(one), taps.attached(None):
        taps.hear(b"a", 20, 0.02)
        with taps.attached(two):
            assert len(taps) == 2
            taps.sent(b"b", 1, 0.03)
            taps.played(1, 0.04, by_mark=True)
        taps.flushed(1, 0.05)
        taps.returned(1, 0.055)
    taps.hear(b"nobody", 40, 0.06)
    assert one.told == [
        ("hear", b"a", 20, 0.02),
        ("sent", b"b", 1, 0.03),
        ("played", 1, 0.04, True),
        ("flushed", 1, 0.05),
        ("returned", 1, 0.055),
    ]
    assert two.told == one.told[1:3]
    assert len(taps) == 0
