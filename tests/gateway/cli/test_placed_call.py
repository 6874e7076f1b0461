from __future__ import annotations

import asyncio
import json
import wave
from pathlib import Path

import pytest
from aiohttp import web

from gateway.cli.call_events import Entry
from gateway.cli.call_review import Answer, Interruption, review
from gateway.cli.call_view import CallView
from gateway.cli.page import Page
from gateway.cli.placed_call import JsonLines, PlacedCall, interruption_line, place_call, save, tell_end
from gateway.cli.verdict import Check
from simulator.call_setup import CallSetup
from simulator.caller import HangUp, Listen, Say
from simulator.voices import Voices
from tests.gateway.cli.recorded import journal_of, recorded_call, result_of
from tests.simulator.throwaway_gateway import JumpingClock, Line, ThrowawayGateway, running, tone

pytestmark = pytest.mark.anyio

CONNECT = '<Connect><Stream url="/media/t0"></Stream></Connect>'


def setup_for(gateway: ThrowawayGateway) -> CallSetup:
    return CallSetup(
        voice_url=f"{gateway.url}/voice",
        to_number="+15550100001",
        from_number="+15550100002",
        account_sid="AC" + "1" * 32,
        auth_token="secret",
        steps=(Listen(), Say(Voices().clip("hello")), Listen(), HangUp()),
        max_call_s=60,
    )


async def polite(line: Line) -> None:
    """Greets, and answers when the caller has said something."""
    await line.play(tone(500))
    await line.until("media", 130)
    await line.play(tone(500))
    await line.until_closed()


async def placed_with(
    gateway: ThrowawayGateway, token: str, watcher: JsonLines | CallView
) -> tuple[PlacedCall, ThrowawayGateway]:
    async with running(gateway), asyncio.timeout(30):
        call = place_call(setup_for(gateway), watcher, base_url=gateway.url, token=token, clock=JumpingClock())
        return await call, gateway


async def test_a_bot_without_a_journal_is_called_all_the_same_and_it_is_said_why_words_are_missing() -> None:
    lines: list[str] = []
    gateway = ThrowawayGateway(pages={"/voice": CONNECT}, agent=polite)
    placed, _ = await placed_with(gateway, "sesame", JsonLines(lines.append))
    assert placed.journal == ()
    assert placed.no_journal is not None and "HTTP 404" in placed.no_journal
    told = [json.loads(line)["event"] for line in lines]
    assert told[0] == "webhook" and told[-1] == "call.ended"
    assert "caller.speaks" in told and "agent.heard" in told
    assert placed.result.turns[0].agent_heard_ms is not None


async def test_without_a_token_no_journal_is_asked_for() -> None:
    out: list[str] = []
    gateway = ThrowawayGateway(pages={"/voice": "<Hangup/>"})
    placed, gateway = await placed_with(gateway, "", CallView(Page(out.append), has_journal=False))
    assert placed.no_journal is not None and "--token" in placed.no_journal
    assert [path for path, _ in gateway.asked] == ["/voice"]
    assert "the gateway hung up" in "".join(out)


async def test_the_journal_is_told_live_beside_the_call() -> None:
    def journal(_fields: dict[str, str]) -> web.Response:
        return web.Response(text='{"event":"call.started","at_s":1}\n{"event":"odd","at_s":2}\n')

    class Everywhere(dict[str, object]):
        """The call's id is not known before."""

        def get(self, key: str, default: object = None) -> object:
            return super().get(key) or (journal if key.startswith("/v1/calls/CA") else default)

    lines: list[str] = []
    gateway = ThrowawayGateway(pages=Everywhere({"/voice": CONNECT}), agent=polite)  # type: ignore[arg-type]
    placed, _ = await placed_with(gateway, "sesame", JsonLines(lines.append))
    assert [entry.name for entry in placed.journal] == ["call.started", "odd"]
    told = [line for line in map(json.loads, lines) if line["source"] == "gateway"]
    assert [(line["event"], line["gateway_s"]) for line in told] == [("call.started", 1), ("odd", 2)]
    assert placed.no_journal is None


def recorded() -> PlacedCall:
    events = recorded_call()
    return PlacedCall(result_of(events), journal_of(events), None)


async def test_what_is_saved_is_the_sound_and_both_records_by_time(tmp_path: Path) -> None:
    sound_path, events_path = save(recorded(), tmp_path / "new")
    with wave.open(str(sound_path)) as sound:
        assert sound.getnchannels() == 2
    lines = [json.loads(line) for line in events_path.read_text("utf-8").splitlines()]
    assert {line["source"] for line in lines} == {"simulator", "gateway"}
    times = [line["at_s"] for line in lines]
    assert times == sorted(times)


def ending(placed: PlacedCall, saved: tuple[Path, Path] | None = None) -> str:
    out: list[str] = []
    reviewed = review(placed.result, placed.journal)
    tell_end(Page(out.append, 120), placed, reviewed, [Check(False, "it was bad")], saved)
    return "".join(out)


async def test_the_end_has_table_summary_interruption_verdict_and_files() -> None:
    text = ending(recorded(), (Path("out/call.wav"), Path("out/call.jsonl")))
    assert text.index("Turn latency") < text.index("median 555 ms") < text.index("interruption 143 ms to clear")
    assert "the gateway believes 2,648 ms (+2 ms)" in text
    assert "✗ it was bad" in text
    assert text.endswith("saved out/call.wav (stereo: caller | agent)  out/call.jsonl\n")


async def test_where_there_is_no_journal_a_line_says_why() -> None:
    placed = recorded()
    text = ending(PlacedCall(placed.result, (), "the gateway is shy"))
    assert "Words and stages are not known: the gateway is shy." in text
    assert "saved" not in text


async def test_a_call_in_which_nobody_spoke_has_no_table() -> None:
    assert "Turn latency" not in ending(PlacedCall(result_of([]), (), None))


def words_of(one: Interruption) -> str:
    return "".join(text for text, _ in interruption_line(one))


async def test_an_interruption_tells_what_both_sides_know() -> None:
    answer = Answer("a1", "We are open.", "We are", 2_000)
    assert words_of(Interruption(0, None, 0, 2_100, None, None)) == "interruption no clear came  ·  heard 2,100 ms"
    assert words_of(Interruption(0, 99, 0, 2_100, answer, -100)) == (
        "interruption 99 ms to clear  ·  heard 2,100 ms, the gateway believes 2,000 ms (-100 ms)"
        '  ·  2 words: "We are"'
    )
    assert "(" not in words_of(Interruption(0, 99, 0, 2_100, answer, None))


async def test_an_event_before_anything_happened_is_at_zero() -> None:
    lines: list[str] = []
    JsonLines(lines.append).tell(Entry(5.0, "early", {}), 0.0)
    assert json.loads(lines[0])["at_ms"] == 0.0
