"""The three services behind one port, on real sockets: what they do by the subtitles, and what is booked."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from simulator.sound import Codec
from simulator.standins.serving import served
from simulator.standins.tone import hum
from simulator.standins.turn_services import ANSWER, FIRST_CLAUSE, FIRST_CLAUSE_TOKENS, Pace, TurnServices
from simulator.subtitles import subtitled
from simulator.turn_call import is_filler

pytestmark = pytest.mark.anyio

LIMIT_S = 20.0
QUICK = Pace(stt_s=0.001, first_token_s=0.001, first_byte_s=0.001, token_s=0.0, slow_share=0.0)
TEXTS = {5: "c0t5 are you open"}
FILLER = "One moment, please."
SAID = ANSWER.format(turn="c0t5")


@asynccontextmanager
async def services(pace: Pace = QUICK) -> AsyncGenerator[tuple[TurnServices, str, aiohttp.ClientSession], None]:
    made = TurnServices(pace, TEXTS, [FILLER], 1, asyncio.get_running_loop().time)
    async with asyncio.timeout(LIMIT_S), served(made) as place, aiohttp.ClientSession() as session:
        yield made, f"http://{place}", session


async def until(is_so: Callable[[], bool]) -> None:
    """Bounded by the timeout of `services`."""
    while not is_so():  # noqa: ASYNC110 - what is waited for is no event
        await asyncio.sleep(0.001)


def chat(words: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": words}]
    return {"model": "stand-in", "stream": True, "messages": messages}


async def test_every_token_of_an_answer_is_booked() -> None:
    async with services() as (made, url, session):
        async with session.post(f"{url}/v1/chat/completions", json=chat(TEXTS[5])) as response:
            told = await response.text()
        events = [json.loads(line[6:]) for line in told.split("\n\n") if line.startswith("data: {")]
        assert "".join(event["choices"][0]["delta"].get("content") or "" for event in events) == SAID
        (asked,) = made.ledger.asked
        assert (asked.text, asked.input_tokens, asked.output_tokens) == (TEXTS[5], 6, len(SAID.split()))
        assert (asked.is_done, asked.cut_s) == (True, None)
        async with session.get(f"{url}/ledger") as response:
            bill = await response.json()
        assert (bill["requests"], bill["output_tokens"]) == (1, len(SAID.split()))


async def test_of_a_stream_that_is_cut_what_was_made_until_then_is_booked() -> None:
    slow = Pace(stt_s=0.0, first_token_s=0.001, first_byte_s=0.0, token_s=0.02, slow_share=0.0)
    async with services(slow) as (made, url, session):
        async with session.post(f"{url}/v1/chat/completions", json=chat(TEXTS[5])) as response:
            await response.content.readuntil(b"Thank")
        (asked,) = made.ledger.asked
        await until(lambda: asked.cut_s is not None)
        assert 0 < asked.output_tokens < len(SAID.split())
        assert not asked.is_done


async def test_who_leaves_before_the_first_token_costs_none() -> None:
    slow = Pace(first_token_s=LIMIT_S, slow_share=0.0)
    async with services(slow) as (made, url, session):
        asking = asyncio.create_task(session.post(f"{url}/v1/chat/completions", json=chat(TEXTS[5])))
        await until(lambda: bool(made.ledger.asked))
        asking.cancel()
        (asked,) = made.ledger.asked
        await until(lambda: asked.cut_s is not None)
        assert (asked.output_tokens, asked.is_done) == (0, False)


async def test_the_transcriber_reads_the_subtitles_and_notes_the_end() -> None:
    sound = subtitled(Codec.PCMU.encode(hum(4, 8_000)), 5, [1_600, 3_200, 4_800, 6_400])
    query = "model=nova-3&encoding=mulaw&sample_rate=8000&interim_results=true"
    async with services() as (made, url, session):
        headers = {"authorization": "Token any"}
        async with session.ws_connect(f"{url}/v1/listen?{query}", headers=headers) as line:
            await line.send_bytes(sound)
            await line.send_json({"type": "Finalize"})
            texts: list[dict[str, Any]] = []
            while not texts or not texts[-1]["is_final"]:
                texts.append(await line.receive_json())
        heard = [text["channel"]["alternatives"][0]["transcript"] for text in texts]
        assert heard[-1] == TEXTS[5]
        assert all(TEXTS[5].startswith(text) for text in heard)
        assert [text for text, _ in made.ledger.ends["c0t5"]] == [TEXTS[5]]


@pytest.mark.parametrize(("text", "expected"), [(FILLER, True), (FIRST_CLAUSE, False)])
async def test_the_voice_hums_fillers_higher_than_answers(text: str, expected: bool) -> None:
    form = {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8_000}
    request = {
        "context_id": "c",
        "model_id": "sonic",
        "voice": {"mode": "id", "id": "v"},
        "transcript": text,
        "output_format": form,
    }
    async with services() as (_, url, session):
        headers = {"x-api-key": "any", "cartesia-version": "2026-01-01"}
        async with session.ws_connect(f"{url}/tts/websocket", headers=headers) as line:
            await line.send_json(request)
            chunk = await line.receive_json()
    assert is_filler(base64.b64decode(chunk["data"])) is expected


async def test_it_says_when_it_is_there_and_what_it_has_not() -> None:
    async with services() as (_, url, session):
        statuses = []
        for path in ("/readyz", "/v1/models", "/v1/embeddings"):
            async with session.get(url + path) as response:
                statuses.append(response.status)
    assert statuses == [200, 200, 404]


def test_the_first_clause_takes_so_many_tokens() -> None:
    assert Pace(token_s=0.02).first_clause_s == pytest.approx(0.02 * FIRST_CLAUSE_TOKENS)
