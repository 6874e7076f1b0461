"""What a session says unasked, joined: whose word reaches whom."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from pipeline.audio.formats import PCMU
from pipeline.backchannel import Backchannel, provider_data_of
from pipeline.events.event import ServerEvent
from pipeline.events.response import OutputAudioDelta, ResponseCreate
from pipeline.manners import Manners
from pipeline.observations import FillerPlayed, Observation
from pipeline.patience import FIRST_WAIT_S, Phrase
from pipeline.phrasebook import Phrasebook
from pipeline.reports import AudioMade
from pipeline.session import Output
from tests.fakes import FakeVoice
from tests.pipeline.feeding import MANUAL, feed, line, session, speech, voice
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Remote:
    """Manners of a session that a remote service holds; its config asks for everything."""

    def __init__(self, phrasebook: Phrasebook | None) -> None:
        everything = provider_data_of(Backchannel(enabled=True)) or {}
        config = msgspec.structs.replace(MANUAL, provider_data={**everything, "responsiveness": {"enabled": True}})
        self.session = session(config)
        self.performed: list[Output] = []
        self.observed: list[Observation] = []
        self.manners = Manners(
            self.session,
            None,
            phrasebook,
            perform=self.performed.extend,
            observe=self.observed.append,
            now=now_s,
            chance=lambda: 0.0,
        )

    def tell(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, ServerEvent):
                self.manners.see(output)
        self.manners.look()


async def spoken_book() -> Phrasebook:
    book = Phrasebook(("One moment.",))
    await book.speak(FakeVoice(), "anna")
    return book


async def test_without_a_cascade_the_phrasebook_is_all_there_is() -> None:
    remote = Remote(await spoken_book())
    async with asyncio.TaskGroup() as tasks:
        remote.manners.begin(tasks)
        remote.tell(remote.session.open())
        remote.manners.hear(speech(32))
        remote.tell(feed(remote.session, line(200), ResponseCreate()))
        await asyncio.sleep(FIRST_WAIT_S + 0.01)
        assert remote.observed == [FillerPlayed("One moment.")]
        sounds = [output.delta for output in remote.performed if isinstance(output, OutputAudioDelta)]
        assert b"".join(sounds) == (await spoken_book()).phrases(PCMU)[0].sound
        remote.manners.leave()
        remote.tell([])
        await asyncio.sleep(60)
        assert len(remote.observed) == 1


async def test_the_answers_own_sound_begins_a_new_wait() -> None:
    remote = Remote(None)
    async with asyncio.TaskGroup() as tasks:
        remote.manners.begin(tasks)
        remote.tell(remote.session.open())
        remote.tell(feed(remote.session, ResponseCreate()))
        remote.manners.hear(AudioMade("resp_1", voice(20), "Yes."))
        await asyncio.sleep(60)
        assert remote.observed == []


async def test_a_phrase_that_comes_too_late_to_be_heard_is_not_counted() -> None:
    remote = Remote(None)
    remote.manners._fill(Phrase("One moment.", voice(20)))
    assert (remote.performed, remote.observed) == ([], [])
