"""Messages of callers: on the disk, one a line, for their owner alone."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from gateway.message_file import MessageFile

pytestmark = pytest.mark.anyio


async def test_messages_are_lines_in_the_order_they_were_kept(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    messages = MessageFile(path)
    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(messages.keep({"message": f"ring\nme {number} ü"}))
    kept = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [one["message"] for one in kept] == [f"ring\nme {number} ü" for number in range(20)]
    assert all(one["at"].endswith("Z") for one in kept)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_message_that_is_not_on_the_disk_is_no_kept_message(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        await MessageFile(tmp_path / "nowhere" / "messages.jsonl").keep({"message": "x"})


async def test_a_disk_that_takes_a_part_only_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda _handle, line: len(line) - 1)
    with pytest.raises(OSError, match="only a part"):
        await MessageFile(tmp_path / "messages.jsonl").keep({"message": "x"})
