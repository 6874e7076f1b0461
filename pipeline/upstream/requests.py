"""What we ask of a remote Realtime service, as JSON objects to be: the client events of the protocol. Pure.

GA's spelling; the beta's for the one shape that still speaks it (Realtime reference, sections B.1 and C.2). Ids in
here are the remote's. Each request that can be refused carries an `event_id` by which its `error` is known again.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final, TypeAlias

from pipeline.audio.formats import PCM_24K, PCMA, PCMU, AudioFormat
from pipeline.commands import Respond
from pipeline.events.config import NamedTool, SessionConfig
from pipeline.events.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    Item,
    Message,
    OutputAudio,
    OutputText,
    words_of,
)
from pipeline.prompts import prompt_of
from pipeline.provider import FunctionTool
from pipeline.upstream.shape import Shape, Upstream

Request: TypeAlias = dict[str, Any]

OURS: Final = ("backchannel", "responsiveness")
UPDATE_ID: Final = "update"
COMMIT_ID: Final = "commit"
CANCEL_ID: Final = "cancel"
ASK_ID: Final = "ask:"
"""Before the answer's own id."""

ASKED: Final = "switchboard_response"
"""In the metadata of a response: which of our answers it is."""

LONGEST_ID_CHARS: Final = 32
"""Of an item (Realtime reference, section B.0)."""

_FORMATS: Final = {
    PCM_24K: {"type": "audio/pcm", "rate": 24_000},
    PCMU: {"type": "audio/pcmu"},
    PCMA: {"type": "audio/pcma"},
}
_BETA_FORMATS: Final = {PCM_24K: "pcm16", PCMU: "g711_ulaw", PCMA: "g711_alaw"}
_BETA_NAMES: Final = {"max_output_tokens": "max_response_output_tokens", "output_modalities": "modalities"}


def far(format: AudioFormat) -> AudioFormat:
    """How the remote writes what is `format` here: the same, wherever the protocol has it."""
    return format if format in _FORMATS else PCM_24K


def far_id(item_id: str) -> str:
    """The id under which the remote keeps an item that we tell it of."""
    if len(item_id) <= LONGEST_ID_CHARS:
        return item_id
    return "item_" + hashlib.sha256(item_id.encode()).hexdigest()[:24]


def append(audio: bytes) -> bytes:
    """The hot one, as JSON text at once."""
    return b'{"type":"input_audio_buffer.append","audio":"' + base64.b64encode(audio) + b'"}'


def commit() -> Request:
    return {"type": "input_audio_buffer.commit", "event_id": COMMIT_ID}


def clear() -> Request:
    return {"type": "input_audio_buffer.clear"}


def cancel(response_id: str) -> Request:
    return {"type": "response.cancel", "event_id": CANCEL_ID, "response_id": response_id}


def delete(item_id: str) -> Request:
    return {"type": "conversation.item.delete", "item_id": item_id}


def truncate(item_id: str, content_index: int, audio_end_ms: int) -> Request:
    return {
        "type": "conversation.item.truncate",
        "item_id": item_id,
        "content_index": content_index,
        "audio_end_ms": audio_end_ms,
    }


def create(item: Item, theirs: str, *, sound: bytes = b"", beta: bool = False) -> Request:
    """At the end, with this id. `sound` takes the place of the words of a caller's item that nobody knows."""
    request: Request = {"type": "conversation.item.create", "item": {"id": theirs, **told(item, beta=beta)}}
    if sound:
        parts = [part for part in request["item"]["content"] if part.get("text") != ""]
        part = {"type": "input_audio", "audio": base64.b64encode(sound).decode()}
        request["item"]["content"] = [part, *parts]
    return request


def told(item: Item, *, beta: bool = False) -> dict[str, Any]:
    """An item without its id. What was said aloud is told as text: its sound is not ours to give back."""
    match item:
        case Message():
            parts = [_part(part, beta=beta) for part in item.content]
            return {"type": "message", "role": item.role, "content": parts}
        case FunctionCall():
            return {
                "type": "function_call",
                "call_id": item.call_id,
                "name": item.name,
                "arguments": item.arguments,
            }
        case FunctionCallOutput():
            return {"type": "function_call_output", "call_id": item.call_id, "output": item.output}


def _part(part: Any, *, beta: bool) -> dict[str, Any]:
    match part:
        case OutputText() | OutputAudio():
            return {"type": "text" if beta else "output_text", "text": words_of(part)}
        case InputImage():
            return {"type": "input_image", "image_url": part.image_url, "detail": part.detail}
        case InputAudio():
            return {"type": "input_text", "text": part.transcript or ""}
        case _:
            return {"type": "input_text", "text": words_of(part)}


