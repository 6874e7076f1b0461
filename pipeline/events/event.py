"""Everything that crosses the wire of a session: two closed unions, so the checker names a forgotten event."""

from __future__ import annotations

from typing import TypeAlias

from pipeline.events import backchannel, conversation, error, input_audio, mcp, output_audio, response, session

ClientEvent: TypeAlias = (
    session.SessionUpdate
    | input_audio.InputAudioBufferAppend
    | input_audio.InputAudioBufferCommit
    | input_audio.InputAudioBufferClear
    | output_audio.OutputAudioBufferClear
    | conversation.ConversationItemCreate
    | conversation.ConversationItemRetrieve
    | conversation.ConversationItemTruncate
    | conversation.ConversationItemDelete
    | response.ResponseCreate
    | response.ResponseCancel
)

ServerEvent: TypeAlias = (
    session.SessionCreated
    | session.SessionUpdated
    | input_audio.InputAudioBufferCommitted
    | input_audio.InputAudioBufferCleared
    | input_audio.SpeechStarted
    | input_audio.SpeechStopped
    | input_audio.TimeoutTriggered
    | input_audio.DtmfEventReceived
    | output_audio.OutputAudioBufferStarted
    | output_audio.OutputAudioBufferStopped
    | output_audio.OutputAudioBufferCleared
    | conversation.ConversationCreated
    | conversation.ConversationItemAdded
    | conversation.ConversationItemDone
    | conversation.ConversationItemRetrieved
    | conversation.ConversationItemTruncated
    | conversation.ConversationItemDeleted
    | conversation.TranscriptionDelta
    | conversation.TranscriptionCompleted
    | conversation.TranscriptionFailedEvent
    | response.ResponseCreated
    | response.ResponseDone
    | response.RateLimitsUpdated
    | response.OutputItemAdded
    | response.OutputItemDone
    | response.ContentPartAdded
    | response.ContentPartDone
    | response.OutputTextDelta
    | response.OutputTextDone
    | response.TranscriptDelta
    | response.TranscriptDone
    | response.OutputAudioDelta
    | response.OutputAudioDone
    | response.FunctionCallArgumentsDelta
    | response.FunctionCallArgumentsDone
    | mcp.ListingInProgress
    | mcp.ListingCompleted
    | mcp.ListingFailed
    | mcp.McpCallArgumentsDelta
    | mcp.McpCallArgumentsDone
    | mcp.McpCallInProgress
    | mcp.McpCallCompleted
    | mcp.McpCallFailed
    | backchannel.BackchannelAudioDelta
    | backchannel.BackchannelAudioDone
    | backchannel.BackchannelSkipped
    | error.ErrorEvent
)
