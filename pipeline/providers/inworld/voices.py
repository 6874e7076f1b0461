"""Which voices an Inworld workspace has, asked once
(https://docs.inworld.ai/api-reference/voiceAPI/voiceservice/list-voices).

A client made for another service asks for one of that service's voices, and Inworld would refuse to speak at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import quote, urlsplit

from pipeline.events.refusal import BadEvent
from pipeline.json_text import parsed
from pipeline.providers.inworld.connection import authorization, http_address
from pipeline.providers.source import Source

log = logging.getLogger(__name__)

PATH: Final = "/voices/v1/voices"

LIMIT_S: Final = 1.0
"""The model thinks for about as long before there is something to say."""

AGAIN_S: Final = 60.0
"""After a failure, so that not every answer waits for a list that does not come."""

MOST_PAGES: Final = 20

LARGEST_PAGE_BYTES: Final = 4 * 1024 * 1024

DEEPEST: Final = 16


class KnownVoices:
    """See the module's docstring. Made in no loop, used from one."""

    def __init__(self, source: Source) -> None:
        self._label = source.label
        self._address = http_address(source)
        self._authorization = authorization(source)
        self._names: frozenset[str] | None = None
        self._not_before_s = 0.0
        self._asking = asyncio.Lock()

    async def has(self, voice: str) -> bool:
        """Whether the workspace has a voice with this id. If that cannot be found out in time: no."""
        async with self._asking:
            now_s = asyncio.get_running_loop().time()
            if self._names is None and now_s >= self._not_before_s:
                self._not_before_s = now_s + AGAIN_S
                self._names = await self._ask()
        return self._names is not None and voice in self._names

    async def _ask(self) -> frozenset[str] | None:
        try:
            async with asyncio.timeout(LIMIT_S):
                return await asyncio.to_thread(self._list)
        except (OSError, HTTPException, TimeoutError, BadEvent, ValueError) as error:
            log.warning("%s: no list of voices (%s)", self._label, type(error).__name__)
            return None

    def _list(self) -> frozenset[str]:
        """Blocking; a thread's work."""
        names: set[str] = set()
        page = ""
        for _ in range(MOST_PAGES):
            listed = self._get(f"?pageToken={quote(page)}" if page else "")
            voices = listed.get("voices")
            for voice in voices if isinstance(voices, list) else []:
                match voice:
                    case {"voiceId": str(name)}:
                        names.add(name)
            page = str(listed.get("nextPageToken") or "")
            if not page:
                break
        return frozenset(names)

    def _get(self, query: str) -> Mapping[str, Any]:
        """One page. Follows no redirect, so that the key goes to no one else."""
        parts = urlsplit(self._address)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=LIMIT_S)
        try:
            connection.request("GET", parts.path + PATH + query, headers={"Authorization": self._authorization})
            response = connection.getresponse()
            body = response.read(LARGEST_PAGE_BYTES)
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(f"HTTP {response.status}")
        listed = parsed(body, depth=DEEPEST)
        if not isinstance(listed, dict):
            raise ValueError("a list of voices that is not an object")
        return listed
