"""The judge of the playout's events: what it lets pass, what it keeps to itself, and what it raises at."""

from __future__ import annotations

import pytest

from tests.protocol.peer import Event
from tests.protocol.playout import Playout


def opened(response: str = "r1", kind: str = "audio") -> Event:
    item = f"item_of_{response}"
    part = {"type": kind}
    return {"type": "response.content_part.added", "response_id": response, "item_id": item, "part": part}


def done(status: str = "completed", response: str = "r1") -> Event:
    return {"type": "response.done", "response": {"id": response, "status": status}}


def buffer(what: str, response: str = "r1") -> Event:
    return {"type": f"output_audio_buffer.{what}", "response_id": response}


def cut(at_ms: int, response: str = "r1") -> Event:
    return {"type": "conversation.item.truncated", "item_id": f"item_of_{response}", "audio_end_ms": at_ms}


@pytest.mark.proves("E1-playout")
@pytest.mark.parametrize(
    "events",
    [
        [opened(), buffer("started"), done(), buffer("stopped"), opened("r2"), buffer("started", "r2")],
        [opened(), buffer("started"), buffer("cleared"), done("cancelled"), cut(60)],
        [opened(), buffer("started"), done("cancelled"), cut(400), buffer("cleared"), cut(60)],
        [opened(), done(), buffer("started"), buffer("cleared"), cut(60), opened("r2"), buffer("started", "r2")],
        [opened(kind="text"), done("cancelled")],
    ],
)
def test_what_is_in_order_passes_and_what_is_about_the_sound_is_kept_apart(events: list[Event]) -> None:
    playout = Playout()
    shown = [event for event in events if not playout.takes(event)]
    assert shown == [event for event in events if event["type"].startswith("response.")]
    assert playout.events == [event for event in events if event not in shown]


@pytest.mark.proves("E1-playout")
@pytest.mark.parametrize(
    "events",
    [
        [buffer("started")],
        [opened(kind="text"), buffer("started")],
        [opened(), buffer("stopped")],
        [opened(), buffer("started"), buffer("stopped")],
        [opened(), buffer("started"), buffer("started")],
        [opened(), opened("r2"), buffer("started"), buffer("started", "r2")],
        [opened(), buffer("started"), done(), buffer("stopped"), buffer("stopped")],
        [opened(), buffer("started"), done(), buffer("stopped"), buffer("cleared")],
        [opened(), buffer("started"), done(), buffer("cleared"), opened("r2"), buffer("started", "r2")],
        [opened(), buffer("started"), done(), cut(60)],
        [opened(), done("cancelled"), cut(60), cut(400)],
    ],
)
def test_what_is_out_of_place_is_an_error(events: list[Event]) -> None:
    playout = Playout()
    for event in events[:-1]:
        playout.takes(event)
    with pytest.raises(AssertionError):
        playout.takes(events[-1])


@pytest.mark.proves("B1-truncate")
def test_a_cut_that_the_client_asked_for_is_for_the_client() -> None:
    playout = Playout()
    playout.asked_cuts = 1
    assert not playout.takes(cut(60))
    with pytest.raises(AssertionError):
        playout.takes(cut(60))
