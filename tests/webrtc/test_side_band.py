"""A WebSocket beside a peer connection, onto the same session (Realtime reference, section E.1)."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator

import pytest

from pipeline.audio.formats import PCM_24K
from simulator.webrtc_exchange import Shape
from tests.gateway.webrtc.offers import CHROMIUM
from tests.realtime.support import KEY, OTHER_KEY, SUPERVISOR, keys_file
from tests.webrtc.support import CALLS, VAD, Rtc, audible_ms, of, rtc, say_text, types

pytestmark = pytest.mark.anyio

SESSION = {"type": "realtime", "instructions": "Be brief.", "audio": {"input": {"turn_detection": VAD}}}


@pytest.fixture(scope="module")
async def keyed(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rtc, None]:
    async with rtc(api_keys=keys_file(tmp_path_factory.mktemp("keys"))) as opened:
        yield opened


@pytest.mark.parametrize("name", ["call_id", "session_id"])
async def test_a_side_band_is_shown_all_that_happens_and_the_sound_as_well(keyed: Rtc, name: str) -> None:
    async with keyed.client(key=KEY, shape=Shape.OPENAI_MULTIPART, session=SESSION) as client:
        await client.expect("conversation.created")
        path = f"/v1/realtime?call_id={getattr(client, name)}"
        async with keyed.service.connected(path, key=KEY) as side_band:
            created = await side_band.next()
            assert created["type"] == "session.created"
            assert created["session"]["id"] == client.session_id
            assert created["session"]["instructions"] == "Be brief."
            client.frames.clear()
            side_band.frames.clear()
            client.inbox._passed = 0
            await say_text(client, "from the client")
            await client.expect("output_audio_buffer.stopped")
            await side_band.hear("output_audio_buffer.stopped")
            sounding = [kind for kind in side_band.types if kind == "response.output_audio.delta"]
            assert sounding
            assert [kind for kind in side_band.types if kind not in sounding] == types(client.frames)
            # Five words of 200 ms, the same for both.
            assert len(side_band.audio()) == PCM_24K.bytes_in(5 * 200)
            assert abs(audible_ms(client) - 5 * 200) <= 60
            client.frames.clear()


async def test_a_side_band_speaks_and_its_answer_is_heard_on_the_track(keyed: Rtc) -> None:
    async with (
        keyed.client(key=KEY) as client,
        keyed.service.connected(f"/v1/realtime?call_id={client.call_id}", key=KEY) as side_band,
    ):
        await side_band.hear("session.created")
        await side_band.say_text("from the side")
        await side_band.say("response.create")
        await client.expect("output_audio_buffer.started")
        await side_band.say("output_audio_buffer.clear")
        await client.expect("output_audio_buffer.cleared")
        await side_band.hear("output_audio_buffer.cleared")
        await side_band.say("response.cancel", event_id="theirs")
        assert (await side_band.hear("error"))["error"]["event_id"] == "theirs"
        await client.send("input_audio_buffer.clear")
        await client.expect("input_audio_buffer.cleared")
        assert not of(client, "error"), "what one does wrong is told to that one alone"


async def test_it_ends_with_the_call_it_joined(keyed: Rtc) -> None:
    async with keyed.leaving_nothing("client_left"):
        async with keyed.client(key=KEY) as client:
            await client.expect("session.created")
            joined = keyed.service.connected(f"/v1/realtime?call_id={client.call_id}", key=KEY)
            side_band = await joined.__aenter__()
            await side_band.hear("session.created")
        assert await side_band.closed() == (1000, "session_over")
        await joined.__aexit__(None, None, None)


async def test_who_leaves_a_call_does_not_end_it(keyed: Rtc) -> None:
    async with keyed.client(key=KEY) as client:
        async with keyed.service.connected(f"/v1/realtime?call_id={client.call_id}", key=KEY) as side_band:
            await side_band.hear("session.created")
        await say_text(client, "still there?")
        await client.expect("output_audio_buffer.stopped")


async def test_a_supervisor_may_join_and_strangers_and_tokens_may_not(keyed: Rtc) -> None:
    minted = await keyed.ask(
        "POST", "/v1/realtime/client_secrets", {"Authorization": f"Bearer {KEY}"}, json={"session": SESSION}
    )
    secret = minted.json()["value"]
    async with keyed.client(key=KEY) as client:
        path = f"/v1/realtime?call_id={client.call_id}"
        async with keyed.service.connected(path, key=SUPERVISOR) as supervisor:
            await supervisor.hear("session.created")
        async with keyed.service.connected(path, key=OTHER_KEY) as stranger:
            assert (await stranger.closed())[0] == 4000
            assert stranger.frames[0]["error"]["code"] == "call_not_found"
        answer = await keyed.ask(
            "GET",
            path,
            {
                "Authorization": f"Bearer {secret}",
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
            },
        )
        assert answer.status_code == 403, "a browser's token must not hear another browser"


async def test_a_call_that_there_is_none_of_cannot_be_joined(keyed: Rtc) -> None:
    async with keyed.service.connected("/v1/realtime?call_id=rtc_nobody", key=KEY) as side_band:
        assert (await side_band.closed())[0] == 4000
        assert side_band.frames[0]["error"]["code"] == "call_not_found"


async def test_it_may_be_there_before_the_browser_is_and_sees_what_was_offered(keyed: Rtc) -> None:
    """As a server does that gets the call's id from the browser at once."""
    parts = {
        "sdp": ("", CHROMIUM, "application/sdp"),
        "session": ("", '{"type": "realtime", "model": "of-the-object"}', "application/json"),
    }
    key = {"Authorization": f"Bearer {KEY}"}
    async with keyed.leaving_nothing("hung_up"):
        answer = await keyed.ask("POST", f"{CALLS}?model=of-the-address", key, files=parts)
        call_id = answer.headers["location"].rsplit("/", 1)[-1]
        async with keyed.service.connected(f"/v1/realtime?call_id={call_id}", key=KEY) as side_band:
            created = await side_band.hear("session.created")
            assert created["session"]["model"] == "of-the-object"
            await side_band.say("response.create")
            await side_band.say("input_audio_buffer.clear")
            await keyed.ask("POST", f"{CALLS}/{call_id}/hangup", key)
            assert await side_band.closed() == (1000, "session_over")
