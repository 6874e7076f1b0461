"""What clients send: oddly framed, oddly cut, malformed, large; and in which order it is heard."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.audio.formats import PCM_24K
from tests.calls.support import LIMIT_S, cascade
from tests.fakes import FakeTranscriber
from tests.realtime.support import GAP, KEY, Client, keys_file, service, speech

pytestmark = pytest.mark.anyio

MANUAL: dict[str, Any] = {"audio": {"input": {"turn_detection": None}}}
MIB = 1024 * 1024


async def asked(client: Client, mark: str) -> None:
    """Wait until all that was sent before is heard: what we ask for now is answered after it."""
    await client.say("conversation.item.retrieve", item_id="nobody", event_id=mark)
    await client.hear_where(lambda frame: frame["type"] == "error" and frame["error"]["event_id"] == mark)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("[]", "invalid_event"),
        ('"text"', "invalid_event"),
        ("{}", "invalid_event"),
        ('{"type":"nonsense"}', "invalid_value"),
        ('{"type":"input_audio_buffer.append","audio":"not base64!"}', "invalid_value"),
        (b"\xff\xfe", "invalid_json"),
    ],
)
async def test_what_is_no_event_is_an_error_and_the_session_goes_on(text: str | bytes, code: str) -> None:
    async with service() as gateway, gateway.session() as client:
        await client.socket.send(text)
        error = (await client.hear("error"))["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", code)
        await asked(client, "after")


async def test_binary_frames_with_json_are_heard_in_their_place_among_the_others() -> None:
    async with service() as gateway, gateway.session() as client:
        for number in range(20):
            event = json.dumps({"type": "response.cancel", "event_id": str(number)})
            await client.socket.send(event.encode() if number % 3 else event)
        errors = [(await client.hear("error"))["error"]["event_id"] for _ in range(20)]
        assert errors == [str(number) for number in range(20)]


async def test_sound_may_be_cut_within_a_sample() -> None:
    transcriber = FakeTranscriber("hello", formats=(PCM_24K,))
    sound = speech()
    async with service(cascade(transcriber=transcriber)) as gateway, gateway.session(**MANUAL) as client:
        await client.speak(sound, chunk_bytes=777)
        await client.say("input_audio_buffer.commit")
        await client.say("response.create")
        await client.hear("response.done")
    assert transcriber.heard[0] == sound


async def test_a_cleared_buffer_begins_with_a_whole_sample() -> None:
    transcriber = FakeTranscriber("hello", formats=(PCM_24K,))
    sound = speech()
    async with service(cascade(transcriber=transcriber)) as gateway, gateway.session(**MANUAL) as client:
        await client.append(sound[:777])
        await client.say("input_audio_buffer.clear")
        await client.append(sound)
        await client.say("input_audio_buffer.commit")
        await client.say("response.create")
        await client.hear("response.done")
    assert transcriber.heard[0] == sound


async def test_a_large_append_is_heard_before_what_follows_it_and_whole() -> None:
    transcriber = FakeTranscriber("hello", formats=(PCM_24K,))
    sound = os.urandom(2 * MIB)
    async with service(cascade(transcriber=transcriber)) as gateway, gateway.session(**MANUAL) as client:
        await client.append(sound)
        await client.append(b"\x01\x02")
        await client.say("input_audio_buffer.commit")
        await client.say("response.create")
        await client.hear("response.done")
    assert transcriber.heard[0] == sound + b"\x01\x02"


async def test_turns_are_found_in_a_recording_that_is_pushed_all_at_once() -> None:
    async with service() as gateway, gateway.session() as client:
        await client.append((speech() + GAP + GAP) * 2)
        for _ in range(2):
            await client.hear("input_audio_buffer.committed")
        stopped = [frame["audio_end_ms"] for frame in client.of("input_audio_buffer.speech_stopped")]
        assert stopped[1] - stopped[0] == pytest.approx(len(speech() + GAP + GAP) / 48, abs=200)


@pytest.mark.parametrize("size", [15 * MIB, 15 * MIB + 1])
async def test_an_append_of_fifteen_mib_is_heard_and_a_larger_one_refused(size: int) -> None:
    async with service() as gateway, gateway.session(**MANUAL) as client:
        await client.append(bytes(size))
        await asked(client, "after")
        errors = [frame["error"] for frame in client.of("error")]
        assert [error["param"] for error in errors[:-1]] == ([] if size == 15 * MIB else ["audio"])


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_a_frame_past_the_limit_ends_the_connection_with_1009(over: int) -> None:
    async with service(realtime_max_event_mib="1") as gateway, gateway.session() as client:
        event = json.dumps({"type": "response.cancel", "event_id": "mine", "pad": ""})
        text = event.replace('""', f'"{"x" * (MIB + over - len(event))}"')
        assert len(text) == MIB + over
        await client.socket.send(text)
        if over > 0:
            assert (await client.closed())[0] == 1009
        else:
            assert (await client.hear("error"))["error"]["code"] == "response_cancel_not_active"


async def test_more_events_than_a_second_allows_are_heard_later_and_none_is_lost() -> None:
    async with service(realtime_events_per_s="100") as gateway, gateway.session() as client:
        began_s = asyncio.get_running_loop().time()
        for number in range(300):
            await client.say("response.cancel", event_id=str(number))
        heard = [(await client.hear("error"))["error"]["event_id"] for _ in range(300)]
        assert heard == [str(number) for number in range(300)]
        # 200 in the burst, less what opening took; the rest at 100 a second.
        assert asyncio.get_running_loop().time() - began_s > 0.9


@pytest.mark.parametrize("asked_for", [1, 2, 3])
async def test_responses_of_a_key_are_counted_over_its_sessions(asked_for: int, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"api_keys": keys_file(tmp_path), "realtime_responses_per_min": "2"}
    text: dict[str, Any] = {"output_modalities": ["text"]}
    async with service(**settings) as gateway:
        for number in range(1, asked_for + 1):
            async with gateway.session(key=KEY, **text) as client:
                await client.say_text("hi")
                await client.say("response.create", event_id="mine")
                if number <= 2:
                    await client.hear("response.done")
                    (limit,) = client.of("rate_limits.updated")[0]["rate_limits"]
                    assert (limit["name"], limit["limit"], limit["remaining"]) == ("requests", 2, 2 - number)
                    assert 29 * number < limit["reset_seconds"] <= 30 * number
                else:
                    error = (await client.hear("error"))["error"]
                    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
                    assert error["event_id"] == "mine"
                    assert "response.created" not in client.types


async def test_a_spoken_turn_is_answered_though_its_key_has_no_responses_left() -> None:
    async with service(realtime_responses_per_min="1") as gateway, gateway.session() as client:
        for _ in range(2):
            await client.speak(speech() + GAP)
            await client.hear("response.done")
        remaining = [frame["rate_limits"][0]["remaining"] for frame in client.of("rate_limits.updated")]
        assert remaining == [0, 0]


async def test_without_a_limit_nothing_is_told_of_one() -> None:
    settings: dict[str, Any] = {"realtime_responses_per_min": "0", "realtime_events_per_s": "0"}
    async with service(**settings) as gateway, gateway.session(output_modalities=["text"]) as client:
        await client.say_text("hi")
        await client.say("response.create")
        await client.hear("response.done")
        assert not client.of("rate_limits.updated")


async def test_a_client_that_floods_is_read_no_faster_than_it_is_heard() -> None:
    """Its events wait on its own side: what waits here is bounded."""
    async with service(realtime_events_per_s="10") as gateway, gateway.session() as client:
        pad = "x" * 60_000

        async def flood() -> None:
            while True:
                await client.say("response.cancel", pad=pad)

        flooding = asyncio.create_task(flood())
        async with asyncio.timeout(LIMIT_S):
            while client.socket.transport.get_write_buffer_size() < MIB // 32:  # noqa: ASYNC110 - asyncio's
                await asyncio.sleep(0.01)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        async with gateway.session() as other:
            await asked(other, "unharmed")
        client.socket.transport.abort()
