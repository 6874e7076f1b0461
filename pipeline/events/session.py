"""Events about the session as a whole."""

from __future__ import annotations

import msgspec

from pipeline.events.config import SessionConfig


class SessionUpdate(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="session.update"):
    """The peer asks for another configuration, already merged with the present one and complete."""

    session: SessionConfig
    event_id: str | None = None


class SessionCreated(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="session.created"):
    event_id: str
    session_id: str
    session: SessionConfig


class SessionUpdated(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="session.updated"):
    event_id: str
    session_id: str
    session: SessionConfig
