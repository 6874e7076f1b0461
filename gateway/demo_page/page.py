"""The demo page at `/demo`: a person talks to an agent in a browser, and sees the words and the events.

    GET /demo              the page
    GET /demo/{file}       its style and its modules, by the fixed names of `FILES`

Knows nothing of sessions and calls: the page is one more client of the Realtime API, with no right of its own.
What a browser may load is what stands here (Content Security Policy Level 3): no other host, nothing inline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH: Final = "/demo"

STATIC: Final = Path(__file__).parent / "static"

INDEX: Final = "index.html"

_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
"""RFC 9239: `text/javascript` is the type of a module; browsers run none of another type."""

FILES: Final = (
    "call.js",
    "demo.css",
    "demo.js",
    "events.js",
    "faults.js",
    "gateway.js",
    "latency.js",
    "levels.js",
    "pieces.js",
    "transcript.js",
)
"""All there is beside the page itself. Names are never read from a request, so none can lead elsewhere."""

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self'; script-src 'self'; style-src 'self'; media-src 'self' blob:; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    # A foreign page that framed this one could lead a visitor's hand to the button.
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    # A new version of the gateway is a new page at once.
    "Cache-Control": "no-cache",
}


def routes() -> list[Route]:
    """The page and its files, to be mounted at the root. They are read once, now."""
    return [Route(PATH, _answer(INDEX)), *(Route(f"{PATH}/{name}", _answer(name)) for name in FILES)]


def _answer(name: str) -> Callable[[Request], Awaitable[Response]]:
    place = STATIC / name
    content, media_type = place.read_bytes(), _TYPES[place.suffix]

    async def answer(_request: Request) -> Response:
        return Response(content, headers=HEADERS, media_type=media_type)

    return answer
