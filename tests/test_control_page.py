"""docs/control.md does what it says: each of its commands is run against a call that goes on."""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.agent_tools import BuiltInTool
from tests.calls.fleet import running_fleet
from tests.calls.steered import TOKEN, live_call, url_of
from tests.calls.support import AGENT, LIMIT_S, cascade

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parent.parent / "docs" / "control.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
COMMANDS = [command for block in BLOCKS for command in re.split(r"(?<!\\)\n(?=curl)", block)]
AGENT_OF_THE_PAGE = replace(AGENT, tools=(BuiltInTool("transfer", to={"sales": "+493012345"}),))


async def run(command: str, url: str, call_sid: str) -> dict[str, object]:
    """What a command of the page answers."""
    shell = await asyncio.create_subprocess_shell(
        command,
        env={**os.environ, "SWITCHBOARD": url, "SWITCHBOARD_TOKEN": TOKEN, "CALL": call_sid},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LIMIT_S):
        told, _ = await shell.communicate()
    answer: dict[str, object] = json.loads(told)
    return answer


@pytest.mark.parametrize("ending", ["transfer", "hangup"])
async def test_the_commands_of_the_page_steer_a_call(ending: str, tmp_path: Path) -> None:
    settings = {
        "SWITCHBOARD_TOKEN": TOKEN,
        "SWITCHBOARD_RECORD": "all",
        "SWITCHBOARD_RECORDINGS": str(tmp_path),
    }
    async with running_fleet(2, providers=cascade(), agent=AGENT_OF_THE_PAGE, **settings) as fleet:
        async with live_call(fleet) as call:
            told = {}
            for command in COMMANDS:
                (path,) = re.findall(r"\$SWITCHBOARD/v1/(?:calls/\$CALL/)?([\w/]+)", command)
                if path not in ("transfer", "hangup"):
                    told[path] = await run(command, url_of(call.other), call.sid)
            (last,) = [command for command in COMMANDS if f"$CALL/{ending}" in command]
            told[ending] = await run(last, url_of(call.other), call.sid)
            await call.result()
    assert told["say"] == {"status": "speaking"}
    assert told["whisper"]["status"] in ("answering", "waiting")
    assert told[ending] == {"status": "transferring" if ending == "transfer" else "hanging_up"}
    assert isinstance(calls := told["calls"]["calls"], list) and len(calls) == 1
    assert (told["recording/pause"]["status"], told["recording/resume"]["status"]) == ("paused", "recording")
    assert told["workers"]["are_all"] is True
    assert len(COMMANDS) == 8


def test_the_page_names_every_word_an_order_may_be_answered_with() -> None:
    from gateway.calls import orders, relay
    from gateway.media_stream import steering

    constants = {**vars(orders), **vars(relay), **vars(steering)}.values()
    codes = {one.code for one in constants if isinstance(one, orders.Refused)}
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()
