"""The control API's part about recordings: which there are, and their sound.

    GET  /v1/calls/{call_sid}/recordings
    GET  /v1/calls/{call_sid}/recordings/{part}         the WAV file; `Range: bytes=` is served
    GET  /v1/calls/{call_sid}/recordings/joined         all parts as one WAV file

Who may ask is decided by whoever mounts it. What pauses the one that goes on is in `gateway/control_orders.py`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from gateway.recordings.place import BucketError
from gateway.recordings.recorder import Recorder
from gateway.recordings.shelf import Shelf
from gateway.recordings.sidecar import NotOurs, Sidecar

log = logging.getLogger(__name__)

AT_ONCE_BYTES: Final = 262_144
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}")
_RANGE: Final = re.compile(r"bytes=(?!-$)([0-9]{0,12})-([0-9]{0,12})")
"""One range of bytes. Anything else, and several at once, are answered with the whole file, as RFC 9110 allows."""

Refuse: TypeAlias = Callable[[Request], Response | None]
"""What to answer to somebody who may not ask; None if they may."""


@dataclass(frozen=True, slots=True)
class _Bytes:
    """From `first` to `last`, which is within the file."""

    first: int
    last: int


def routes(recorder: Recorder | None, refuse: Refuse) -> list[Route]:
    """To be mounted at the root, before `/v1/calls/{call_sid}`'s own; none where there is no recorder."""
    if recorder is None:
        return []
    shelf = recorder.shelf

    def guarded(act: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if (refusal := refuse(request)) is not None:
                return refusal
            try:
                return await act(request)
            except FileNotFoundError:
                return _none(request)
            except NotOurs as error:
                return _error(409, "invalid_request_error", "recording_not_joinable", str(error))
            except (BucketError, OSError) as error:
                log.error("recordings cannot be read: %s", error)
                return _error(503, "server_error", "recordings_unavailable", "Recordings cannot be read just now.")

        return answer

    async def list_parts(request: Request) -> Response:
        parts = await asyncio.to_thread(shelf.parts, request.path_params["call_sid"])
        return _json(200, {"recordings": parts})

    async def part(request: Request) -> Response:
        return await _part(shelf, request)

    async def whole(request: Request) -> Response:
        parts = await asyncio.to_thread(shelf.parts, request.path_params["call_sid"])
        if not parts:
            return _none(request)
        pieces = shelf.joined(parts)
        first = await asyncio.to_thread(next, pieces)  # what cannot be joined says so here
        return StreamingResponse(_rest(first, pieces), media_type="audio/wav", headers=_PRIVATE)

    path = "/v1/calls/{call_sid}"
    return [
        Route(f"{path}/recordings", guarded(list_parts), methods=["GET"]),
        Route(f"{path}/recordings/joined", guarded(whole), methods=["GET"]),
        Route(f"{path}/recordings/{{part}}", guarded(part), methods=["GET"]),
    ]


_PRIVATE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


async def _part(shelf: Shelf, request: Request) -> Response:
    number = request.path_params["part"]
    if not _NUMBER.fullmatch(number):
        return _none(request)
    parts = await asyncio.to_thread(shelf.parts, request.path_params["call_sid"])
    sidecar = next((one for one in parts if one.part == int(number)), None)
    if sidecar is None:
        return _none(request)
    size = (await asyncio.to_thread(shelf.read, sidecar, 0, 0)).size
    headers = {**_PRIVATE, "Accept-Ranges": "bytes", "Content-Disposition": f'inline; filename="{sidecar.name}"'}
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    wanted = _wanted(asked, size) if asked else _Bytes(0, size - 1)
    if wanted is None:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Length"] = str(wanted.last - wanted.first + 1)
    status_code = 200
    if asked:
        headers["Content-Range"] = f"bytes {wanted.first}-{wanted.last}/{size}"
        status_code = 206
    return StreamingResponse(_sound(shelf, sidecar, wanted), status_code, headers, "audio/wav")


def _wanted(asked: re.Match[str], size: int) -> _Bytes | None:
    """The bytes of a range; None if the file has none of them (RFC 9110, section 14.1.2)."""
    first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
    last = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
    return _Bytes(first, last) if first <= last else None


async def _sound(shelf: Shelf, sidecar: Sidecar, wanted: _Bytes) -> AsyncGenerator[bytes, None]:
    at = wanted.first
    while at <= wanted.last:
        most = min(AT_ONCE_BYTES, wanted.last + 1 - at)
        piece = (await asyncio.to_thread(shelf.read, sidecar, at, most)).sound
        if not piece:
            return  # taken away meanwhile; the client sees that bytes are missing
        at += len(piece)
        yield piece


async def _rest(first: bytes, pieces: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    piece: bytes | None = first
    while piece is not None:
        yield piece
        piece = await asyncio.to_thread(next, pieces, None)


def _none(request: Request) -> Response:
    message = "There is no such recording. GET /v1/calls/{call_sid}/recordings lists those there are."
    return _error(404, "invalid_request_error", "recording_not_found", message, "part")


def _error(status_code: int, type: str, code: str, message: str, param: str | None = None) -> Response:
    return _json(status_code, {"error": {"type": type, "code": code, "message": message, "param": param}})


def _json(status_code: int, body: Any) -> Response:
    return Response(msgspec.json.encode(body), status_code, media_type="application/json")
