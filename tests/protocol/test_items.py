"""Items of the conversation: what may be created, where, how it is shown, and how it goes."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from pipeline.audio.formats import PCM_24K
from pipeline.events.items import FunctionCall, FunctionCallOutput, Message
from pipeline.limits import USUAL
from pipeline.providers.stub import WORD_MS
from tests.protocol.conftest import House, open_house
from tests.protocol.peer import Event, Peer, message, names, sound_of
from tests.protocol.transports import Transport

pytestmark = pytest.mark.anyio

PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
IMAGE = {"type": "input_image", "image_url": PNG, "detail": "low"}


async def create(peer: Peer, item: Event, **fields: Any) -> Event:
    """The item as it was added."""
    await peer.send("conversation.item.create", item=item, **fields)
    added = await peer.expect("conversation.item.added")
    done = await peer.expect("conversation.item.done")
    assert (added["item"], added["previous_item_id"]) == (done["item"], done["previous_item_id"])
    return added


async def told(house: House, peer: Peer) -> tuple[Any, ...]:
    """What the model is told of the conversation, when it is asked now."""
    await peer.send("response.create", response={"output_modalities": ["text"]})
    await peer.answer()
    return house.model.prompts[-1].items


def texts(items: tuple[Any, ...]) -> list[str]:
    return [item.text for item in items if isinstance(item, Message)]


@pytest.mark.proves("B1-create", "B2-previous-item", "B0-id-shapes", "B0-server-event-id")
async def test_a_created_item_is_told_twice_and_has_an_id_of_its_own(house: House) -> None:
    async with house.session() as peer:
        first = await create(peer, message("One"))
        second = await create(peer, message("Two"))
    assert (first["previous_item_id"], second["previous_item_id"]) == (None, first["item"]["id"])
    assert first["item"]["id"].startswith("item_") and len(first["item"]["id"]) <= 32
    expected = message("One", id=first["item"]["id"], object="realtime.item", status="completed")
    assert first["item"] == expected
    assert all(event["event_id"].startswith("event_") for event in peer.frames)


@pytest.mark.proves("B1-create-place", "B0-client-ids")
async def test_an_item_goes_where_it_is_wanted(house: House) -> None:
    async with house.session() as peer:
        await create(peer, message("c", id="c"))
        for item_id, place, previous in (
            ("a", {"previous_item_id": "root"}, None),
            ("b", {"previous_item_id": "a"}, "a"),
            ("d", {"previous_item_id": None}, "c"),
            ("e", {}, "d"),
        ):
            assert (await create(peer, message(item_id, id=item_id), **place))["previous_item_id"] == previous
        assert texts(await told(house, peer)) == ["a", "b", "c", "d", "e"]


@pytest.mark.proves("B1-create-bad-place", "B1-create-duplicate")
async def test_an_item_that_cannot_be_placed_is_not_there(house: House) -> None:
    async with house.session() as peer:
        await create(peer, message("here", id="taken"))
        for fields, code, param in (
            ({"previous_item_id": "gone"}, "item_create_invalid_previous_item_id", "previous_item_id"),
            ({}, "item_create_duplicate_item_id", "item.id"),
        ):
            item = message("not here", **({} if fields else {"id": "taken"}))
            error = await peer.refused("conversation.item.create", item=item, **fields)
            assert (error["code"], error["param"]) == (code, param)
        assert texts(await told(house, peer)) == ["here"]


@pytest.mark.proves("B0-client-ids")
@pytest.mark.parametrize("length", [1, 32, 64])
async def test_a_clients_own_id_is_kept(house: House, length: int) -> None:
    async with house.session() as peer:
        assert (await create(peer, message("x", id="i" * length)))["item"]["id"] == "i" * length
        error = await peer.refused("conversation.item.create", item=message("x", id="i" * 65))
    assert (error["code"], error["param"]) == ("invalid_value", "item.id")


@pytest.mark.proves("B3-system", "B3-plain-content")
async def test_a_system_message_is_told_to_the_model(house: House) -> None:
    async with house.session() as peer:
        system = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be kind."}]}
        assert (await create(peer, system))["item"]["role"] == "system"
        added = await create(peer, {"type": "message", "role": "user", "content": "Plain."})
        assert added["item"]["content"] == [{"type": "input_text", "text": "Plain."}]
        items = await told(house, peer)
    assert [(item.role, item.text) for item in items] == [("system", "Be kind."), ("user", "Plain.")]


@pytest.mark.proves("B3-user-parts", "B3-no-nulls")
async def test_a_user_message_may_have_several_parts(house: House) -> None:
    parts = [
        {"type": "input_text", "text": "One"},
        {"type": "input_audio", "transcript": "two"},
        {"type": "input_text", "text": "three"},
    ]
    async with house.session() as peer:
        item = message("", content=parts, id=None, status=None)
        assert (await create(peer, item))["item"]["content"] == parts
        assert texts(await told(house, peer)) == ["One two three"]


@pytest.mark.proves("B3-image")
async def test_an_image_goes_to_a_model_with_eyes(house: House) -> None:
    async with house.session() as peer:
        added = await create(peer, message("", content=[{"type": "input_text", "text": "Look"}, IMAGE]))
        assert added["item"]["content"][1] == IMAGE
        items = await told(house, peer)
        assert items[0].images[0].image_url == PNG
        error = await peer.refused(
            "conversation.item.create",
            item=message("", content=[{**IMAGE, "image_url": "https://x.example/a.png"}]),
        )
        assert (error["code"], error["param"]) == ("invalid_value", "item.content[0].image_url")


@pytest.mark.proves("B3-image")
async def test_an_image_is_refused_by_name_where_the_model_has_no_eyes(transport: Transport) -> None:
    async with open_house(transport=transport, takes_images=False) as house, house.session() as peer:
        error = await peer.refused("conversation.item.create", item=message("", content=[IMAGE]))
        assert (error["code"], error["param"]) == ("invalid_value", "item.content[0].type")
        assert "input_image" in error["message"]


@pytest.mark.proves("B3-assistant", "B1-beta-parts")
@pytest.mark.parametrize("kind", ["output_text", "text"])
async def test_a_client_may_tell_what_the_assistant_wrote(house: House, kind: str) -> None:
    async with house.session() as peer:
        item = {"type": "message", "role": "assistant", "content": [{"type": kind, "text": "I said so."}]}
        assert (await create(peer, item))["item"]["content"] == [{"type": "output_text", "text": "I said so."}]
        assert texts(await told(house, peer)) == ["I said so."]


@pytest.mark.proves("B3-assistant")
async def test_the_assistants_sound_is_only_ever_made_here(house: House) -> None:
    async with house.session() as peer:
        part = {"type": "output_audio", "transcript": "Hi", "audio": base64.b64encode(bytes(960)).decode()}
        item = {"type": "message", "role": "assistant", "content": [part]}
        error = await peer.refused("conversation.item.create", item=item)
    assert error["code"] == "invalid_value" and error["param"].startswith("item.content[0]")


@pytest.mark.proves("B3-function-history", "B1-create-unknown-call")
async def test_a_function_call_and_its_output_may_be_replayed(house: House) -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    async with house.session() as peer:
        error = await peer.refused("conversation.item.create", item=output)
        assert (error["code"], error["param"]) == ("invalid_value", "item.call_id")
        first, second = await create(peer, call), await create(peer, output)
        assert call.items() <= first["item"].items() and output.items() <= second["item"].items()
        items = await told(house, peer)
    assert isinstance(items[0], FunctionCall) and isinstance(items[1], FunctionCallOutput)


@pytest.mark.proves("B3-wrong-part", "B3-no-content", "B3-unknown-item")
@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        (message("", content=[{"type": "output_text", "text": "x"}]), "invalid_value", "item.content[0].type"),
        ({"type": "message", "role": "system", "content": [{"type": "input_audio"}]}, "invalid_value",
         "item.content[0].type"),
        ({"type": "message", "role": "assistant", "content": [{"type": "input_text", "text": "x"}]},
         "invalid_value", "item.content[0].type"),
        ({"type": "message", "role": "user"}, "missing_required_parameter", "item.content"),
        ({"type": "message", "content": []}, "missing_required_parameter", "item.role"),
        ({"type": "message", "role": "chef", "content": []}, "invalid_value", "item.role"),
        ({"type": "poem"}, "invalid_value", "item.type"),
        ({"type": "mcp_approval_response", "approval_request_id": "m", "approve": True},
         "invalid_value", "item.type"),
        ({"role": "user"}, "missing_required_parameter", "item.type"),
        (message("x", status="done"), "invalid_value", "item.status"),
        (message("", content=[{"type": "input_text", "text": 3}]), "invalid_value", "item.content[0].text"),
    ],
)  # fmt: skip
async def test_an_item_that_is_none_is_refused_where_it_is_wrong(
    house: House, item: Event, code: str, param: str
) -> None:
    async with house.session() as peer:
        error = await peer.refused("conversation.item.create", item=item)
        assert (error["code"], error["param"]) == (code, param)


@pytest.mark.proves("B1-retrieve", "B1-delete", "B1-retrieve-unknown", "B1-delete-unknown")
async def test_an_item_can_be_seen_again_until_it_is_deleted(house: House) -> None:
    async with house.session() as peer:
        item = (await create(peer, message("One")))["item"]
        await create(peer, message("Two"))
        await peer.send("conversation.item.retrieve", item_id=item["id"])
        assert (await peer.expect("conversation.item.retrieved"))["item"] == item
        await peer.send("conversation.item.delete", item_id=item["id"])
        assert (await peer.expect("conversation.item.deleted"))["item_id"] == item["id"]
        assert texts(await told(house, peer)) == ["Two"]
        for verb in ("retrieve", "delete"):
            error = await peer.refused(f"conversation.item.{verb}", item_id=item["id"])
            assert (error["code"], error["param"]) == (f"item_{verb}_invalid_item_id", "item_id")
            assert item["id"] in error["message"]


@pytest.mark.proves("B1-retrieve", "B3-no-sound")
async def test_what_was_answered_is_retrieved_with_its_sound(house: House) -> None:
    async with house.session() as peer:
        await peer.say("Hello")
        await peer.send("response.create")
        answered = await peer.answer()
        item = answered[-1]["response"]["output"][0]
        await peer.send("conversation.item.retrieve", item_id=item["id"])
        retrieved = (await peer.expect("conversation.item.retrieved"))["item"]
    part = retrieved["content"][0]
    assert (part["type"], part["transcript"], part["format"]) == ("output_audio", "You said: Hello.", "pcm16")
    assert len(base64.b64decode(part["audio"])) == PCM_24K.bytes_in(3 * WORD_MS)
    if house.transport is Transport.WEBSOCKET:
        assert base64.b64decode(part["audio"]) == sound_of(answered)
    assert "conversation.item.retrieved" not in names(answered)


@pytest.mark.proves("A1-frame-size", "B3-image")
async def test_an_image_too_large_for_a_frame_is_taken_and_not_told_back(house: House) -> None:
    large = "data:image/png;base64," + base64.b64encode(bytes(1_200_000)).decode()
    async with house.session() as peer:
        part = {"type": "input_image", "image_url": large, "detail": "auto"}
        added = await create(peer, message("", content=[{"type": "input_text", "text": "Look"}, part]))
        assert [one["type"] for one in added["item"]["content"]] == ["input_text", "input_image"]
        await peer.send("conversation.item.retrieve", item_id=added["item"]["id"])
        await peer.expect("conversation.item.retrieved")
        assert (await told(house, peer))[0].images[0].image_url == large


@pytest.mark.proves("A1-frame-size")
async def test_words_too_long_for_a_frame_are_refused(house: House) -> None:
    async with house.session() as peer:
        await create(peer, message("x" * USUAL.item_words_bytes))
        error = await peer.refused("conversation.item.create", item=message("x" * (USUAL.item_words_bytes + 1)))
        assert (error["code"], error["param"]) == ("invalid_value", "item")
