"""The settings of who is let in, and of what callers meet for whom there is no room.

Each is a declaration, of which `setting_declarations.py` makes a field of `Settings`.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.setting import declared
from gateway.setting_values import whole_number
from twiml.overflow import APOLOGY, Ladder, read_ladder


def read_hold_music(text: str) -> str:
    if not re.fullmatch(r"https?://[\x21-\x7e]+", text):
        raise ValueError(f"{text!r} is no http or https URL; Twilio fetches the sound from there")
    return text


MAX_CALLS_PER_LINE: Final = declared(
    "SWITCHBOARD_MAX_CALLS_PER_LINE",
    0,
    whole_number(0, 100_000),
    "Calls at a time to one number, on all workers together; a further caller meets SWITCHBOARD_OVERFLOW. 0: no "
    "limit.",
)
MAX_LAG_MS: Final = declared(
    "SWITCHBOARD_MAX_LAG_MS",
    10,
    whole_number(0, 1_000),
    "How late, in milliseconds and on average, the event loop may be before no further call is let in. "
    "0: the load is not looked at.",
)
OVERFLOW: Final = declared(
    "SWITCHBOARD_OVERFLOW",
    Ladder((APOLOGY,)),
    read_ladder,
    "What a caller is offered for whom there is no room, in this order: queue, callback, a number like +493012345, "
    "voicemail, apology. The apology is always last.",
)
QUEUE_LIMIT_S: Final = declared(
    "SWITCHBOARD_QUEUE_LIMIT_S",
    120,
    whole_number(10, 3_600),
    "How long, in seconds, a caller waits in the queue before the next offer.",
)
HOLD_MUSIC: Final = declared(
    "SWITCHBOARD_HOLD_MUSIC",
    "",
    read_hold_music,
    "The URL of a sound of about ten seconds, played in the queue between the words: a caller is let in when it "
    "ends, not before. Empty: words alone.",
)
