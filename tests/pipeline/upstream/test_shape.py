from __future__ import annotations

from typing import Any

import pytest

from pipeline.agent import load_agent
from pipeline.provider import ProviderError
from pipeline.providers.source import Source
from pipeline.upstream.shape import Address, Upstream, address_of, upstream_of

AGENT = load_agent("reception")


def upstream(name: str = "openai", **changes: Any) -> Upstream:
    options = {key: changes.pop(key) for key in list(changes) if key not in ("model", "api_key", "base_url")}
    fields = {"model": "m", "api_key": "k"} | changes
    return upstream_of(Source(name=name, agent=AGENT, options=options, **fields))


@pytest.mark.parametrize(
    ("told", "url", "headers"),
    [
        ({"name": "openai"}, "wss://api.openai.com/v1/realtime?model=m", {"Authorization": "Bearer k"}),
        (
            {"name": "azure", "base_url": "https://h.azure.com"},
            "wss://h.azure.com/openai/v1/realtime?model=m",
            {"api-key": "k"},
        ),
        (
            {"name": "azure", "base_url": "https://h.azure.com", "api_version": "2025-04-01-preview"},
            "wss://h.azure.com/openai/realtime?api-version=2025-04-01-preview&deployment=m",
            {"api-key": "k"},
        ),
        (
            {"name": "inworld"},
            "wss://api.inworld.ai/api/v1/realtime/session?key=mine&protocol=realtime",
            {"Authorization": "Basic k"},
        ),
        (
            {"name": "inworld", "api_key": "a.b.c"},
            "wss://api.inworld.ai/api/v1/realtime/session?key=mine&protocol=realtime",
            {"Authorization": "Bearer a.b.c"},
        ),
        (
            {"name": "next_door", "shape": "switchboard", "base_url": "http://127.0.0.1:8080", "model": ""},
            "ws://127.0.0.1:8080/v1/realtime",
            {"Authorization": "Bearer k"},
        ),
        (
            {"name": "openai", "base_url": "http://127.0.0.1:9104/v1/"},
            "ws://127.0.0.1:9104/v1/realtime?model=m",
            {"Authorization": "Bearer k"},
        ),
        (
            {"name": "openai", "base_url": "wss://proxy.example/my/path?team=a"},
            "wss://proxy.example/my/path?team=a&model=m",
            {"Authorization": "Bearer k"},
        ),
    ],
)
def test_each_shape_is_dialled_in_its_own_way(told: dict[str, Any], url: str, headers: dict[str, str]) -> None:
    assert address_of(upstream(**told), "mine") == Address(url, headers)


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"name": "acme"}, "is of no known shape"),
        ({"name": "azure"}, "has no address"),
        ({"base_url": "ftp://x"}, "base_url: expected an address"),
        ({"api_key": ""}, "has no API key"),
        ({"colour": "blue"}, "no option 'colour'"),
        ({"voice": 3}, "voice: expected a string"),
        ({"max_session_s": 5}, "max_session_s: expected seconds"),
        ({"max_session_s": True}, "max_session_s: expected seconds"),
        ({"max_session_s": "long"}, "max_session_s: expected seconds"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_with_its_reason(told: dict[str, Any], fault: str) -> None:
    with pytest.raises(ProviderError, match=fault) as refused:
        upstream(**told)
    assert not refused.value.retryable


def test_options_stand_above_what_is_usual() -> None:
    told = upstream(voice="marin", transcription_model="whisper-1", max_session_s=900)
    assert (told.voice, told.transcriber, told.session_s) == ("marin", "whisper-1", 900.0)
    assert (told.takes_images, told.rewrites_words, told.speaks_beta) == (True, False, False)
    assert upstream("inworld").rewrites_words


def test_only_a_machine_of_ours_is_on_loopback() -> None:
    assert Address("ws://127.0.0.1:1/x", {}).is_loopback
    assert not Address("wss://api.openai.com/x", {}).is_loopback


def test_a_key_is_never_shown() -> None:
    told = upstream(api_key="sk-secret")
    assert "sk-secret" not in repr(told)
    assert "sk-secret" not in repr(address_of(told, "mine"))
