"""An utterance that is heard once and, if need be, again."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.audio.formats import PCM_8K, PCMU, AudioFormat
from pipeline.audio.transcode import Transcoder
from pipeline.legs.utterance import KEPT_S, PIECE_MS, UTTERANCE_BACKLOG, VOICED_DBFS, Utterance, level_dbfs
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, settle

pytestmark = pytest.mark.anyio

PIECE = b"\x10" * PCMU.bytes_in(PIECE_MS)


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


async def read(utterance: Utterance, into: bytearray | None = None, target: AudioFormat = PCMU) -> bytes:
    heard = bytearray() if into is None else into
    async for sound in utterance.sound(Transcoder(utterance.format, target)):
        heard += sound
    return bytes(heard)


@pytest.mark.parametrize("keeps", [True, False])
async def test_all_is_heard_by_whoever_was_there_from_the_beginning(keeps: bool) -> None:
    utterance, heard = Utterance(b"12", PCMU, keeps=keeps), bytearray()
    task = asyncio.create_task(read(utterance, heard))
    await settle()
    assert heard == b"12"
    for _ in range(3):
        utterance.hear(PIECE)
    utterance.hear(b"34")
    utterance.end()
    utterance.hear(b"56")
    assert await task == b"12" + 3 * PIECE + b"34"


async def test_a_second_one_hears_it_from_the_beginning_if_it_is_kept() -> None:
    utterance = Utterance(b"12", PCMU, keeps=True)
    first = asyncio.create_task(read(utterance))
    utterance.hear(PIECE)
    await settle()
    second = asyncio.create_task(read(utterance))
    await settle()
    utterance.hear(PIECE)
    utterance.end()
    assert await first == await second == b"12" + 2 * PIECE
    assert await read(utterance) == b"12" + 2 * PIECE


async def test_of_a_long_one_the_latest_is_kept() -> None:
    utterance = Utterance(b"", PCMU, keeps=True)
    task = asyncio.create_task(read(utterance))
    for _ in range(2 * KEPT_S):
        for _ in range(1_000 // PIECE_MS):
            utterance.hear(PIECE)
        await settle()
    utterance.end()
    assert len(await task) == 2 * KEPT_S * PCMU.bytes_per_second
    assert len(await read(utterance)) == KEPT_S * PCMU.bytes_per_second
    assert utterance.length_s == pytest.approx(2 * KEPT_S)


async def test_one_that_nobody_keeps_up_with_is_cut_short() -> None:
    utterance, ended = Utterance(b"", PCMU), 0

    def end() -> None:
        nonlocal ended
        ended += 1

    utterance.ended = end
    for _ in range(UTTERANCE_BACKLOG + 50):
        utterance.hear(PIECE)
    assert (utterance.is_open, utterance.has_ended, ended) == (False, False, 0)
    assert await read(utterance) == UTTERANCE_BACKLOG * PIECE
    utterance.end()
    utterance.end()
    assert (utterance.has_ended, ended) == (True, 1)


async def test_only_what_is_loud_counts_as_voice() -> None:
    utterance, grown = Utterance(PIECE, PCMU, keeps=True), 0

    def grow() -> None:
        nonlocal grown
        grown += 1

    utterance.grew = grow
    for piece in (PIECE, b"\xff" * len(PIECE), PIECE):
        utterance.hear(piece)
    assert (utterance.voiced_ms, grown) == (2 * PIECE_MS, 3)


def test_the_level_is_that_of_whole_samples() -> None:
    assert level_dbfs(b"\x00\x40" * 80 + b"\x00", PCM_8K) == pytest.approx(-6.02, abs=0.01)
    assert level_dbfs(b"", PCM_8K) < VOICED_DBFS


async def test_the_filters_last_sound_is_not_lost() -> None:
    utterance = Utterance(PIECE, PCMU)
    utterance.end()
    target = AudioFormat(PCM_8K.encoding, 16_000)
    assert len(await read(utterance, target=target)) == target.bytes_in(PIECE_MS)
