"""One connection, and how it is lost; why it could not be had is in `test_remote.py`."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.provider import ProviderError
from pipeline.upstream.connection import MOST_WAITING, Connection
from tests.pipeline.upstream.test_remote import Scripted
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, settle

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


async def test_a_remote_that_does_not_read_is_given_up() -> None:
    connection = Connection("far", Scripted(reads=False))
    running = asyncio.create_task(connection.run(lambda event: None))
    await settle()
    for _ in range(MOST_WAITING + 1):
        connection.send(b"{}")
    with pytest.raises(ProviderError, match="has not read"):
        await running
