"""What a client is told of sound that the server plays for it, judged as it comes.

Each answer that is heard has one `started`, after its part was told and while nothing else sounds, and then either
one `stopped`, after `response.done`, or one `cleared`. What was broken off is truncated, unasked: after `cleared`
always, to what was heard; after a cancelled response to what was made. It never grows again (Realtime reference,
sections D.8 and E.1).
"""

from __future__ import annotations

from typing import Any, Final

Event = dict[str, Any]

PREFIX: Final = "output_audio_buffer."


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
        """Truncations that the client has asked for, and that were not answered yet."""
        self._items: dict[str, str] = {}
        """The spoken item of each response."""
        self._done: set[str] = set()
        self._broken_off: set[str] = set()
        """Items that may be truncated unasked."""
        self._to_be_cut: set[str] = set()
        """Those that must be, before anything else is heard."""
        self._cut_at_ms: dict[str, int] = {}

    def takes(self, event: Event) -> bool:
        """Whether it is about the sound alone. Raises AssertionError if it is out of place."""
        is_about_sound = False
        match event["type"]:
            case "response.content_part.added" if event["part"]["type"] == "audio":
                self.last_spoken = event["response_id"]
                self._items[event["response_id"]] = event["item_id"]
            case "response.done":
                self._end(event["response"])
            case "conversation.item.truncated" if self.asked_cuts:
                self.asked_cuts -= 1
            case "conversation.item.truncated":
                self._cut(event["item_id"], event["audio_end_ms"])
                is_about_sound = True
            case name if name.startswith(PREFIX):
                self._play(name.removeprefix(PREFIX), event["response_id"])
                is_about_sound = True
        if is_about_sound:
            self.events.append(event)
        return is_about_sound

    def _end(self, response: Event) -> None:
        self._done.add(response["id"])
        if response["status"] != "completed" and response["id"] in self._items:
            self._broken_off.add(self._items[response["id"]])

    def _cut(self, item_id: str, at_ms: int) -> None:
        assert item_id in self._broken_off, "nobody asked for it, and nothing of it was broken off"
        assert at_ms <= self._cut_at_ms.get(item_id, at_ms), "what was cut off comes back"
        self._cut_at_ms[item_id] = at_ms
        self._to_be_cut.discard(item_id)

    def _play(self, what: str, response_id: str) -> None:
        assert response_id in self._items, f"{what} of a response that has no spoken part"
        assert response_id not in self.over, f"{what} of sound that has ended"
        assert not self._to_be_cut, f"{what}, while a cut is to be told"
        if what == "started":
            assert self.sounding is None, "one response is heard at a time"
            self.sounding = response_id
            return
        assert self.sounding == response_id, f"{what} of sound that had not started"
        self.sounding = None
        self.over.add(response_id)
        if what == "cleared":
            self._broken_off.add(self._items[response_id])
            self._to_be_cut.add(self._items[response_id])
        else:
            assert response_id in self._done, "stopped comes after response.done"
