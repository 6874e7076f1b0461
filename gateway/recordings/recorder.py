"""What records the calls of a process: makes a recording for each stream, and sees to what is kept.

Off unless its operator says otherwise. Whether callers were told is the operator's business and not known here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from gateway.calls.journal import JournalEvent
from gateway.errors import SettingsError
from gateway.recordings.folder import Folder
from gateway.recordings.place import SCHEME, BucketError, Kept
from gateway.recordings.recording import Recording
from gateway.recordings.shelf import Shelf
from gateway.recordings.sidecar import Sidecar, State, is_call_sid
from gateway.recordings.upkeep import Upkeep
from gateway.recordings.writer import Writer
from pipeline.audio.formats import AudioFormat, Encoding

log = logging.getLogger(__name__)


class Recorder:
    """See the module's docstring."""

    def __init__(
        self,
        folder: Folder,
        bucket: Kept | None,
        *,
        records: bool,
        keep_days: int,
        as_pcm16: bool,
        count: Callable[[State], None],
        show_waiting: Callable[[int], None],
    ) -> None:
        """`count` is told what became of each part, and `show_waiting` the bytes to upload; both in threads."""
        self._folder = folder
        self._records = records
        self._as_pcm16 = as_pcm16
        self._count = count
        self._writer = Writer()
        self._upkeep = Upkeep(folder, bucket, keep_days, show_waiting)
        self.shelf = Shelf(folder, bucket)

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None, None]:
        """Recordings can be made while inside. Raises `SettingsError` if the folder cannot be used."""
        try:
            await asyncio.to_thread(self._folder.prepare)
        except OSError as error:
            raise SettingsError([f"SWITCHBOARD_RECORDINGS or SWITCHBOARD_RECORDINGS_SPOOL: {error}"]) from error
        self._writer.start()
        self._upkeep.start()
        try:
            yield
        finally:
            if not await asyncio.to_thread(self._writer.stop):
                log.error("recordings were not all written; what is missing is lost")
            if not await asyncio.to_thread(self._upkeep.stop):
                log.warning("recordings were not all uploaded; they are at the next start")

    @contextmanager
    def recorded(
        self,
        call_sid: str,
        generation: int,
        stream_sid: str,
        line: AudioFormat,
        call_age_s: float,
        now: Callable[[], float],
        note: Callable[[JournalEvent], None] = lambda _event: None,
    ) -> Iterator[Recording | None]:
        """One stream's recording, closed at the end; None where calls are not recorded.

        `call_age_s` is how long the call has gone on; `now` the clock of the reader and the phone, and no other:
        what they tell is compared with it. `note` is told, on the event loop, which part it is once that is on
        the disk: `recording.started`, without a time.
        """
        if not self._records or not is_call_sid(call_sid):
            yield None
            return
        sidecar = Sidecar(
            call_sid=call_sid,
            part=generation,
            generation=generation,
            stream_sid=stream_sid,
            state=State.RECORDING,
            encoding=(Encoding.PCM16 if self._as_pcm16 else line.encoding).value,
            rate_hz=line.rate_hz,
            began_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            offset_ms=max(0, round(call_age_s * 1000)),
        )
        told = partial(_tell, asyncio.get_running_loop(), note)
        recording = Recording(self._folder.path, sidecar, line, self._writer, self._counted, now, told)
        try:
            yield recording
        finally:
            recording.close()

    def _counted(self, state: State) -> None:
        self._count(state)
        self._upkeep.look()


def _tell(loop: asyncio.AbstractEventLoop, note: Callable[[JournalEvent], None], part: Sidecar) -> None:
    """From the writer's thread to whoever keeps the call's journal."""
    event = {"event": "recording.started", "part": part.part, "name": part.name}
    with suppress(RuntimeError):  # the process leaves, and its loop is closed
        loop.call_soon_threadsafe(note, event)


def make_recorder(
    *,
    record: str,
    place: str,
    spool: str,
    keep_days: int,
    format: str,
    count: Callable[[State], None],
    show_waiting: Callable[[int], None],
) -> Recorder | None:
    """As the settings have it; None if nothing is recorded and nothing was. Raises `SettingsError`."""
    if not place:
        return None
    bucket: Kept | None = None
    if place.startswith(SCHEME):
        if find_spec("obstore") is None:
            raise SettingsError([f"SWITCHBOARD_RECORDINGS: {place} needs pip install 'switchboard-voice[s3]'"])
        from gateway.recordings.bucket import open_bucket

        try:
            bucket = open_bucket(place)
        except BucketError as error:
            raise SettingsError([f"SWITCHBOARD_RECORDINGS: {error}"]) from error
    return Recorder(
        Folder(Path(spool if bucket else place)),
        bucket,
        records=record != "off",
        keep_days=keep_days,
        as_pcm16=format == "pcm16",
        count=count,
        show_waiting=show_waiting,
    )
