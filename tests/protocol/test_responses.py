"""Responses: text turns, what one response may have otherwise, cancelling, failing, and what is counted."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dialects import Dialect
from pipeline.events.items import Message
from tests.protocol.conftest import House
from tests.protocol.peer import Event, Peer, joined, message, names, sound_of, squeezed
from tests.protocol.providers import CUT, FAIL, HANG, MUSE, ONE_MORE, SENTENCE, USED

pytestmark = pytest.mark.anyio

TEXT_ANSWER = [
    "response.created",
    "rate_limits.updated",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]

VOICE_CLOSERS = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


async def ask(peer: Peer, text: str = "Hello", **response: Any) -> list[Event]:
    """A message and its answer."""
    await peer.say(text)
    await peer.send("response.create", response=response)
    return await peer.answer()


@pytest.mark.proves("D2-text-turn", "D-order", "D-user-first", "B2-part-added", "B3-indices")
async def test_a_text_turn_has_its_events_in_their_order(house: House) -> None:
    async with house.text_session() as peer:
        await peer.send("conversation.item.create", item=message("Hi"))
        await peer.send("response.create")
        asked, answered = await peer.until("conversation.item.done"), await peer.answer()
    assert names(asked) == ["conversation.item.added", "conversation.item.done"]
    assert asked[0]["item"] == asked[1]["item"]
    assert squeezed(answered) == TEXT_ANSWER
    by_name = {event["type"]: event for event in answered}
    opened, item = by_name["response.output_item.added"]["item"], by_name["conversation.item.done"]["item"]
    assert (opened["status"], opened["role"], opened["content"]) == ("in_progress", "assistant", [])
    assert by_name["conversation.item.added"]["item"] == opened
    assert by_name["conversation.item.added"]["previous_item_id"] == asked[0]["item"]["id"]
    assert by_name["response.content_part.added"]["part"] == {"type": "text", "text": ""}
    said = "You said: Hi."
    assert joined(answered, "response.output_text.delta") == said.removesuffix(".") + "."
    assert by_name["response.output_text.done"]["text"] == said
    assert by_name["response.content_part.done"]["part"] == {"type": "text", "text": said}
    assert item["content"] == [{"type": "output_text", "text": said}]
    assert by_name["response.output_item.done"]["item"] == item
    assert by_name["response.done"]["response"]["output"] == [item]
    assert item["status"] == "completed"
    for event in answered:
        assert event.get("output_index", 0) == 0 and event.get("content_index", 0) == 0


@pytest.mark.proves("B4-created")
async def test_a_created_response_shows_all_of_itself(house: House) -> None:
    async with house.session() as peer:
        created = (await ask(peer))[0]["response"]
    assert created.keys() == {
        "id", "object", "status", "status_details", "output", "conversation_id", "output_modalities",
        "max_output_tokens", "audio", "usage", "metadata",
    }  # fmt: skip
    assert created["object"] == "realtime.response"
    assert (created["status"], created["output"], created["usage"]) == ("in_progress", [], None)
    assert (created["output_modalities"], created["max_output_tokens"]) == (["audio"], "inf")
    assert created["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert created["conversation_id"].startswith("conv_")


@pytest.mark.proves("B4-done", "B2-done-once", "B3-no-sound")
async def test_a_finished_response_has_its_items_without_sound_and_its_counts(house: House) -> None:
    async with house.session() as peer:
        answered = await ask(peer)
        assert "response.done" not in names(await peer.fence())
    done = answered[-1]["response"]
    assert (done["status"], done["status_details"]) == ("completed", None)
    assert [part.keys() for part in done["output"][0]["content"]] == [{"type", "transcript"}]
    usage = done["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (USED.input_tokens, USED.output_tokens)
    assert usage["total_tokens"] == USED.input_tokens + USED.output_tokens
    assert usage["input_token_details"]["cached_tokens"] == USED.cached_tokens
    assert answered[0]["response"]["id"] == done["id"]


@pytest.mark.proves("D-nothing-after-done", "D3-text-ahead")
async def test_words_come_before_their_sound_and_nothing_after_the_end(house: House) -> None:
    async with house.session() as peer:
        answered = await ask(peer)
        after = await peer.fence()
    told = names(answered)
    first_words, *sound = peer.told("response.output_audio_transcript.delta", "response.output_audio.delta")
    assert all(told.index(first_words) < told.index(delta) for delta in sound)
    assert not [event for event in after if event["type"].startswith("response.")]
    assert told[-len(VOICE_CLOSERS) :] == VOICE_CLOSERS


@pytest.mark.proves("B2-rate-limits")
async def test_each_response_is_counted_before_it_speaks(house: House) -> None:
    async with house.text_session() as peer:
        first, second = await ask(peer), await ask(peer)
    assert first[1]["type"] == second[1]["type"] == "rate_limits.updated"
    one, two = first[1]["rate_limits"][0], second[1]["rate_limits"][0]
    assert one["name"] == "requests" and one["limit"] == two["limit"]
    assert two["remaining"] <= one["remaining"] < one["limit"] + 1


@pytest.mark.proves("B0-one-response")
async def test_a_second_response_is_refused_while_the_first_one_runs(house: House) -> None:
    async with house.text_session(MUSE) as peer:
        await peer.send("response.create")
        first = (await peer.expect("response.created"))["response"]["id"]
        await peer.expect("rate_limits.updated")
        error = await peer.refused("response.create")
        assert (error["type"], error["code"]) == (
            "invalid_request_error",
            "conversation_already_has_active_response",
        )
        assert error["param"] is None and first in error["message"]
        await peer.send("response.cancel")
        assert (await peer.expect("response.done"))["response"]["id"] == first


@pytest.mark.proves("B4-metadata")
async def test_metadata_come_back_as_they_were_sent(house: House) -> None:
    metadata = {"client_event_id": "response_create_1", "empty": ""}
    async with house.text_session() as peer:
        answered = await ask(peer, metadata=metadata)
        plain = await ask(peer)
    assert answered[0]["response"]["metadata"] == answered[-1]["response"]["metadata"] == metadata
    assert plain[0]["response"]["metadata"] is None


@pytest.mark.proves("B0-metadata-limits")
async def test_metadata_have_at_most_sixteen_pairs_of_a_limited_length(house: House) -> None:
    async with house.text_session() as peer:
        most = {f"{number:064}": "v" * 512 for number in range(16)}
        assert (await ask(peer, metadata=most))[-1]["response"]["metadata"] == most
        for bad in ({str(number): "" for number in range(17)}, {"k" * 65: ""}, {"k": "v" * 513}):
            error = await peer.refused("response.create", response={"metadata": bad})
            assert error["code"] == "invalid_value" and error["param"].startswith("response.metadata")


@pytest.mark.proves("B4-modalities")
async def test_one_response_may_be_written_in_a_session_that_speaks_and_the_other_way_round(house: House) -> None:
    async with house.session() as peer:
        written = await ask(peer, output_modalities=["text"])
        spoken = await ask(peer)
        await peer.update(output_modalities=["text"])
        spoken_again = await ask(peer, output_modalities=["audio"])
        assert await peer.sound(spoken) and await peer.sound(spoken_again)
    assert not [name for name in names(written) if "audio" in name]
    assert written[-1]["response"]["output_modalities"] == ["text"]
    assert spoken_again[-1]["response"]["output_modalities"] == ["audio"]


@pytest.mark.proves("B4-instructions", "B0-null-is-unset")
async def test_instructions_of_one_response_replace_the_sessions_and_null_keeps_them(house: House) -> None:
    async with house.text_session("Be brief.") as peer:
        await ask(peer, instructions="Be long.")
        told_once = house.model.prompts[-1].instructions
        await ask(peer, instructions=None, conversation=None, metadata=None)
        told_again = house.model.prompts[-1].instructions
    assert (told_once, told_again) == ("Be long.", "Be brief.")


@pytest.mark.proves("B4-output-format")
async def test_one_response_may_have_a_format_and_a_voice_of_its_own(house: House) -> None:
    async with house.session() as peer:
        usual = await ask(peer)
        other = await ask(peer, audio={"output": {"format": {"type": "audio/pcmu"}, "voice": "marin"}})
    assert other[0]["response"]["audio"]["output"]["format"]["type"] == "audio/pcmu"
    assert other[0]["response"]["audio"]["output"]["voice"] == "marin"
    assert len(sound_of(usual)) == 6 * len(sound_of(other)), "48 bytes a millisecond against 8"


@pytest.mark.proves("B4-tools", "C2-tools", "C4-function")
async def test_tools_of_one_response_replace_the_sessions(house: House) -> None:
    ours = {"type": "function", "name": "ours", "strict": True, "parameters": {"$schema": "x", "type": "object"}}
    theirs = {"type": "function", "name": "theirs"}
    async with house.text_session() as peer:
        assert [tool["name"] for tool in (await peer.update(tools=[ours]))["tools"]] == ["ours"]
        for response, expected in (({"tools": [theirs]}, ["theirs"]), ({"tools": []}, []), ({}, ["ours"])):
            await ask(peer, **response)
            assert [tool.name for tool in house.model.prompts[-1].tools] == expected
        assert (await peer.update(tools=[theirs]))["tools"][0]["name"] == "theirs"
        assert (await peer.update(tools=[]))["tools"] == []


@pytest.mark.proves("B4-max-tokens")
async def test_the_most_tokens_of_one_response_reach_the_model(house: House) -> None:
    async with house.text_session() as peer:
        answered = await ask(peer, max_output_tokens=77)
    assert house.model.prompts[-1].max_output_tokens == 77
    assert answered[-1]["response"]["max_output_tokens"] == 77


@pytest.mark.proves("B4-accepted")
async def test_what_need_not_be_heeded_is_accepted(house: House) -> None:
    async with house.text_session() as peer:
        answered = await ask(
            peer,
            prompt={"id": "pmpt_1", "version": "2"},
            parallel_tool_calls=False,
            reasoning={"effort": "low"},
        )
    assert answered[-1]["response"]["status"] == "completed"


@pytest.mark.proves("B4-input")
async def test_input_is_all_that_the_model_is_told(house: House) -> None:
    async with house.text_session() as peer:
        first, second = await peer.say("First"), await peer.say("Second")
        reference = {"type": "item_reference", "id": first["id"]}
        for given, expected in (
            ([reference, message("And this")], ["First", "And this"]),
            ([{"type": "item_reference", "id": second["id"]}], ["Second"]),
            ([], []),
        ):
            await peer.send("response.create", response={"input": given})
            await peer.answer()
            told = house.model.prompts[-1].items
            assert [item.text for item in told if isinstance(item, Message)] == expected


@pytest.mark.proves("B4-input-unknown")
async def test_a_reference_to_nothing_is_refused(house: House) -> None:
    async with house.text_session() as peer:
        given = [message("Here"), {"type": "item_reference", "id": "item_gone"}]
        error = await peer.refused("response.create", response={"input": given})
    assert (error["code"], error["param"]) == ("invalid_value", "response.input[1].id")


@pytest.mark.proves("B1-response-bad", "B0-null-is-unset")
@pytest.mark.parametrize(
    ("response", "code", "param"),
    [
        ({"output_modalities": ["smell"]}, "invalid_value", "response.output_modalities"),
        ({"conversation": "some"}, "invalid_value", "response.conversation"),
        ({"max_output_tokens": 0}, "invalid_value", "response.max_output_tokens"),
        ({"tool_choice": "never"}, "invalid_value", "response.tool_choice"),
        ({"flavour": 1}, "unknown_parameter", "response.flavour"),
    ],
)
async def test_a_wrong_parameter_begins_nothing(house: House, response: Event, code: str, param: str) -> None:
    async with house.text_session() as peer:
        error = await peer.refused("response.create", response=response)
        assert error["code"] == code and error["param"].startswith(param)
        assert await peer.fence() == []


@pytest.mark.proves("B1-cancel")
async def test_a_cancelled_response_closes_what_it_had_opened(house: House) -> None:
    async with house.text_session(HANG) as peer:
        await peer.send("response.create")
        await peer.until("response.output_text.delta")
        await peer.send("response.cancel")
        closers = await peer.until("response.done")
    closers = [event for event in closers if not event["type"].endswith(".delta")]
    assert names(closers) == TEXT_ANSWER[-5:]
    done = closers[-1]["response"]
    assert (done["status"], done["status_details"]) == (
        "cancelled",
        {"type": "cancelled", "reason": "client_cancelled"},
    )
    assert done["output"][0]["status"] == closers[-2]["item"]["status"] == "incomplete"
    assert (SENTENCE + ONE_MORE).startswith(done["output"][0]["content"][0]["text"])


@pytest.mark.proves("B1-cancel")
async def test_a_response_is_cancelled_by_its_id_too(house: House) -> None:
    async with house.text_session(MUSE) as peer:
        await peer.send("response.create")
        response_id = (await peer.expect("response.created"))["response"]["id"]
        await peer.send("response.cancel", response_id=response_id)
        assert (await peer.expect("response.done"))["response"]["status"] == "cancelled"


@pytest.mark.proves("B1-cancel-none", "D7-cancel-after")
async def test_cancelling_nothing_is_a_benign_error(house: House) -> None:
    async with house.text_session() as peer:
        for fields in ({}, {"response_id": "resp_unknown"}):
            error = await peer.refused("response.cancel", **fields)
            assert (error["code"], error["param"]) == ("response_cancel_not_active", None)
            assert error["message"].startswith("Cancellation failed: no active response found")
        done = (await ask(peer))[-1]["response"]
        assert (await peer.refused("response.cancel", response_id=done["id"]))["code"] == error["code"]


@pytest.mark.proves("D11-failed", "D-order")
async def test_a_failure_of_the_model_is_told_in_the_response_and_nowhere_else(house: House) -> None:
    async with house.text_session(FAIL) as peer:
        await peer.send("response.create")
        answered = await peer.answer()
        assert await peer.fence() == []
    assert squeezed(answered) == TEXT_ANSWER
    done = answered[-1]["response"]
    assert (done["status"], done["status_details"]["type"]) == ("failed", "failed")
    assert done["status_details"]["error"]["type"] == "server_error"
    assert {"code", "message"} <= done["status_details"]["error"].keys()
    assert "reason" not in done["status_details"]
    assert done["output"][0]["status"] == "incomplete"


@pytest.mark.proves("D11-iw-reason")
async def test_inworlds_clients_read_the_reason_of_a_failure(house: House) -> None:
    path = "/api/v1/realtime/session?key=k&protocol=realtime"
    async with house.session(path, dialect=Dialect.IW) as peer:
        await peer.send("session.update", session={"output_modalities": ["text"], "instructions": FAIL})
        await peer.send("response.create")
        answered = await peer.answer()
    assert answered[-1]["response"]["status_details"]["reason"] == "server_error"


@pytest.mark.proves("D11-incomplete")
async def test_an_answer_without_tokens_left_is_incomplete(house: House) -> None:
    async with house.text_session(CUT) as peer:
        await peer.send("response.create")
        done = (await peer.answer())[-1]["response"]
    assert (done["status"], done["status_details"]) == (
        "incomplete",
        {"type": "incomplete", "reason": "max_output_tokens"},
    )
    assert done["output"][0]["content"] == [{"type": "output_text", "text": SENTENCE}]
    assert done["output"][0]["status"] == "incomplete"
