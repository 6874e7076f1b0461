"""What the Python clients' programs share: bounded waits, a microphone, and the line of JSON in which they report.

It runs in the interpreter of each client, so it knows the standard library alone, nothing of Switchboard and
nothing of any client. A program is run as

    python -m tests.clients.NAME.program URL KEY CLIP SCENARIO...

URL is `http://HOST:PORT`; CLIP is a file of speech, PCM16 at 24 kHz, mono. Each scenario ends with one line of
JSON on standard output: its facts, and the faults that were seen on the way.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

LIMIT_S: Final = 20.0
"""No single wait lasts longer."""
SCENARIO_LIMIT_S: Final = 45.0
"""Nor a scenario as a whole, whatever a client waits for inside itself."""

RATE_HZ: Final = 24_000
PIECE_MS: Final = 40
PIECE_BYTES: Final = RATE_HZ * PIECE_MS // 1000 * 2

HELLO: Final = "hello"
STORY: Final = "tell me a long story"
WEATHER: Final = "what is the weather in Paris"
SUNNY: Final = "It is sunny and warm"
"""What the tool says; the answer must hold it."""


class Fault(Exception):
    """The scenario cannot go on."""


class Run:
    """One scenario being played: what was seen so far."""

    def __init__(self, url: str, key: str, clip: bytes) -> None:
        self.http_url = url
        self.ws_url = url.replace("http", "ws", 1)
        self.key = key
        self.clip = clip
        self.expects_refusal = False
        self.facts: dict[str, Any] = {"said": "", "heard": "", "audio_bytes": 0, "is_audible": False}
        self.errors: list[str] = []
        self.shown: list[str] = []
        """What the client showed its user of the refusal that was expected."""
        self._changed = asyncio.Event()

    def note(self, **facts: Any) -> None:
        """Facts, and whoever waits looks again."""
        self.facts.update(facts)
        self._changed.set()
        self._changed = asyncio.Event()

    def hear_audio(self, sound: bytes) -> None:
        """Sound the assistant sent."""
        self.note(
            audio_bytes=self.facts["audio_bytes"] + len(sound),
            is_audible=self.facts["is_audible"] or any(sound),
        )

    def fault(self, text: str) -> None:
        """The client told its user of an error: a failure, unless the scenario is about that."""
        (self.shown if self.expects_refusal else self.errors).append(text)
        self.note()

    def uncaught(self, text: str) -> None:
        """Something escaped the client: always a failure."""
        self.errors.append(text)
        self.note()

    async def until(self, what: str, is_so: Callable[[], object]) -> None:
        """Waits for something to be so. Raises `Fault` when it takes too long, or an error came first."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while not is_so():
                    if self.errors:
                        raise Fault(f"while waiting for {what}")
                    await self._changed.wait()
        except TimeoutError:
            raise Fault(f"waited {LIMIT_S:.0f} s for {what}") from None


Scenario: TypeAlias = Callable[[Run], Awaitable[None]]


class Microphone:
    """Sound at the pace of speech for as long as it is on: silence, or what is to be said."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._send = send
        self._to_say = b""

    def say(self, clip: bytes) -> None:
        self._to_say += clip

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            piece, self._to_say = self._to_say[:PIECE_BYTES], self._to_say[PIECE_BYTES:]
            await self._send(piece.ljust(PIECE_BYTES, b"\0"))
            due += PIECE_MS / 1000
            await asyncio.sleep(max(0.0, due - clock()))


@asynccontextmanager
async def beside(run: Run, work: Awaitable[None]) -> AsyncGenerator[None, None]:
    """Something that goes on while the scenario does, and ends with it; if it fails, so does the scenario."""

    async def watched() -> None:
        try:
            await work
        except Exception as error:
            run.fault(describe(error))

    task = asyncio.create_task(watched())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def microphone(run: Run, send: Callable[[bytes], Awaitable[None]]) -> AsyncGenerator[Microphone, None]:
    one = Microphone(send)
    async with beside(run, one.run()):
        yield one


def describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def whole(sentence: str) -> bool:
    """Whether an answer of the test's model is at its end: all of them end so, and hold it nowhere else."""
    return sentence.rstrip().endswith(".")


class _ErrorLog(logging.Handler):
    """What clients log as errors, told to the run of the moment. Their warnings are their own affair."""

    def __init__(self, run: Run) -> None:
        super().__init__(logging.ERROR)
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.name}: {record.getMessage()}"
        if record.exc_info and record.exc_info[1]:
            text += f": {describe(record.exc_info[1])}"
        # A client may log what it also raises, in a thread of its own; either way it was shown.
        self._run.fault(text)


async def _play(run: Run, scenario: Scenario) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: run.uncaught(f"uncaught: {_told(context)}"))
    errors = _ErrorLog(run)
    logging.getLogger().addHandler(errors)
    sys.unraisablehook = lambda one: run.uncaught(f"unraisable: {one.exc_value!r}")
    try:
        async with asyncio.timeout(SCENARIO_LIMIT_S):
            await scenario(run)
    except TimeoutError:
        run.uncaught(f"the scenario did not end within {SCENARIO_LIMIT_S:.0f} s")
    except Exception as error:
        run.uncaught(describe(error))
    finally:
        # A task's failure that nobody asked for is told when the task is collected.
        gc.collect()
        logging.getLogger().removeHandler(errors)


def _told(context: Mapping[str, Any]) -> str:
    error = context.get("exception")
    return f"{context.get('message')} {describe(error) if error else ''}"


def play(client: str, scenarios: Mapping[str, Scenario]) -> None:
    """The whole of a program: plays what the command line names, in order, and reports each."""
    url, key, clip, *names = sys.argv[1:]
    sound = Path(clip).read_bytes()

    async def one_after_another() -> None:
        for name in names:
            run = Run(url, key, sound)
            await _play(run, scenarios[name])
            report = {
                "client": client,
                "scenario": name,
                "ok": not run.errors,
                "errors": run.errors,
                "shown": run.shown,
                **run.facts,
            }
            print(json.dumps(report, default=str), flush=True)

    asyncio.run(one_after_another())
