from __future__ import annotations

import pytest

from gateway.redis.script import Command, Script, ScriptCall
from tests.redis_server import redis_server

pytestmark = pytest.mark.anyio


async def test_the_digest_is_the_one_redis_gives_it() -> None:
    script = Script("echo", "return ARGV[1] -- ä")
    async with redis_server() as server:
        assert await server.ask("SCRIPT", "LOAD", script.text) in (script.digest, script.digest.encode())


def test_a_call_is_sent_by_digest_or_in_full() -> None:
    script = Script("echo", "return 1")
    call = ScriptCall(script, ("k",), ("a", 2))
    assert call.words == ("EVALSHA", script.digest, 1, "k", "a", 2)
    assert call.words_in_full == ("EVAL", "return 1", 1, "k", "a", 2)
    assert Command("GET", ("k",)).words == ("GET", "k")
