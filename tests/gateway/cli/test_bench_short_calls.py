"""Short calls: each is placed, heard and ended; one that goes wrong is not counted as one."""

from __future__ import annotations

import pytest

from gateway.cli.bench_short_calls import AT_ONCE, ShortCallFailed, place, setup_of
from tests.simulator.throwaway_gateway import AUTH_TOKEN, Line, ThrowawayGateway, tone
from tests.simulator.throwaway_gateway import running as throwaway

pytestmark = pytest.mark.anyio


async def speak(line: Line) -> None:
    await line.play(tone(400))
    await line.until_closed()


@pytest.mark.parametrize("count", [0, 1, AT_ONCE + 3])
async def test_so_many_calls_are_placed_each_with_a_stream_and_a_last_callback(count: int) -> None:
    async with throwaway(ThrowawayGateway(agent=speak)) as gateway:
        stream = gateway.url.replace("http", "ws") + "/media/token"
        gateway.pages["/twilio/voice"] = f'<Connect><Stream url="{stream}"/></Connect>'
        gateway.pages["/twilio/status"] = ""
        await place(setup_of(f"{gateway.url}/twilio/voice", f"{gateway.url}/twilio/status", AUTH_TOKEN), count)
    assert len(gateway.lines) == count
    statuses = [form["CallStatus"] for form in gateway.forms_at("/twilio/status")]
    assert statuses == ["completed"] * count


async def test_a_call_that_is_not_answered_by_a_stream_fails_the_measurement() -> None:
    async with throwaway(ThrowawayGateway(pages={"/twilio/voice": "<Hangup/>"})) as gateway:
        setup = setup_of(f"{gateway.url}/twilio/voice", f"{gateway.url}/twilio/status", AUTH_TOKEN)
        with pytest.raises(ExceptionGroup) as caught:
            await place(setup, 1)
    (failure,) = caught.value.exceptions
    assert isinstance(failure, ShortCallFailed)
    assert "ended as the gateway hung up" in str(failure)
