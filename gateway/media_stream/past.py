"""What a stream's conversation begins with: that of the call's stream before, wherever it was, or a greeting."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import msgspec

from gateway.calls.call import Call
from pipeline.agent import Agent
from pipeline.audio.formats import AudioFormat
from pipeline.backchannel import provider_data_of
from pipeline.events.config import SessionConfig, Transcription
from pipeline.events.items import AnyItem
from pipeline.limits import Limits
from pipeline.opening import Act, Opening, saying
from pipeline.resumption import MISSED, resumption
from pipeline.snapshot import Unreadable
from pipeline.toolbox import Toolbox

log = logging.getLogger(__name__)

PHONE_LIMITS = Limits(buffered_bytes=60 * 8_000, kept_audio_bytes=0)
"""A minute of telephone sound: nobody says more in one breath, and a stuck open line must not grow without bound.
Nothing is kept to be retrieved: there are hundreds of calls."""


@dataclass(frozen=True, slots=True)
class Past:
    """See the module's docstring."""

    config: SessionConfig
    history: tuple[AnyItem, ...]
    opening: Opening


def past_of(call: Call, agent: Agent, toolbox: Toolbox, line: AudioFormat, now_s: float) -> Past:
    """`line`: the format of the new stream, whatever the one before had."""
    config, snapshot = _session_config(agent, toolbox, line), call.snapshot
    if snapshot is None and call.talk is not None:
        try:
            snapshot = call.talk.snapshot(config, PHONE_LIMITS)
        except Unreadable as error:
            log.error("the conversation so far is lost: %s", error)
            call.is_forgotten = True
    if snapshot is None:
        return Past(config, (), saying(agent.welcome_back if call.is_forgotten else agent.greeting))
    resumed = resumption(snapshot)
    config = msgspec.structs.replace(snapshot.config, input_format=line, output_format=line)
    opening = resumed.opening
    if opening.act is Act.WAIT and call.broke_lately(now_s):
        opening = Opening(Act.WAIT, MISSED)
    return Past(config, resumed.history, opening)


def _session_config(agent: Agent, toolbox: Toolbox, line: AudioFormat) -> SessionConfig:
    """A phone call's session: the line's own format both ways, so that nothing is transcoded needlessly."""
    return SessionConfig(
        instructions=agent.instructions,
        voice=agent.voice,
        input_format=line,
        output_format=line,
        transcription=Transcription(),
        turn_detection=agent.turn_detection,
        tools=toolbox.described,
        language=agent.language,
        provider_data=provider_data_of(agent.backchannel),
    )
