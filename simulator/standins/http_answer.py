"""One answer of a stand-in over HTTP, and how it goes wrong. What the answer says is somebody else's business.

refuse, too-many, broken    status 401, 429, 500 with an error as OpenAI words it
hang                        the request is read, and nothing comes, no status either
stall                       half of the body, then nothing
slow-drip                   the whole body, `DRIP_BYTES` at a time, `DRIP_S` apart
close-1006                  half of the body, then the connection is torn
close-1011                  half of the body, then it ends; its length was promised, or its own end is missing
odd-pcm                     the whole body in pieces of odd length: cut in mid-sample, mid-letter, mid-line
zero-audio, garbage, big-chunk    are the body's business: whoever makes it asks `fault` itself
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from simulator.standins.fault import Fault
from simulator.standins.serving import cut

DRIP_BYTES: Final = 16
DRIP_S: Final = 0.5
"""32 bytes a second: a fifteen-hundredth of the pace of 24 kHz speech, a word of chat in five seconds."""

ODD_BYTES: Final = 7
ODD_PIECES: Final = 40
"""A long body is cut into so many pieces of an odd length, a short one into pieces of `ODD_BYTES`."""

BIG_BYTES: Final = 10 * 1024 * 1024

_REFUSALS: Final = {
    Fault.REFUSE: (401, "invalid_api_key", "Incorrect API key provided."),
    Fault.TOO_MANY: (429, "rate_limit_exceeded", "Rate limit reached for requests."),
    Fault.BROKEN: (500, "server_error", "The server had an error while processing your request."),
}


async def refusal(request: Request, fault: Fault) -> Response | None:
    """What is answered instead of a body, if that is the fault; a request that hangs ends when its client does."""
    if fault is Fault.HANG:
        await until_gone(request)
        return Response(status_code=499)  # to nobody
    if fault not in _REFUSALS:
        return None
    status, code, message = _REFUSALS[fault]
    return error(status, code, message, headers={"retry-after": "1"} if fault is Fault.TOO_MANY else None)


def error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error as OpenAI words it."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return JSONResponse(body, status_code=status, headers=headers)


def answer(request: Request, fault: Fault, pieces: Sequence[bytes], *, kind: str, gap_s: float = 0.0) -> Response:
    """The body in `pieces`, `gap_s` seconds between two of them, with whatever goes wrong on its way."""
    headers = {}
    if fault is Fault.CLOSE_1011 and not kind.startswith("text/event-stream"):
        headers["content-length"] = str(sum(map(len, pieces)))
    body = _on_its_way(request, fault, pieces, gap_s)
    return StreamingResponse(body, media_type=kind, headers=headers)


async def until_gone(request: Request) -> None:
    """Wait for the client to hang up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _on_its_way(
    request: Request, fault: Fault, pieces: Sequence[bytes], gap_s: float
) -> AsyncGenerator[bytes, None]:
    match fault:
        case Fault.STALL | Fault.CLOSE_1006 | Fault.CLOSE_1011:
            pieces = _half(pieces)
        case Fault.SLOW_DRIP:
            pieces, gap_s = _cut_into(pieces, DRIP_BYTES), DRIP_S
        case Fault.ODD_PCM:
            size = max(ODD_BYTES, sum(map(len, pieces)) // ODD_PIECES) | 1
            pieces, gap_s = _cut_into(pieces, size), 0.0
    for number, piece in enumerate(pieces):
        if number and gap_s:
            await asyncio.sleep(gap_s)
        yield piece
    if fault is Fault.CLOSE_1006:
        cut(request.scope)
    elif fault is Fault.STALL:
        await asyncio.Event().wait()  # the response is cancelled when its client leaves


def _half(pieces: Sequence[bytes]) -> Sequence[bytes]:
    """The first half: whole pieces where there are several, else half of the only one, to the odd byte."""
    if len(pieces) > 1:
        return pieces[: len(pieces) // 2]
    return [piece[: len(piece) // 2] for piece in pieces]


def _cut_into(pieces: Sequence[bytes], size: int) -> Sequence[bytes]:
    body = b"".join(pieces)
    return [body[at : at + size] for at in range(0, len(body), size)]