def update(config: SessionConfig, upstream: Upstream, *, with_voice: bool) -> Request:
    """`session.update`: all of it. `with_voice`: no sound was made yet; later its voice cannot change."""
    audio_input: dict[str, Any] = {
        "format": _FORMATS[far(config.input_format)],
        "transcription": _transcription(config, upstream),
        "turn_detection": None,
    }
    audio_output: dict[str, Any] = {"format": _FORMATS[far(config.output_format)]}
    voice = config.voice or upstream.voice
    if with_voice and voice:
        audio_output["voice"] = voice
    if config.speed != 1.0:
        audio_output["speed"] = config.speed
    if config.voice_model and upstream.shape is Shape.INWORLD:
        audio_output["model"] = config.voice_model
    session: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": [config.output_modality],
        "instructions": config.instructions,
        "audio": {"input": audio_input, "output": audio_output},
        "tools": _tools(prompt_of(config, ()).tools),
        "tool_choice": _choice(config),
        "max_output_tokens": config.max_output_tokens or "inf",
    }
    if upstream.shape is Shape.INWORLD:
        session["model"] = upstream.model or config.model
        # What is heard beside the answers, we make ourselves: its events are not passed on.
        told = {name: value for name, value in (config.provider_data or {}).items() if name not in OURS}
        session["providerData"] = {**told, "auto_tool_response": False}
    if upstream.speaks_beta:
        session = _flat(session, config)
    return {"type": "session.update", "event_id": UPDATE_ID, "session": session}


def _transcription(config: SessionConfig, upstream: Upstream) -> dict[str, Any]:
    wanted = config.transcription
    told: dict[str, Any] = {"model": upstream.transcriber}
    if language := (wanted.language if wanted else None) or config.language:
        told["language"] = language.partition("-")[0]  # ISO 639-1, as the protocol has it
    if wanted and wanted.prompt:
        told["prompt"] = wanted.prompt
    return told


def _flat(session: dict[str, Any], config: SessionConfig) -> dict[str, Any]:
    audio = session.pop("audio")
    del session["type"]
    flat = {_BETA_NAMES.get(name, name): value for name, value in session.items()}
    flat["modalities"] = _beta_modalities(config.output_modality)
    flat["input_audio_format"] = _BETA_FORMATS[far(config.input_format)]
    flat["output_audio_format"] = _BETA_FORMATS[far(config.output_format)]
    flat["input_audio_transcription"] = audio["input"]["transcription"]
    flat["turn_detection"] = None
    flat |= {name: audio["output"][name] for name in ("voice", "speed") if name in audio["output"]}
    return flat


def _beta_modalities(modality: str) -> list[str]:
    return ["text"] if modality == "text" else ["text", "audio"]


def _tools(tools: tuple[FunctionTool, ...]) -> list[dict[str, Any]]:
    return [
        {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}
        for tool in tools
    ]


def _choice(config: SessionConfig) -> Any:
    choice = config.tool_choice
    if isinstance(choice, NamedTool):
        return {"type": "function", "name": choice.name} if choice.type == "function" else "required"
    if choice == "required" and not config.tools:
        return "auto"  # who must use one of no tools cannot answer at all
    return choice


def ask(
    command: Respond,
    config: SessionConfig,
    upstream: Upstream,
    input: list[dict[str, Any]] | None,
    format: AudioFormat,
) -> Request:
    """`response.create`: only what this answer wants otherwise than the session, which is `config`.

    `input`: what it is told instead of the conversation, references resolved to the remote's ids.
    """
    response: dict[str, Any] = {"metadata": {ASKED: command.response_id}}
    usual = prompt_of(config, ())
    prompt = command.prompt
    if command.script is not None:
        response |= {"instructions": word_for_word(command.script), "input": [], "tools": [], "tool_choice": "none"}
    else:
        if prompt.instructions != usual.instructions:
            response["instructions"] = prompt.instructions
        if (prompt.tools, prompt.tool_choice) != (usual.tools, usual.tool_choice):
            response["tools"] = _tools(prompt.tools)
            response["tool_choice"] = prompt.tool_choice
        if input is not None:
            response["input"] = input
    if prompt.max_output_tokens != config.max_output_tokens:
        response["max_output_tokens"] = prompt.max_output_tokens or "inf"
    if command.is_out_of_band:
        response["conversation"] = "none"
    if command.speaks != (config.output_modality == "audio"):
        modality = "audio" if command.speaks else "text"
        response["output_modalities"] = [modality]
    output: dict[str, Any] = {}
    if command.voice and command.voice != config.voice:
        output["voice"] = command.voice
    if command.speaks and far(format) != far(config.output_format):
        output["format"] = _FORMATS[far(format)]
    if output:
        response["audio"] = {"output": output}
    if upstream.speaks_beta:
        response = _flat_response(response, far(format))
    return {"type": "response.create", "event_id": ASK_ID + command.response_id, "response": response}


def _flat_response(response: dict[str, Any], format: AudioFormat) -> dict[str, Any]:
    output = response.pop("audio", {}).get("output", {})
    if "voice" in output:
        response["voice"] = output["voice"]
    if "format" in output:
        response["output_audio_format"] = _BETA_FORMATS[format]
    if modalities := response.pop("output_modalities", None):
        response["modalities"] = _beta_modalities(modalities[0])
    if "max_output_tokens" in response:
        response["max_response_output_tokens"] = response.pop("max_output_tokens")
    return response


def word_for_word(script: str) -> str:
    """A speech model can be asked to say something, not made to: it mostly keeps to the words."""
    return (
        "Say exactly the words between the lines, in their language, word for word. Add nothing, leave nothing "
        f"out, and do not answer them.\n---\n{script}\n---"
    )
