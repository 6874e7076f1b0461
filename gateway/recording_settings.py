"""The settings of recordings.

Each is a declaration, of which `setting_declarations.py` makes a field of `Settings`. Which of them go together,
`setting_conflicts.py` knows.
"""

from __future__ import annotations

from typing import Final

from gateway.recordings.place import read_place
from gateway.setting import declared
from gateway.setting_values import any_text, one_of, whole_number

RECORD: Final = declared(
    "SWITCHBOARD_RECORD",
    "off",
    one_of("off", "all"),
    "all records every phone call, caller left and agent right, into SWITCHBOARD_RECORDINGS. Many places want the "
    "caller told first: that is the greeting's task, and yours.",
)
RECORDINGS: Final = declared(
    "SWITCHBOARD_RECORDINGS",
    "",
    read_place,
    "Where recordings are kept: a folder, or s3://BUCKET/PREFIX with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
    "AWS_REGION and, where it is not Amazon's, AWS_ENDPOINT_URL; needs the extra `s3`.",
)
SPOOL: Final = declared(
    "SWITCHBOARD_RECORDINGS_SPOOL",
    "/var/tmp/switchboard-recordings",
    any_text,
    "The folder where recordings wait that go to a bucket. What is in it outlives the process; it should outlive "
    "the container, too.",
)
DAYS: Final = declared(
    "SWITCHBOARD_RECORDINGS_DAYS",
    0,
    whole_number(0, 36_500),
    "Recordings older than so many days are deleted, once a day. 0: never.",
)
FORMAT: Final = declared(
    "SWITCHBOARD_RECORDINGS_FORMAT",
    "g711",
    one_of("g711", "pcm16"),
    "g711 keeps the line's own bytes, 16 kB a second; pcm16 is twice as large, for programs that read nothing "
    "else.",
)
