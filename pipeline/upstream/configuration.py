"""A session's configuration as a remote Realtime service is told it, less what that service does not take. Pure.

A rejected `session.update` changes nothing at all (Realtime reference, section B.1), so one field that a service
does not know would cost every other. The error names the field; the update is sent again without it.
"""

from __future__ import annotations

from typing import Any, Final

from pipeline.events.config import SessionConfig
from pipeline.upstream import requests
from pipeline.upstream.requests import Request
from pipeline.upstream.shape import Upstream

MOST_DROPPED: Final = 5
"""Fields that a service may refuse one after the other."""

VITAL: Final = frozenset({"format", "turn_detection", "instructions", "input_audio_format", "output_audio_format"})
"""Without these, what is heard would be noise, or said by the wrong person."""


class Configuration:
    """Of one far session."""

    def __init__(self, upstream: Upstream) -> None:
        self.session = SessionConfig()
        """What was told last."""
        self._upstream = upstream
        self._update: Request = {}
        self._left = MOST_DROPPED

    def tell(self, session: SessionConfig, *, with_voice: bool) -> Request:
        """All of it; `with_voice` as long as no sound was made."""
        self.session = session
        self._update = requests.update(session, self._upstream, with_voice=with_voice)
        self._left = MOST_DROPPED
        return self._update

    def without(self, param: str | None) -> Request | None:
        """The same less one field, as the error names it (`session.audio.output.voice`); None: not without that."""
        path = (param or "").split(".")
        if self._left == 0 or path[-1] in VITAL or len(path) < 2:
            return None
        at: Any = self._update
        for name in path[:-1]:
            at = at.get(name) if isinstance(at, dict) else None
        if not isinstance(at, dict) or path[-1] not in at:
            return None
        del at[path[-1]]
        self._left -= 1
        return self._update
