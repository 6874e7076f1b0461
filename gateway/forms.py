"""A signed form: reads the body of a webhook, as far as it deserves it.

What is cheap comes first: a glance at the signature header, the content type and the declared length, before a
byte of the body is read; then the body, bounded in size and time; then the signature over all of it.
Says nothing about what the fields mean.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request

from gateway.auth import SignatureCheck
from gateway.body import read_body
from gateway.errors import FormRefused
from twiml.errors import shorten

BODY_LIMIT_BYTES = 64 * 1024
"""Twilio's forms have about 1 KB; a form of ours never needs more than this."""

BODY_DEADLINE_S = 5.0
"""Twilio sends a form in one go. Who takes longer holds a connection open on purpose."""

FIELDS_LIMIT = 300
"""Twilio sends some 30 fields."""

FORM_TYPE = "application/x-www-form-urlencoded"


async def read_signed_form(
    request: Request, signatures: SignatureCheck, deadline_s: float = BODY_DEADLINE_S
) -> ImmutableMultiDict[str, str]:
    """The fields of a form that Twilio signed. Raises `SignatureRefused` or `FormRefused`."""
    target = path_and_query(request)
    # Sent twice, the header is joined to something that is no signature.
    signature = ", ".join(request.headers.getlist("x-twilio-signature")) or None
    signatures.check_header(target, signature)
    _check_type(request)
    body = await read_body(request, _refused, most_bytes=BODY_LIMIT_BYTES, deadline_s=deadline_s)
    form = _parse(body)
    signatures.check_webhook(target, form, signature)
    return form


def path_and_query(request: Request) -> str:
    """The request's target as it stood in the request line; Twilio signs it byte for byte."""
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")


def _check_type(request: Request) -> None:
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != FORM_TYPE:
        came = shorten(content_type) if content_type else "none"
        raise FormRefused(415, "not_a_form", f"Content-Type: expected {FORM_TYPE}, got {came}.\n")


def _parse(body: bytes) -> ImmutableMultiDict[str, str]:
    try:
        fields = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_LIMIT
        )
    except ValueError:
        raise FormRefused(
            400,
            "not_a_form",
            f"Body: expected at most {FIELDS_LIMIT} fields, form-encoded as UTF-8, "
            f"got {shorten(body.decode('latin-1'))}.\n",
        ) from None
    return ImmutableMultiDict(fields)


def _refused(status_code: int, reason: str, words: str) -> FormRefused:
    return FormRefused(status_code, reason, f"{words}\n")
