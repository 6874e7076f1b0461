"""What a client is told of sound that the server plays for it, judged as it comes (Realtime reference, E.1 and D.8).

Each answer that is heard has one `started`, after its part was told and while nothing else sounds, and then either
one `stopped`, after `response.done`, or one `cleared`. Behind `cleared` the item is truncated, unasked.
"""

from __future__ import annotations

from typing import Any, Final

Event = dict[str, Any]

PREFIX: Final = "output_audio_buffer."
TRUNCATED: Final = "conversation.item.truncated"


class Playout:
    """Of one connection; give it every event in order. `events` are those that nobody but it is to see."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.sounding: str | None = None
        """The response that is heard."""
        self.over: set[str] = set()
        """Responses whose sound has ended."""
        self.last_spoken: str | None = None
        """The response that was the last to open a part to be spoken."""
        self.asked_cuts = 0
        """Truncations that the client has asked for, and was not answered yet."""
        self._spoken_items: dict[str, str] = {}
        self._done: set[str] = set()
        self._cut_follows: set[str] = set()
        """Items of which a truncation is to be told."""

    def takes(self, event: Event) -> bool:
        """Whether it is about the sound alone. Raises AssertionError if it is out of place."""
        name = event["type"]
        match name:
            case "response.content_part.added" if event["part"]["type"] == "audio":
                self.last_spoken = event["response_id"]
                self._spoken_items[event["response_id"]] = event["item_id"]
            case "response.done":
                self._done.add(event["response"]["id"])
            case "conversation.item.truncated" if not self.asked_cuts:
                assert event["item_id"] in self._cut_follows, "nobody asked for it, and no sound of it was cleared"
                self._cut_follows.remove(event["item_id"])
            case "conversation.item.truncated":
                self.asked_cuts -= 1
                return False
            case _ if name.startswith(PREFIX):
                self._play(name.removeprefix(PREFIX), event["response_id"])
            case _:
                return False
        if name.startswith("response."):
            return False
        self.events.append(event)
        return True

    def _play(self, what: str, response_id: str) -> None:
        assert response_id in self._spoken_items, f"{what} of a response that has no spoken part"
        assert response_id not in self.over, f"{what} of sound that has ended"
        if what == "started":
            assert self.sounding is None, "one response is heard at a time"
            self.sounding = response_id
            return
        assert self.sounding == response_id, f"{what} of sound that had not started"
        self.sounding = None
        self.over.add(response_id)
        if what == "cleared":
            self._cut_follows.add(self._spoken_items[response_id])
        else:
            assert response_id in self._done, "stopped comes after response.done"
