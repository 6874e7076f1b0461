"""The caller's sound and what comes back of it; the far session writes down what it is told."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any, cast

import pytest

from pipeline.audio.formats import PCMU
from pipeline.reports import Report, Transcribed, TranscriptionFailed
from pipeline.upstream import hearing as hearings
from pipeline.upstream.far_session import FarSession
from pipeline.upstream.hearing import WORDS_LIMIT_S, Hearing
from pipeline.upstream.mirror import Mirror
from pipeline.upstream.wire import NoWords, Words
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

pytestmark = pytest.mark.anyio
FRAME = b"\x10" * PCMU.bytes_in(20)


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Far:
    def __init__(self) -> None:
        self.mirror = Mirror()
        self.told: list[str] = []
        self.sound = b""

    def listen(self, hearer: object) -> None:
        self.told.append("listen")

    def send(self, request: Any) -> None:
        if isinstance(request, bytes):
            self.sound += base64.b64decode(json.loads(request)["audio"])
            return
        self.told.append(request["type"])

    def commit(self) -> None:
        self.told.append("commit")

    @property
    def as_session(self) -> FarSession:
        return cast("FarSession", self)


def heard() -> tuple[Hearing, Far, list[Report]]:
    reports: list[Report] = []
    hearing, far = Hearing(reports.append), Far()
    hearing.follow(far.as_session)
    return hearing, far, reports


async def test_only_what_is_said_goes_out_and_all_of_it() -> None:
    hearing, far, _ = heard()
    hearing.hear(FRAME)
    assert hearing.is_settled
    hearing.begin("u", FRAME, PCMU)
    for _ in range(7):
        hearing.hear(FRAME)
    assert len(far.sound) == 5 * len(FRAME)
    hearing.end("other")
    hearing.end("u")
    assert far.sound == FRAME * 8
    assert far.told == ["listen", "commit"]
    assert not hearing.is_settled


async def test_words_come_piece_by_piece_and_then_whole() -> None:
    hearing, _, reports = heard()
    hearing.begin("u", FRAME * 10, PCMU)
    hearing.end("u")
    hearing.committed("theirs")
    for text, is_final, replaces in (("Good", False, False), (" day", False, False), ("Good day.", True, True)):
        hearing.words(Words("theirs", text, is_final, replaces))
    hearing.words(Words("theirs", "late", is_final=True))
    assert reports == [
        Transcribed("u", "Good", False),
        Transcribed("u", "Good day", False),
        Transcribed("u", "Good day.", True),
    ]
    assert hearing.is_settled


async def test_what_was_nothing_or_not_understood_or_never_told_is_reported_so() -> None:
    hearing, _, reports = heard()
    for item_id in ("short", "odd"):
        hearing.begin(item_id, FRAME, PCMU)
        hearing.end(item_id)
    hearing.refused("too short")
    hearing.committed("theirs")
    hearing.no_words(NoWords("theirs", "unintelligible"))
    hearing.no_words(NoWords("stranger", "?"))
    hearing.refused("nobody's")
    assert reports == [Transcribed("short", "", True), TranscriptionFailed("odd", "unintelligible")]
    hearing.begin("lost", FRAME, PCMU)
    hearing.end("lost")
    await asyncio.sleep(WORDS_LIMIT_S + 1)
    assert reports[-1] == TranscriptionFailed("lost", "no words came")


async def test_what_is_void_is_cleared_and_who_leaves_waits_for_nothing() -> None:
    hearing, far, reports = heard()
    hearing.begin("u", FRAME, PCMU)
    hearing.drop("other")
    hearing.drop("u")
    assert far.told[-1] == "input_audio_buffer.clear"
    hearing.begin("v", FRAME, PCMU)
    hearing.end("v")
    hearing.expect("item", "theirs")
    hearing.leave()
    hearing.words(Words("theirs", "late", is_final=True))
    assert (hearing.is_settled, reports) == (True, [])


async def test_a_session_that_takes_over_hears_again_what_was_not_understood() -> None:
    hearing, _, _ = heard()
    hearing.begin("u", FRAME * 10, PCMU)
    hearing.end("u")
    hearing.begin("v", FRAME * 3, PCMU)
    fresh = Far()
    hearing.follow(fresh.as_session)
    hearing.retell()
    assert fresh.sound == FRAME * 13
    assert fresh.told == ["listen", "commit"]


async def test_before_there_is_a_session_sound_is_kept() -> None:
    hearing, far = Hearing(lambda _: None), Far()
    hearing.begin("u", FRAME * 10, PCMU)
    hearing.hear(FRAME)
    hearing.end("u")
    hearing.drop("u")
    hearing.follow(far.as_session)
    hearing.retell()
    assert (far.sound, far.told) == (FRAME * 11, ["listen", "commit"])


async def test_what_is_too_long_to_be_kept_is_not_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearings, "MOST_KEPT_MS", 200)
    hearing, far, _ = heard()
    hearing.begin("u", b"", PCMU)
    for _ in range(20):
        hearing.hear(FRAME)
    hearing.end("u")
    assert far.sound == FRAME * 20
    fresh = Far()
    hearing.follow(fresh.as_session)
    hearing.retell()
    assert fresh.sound == b""


async def test_words_of_an_item_that_came_with_sound_are_reported_too() -> None:
    hearing, _, reports = heard()
    hearing.expect("item", "theirs")
    hearing.end("item")
    hearing.words(Words("theirs", "Hi.", is_final=True, replaces=True))
    assert reports == [Transcribed("item", "Hi.", True)]
