from __future__ import annotations

from pipeline.events.config import SessionConfig
from pipeline.upstream.configuration import MOST_DROPPED, Configuration
from tests.pipeline.upstream.test_shape import upstream

CONFIG = SessionConfig(voice="eve")


def told() -> Configuration:
    configuration = Configuration(upstream())
    configuration.tell(CONFIG, with_voice=True)
    return configuration


def test_a_field_that_is_refused_is_left_out() -> None:
    configuration = told()
    update = configuration.without("session.audio.output.voice")
    assert update is not None
    assert "voice" not in update["session"]["audio"]["output"]
    assert configuration.session == CONFIG
    assert configuration.without("session.audio.output.voice") is None


def test_without_what_is_vital_or_unknown_there_is_no_update() -> None:
    configuration = told()
    for param in ("session.audio.input.format", "session.instructions", "session.x.y", "voice", None):
        assert configuration.without(param) is None


def test_only_so_many_fields_are_given_up() -> None:
    configuration = told()
    fields = ["tools", "tool_choice", "max_output_tokens", "output_modalities", "type", "audio"]
    dropped = [configuration.without(f"session.{field}") is not None for field in fields]
    assert dropped == [True] * MOST_DROPPED + [False]
