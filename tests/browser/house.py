"""The gateway that the pages of these tests talk to: the real one on loopback, its providers answering by rules.

It is on the test's own event loop. What a visitor says or writes decides the answer (`ByRules`), whatever is said
is taken for the words of one clip (`OneSentence`), and the voice hums, so that its sound is known by its pitch.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from starlette.routing import BaseRoute

from gateway.credentials.credential import Scope
from gateway.credentials.keyring import base64_of, entry
from gateway.demo_page import page
from gateway.realtime.session_end import SessionEnd
from pipeline.provider import LanguageModel, Transcriber, Voice
from pipeline.providers.stub import StubVoice
from pipeline.responder import Cascade
from tests.calls.support import AGENT, LIMIT_S, RunningGateway, running_gateway
from tests.clients.answering import ByRules, OneSentence

HUMS_HZ: Final = 400
"""The pitch of `StubVoice`."""

_SECRET: Final = "key-for-browsers-" + "k" * 24


@dataclass(frozen=True)
class House:
    """An open gateway."""

    running: RunningGateway
    key: str
    """An API key that opens it; empty when none is asked for."""

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def sessions(self) -> list[str]:
        """The ids of those that run."""
        return self.running.gateway.directory.ids()

    async def empty(self) -> None:
        """Back when no session runs; `TimeoutError` if one stays."""
        async with asyncio.timeout(LIMIT_S):
            while self.running.gateway.directory.seated:  # noqa: ASYNC110 - the directory tells nobody
                await asyncio.sleep(0.01)

    def cut_off(self) -> None:
        """Every session ends as when the gateway stops, and nobody hung up."""
        self.running.gateway.directory.finish_all(SessionEnd.STOPPING)


@asynccontextmanager
async def open_house(
    *,
    needs_key: bool = False,
    serves_webrtc: bool = True,
    transcriber: Transcriber | None = None,
    model: LanguageModel | None = None,
    voice: Voice | None = None,
    is_built_in: bool = False,
    routes: Sequence[BaseRoute] = (),
) -> AsyncGenerator[House, None]:
    """The gateway on a free port. `is_built_in`: the reception as it is shipped, with built-in providers, which
    greets. `routes`: pages of the test's own, on the same origin."""
    agent = AGENT if is_built_in else replace(AGENT, fillers=(), greeting="", welcome_back="")
    cascade = (
        None if is_built_in else Cascade(transcriber or OneSentence(), model or ByRules(), voice or StubVoice())
    )
    # A gateway does not serve the page where it could not talk; it then comes from elsewhere, as one kept open.
    pages = [] if serves_webrtc else page.routes()
    settings: dict[str, Any] = {"SWITCHBOARD_DEMO_PAGE": "1"} if serves_webrtc else {"SWITCHBOARD_WEBRTC": "0"}
    with tempfile.TemporaryDirectory() as directory:
        keys = Path(directory) / "keys.toml"
        keys.write_text(entry("browsers", _SECRET, [Scope.REALTIME]))
        if needs_key:
            settings["SWITCHBOARD_API_KEYS"] = str(keys)
        else:
            settings |= {"SWITCHBOARD_INSECURE_DEV": "1", "TWILIO_AUTH_TOKEN": "", "TWILIO_ACCOUNT_SID": ""}
        async with running_gateway(providers=cascade, agent=agent, **settings) as running:
            running.gateway.app.router.routes.extend([*pages, *routes])
            yield House(running, base64_of(f"browsers:{_SECRET}") if needs_key else "")
