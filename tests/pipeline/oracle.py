"""A judge of everything a connection is sent: OpenAI's own models of the events, and the rules they do not see.

The models are the `openai` package's, the same that its clients read with. They are strict about types and lenient
about extra fields, so what breaks other clients is asserted here (Realtime reference, "Ten rules" and section F.8).
A connection of a dialect that has no models of its own is judged by GA's, once its names are exchanged for GA's and
what it alone may say is taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import openai.types.beta.realtime as beta_models
import openai.types.realtime as ga_models
from pydantic import BaseModel, ValidationError

from pipeline.dialects import NAMES, UNSPOKEN, Dialect

FRAME_BYTES = 1024 * 1024
"""What a stock WebSocket library takes in one message."""

NULLS_OF_ITEMS = {"input_audio": {"transcript"}, "mcp_call": {"output", "approval_request_id", "error"}}
"""By type of item or part: fields that may be null."""


INWORLDS = {
    "response.backchannel.audio.delta": {"backchannel_id", "delta"},
    "response.backchannel.audio.done": {"backchannel_id", "phrase"},
    "response.backchannel.skipped": {"backchannel_id", "reason"},
}
"""Inworld's additions and their fields (Realtime reference, section G.4), which no package has models of."""


def models_of(union: Any) -> dict[str, type[BaseModel]]:
    """By the name of the event."""
    members = get_args(get_args(union)[0])
    models: list[type[BaseModel]] = [member for member in members if isinstance(member, type)]
    return {get_args(model.model_fields["type"].annotation)[0]: model for model in models}


GA_MODELS = models_of(ga_models.RealtimeServerEvent)
BETA_MODELS = models_of(beta_models.RealtimeServerEvent)
BETA_MODELS["transcription_session.created"] = BETA_MODELS["transcription_session.updated"]


