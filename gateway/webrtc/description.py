"""The text of an SDP, cut within limits into the session and its m= sections (RFC 8866).

Stands below `offer.py`, which says what the attributes mean. Nothing is looked at before the limits hold, and
all work is linear in the text. Only the m= lines and the a= lines are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import JsonRefused
from twiml.errors import shorten

MOST_BYTES: Final = 16 * 1024
"""Of UTF-8. Chromium's offer of audio and a channel has 2 KB, with video and every codec 6 KB."""

MOST_LINES: Final = 300
"""Chromium's offer with video has 171."""

MOST_LINE_CHARACTERS: Final = 1024
"""Of one line, without its end. The longest in use, a fingerprint by SHA-512, has 213."""

MOST_SECTIONS: Final = 8
"""Two are taken; the others are there to be declined."""

TAKEN_FOR_RTCP: Final = range(64, 96)
"""Payload numbers that cannot be told from RTCP on the same port (RFC 5761, section 4)."""

MOST_DIGITS: Final = 20
"""Of a number; 2^64 has as many."""

# All that an answer repeats. These leave no room for a line end, whichever a reader takes for one.
_KIND: Final = re.compile(r"[a-z]+")
_PROTOCOL: Final = re.compile(r"[A-Z/]+")
_TOKEN: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """The a= lines of the session or of one section, by name; names and values without blanks around them."""

    by_name: Mapping[str, Sequence[str]]

    def first(self, name: str) -> str | None:
        """Of several equal names the first counts; an attribute without value is an empty text."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> Sequence[str]:
        return self.by_name.get(name, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """An m= line and what follows it."""

    kind: str
    mid: str
    """Where a=mid is missing, the section's index."""
    protocol: str
    formats: tuple[str, ...]
    """At least one. Of audio and video these are payload numbers from 0 to 127 that work beside RTCP."""
    is_off: bool
    """Port 0, without a=bundle-only, which gives the zero another meaning (RFC 9143, section 6)."""
    attributes: Attributes


def refused(words: str) -> JsonRefused:
    """To be raised: what is wrong with the offer and how to mend it."""
    return JsonRefused(400, "invalid_offer", f"The offer: {words}", "sdp")


def read_description(sdp: str) -> tuple[Attributes, tuple[Media, ...]]:
    """The session's attributes and every section in order. Raises `JsonRefused` (400, `invalid_offer`)."""
    blocks: list[dict[str, list[str]]] = [{}]
    openings: list[str] = []
    for line in _lines_of(sdp):
        if line.startswith("m="):
            if len(openings) == MOST_SECTIONS:
                raise refused(f"it has more than {MOST_SECTIONS} m= sections. One audio and one application do.")
            openings.append(line)
            blocks.append({})
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            blocks[-1].setdefault(name.strip(" "), []).append(value.strip(" "))
    session, *parts = (Attributes(by_name=block) for block in blocks)
    medias = tuple(
        _media(index, line, part) for index, (line, part) in enumerate(zip(openings, parts, strict=True))
    )
    _check_mids([media.mid for media in medias])
    return session, medias


def whole(written: str, *, most: int | None = None) -> int | None:
    """A whole number in ASCII digits and at most `most`, or None."""
    if not (written.isascii() and written.isdecimal() and len(written) <= MOST_DIGITS):
        return None
    number = int(written)
    return None if most is not None and number > most else number


def _lines_of(sdp: str) -> list[str]:
    """The lines without their ends, LF or CR LF."""
    _check_text(sdp)
    lines = sdp.removesuffix("\n").split("\n", MOST_LINES)
    if len(lines) > MOST_LINES:
        raise refused(f"expected at most {MOST_LINES} lines. Offer audio and a data channel only.")
    lines = [line.removesuffix("\r") for line in lines]
    for number, line in enumerate(lines, start=1):
        if len(line) > MOST_LINE_CHARACTERS:
            raise refused(f"expected at most {MOST_LINE_CHARACTERS} characters a line, line {number} has more.")
    if lines[0] != "v=0":
        raise refused(
            f"expected SDP, whose first line is v=0, got {shorten(lines[0])}. Send the sdp of createOffer()."
        )
    return lines


def _check_text(sdp: str) -> None:
    # A character has at least one byte: the count of characters spares us from encoding what is far too long.
    try:
        is_too_long = len(sdp) > MOST_BYTES or len(sdp.encode()) > MOST_BYTES
    except UnicodeEncodeError:
        raise refused("it holds half of a surrogate pair, which is no text. Send it as UTF-8.") from None
    if is_too_long:
        raise refused(f"expected at most {MOST_BYTES} bytes of SDP. Offer audio and a data channel only.")
    if "\0" in sdp:
        raise refused("it holds a NUL character. Send the sdp of createOffer() as it is.")


def _media(index: int, line: str, attributes: Attributes) -> Media:
    fields = line[2:].strip(" ").split(" ")
    mid = attributes.first("mid") or str(index)
    if not (len(fields) > 3 and _is_written_well(*fields[:3]) and all(map(_TOKEN.fullmatch, [mid, *fields[3:]]))):
        raise refused(
            "expected m=<kind> <port> <protocol> <formats>, one blank between two, and a visible ASCII a=mid, "
            f"got {shorten(line)} with {shorten(mid)}. Send the sdp of createOffer() as it is."
        )
    kind, port, protocol, *formats = fields
    return Media(
        kind=kind,
        mid=mid,
        protocol=protocol,
        formats=tuple(_payload_numbers(line, formats) if kind in ("audio", "video") else formats),
        is_off=whole(port) == 0 and attributes.first("bundle-only") is None,
        attributes=attributes,
    )


def _is_written_well(kind: str, port: str, protocol: str) -> bool:
    return (
        _KIND.fullmatch(kind) is not None
        and whole(port, most=65_535) is not None
        and _PROTOCOL.fullmatch(protocol) is not None
    )


def _payload_numbers(line: str, formats: Sequence[str]) -> list[str]:
    numbers = [whole(written, most=127) for written in formats]
    usable = [str(number) for number in numbers if number is not None and number not in TAKEN_FOR_RTCP]
    if None in numbers or not usable:
        raise refused(
            f"expected payload numbers from 0 to 127 that are not all from {TAKEN_FOR_RTCP[0]} to "
            f"{TAKEN_FOR_RTCP[-1]}, got {shorten(line)}. Number the codecs from 96 on."
        )
    return usable


def _check_mids(mids: Sequence[str]) -> None:
    for mid in mids:
        if mids.count(mid) > 1:
            raise refused(f"two sections have the a=mid {shorten(mid)}. Give each its own (RFC 5888, section 4).")
