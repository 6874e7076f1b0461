"""How much one peer of the Realtime protocol may ask of us: each number with its reason, all in one place.

What goes past a limit is refused by name and changes nothing; the session goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024

LONGEST_SOUND_MS = 400
"""Of one report and so of one delta, whatever a voice makes at once: more would be late, and long to cut into
(Realtime reference, section A.1)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one connection; the defaults are those of a gateway that is told nothing else."""

    event_bytes: int = 24 * MIB
    """One event as text: 15 MiB of sound are 20 MiB of base64 (Realtime reference, section A.1). A frame past this
    ends the connection with 1009, as RFC 6455 has it."""
    append_bytes: int = 15 * MIB
    """Sound in one `input_audio_buffer.append`, decoded (Realtime reference, section B.0)."""
    buffered_bytes: int = 30 * MIB
    """Sound waiting for a commit: ten minutes at 24 kHz."""
    depth: int = 64
    """Objects and lists in one another. Real tool schemas stay under 20."""
    items: int = 2_000
    """In one conversation."""
    conversation_bytes: int = 8 * MIB
    """Text and images a peer has put into one conversation by hand."""
    asides: int = 8
    """Responses out of band at a time; each is a model at work."""
    item_words_bytes: int = 768 * 1024
    """Of text in one item: it goes back to the peer in one frame, and clients take frames of up to 1 MiB."""
    instructions_chars: int = 65_536
    tools: int = 128
    tools_bytes: int = 65_536
    """All schemas of a session together, as JSON. A model reads them with every answer."""
    event_id_chars: int = 512
    item_id_chars: int = 64
    metadata_pairs: int = 16
    metadata_key_chars: int = 64
    metadata_value_chars: int = 512
    kept_audio_bytes: int = MIB
    """Sound of items kept for `conversation.item.retrieve`, 20 seconds at 24 kHz; the oldest goes first. One event
    could carry no more."""


USUAL = Limits()
"""What a gateway allows that is told nothing else."""