class Oracle:
    """Give it every text frame of one connection, in order; it raises AssertionError at the first bad one."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        """A connection of the seed's dialect may turn into Inworld's; this follows."""
        self._ids: set[str] = set()

    def see(self, text: bytes | str) -> dict[str, Any]:
        """The event, if nothing is wrong with it."""
        assert len(text.encode() if isinstance(text, str) else text) < FRAME_BYTES, "stock clients take 1 MiB"
        event: dict[str, Any] = json.loads(text, parse_constant=_not_json)
        name = event["type"]
        is_first = not self._ids
        assert event["event_id"] and event["event_id"] not in self._ids, f"{name}: event_id told before"
        self._ids.add(event["event_id"])
        if self.dialect is Dialect.SEED and name == "session.updated" and "turnDetection" not in event["session"]:
            self.dialect = Dialect.IW
        if is_first and name != "error":
            assert name.endswith("session.created"), "the first event is session.created"
        self._judge_name(name)
        if self.dialect is Dialect.IW and name in INWORLDS:
            assert event.keys() - {"type", "event_id"} <= INWORLDS[name], f"{name} has fields nobody knows"
            assert None not in event.values(), f"null in {name}"
        else:
            self._judge_model(event)
        for item in items_of(event):
            judge_item(item, has_audio=name == "conversation.item.retrieved")
        judge_details(event, self.dialect)
        return event

    def _judge_name(self, name: str) -> None:
        ga_names = NAMES[self.dialect].keys() | UNSPOKEN[self.dialect]
        assert name not in ga_names, f"{name} is not spoken in {self.dialect}"
        others = {own for names in NAMES.values() for own in names.values()} - set(NAMES[self.dialect].values())
        assert name not in others, f"{name} is another dialect's name"

    def _judge_model(self, event: dict[str, Any]) -> None:
        models = BETA_MODELS if self.dialect is Dialect.BETA else GA_MODELS
        if self.dialect is not Dialect.BETA:
            event = as_ga(event, self.dialect)
        assert event["type"] in models, f"no client knows {event['type']}"
        if event["type"].startswith("transcription_session."):
            # The model has one name for both, and a secret that only HTTP answers.
            session = event["session"] | {"client_secret": {"value": "ek_1", "expires_at": 1}}
            event = event | {"type": "transcription_session.updated", "session": session}
        elif self.dialect is Dialect.BETA and event["type"].startswith("session."):
            # The model lists OpenAI's own models of its day, and its clients do not mind others.
            event = event | {"session": event["session"] | {"model": "gpt-4o-realtime-preview"}}
        try:
            models[event["type"]].model_validate(event)
        except ValidationError as error:
            raise AssertionError(f"{event['type']}: {error}") from None


def as_ga(event: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """The event under GA's names, without what only Inworld's clients are told."""
    ga_names = {own: ga for ga, own in NAMES[dialect].items()}
    event = json.loads(json.dumps(event | {"type": ga_names.get(event["type"], event["type"])}))
    if dialect is Dialect.GA:
        return event
    response, session = event.get("response"), event.get("session")
    if response is not None and (response.get("status_details") or {}).get("reason") == "server_error":
        del response["status_details"]["reason"]
    for side in _sides(response) + _sides(session):
        if side.get("format", {}).get("type") == "audio/pcm":
            side["format"]["rate"] = 24_000  # Inworld's rates
    if session is not None:
        session["tools"] = [tool for tool in session.get("tools", []) if tool["type"] in ("function", "mcp")]
    return event


def _sides(holder: dict[str, Any] | None) -> list[dict[str, Any]]:
    return list(holder["audio"].values()) if holder is not None and "audio" in holder else []


def items_of(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "item" in event:
        yield event["item"]
    yield from (event.get("response") or {}).get("output", [])


def judge_item(item: dict[str, Any], *, has_audio: bool) -> None:
    for thing in (item, *item.get("content", ())):
        kind = thing["type"]
        nulls = {key for key, value in thing.items() if value is None}
        assert nulls <= NULLS_OF_ITEMS.get(kind, set()), f"null in {kind}: {nulls}"
        assert kind != "input_audio" or "transcript" in thing, "input_audio always has a transcript"
        assert kind != "mcp_call" or "output" in thing, "mcp_call always has an output"
        assert has_audio or "audio" not in thing, "sound is only in what was retrieved"
        assert "audio" not in thing or "format" in thing, "sound says what it is"
    assert item["object"] == "realtime.item" and item["id"]


def judge_details(event: dict[str, Any], dialect: Dialect) -> None:
    match event["type"]:
        case "conversation.item.input_audio_transcription.completed":
            assert event["usage"], "always with usage"
        case "conversation.item.input_audio_transcription.delta":
            assert "content_index" in event, "pipecat needs content_index"
        case "response.function_call_arguments.done":
            assert ("name" in event) == (dialect is not Dialect.BETA), "GA has the name, beta has not"
        case "response.mcp_call_arguments.delta":
            assert isinstance(event["obfuscation"], str), "a string, even an empty one"
        case "response.created" | "response.done":
            judge_response(event["response"], dialect, is_done=event["type"] == "response.done")
        case "error":
            assert {"type", "code", "message", "param", "event_id"} == set(event["error"]), "all five, null or not"
        case _:
            pass


def judge_response(response: dict[str, Any], dialect: Dialect, *, is_done: bool) -> None:
    voice = response["voice"] if dialect is Dialect.BETA else response["audio"]["output"]["voice"]
    assert isinstance(voice, str) and voice, "a voice is a string"
    assert "metadata" in response and "conversation_id" in response
    if not is_done:
        assert (response["status"], response["output"], response["usage"]) == ("in_progress", [], None)
        return
    assert response["status"] in ("completed", "cancelled", "failed", "incomplete")
    assert (response["status_details"] is None) == (response["status"] == "completed")
    assert None not in _leaves(response["usage"]), "counts are numbers"


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    else:
        yield value


def _not_json(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")
