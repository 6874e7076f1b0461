"""Events of a backchannel: short acknowledgements while the caller speaks (Realtime reference, section G.4).

Inworld's dialect alone has them. They belong to no response and to no item of the conversation.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

SkipReason: TypeAlias = Literal[
    "deadline_missed",
    "min_gap_not_elapsed",
    "max_per_turn_reached",
    "no_phrase",
    "rule_not_fired",
    "turn_over",
    "answer_under_way",
    "provider_failed",
]
"""Why nothing was said. The first two and `no_phrase` are Inworld's words, the rest ours in their manner."""


class BackchannelAudioDelta(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="response.backchannel.audio.delta"
):
    event_id: str
    backchannel_id: str
    delta: bytes
    """PCM16 at 24 kHz, whatever the session's format."""
    line: bytes = b""
    """The same in the session's output format, where our own side plays it. Not on the wire."""


class BackchannelAudioDone(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="response.backchannel.audio.done"
):
    event_id: str
    backchannel_id: str
    phrase: str


class BackchannelSkipped(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="response.backchannel.skipped",
):
    event_id: str
    reason: SkipReason
    backchannel_id: str | None = None
    """None: it never came to an attempt."""
