"""Offers as browsers make them, and ways to change their lines.

Those of Chromium 156 are its own, of a page that opens a microphone and the channel `oai-events` and sends its
offer before it has looked for candidates, as `@openai/agents-realtime` does. With mDNS: it listens only and was
let find its candidates, on other ports for each section. With video: between the two, one of many codecs is left.
The others have the shape of Firefox and Safari.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

BROWSERS: Final = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((Path(__file__).parent / "browsers").glob("*.sdp"))
}
CHROMIUM: Final = BROWSERS["chromium"]
CHROMIUM_WITH_MDNS: Final = BROWSERS["chromium_with_mdns"]
CHROMIUM_WITH_VIDEO: Final = BROWSERS["chromium_with_video"]
FIREFOX: Final = BROWSERS["firefox"]
SAFARI: Final = BROWSERS["safari"]


def changed(sdp: str, *changes: tuple[str, str]) -> str:
    """The offer with each first text, which stands in it, replaced by the second, everywhere."""
    for old, new in changes:
        assert old in sdp, f"the offer has no {old!r}"
        sdp = sdp.replace(old, new)
    return sdp


def without(sdp: str, start: str) -> str:
    """The offer without the lines that start so."""
    left = "".join(line for line in sdp.splitlines(keepends=True) if not line.startswith(start))
    assert left != sdp, f"the offer has no line {start!r}"
    return left
