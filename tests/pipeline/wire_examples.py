"""Every server event once or more, with the bytes each dialect makes of it: the table of `test_wire_shapes.py`.

The texts are written out from the Realtime reference, sections B.2 to B.5, not made by the code they judge.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.audio.formats import PCMU
from pipeline.dialects import Dialect
from pipeline.events import backchannel as back
from pipeline.events import conversation as conv
from pipeline.events import input_audio, mcp, output_audio
from pipeline.events import response as resp
from pipeline.events.error import ErrorDetail, ErrorEvent
from pipeline.events.event import ServerEvent
from pipeline.events.items import (
    AnyItem,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    ListedTool,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpError,
    McpItem,
    McpListTools,
    Message,
    OutputAudio,
    OutputText,
)

OPENED_AT_S = 1_756_324_000.5
GA, BETA, IW, SEED = Dialect.GA, Dialect.BETA, Dialect.IW, Dialect.SEED
_PNG = "data:image/png;base64,QUJD"
_R = '"event_id":"e","response_id":"r","item_id":"i","output_index":0'


@dataclass(frozen=True)
class Example:
    name: str
    event: ServerEvent
    ga: str
    others: dict[Dialect, str | None] = field(default_factory=dict)
    """Texts of the dialects that spell it otherwise; None: they have no such event."""

    def text(self, dialect: Dialect) -> str | None:
        return self.others.get(dialect, self.ga)


def renamed(ga_name: str, old_name: str, rest: str) -> tuple[str, dict[Dialect, str | None]]:
    """An event that differs in its name alone, in the two dialects that have the older one."""
    old = f'{{"type":"{old_name}",{rest}}}'
    return f'{{"type":"{ga_name}",{rest}}}', {BETA: old, SEED: old}


def _item(rest: str) -> str:
    return f'{{"type":"message","id":"i",{rest},"status":"completed","object":"realtime.item"}}'


def _items(ga: str, beta: str | None = None) -> tuple[str, dict[Dialect, str | None]]:
    """`conversation.item.added` with this item; `beta` if it looks otherwise there."""
    head = '"event_id":"e","previous_item_id":"p","item":'
    beta_text = f'{{"type":"conversation.item.created",{head}{beta or ga}}}'
    return f'{{"type":"conversation.item.added",{head}{ga}}}', {BETA: beta_text}


def _added(item: AnyItem) -> conv.ConversationItemAdded:
    return conv.ConversationItemAdded(event_id="e", previous_item_id="p", item=item)


ITEMS = [
    Example(
        "user text",
        _added(Message(id="i", role="user", content=(InputText(text="hi"),))),
        *_items(_item('"role":"user","content":[{"type":"input_text","text":"hi"}]')),
    ),
    Example(
        "user audio is shown without its bytes",
        _added(Message(id="i", role="user", content=(InputAudio(transcript=None, audio=b"abc"),))),
        *_items(_item('"role":"user","content":[{"type":"input_audio","transcript":null}]')),
    ),
    Example(
        "user image",
        _added(Message(id="i", role="user", content=(InputImage(image_url=_PNG),))),
        *_items(
            _item(f'"role":"user","content":[{{"type":"input_image","image_url":"{_PNG}","detail":"auto"}}]'),
            _item('"role":"user","content":[]'),
        ),
    ),
    Example(
        "system text",
        _added(Message(id="i", role="system", content=(InputText(text="be kind"),))),
        *_items(_item('"role":"system","content":[{"type":"input_text","text":"be kind"}]')),
    ),
    Example(
        "assistant text",
        _added(Message(id="i", role="assistant", content=(OutputText(text="yes"),))),
        *_items(
            _item('"role":"assistant","content":[{"type":"output_text","text":"yes"}]'),
            _item('"role":"assistant","content":[{"type":"text","text":"yes"}]'),
        ),
    ),
    Example(
        "assistant audio with a transcript, and without after a truncation",
        _added(
            Message(id="i", role="assistant", content=(OutputAudio(transcript="yes", audio=b"abc"), OutputAudio()))
        ),
        *_items(
            _item(
                '"role":"assistant","content":[{"type":"output_audio","transcript":"yes"},{"type":"output_audio"}]'
            ),
            _item('"role":"assistant","content":[{"type":"audio","transcript":"yes"},{"type":"audio"}]'),
        ),
    ),
    Example(
        "function call",
        _added(FunctionCall(id="i", call_id="c", name="look", arguments="{}", status="in_progress")),
        *_items(
            '{"type":"function_call","id":"i","call_id":"c","name":"look","arguments":"{}",'
            '"status":"in_progress","object":"realtime.item"}'
        ),
    ),
    Example(
        "function call told without a call_id",
        _added(FunctionCall(id="i", call_id="", name="look", arguments="{}")),
        *_items(
            '{"type":"function_call","id":"i","name":"look","arguments":"{}",'
            '"status":"completed","object":"realtime.item"}'
        ),
    ),
    Example(
        "function call output",
        _added(FunctionCallOutput(id="i", call_id="c", output="42")),
        *_items(
            '{"type":"function_call_output","id":"i","call_id":"c","output":"42",'
            '"status":"completed","object":"realtime.item"}'
        ),
    ),
]
"""All kinds of items, as one event that carries them."""

_SPOKEN = Message(id="i", role="assistant", content=(OutputAudio(transcript="yes"),))
_SPOKEN_GA = _item('"role":"assistant","content":[{"type":"output_audio","transcript":"yes"}]')
_SPOKEN_BETA = _item('"role":"assistant","content":[{"type":"audio","transcript":"yes"}]')


def _of_response(name: str, **fields: str | None) -> tuple[str, dict[Dialect, str | None]]:
    """`fields`: what fills the response object's gaps; `details` may differ for Inworld's dialects."""
    head = (
        f'{{"type":"{name}","event_id":"e","response":{{"object":"realtime.response","id":"r",'
        f'"status":"{fields["status"]}","status_details":'
    )
    own = f',"max_output_tokens":{fields["tokens"]},"usage":{fields["usage"]},"metadata":{fields["metadata"]}}}}}'
    conversation = f',"conversation_id":{fields["conversation"]},'
    format_type, beta_format = fields["format"], fields["beta_format"]

    def nested(details: str | None) -> str:
        output = f'"output_modalities":["{fields["modality"]}"],"audio":{{"output":{{"format":{format_type}'
        begin = f'{head}{details},"output":{fields["output"]}{conversation}{output}'
        return f'{begin},"voice":"{fields["voice"]}"}}}}{own}'

    modalities = '["text"]' if fields["modality"] == "text" else '["text","audio"]'
    flat = (
        f'"modalities":{modalities},"voice":"{fields["voice"]}","output_audio_format":"{beta_format}",'
        f'"temperature":{fields["temperature"]}'
    )
    beta_output = (fields["output"] or "").replace(_SPOKEN_GA, _SPOKEN_BETA)
    inworlds = nested(fields.get("inworlds_details") or fields["details"])
    return nested(fields["details"]), {
        BETA: f'{head}{fields["details"]},"output":{beta_output}{conversation}{flat}{own}',
        IW: inworlds,
        SEED: inworlds,
    }


def _usage(text_in: int, text_out: int, cached: int) -> str:
    return (
        f'{{"total_tokens":{text_in + text_out},"input_tokens":{text_in},"output_tokens":{text_out},'
        f'"input_token_details":{{"text_tokens":{text_in},"audio_tokens":0,"image_tokens":0,'
        f'"cached_tokens":{cached},'
        f'"cached_tokens_details":{{"text_tokens":{cached},"audio_tokens":0,"image_tokens":0}}}},'
        f'"output_token_details":{{"text_tokens":{text_out},"audio_tokens":0}}}}'
    )


RESPONSES = [
    Example(
        "begun",
        resp.ResponseCreated(
            event_id="e",
            response=resp.ResponseSnapshot(
                id="r", status="in_progress", conversation_id="c", metadata={"topic": "x"}, voice="clive"
            ),
        ),
        *_of_response(
            "response.created",
            status="in_progress",
            details="null",
            output="[]",
            conversation='"c"',
            modality="audio",
            format='{"type":"audio/pcm","rate":24000}',
            beta_format="pcm16",
            voice="clive",
            temperature="0.8",
            tokens='"inf"',
            usage="null",
            metadata='{"topic":"x"}',
        ),
    ),
    Example(
        "completed",
        resp.ResponseDone(
            event_id="e",
            response=resp.ResponseSnapshot(
                id="r",
                status="completed",
                conversation_id="c",
                output=(_SPOKEN,),
                usage=resp.Usage(input_tokens=100, cached_tokens=64, output_tokens=20),
                output_format=PCMU,
                max_output_tokens=300,
                temperature=0.7,
            ),
        ),
        *_of_response(
            "response.done",
            status="completed",
            details="null",
            output=f"[{_SPOKEN_GA}]",
            conversation='"c"',
            modality="audio",
            format='{"type":"audio/pcmu"}',
            beta_format="g711_ulaw",
            voice="default",
            temperature="0.7",
            tokens="300",
            usage=_usage(100, 20, 64),
            metadata="null",
        ),
    ),
    Example(
        "cancelled, out of band and in text",
        resp.ResponseDone(
            event_id="e",
            response=resp.ResponseSnapshot(
                id="r",
                status="cancelled",
                conversation_id=None,
                status_details=resp.StatusDetails(type="cancelled", reason="turn_detected"),
                output_modality="text",
            ),
        ),
        *_of_response(
            "response.done",
            status="cancelled",
            details='{"type":"cancelled","reason":"turn_detected"}',
            output="[]",
            conversation="null",
            modality="text",
            format='{"type":"audio/pcm","rate":24000}',
            beta_format="pcm16",
            voice="default",
            temperature="0.8",
            tokens='"inf"',
            usage=_usage(0, 0, 0),
            metadata="null",
        ),
    ),
    Example(
        "failed",
        resp.ResponseDone(
            event_id="e",
            response=resp.ResponseSnapshot(
                id="r",
                status="failed",
                conversation_id="c",
                status_details=resp.StatusDetails(type="failed", code="model_failed", message="It hung."),
            ),
        ),
        *_of_response(
            "response.done",
            status="failed",
            details='{"type":"failed","error":{"type":"server_error","code":"model_failed","message":"It hung."}}',
            inworlds_details='{"type":"failed","error":{"type":"server_error","code":"model_failed",'
            '"message":"It hung."},"reason":"server_error"}',
            output="[]",
            conversation='"c"',
            modality="audio",
            format='{"type":"audio/pcm","rate":24000}',
            beta_format="pcm16",
            voice="default",
            temperature="0.8",
            tokens='"inf"',
            usage=_usage(0, 0, 0),
            metadata="null",
        ),
    ),
]

_IDS = {"event_id": "e", "response_id": "r", "item_id": "i", "output_index": 0}

OF_RESPONSES = [
    Example(
        "rate limits",
        resp.RateLimitsUpdated(
            event_id="e",
            rate_limits=(resp.RateLimit(name="tokens", limit=9, remaining=8, reset_seconds=1.5),),
        ),
        '{"type":"rate_limits.updated","event_id":"e","rate_limits":'
        '[{"name":"tokens","limit":9,"remaining":8,"reset_seconds":1.5}]}',
    ),
    Example(
        "item begun",
        resp.OutputItemAdded(
            event_id="e",
            response_id="r",
            output_index=1,
            item=Message(id="i", role="assistant", content=(), status="in_progress"),
        ),
        '{"type":"response.output_item.added","event_id":"e","response_id":"r","output_index":1,"item":'
        '{"type":"message","id":"i","role":"assistant","content":[],"status":"in_progress",'
        '"object":"realtime.item"}}',
    ),
    Example(
        "item done",
        resp.OutputItemDone(event_id="e", response_id="r", output_index=0, item=_SPOKEN),
        f'{{"type":"response.output_item.done","event_id":"e","response_id":"r","output_index":0,"item":{_SPOKEN_GA}}}',
        {
            BETA: '{"type":"response.output_item.done","event_id":"e","response_id":"r","output_index":0,'
            f'"item":{_SPOKEN_BETA}}}'
        },
    ),
    Example(
        "audio part begun",
        resp.ContentPartAdded(**_IDS, part=resp.AudioPart(transcript="")),  # type: ignore[arg-type]  # four ids
        f'{{"type":"response.content_part.added",{_R},"content_index":0,"part":{{"type":"audio","transcript":""}}}}',
    ),
    Example(
        "text part done",
        resp.ContentPartDone(**_IDS, content_index=1, part=resp.TextPart(text="yes")),  # type: ignore[arg-type]
        f'{{"type":"response.content_part.done",{_R},"content_index":1,"part":{{"type":"text","text":"yes"}}}}',
    ),
    Example(
        "text",
        resp.OutputTextDelta(**_IDS, delta="y"),  # type: ignore[arg-type]
        *renamed("response.output_text.delta", "response.text.delta", f'{_R},"content_index":0,"delta":"y"'),
    ),
    Example(
        "text done",
        resp.OutputTextDone(**_IDS, text="yes"),  # type: ignore[arg-type]
        *renamed("response.output_text.done", "response.text.done", f'{_R},"content_index":0,"text":"yes"'),
    ),
    Example(
        "transcript",
        resp.TranscriptDelta(**_IDS, delta="y"),  # type: ignore[arg-type]
        *renamed(
            "response.output_audio_transcript.delta",
            "response.audio_transcript.delta",
            f'{_R},"content_index":0,"delta":"y"',
        ),
    ),
    Example(
        "transcript done",
        resp.TranscriptDone(**_IDS, transcript="yes"),  # type: ignore[arg-type]
        *renamed(
            "response.output_audio_transcript.done",
            "response.audio_transcript.done",
            f'{_R},"content_index":0,"transcript":"yes"',
        ),
    ),
    Example(
        "sound",
        resp.OutputAudioDelta(**_IDS, delta=b"\xff\xff\xff"),  # type: ignore[arg-type]
        *renamed("response.output_audio.delta", "response.audio.delta", f'{_R},"content_index":0,"delta":"////"'),
    ),
    Example(
        "sound done",
        resp.OutputAudioDone(**_IDS),  # type: ignore[arg-type]
        *renamed("response.output_audio.done", "response.audio.done", f'{_R},"content_index":0'),
    ),
    Example(
        "arguments",
        resp.FunctionCallArgumentsDelta(**_IDS, call_id="c", delta="{"),  # type: ignore[arg-type]
        f'{{"type":"response.function_call_arguments.delta",{_R},"call_id":"c","delta":"{{"}}',
    ),
    Example(
        "arguments done",
        resp.FunctionCallArgumentsDone(**_IDS, call_id="c", name="look", arguments="{}"),  # type: ignore[arg-type]
        f'{{"type":"response.function_call_arguments.done",{_R},"call_id":"c","name":"look","arguments":"{{}}"}}',
        {BETA: f'{{"type":"response.function_call_arguments.done",{_R},"call_id":"c","arguments":"{{}}"}}'},
    ),
]

OTHERS = [
    Example(
        "committed first",
        input_audio.InputAudioBufferCommitted(event_id="e", previous_item_id=None, item_id="i"),
        '{"type":"input_audio_buffer.committed","event_id":"e","previous_item_id":null,"item_id":"i"}',
    ),
    Example(
        "cleared",
        input_audio.InputAudioBufferCleared(event_id="e"),
        '{"type":"input_audio_buffer.cleared","event_id":"e"}',
    ),
    Example(
        "speech started",
        input_audio.SpeechStarted(event_id="e", audio_start_ms=40, item_id="i"),
        '{"type":"input_audio_buffer.speech_started","event_id":"e","audio_start_ms":40,"item_id":"i"}',
    ),
    Example(
        "speech stopped",
        input_audio.SpeechStopped(event_id="e", audio_end_ms=940, item_id="i"),
        '{"type":"input_audio_buffer.speech_stopped","event_id":"e","audio_end_ms":940,"item_id":"i"}',
    ),
    Example(
        "nobody spoke",
        input_audio.TimeoutTriggered(event_id="e", audio_start_ms=13216, audio_end_ms=19232, item_id="i"),
        '{"type":"input_audio_buffer.timeout_triggered","event_id":"e","audio_start_ms":13216,'
        '"audio_end_ms":19232,"item_id":"i"}',
        {BETA: None},
    ),
    Example(
        "key pressed 1.6 s into the call",
        input_audio.DtmfEventReceived(event_id="e", event="#", received_at=1_600),
        '{"type":"input_audio_buffer.dtmf_event_received","event_id":"e","event":"#","received_at":1756324002}',
        {BETA: None},
    ),
    Example(
        "playout started",
        output_audio.OutputAudioBufferStarted(event_id="e", response_id="r"),
        '{"type":"output_audio_buffer.started","event_id":"e","response_id":"r"}',
    ),
    Example(
        "playout stopped",
        output_audio.OutputAudioBufferStopped(event_id="e", response_id="r"),
        '{"type":"output_audio_buffer.stopped","event_id":"e","response_id":"r"}',
    ),
    Example(
        "playout cleared",
        output_audio.OutputAudioBufferCleared(event_id="e", response_id="r"),
        '{"type":"output_audio_buffer.cleared","event_id":"e","response_id":"r"}',
    ),
    Example(
        "conversation",
        conv.ConversationCreated(event_id="e", conversation_id="c"),
        '{"type":"conversation.created","event_id":"e","conversation":{"id":"c","object":"realtime.conversation"}}',
    ),
    Example(
        "item final",
        conv.ConversationItemDone(event_id="e", previous_item_id=None, item=_SPOKEN),
        f'{{"type":"conversation.item.done","event_id":"e","previous_item_id":null,"item":{_SPOKEN_GA}}}',
        {BETA: None},
    ),
    Example(
        "retrieved with its sound",
        conv.ConversationItemRetrieved(
            event_id="e", item=Message(id="i", role="assistant", content=(OutputAudio(audio=b"\xff\xff\xff"),))
        ),
        '{"type":"conversation.item.retrieved","event_id":"e","item":'
        + _item('"role":"assistant","content":[{"type":"output_audio","audio":"////","format":"pcm16"}]')
        + "}",
        {
            BETA: '{"type":"conversation.item.retrieved","event_id":"e","item":'
            + _item('"role":"assistant","content":[{"type":"audio","audio":"////","format":"pcm16"}]')
            + "}"
        },
    ),
    Example(
        "truncated",
        conv.ConversationItemTruncated(event_id="e", item_id="i", content_index=0, audio_end_ms=640),
        '{"type":"conversation.item.truncated","event_id":"e","item_id":"i","content_index":0,"audio_end_ms":640}',
    ),
    Example(
        "deleted",
        conv.ConversationItemDeleted(event_id="e", item_id="i"),
        '{"type":"conversation.item.deleted","event_id":"e","item_id":"i"}',
    ),
    Example(
        "heard so far",
        conv.TranscriptionDelta(event_id="e", item_id="i", delta="Hey"),
        '{"type":"conversation.item.input_audio_transcription.delta","event_id":"e","item_id":"i","delta":"Hey",'
        '"content_index":0}',
    ),
    Example(
        "heard",
        conv.TranscriptionCompleted(event_id="e", item_id="i", transcript="Hey you", seconds=1.25),
        '{"type":"conversation.item.input_audio_transcription.completed","event_id":"e","item_id":"i",'
        '"content_index":0,"transcript":"Hey you","usage":{"type":"duration","seconds":1.25}}',
    ),
    Example(
        "not understood",
        conv.TranscriptionFailedEvent(event_id="e", item_id="i", message="No words."),
        '{"type":"conversation.item.input_audio_transcription.failed","event_id":"e","item_id":"i",'
        '"content_index":0,"error":{"type":"transcription_error","code":"audio_unintelligible",'
        '"message":"No words.","param":null}}',
    ),
    Example(
        "the official error",
        ErrorEvent(
            event_id="event_890",
            error=ErrorDetail(
                type="invalid_request_error",
                code="invalid_event",
                message="The 'type' field is missing.",
                event_id="event_567",
            ),
        ),
        '{"type":"error","event_id":"event_890","error":{"type":"invalid_request_error",'
        '"message":"The \'type\' field is missing.","code":"invalid_event","param":null,'
        '"event_id":"event_567"}}',
    ),
]


def _of_mcp(name: str, item: McpItem, text: str) -> Example:
    """An item that beta is never shown."""
    return Example(name, _added(item), _items(f'{text},"object":"realtime.item"}}')[0], {BETA: None})


_TOOL = ListedTool(name="look", description="", input_schema={"type": "object"}, annotations={"readOnlyHint": True})
_CALLED = '{"type":"mcp_call","id":"i","server_label":"s","name":"look","arguments":"{}","output":'

MCP_ITEMS = [
    _of_mcp(
        "tools of a server",
        McpListTools(
            id="i", server_label="s", tools=(_TOOL, ListedTool(name="b", description="x", input_schema={}))
        ),
        '{"type":"mcp_list_tools","id":"i","server_label":"s","tools":[{"name":"look","description":"",'
        '"input_schema":{"type":"object"},"annotations":{"readOnlyHint":true}},'
        '{"name":"b","description":"x","input_schema":{}}]',
    ),
    _of_mcp(
        "a call that has no output yet",
        McpCall(id="i", server_label="s", name="look", arguments="{}"),
        f"{_CALLED}null",
    ),
    _of_mcp(
        "a call that was agreed to",
        McpCall(id="i", server_label="s", name="look", arguments="{}", output="42", approval_request_id="q"),
        f'{_CALLED}"42","approval_request_id":"q"',
    ),
    _of_mcp(
        "a call that failed",
        McpCall(
            id="i",
            server_label="s",
            name="look",
            arguments="{}",
            error=McpError(type="http_error", message="gone", code=410),
        ),
        f'{_CALLED}null,"error":{{"type":"http_error","message":"gone","code":410}}',
    ),
    _of_mcp(
        "a request for approval",
        McpApprovalRequest(id="i", server_label="s", name="look", arguments="{}"),
        '{"type":"mcp_approval_request","id":"i","server_label":"s","name":"look","arguments":"{}"',
    ),
    _of_mcp(
        "a refusal",
        McpApprovalResponse(id="i", approval_request_id="q", approve=False, reason="no"),
        '{"type":"mcp_approval_response","id":"i","approval_request_id":"q","approve":false,"reason":"no"',
    ),
]

OF_MCP = [
    *(
        Example(
            name, kind(event_id="e", item_id="i"), f'{{"type":"{name}","event_id":"e","item_id":"i"}}', {BETA: None}
        )
        for name, kind in (
            ("mcp_list_tools.in_progress", mcp.ListingInProgress),
            ("mcp_list_tools.completed", mcp.ListingCompleted),
            ("mcp_list_tools.failed", mcp.ListingFailed),
        )
    ),
    *(
        Example(
            name,
            kind(event_id="e", item_id="i", output_index=0),
            f'{{"type":"{name}","event_id":"e","item_id":"i","output_index":0}}',
            {BETA: None},
        )
        for name, kind in (
            ("response.mcp_call.in_progress", mcp.McpCallInProgress),
            ("response.mcp_call.completed", mcp.McpCallCompleted),
            ("response.mcp_call.failed", mcp.McpCallFailed),
        )
    ),
    Example(
        "arguments of a server's tool",
        mcp.McpCallArgumentsDelta(**_IDS, delta="{"),  # type: ignore[arg-type]
        f'{{"type":"response.mcp_call_arguments.delta",{_R},"delta":"{{","obfuscation":""}}',
        {BETA: None},
    ),
    Example(
        "arguments of a server's tool done",
        mcp.McpCallArgumentsDone(**_IDS, arguments="{}"),  # type: ignore[arg-type]
        f'{{"type":"response.mcp_call_arguments.done",{_R},"arguments":"{{}}"}}',
        {BETA: None},
    ),
]

IW_ALONE: dict[Dialect, str | None] = {GA: None, BETA: None, SEED: None}

OF_BACKCHANNELS = [
    Example(
        "sound of a backchannel",
        back.BackchannelAudioDelta(event_id="e", backchannel_id="b", delta=b"ABC", line=b"never shown"),
        '{"type":"response.backchannel.audio.delta","event_id":"e","backchannel_id":"b","delta":"QUJD"}',
        IW_ALONE,
    ),
    Example(
        "a backchannel done",
        back.BackchannelAudioDone(event_id="e", backchannel_id="b", phrase="mm-hm"),
        '{"type":"response.backchannel.audio.done","event_id":"e","backchannel_id":"b","phrase":"mm-hm"}',
        IW_ALONE,
    ),
    Example(
        "a backchannel that missed its deadline",
        back.BackchannelSkipped(event_id="e", reason="deadline_missed", backchannel_id="b"),
        '{"type":"response.backchannel.skipped","event_id":"e","reason":"deadline_missed","backchannel_id":"b"}',
        IW_ALONE,
    ),
    Example(
        "a backchannel never tried",
        back.BackchannelSkipped(event_id="e", reason="min_gap_not_elapsed"),
        '{"type":"response.backchannel.skipped","event_id":"e","reason":"min_gap_not_elapsed"}',
        IW_ALONE,
    ),
]

EXAMPLES = [*ITEMS, *MCP_ITEMS, *RESPONSES, *OF_RESPONSES, *OF_MCP, *OF_BACKCHANNELS, *OTHERS]
