"""Forms in parts, as browsers and HTTP clients send them: multipart/form-data, out of bytes at hand.

    --<boundary> CRLF
    Content-Disposition: form-data; name="sdp" CRLF
    Content-Type: application/sdp CRLF          (often left out)
    CRLF
    <bytes> CRLF
    --<boundary>--

(RFC 7578; delimiters as in RFC 2046, section 5.1.1.) Nothing nests and nothing is searched twice, so the time is
that of the body's length. Knows no field by name, and not what the bytes of one mean.
"""

from __future__ import annotations

import re
from typing import Final

MOST_PARTS: Final = 16
"""An offer needs two."""

MOST_HEADER_BYTES: Final = 2048
"""Of one part; browsers send some 150, with a long file name a few hundred."""

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf';\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))')
_AS_IT_IS = ("7bit", "8bit", "binary")


def read_value(header: str) -> tuple[str, dict[str, str]]:
    """A header's value, lower-cased, and its parameters: `text/plain; charset="utf-8"`.

    What is no parameter is passed over.
    """
    value = header.partition(";")[0].strip().lower()
    parameters = {
        name.lower(): token or re.sub(r"\\(.)", r"\1", quoted) for name, quoted, token in _PARAMETER.findall(header)
    }
    return value, parameters


def read_form_data(body: bytes, boundary: str) -> dict[str, bytes]:
    """The parts by name. Raises `ValueError` for what is no such form, or names a part twice."""
    if not _BOUNDARY.fullmatch(boundary):
        raise ValueError("expected a boundary of 1 to 70 characters in the Content-Type")
    # RFC 2046, section 5.1.1: a delimiter begins a line, and the line break before it belongs to it.
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), MOST_PARTS + 1)
    parts: dict[str, bytes] = {}
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            return parts
        name, content = _part(piece)
        if name in parts:
            raise ValueError(f"the part {ascii(name)} stands there twice")
        parts[name] = content
    raise ValueError(f"expected at most {MOST_PARTS} parts and the boundary with two dashes behind the last")


def _part(piece: bytes) -> tuple[str, bytes]:
    """Name and content of what stands between two delimiters."""
    head, blank_line, content = piece.partition(b"\r\n\r\n")
    if not blank_line or len(head) > MOST_HEADER_BYTES:
        raise ValueError(f"expected the headers of a part, at most {MOST_HEADER_BYTES} bytes, and an empty line")
    padding, *lines = head.decode("latin-1").split("\r\n")
    if padding.strip(" \t"):
        raise ValueError("expected nothing behind a boundary")
    headers = {name.strip().lower(): value for name, _, value in (line.partition(":") for line in lines)}
    disposition, parameters = read_value(headers.get("content-disposition", ""))
    if disposition != "form-data" or "name" not in parameters:
        raise ValueError("expected `Content-Disposition: form-data` with a name in every part")
    # RFC 7578, section 4.7: senders leave it out.
    if (encoding := headers.get("content-transfer-encoding", "binary").strip().lower()) not in _AS_IT_IS:
        raise ValueError(f"expected parts as they are, got one in {ascii(encoding)}")
    return parameters["name"], content
