"""The two transports of the protocol's tests, and all that may differ between them.

Every test of this folder that takes a `house` runs once over a WebSocket and once over WebRTC, and expects the same
of both: the transport must not change what is seen. What does differ by the protocol itself is said here, with its
reason, and nowhere else (Realtime reference, sections A, B.2, D.8 and E.1).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Final


class Transport(enum.StrEnum):
    """How a client reaches its session."""

    WEBSOCKET = "websocket"
    WEBRTC = "webrtc"
    """Events on the data channel `oai-events`, the answer's sound on a track. These clients have no microphone, so
    that the only sound that comes in is what `input_audio_buffer.append` brings."""


MOST_MESSAGE_BYTES: Final = 64 * 1024
"""Of one message to the server on a data channel (E.1); clients say in their offers what they take."""

NOT_ON_A_CHANNEL: Final[Mapping[str, str]] = {
    "response.output_audio.delta": "the sound is RTP (E.1)",
    "response.audio.delta": "the sound is RTP (E.1); the older dialects' name of it",
}
"""Server events that only a WebSocket has."""

ON_A_CHANNEL_ONLY: Final[Mapping[str, str]] = {
    "output_audio_buffer.started": "the server owns playback: the first packet of an answer has left (E.1)",
    "output_audio_buffer.stopped": "all of an answer has left (E.1)",
    "output_audio_buffer.cleared": "what had not left never will (D.8)",
    "conversation.item.truncated": "unasked, of an answer broken off: only the server knows what was heard (D.8)",
}
"""Server events that come in addition. `playout.py` judges them, and keeps them out of what tests compare."""

_SOCKETS_OWN = "is about the handshake of a WebSocket: its paths, query, subprotocols or compression (A.1, A.3)"
_REFUSED = "an offer is refused by HTTP, where a WebSocket has a status, an error inside and close codes (A.5)"
_FRAMES = f"needs a message of more than {MOST_MESSAGE_BYTES} bytes, which no data channel takes (E.1)"
_PHONE = "is about a phone call, which is joined by a WebSocket only (E.1, side-band control)"
_NO_SESSION = "asks over plain HTTP and opens no session"
_CLIENT_PLAYS = "is about a client that plays for itself (D.7); where the server plays, D.8 holds"
_CALLERS_CLOCK = "counts the answer's length in the caller's sound; a track tells when it was heard (D.12)"
_DELTAS = "is about `response.output_audio.delta` itself"
_ONE_FORMAT = "wants another format for one response, and a track has one for all that is played on it"

WEBSOCKET_ONLY: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "test_connecting.py": {
        _SOCKETS_OWN: (
            "test_parameters_that_nobody_knows_are_passed_over",
            "test_inworlds_path_needs_no_parameter_and_protocol_decides_the_dialect",
            "test_the_paths_of_azures_clients_are_served",
            "test_a_client_that_offers_compression_is_served",
            "test_a_key_opens_as_a_subprotocol_and_realtime_is_answered",
            "test_realtime_is_answered_where_nothing_else_is_offered",
            "test_a_token_in_the_address_is_as_good_as_a_bearer",
            "test_a_subprotocol_asks_for_the_beta_dialect",
        ),
        _REFUSED: (
            "test_without_a_credential_only_a_gateway_for_development_opens",
            "test_where_the_beta_is_off_its_clients_are_told_so",
            "test_a_bad_key_is_told_inside_on_openais_path",
            "test_a_bad_key_is_told_by_http_on_inworlds_path",
            "test_an_unknown_intent_is_refused",
            "test_a_transcription_session_takes_no_model",
            "test_a_key_that_may_not_open_sessions_is_told_by_http",
            "test_one_session_too_many_is_refused",
            "test_a_gateway_that_stops_takes_no_session_and_closes_those_there_are",
            "test_a_call_that_nobody_has_cannot_be_joined",
        ),
        _FRAMES: (
            "test_a_frame_past_the_limit_closes_the_connection",
            "test_fifteen_mebibytes_of_sound_are_one_event_and_a_byte_more_is_refused",
        ),
        _PHONE: ("test_a_key_pressed_on_a_phone_is_told_to_who_has_joined_the_call",),
    },
    "test_phone_calls.py": {
        _PHONE: (
            "test_sound_that_we_play_is_told_when_it_begins_and_when_it_was_heard",
            "test_clearing_our_buffer_stops_the_answer_and_keeps_what_was_heard",
        ),
    },
    "test_minting.py": {
        _NO_SESSION: (
            "test_a_secrets_life_has_its_limits",
            "test_a_secret_is_not_made_for_a_session_that_cannot_be",
            "test_a_wrong_signature_gets_nothing",
            "test_the_servers_for_browsers_are_told",
            "test_what_is_wrong_with_a_request_is_told_by_its_status",
            "test_a_page_of_this_machine_may_ask_for_a_secret",
        ),
        _REFUSED: ("test_a_header_line_of_eight_thousand_characters_is_read",),
    },
    "test_barge_in.py": {
        _CLIENT_PLAYS: (
            "test_truncating_an_answer_in_progress_stops_it",
            "test_a_cancelled_answer_is_cut_too",
        ),
    },
    "test_idle.py": {_CALLERS_CLOCK: ("test_the_wait_begins_when_the_answer_must_have_been_heard",)},
    "test_input_audio.py": {
        _FRAMES: ("test_an_item_too_long_for_a_frame_is_retrieved_without_its_sound",),
        _CLIENT_PLAYS: ("test_a_client_that_plays_for_itself_clears_its_own_buffer",),
    },
    "test_items.py": {
        _FRAMES: (
            "test_an_image_too_large_for_a_frame_is_taken_and_not_told_back",
            "test_words_too_long_for_a_frame_are_refused",
        ),
    },
    "test_responses.py": {_ONE_FORMAT: ("test_one_response_may_have_a_format_and_a_voice_of_its_own",)},
    "test_dialects.py": {_ONE_FORMAT: ("test_the_betas_fields_of_one_response_are_read",)},
    "test_formats.py": {_DELTAS: ("test_a_long_piece_of_sound_is_told_in_short_deltas",)},
}
"""By file and reason: tests that run over a WebSocket alone. `test_transports.py` sees that each is there."""


def transports_of(file: str, test: str) -> tuple[Transport, ...]:
    """Those that a test runs over."""
    reasons = WEBSOCKET_ONLY.get(file, {})
    is_single = any(test in tests for tests in reasons.values())
    return (Transport.WEBSOCKET,) if is_single else tuple(Transport)


def told(names: Iterable[str], transport: Transport) -> list[str]:
    """Those of the names of events that a client of this transport is sent."""
    is_channel = transport is Transport.WEBRTC
    return [name for name in names if not (is_channel and name in NOT_ON_A_CHANNEL)]
