"""A real browser for tests: Debian's Chromium, headless, driven by Playwright, with a recording for a microphone.

One browser per test, because the recording is given to it when it starts and begins to play when a page opens the
microphone. Nothing is downloaded: Playwright's own browsers are not used. What the page did that it should not
have done (errors on its console, violations of its content policy, requests to other hosts) is kept in `Tab`.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright

from tests.browser.recordings import write_speech

CHROMIUM: Final = Path("/usr/bin/chromium")

LIMIT_MS: Final = 30_000.0
"""No wait for the browser lasts longer, however noisy the machine."""

FLAGS: Final = (
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    # On a machine without a network, loopback is all there is.
    "--allow-loopback-in-peer-connection",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

WATCH_POLICY: Final = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`content policy: ${event.effectiveDirective} ${event.blockedURI}`));
"""


@dataclass
class Tab:
    """A page, and what it did that it should not have."""

    page: Page
    host: str
    errors: list[str] = field(default_factory=list)
    """Exceptions that escaped, errors on the console, violations of the content policy."""
    strangers: list[str] = field(default_factory=list)
    """Addresses of other hosts that it asked."""

    def note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def look_at(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != self.host:
            self.strangers.append(request.url)

    async def until(self, expression: str) -> Any:
        """Waits until a JavaScript expression is true in the page, and gives its value."""
        try:
            value = await self.page.wait_for_function(expression, timeout=LIMIT_MS, polling=50)
        except Exception as error:
            seen = await self.page.evaluate("document.body.innerText")
            raise AssertionError(
                f"never so: {expression}\nerrors: {self.errors}\nthe page shows:\n{seen}"
            ) from error
        return await value.json_value()


@asynccontextmanager
async def opened(
    url: str,
    *,
    microphone: Path | None = None,
    allows_microphone: bool = True,
) -> AsyncGenerator[Tab, None]:
    """A page in a browser of its own.

    `microphone`: a WAV file that its microphone hears once, from when the page opens it; None: silence. Without
    `allows_microphone` the visitor says no.
    """
    if not CHROMIUM.exists():
        raise AssertionError(f"{CHROMIUM} is not there: run `make chromium`, or `make test`, which does")
    flags = [flag for flag in FLAGS if allows_microphone or flag != "--use-fake-ui-for-media-stream"]
    with tempfile.TemporaryDirectory() as directory:
        # Without a file Chromium makes beeps, which are speech to whoever listens by loudness.
        microphone = microphone or write_speech(Path(directory) / "silence.wav", ())
        flags.append(f"--use-file-for-fake-audio-capture={microphone.resolve()}%noloop")
        async with _browser(flags) as browser:
            context = await browser.new_context(permissions=["microphone"] if allows_microphone else [])
            context.set_default_timeout(LIMIT_MS)
            yield await _tab(context, url)


@asynccontextmanager
async def _browser(flags: list[str]) -> AsyncGenerator[Browser, None]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, chromium_sandbox=False, args=flags, timeout=LIMIT_MS
        )
        try:
            yield browser
        finally:
            await browser.close()


async def _tab(context: BrowserContext, url: str) -> Tab:
    page = await context.new_page()
    tab = Tab(page, urlsplit(url).netloc)
    page.on("console", tab.note)
    page.on("pageerror", lambda error: tab.errors.append(str(error)))
    page.on("request", tab.look_at)
    await page.add_init_script(WATCH_POLICY)
    await page.goto(url)
    return tab
