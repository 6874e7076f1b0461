"""The settings of call records: where they are sent when a call has ended, and for how long it is tried.

Each is a declaration, of which `setting_declarations.py` makes a field of `Settings`. Which of them go together,
`setting_conflicts.py` knows.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from gateway.setting import declared
from gateway.setting_values import any_text, whole_number


def read_webhook_url(text: str) -> str:
    """Raises `ValueError` that repeats nothing of the URL: there may be a token in it."""
    if not text:
        return text
    example = "give it like https://crm.example.com/calls"
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError(f"has a blank or a character outside ASCII; {example}")
    try:
        parts = urlsplit(text)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError(f"has a host or port that cannot be read; {example}") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or not has_port:
        raise ValueError(f"is no http or https URL with a host; {example}")
    if parts.username is not None or parts.fragment:
        raise ValueError("has a user, a password or a fragment; leave them out, every request is signed")
    return text


CALL_WEBHOOK: Final = declared(
    "SWITCHBOARD_CALL_WEBHOOK",
    "",
    read_webhook_url,
    "The URL that gets the record of every call when it has ended, signed with SWITCHBOARD_WEBHOOK_SECRET. It may "
    "be a private address; a redirect is not followed. Empty: records are sent nowhere.",
    is_secret=True,
)
CALL_WEBHOOK_LIMIT_S: Final = declared(
    "SWITCHBOARD_CALL_WEBHOOK_TIMEOUT",
    10,
    whole_number(1, 60),
    "Seconds that SWITCHBOARD_CALL_WEBHOOK may take to answer; then the record is sent again.",
)
CALL_WEBHOOK_HOURS: Final = declared(
    "SWITCHBOARD_CALL_WEBHOOK_HOURS",
    24,
    whole_number(1, 168),
    "Hours that a record is tried; after that it is kept for seven days, to be looked at and tried again by hand.",
)
OUTBOX: Final = declared(
    "SWITCHBOARD_OUTBOX",
    "/var/tmp/switchboard-outbox",
    any_text,
    "The folder where records wait to be taken, if there is no REDIS_URL. What is in it outlives the process; it "
    "should outlive the container, too. Numbers and talks are in it: for this user's eyes only.",
)
