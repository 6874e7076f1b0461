"""Fillers for a Realtime client that waits: whole sessions on the clock that jumps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from pipeline.audio.formats import PCM_24K, PCMU
from pipeline.audio.transcode import transcode
from pipeline.events.config import ServerVad, SessionConfig
from pipeline.events.response import OutputAudioDelta, ResponseCancel, ResponseCreate, ResponseCreated, ResponseDone
from pipeline.events.session import SessionUpdate
from pipeline.observations import FillerPlayed
from pipeline.responsiveness import FILLERS
from tests.fakes import SPEECH_BYTE, STALL, WORD_MS, FakeModel, FakePhone, FakeTranscriber, FakeVoice, Wait, failure
from tests.pipeline.phone_call import PHONE_CONFIG, PhoneCall, phone_call
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

pytestmark = pytest.mark.anyio

FIRST_WORDS = SPEECH_BYTE * PCMU.bytes_in(len(FILLERS[0].split()) * WORD_MS)


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


def config_with(**settings: Any) -> SessionConfig:
    """On, and for the first answer too."""
    usual = {"enabled": True, "enable_filler_on_first_assistant_reply": True}
    return msgspec.structs.replace(PHONE_CONFIG, provider_data={"responsiveness": usual | settings})


@asynccontextmanager
async def client_session(
    answer: Sequence[Any], *more: Any, config: SessionConfig | None = None, voice: FakeVoice | None = None
) -> AsyncIterator[PhoneCall]:
    """A client that plays for itself and has said something."""
    transcriber, phone = FakeTranscriber("hello", "and now", "and then"), FakePhone(plays=False)
    model = FakeModel(answer, *more)
    async with phone_call(
        config=config or config_with(), transcriber=transcriber, phone=phone, model=model, voice=voice
    ) as call:
        await call.utter()
        yield call


def fillers(call: PhoneCall) -> list[str]:
    return [filler.text for filler in call.seen(FillerPlayed)]


async def test_it_is_off_unless_asked_for() -> None:
    async with client_session([Wait(3), "Yes."], config=PHONE_CONFIG) as call:
        await call.wait(4_000)
        assert (fillers(call), call.said) == ([], [("user", "hello"), ("assistant", "Yes.")])


@pytest.mark.proves("G3-responsiveness-filler")
async def test_who_waits_hears_a_filler_as_sound_of_the_response_under_way() -> None:
    async with client_session([Wait(3), "Yes."]) as call:
        await call.wait(5_000)
        (created,), (done,) = call.seen(ResponseCreated), call.seen(ResponseDone)
        deltas = call.seen(OutputAudioDelta)
        assert {delta.response_id for delta in deltas} == {created.response.id}
        sound = transcode(transcode(FIRST_WORDS, PCMU, PCM_24K), PCM_24K, PCMU)
        assert b"".join(delta.delta for delta in deltas).startswith(sound)
        (begun, *_), (heard, *_) = call.seen_at(ResponseCreated), call.seen_at(OutputAudioDelta)
        assert heard - begun == pytest.approx(1.2, abs=0.01)
        assert [text for role, text in call.said if role == "assistant"] == [FILLERS[0], "Yes."]
        assert done.response.status == "completed"
        assert fillers(call) == [FILLERS[0]]


async def test_an_answer_in_time_leaves_nothing_to_be_said() -> None:
    async with client_session([Wait(1.1), "Yes."]) as call:
        await call.wait(4_000)
        assert (fillers(call), call.voice.clauses) == ([], ["Yes."])


@pytest.mark.proves("G3-responsiveness-filler")
@pytest.mark.parametrize("name", [None, "tiny"])
async def test_a_filler_that_the_answer_overtakes_is_dropped(name: str | None) -> None:
    voice = FakeVoice({0: Wait(1.5)})  # the filler's words are slow, the answer's are not
    script: list[Any] = [[Wait(1.8), "Yes."], "Thinking."]
    async with client_session(*script, config=config_with(small_model=name), voice=voice) as call:
        await call.wait(5_000)
        assert (fillers(call), call.said[1:]) == ([], [("assistant", "Yes.")])


@pytest.mark.proves("G3-responsiveness-filler")
async def test_a_small_model_makes_the_words() -> None:
    config = config_with(small_model="tiny", prompt_template="Hum.", max_tokens=5, temperature=0.1)
    async with client_session([Wait(4), "Yes."], ["Well", ", let me think."], config=config) as call:
        await call.wait(6_000)
        assert fillers(call) == ["Well, let me think."]
        prompt = call.model.prompts[-1]
        assert (prompt.instructions, prompt.max_output_tokens, prompt.temperature) == ("Hum.", 5, 0.1)
        assert [item.text for item in prompt.items] == ["hello"]  # type: ignore[union-attr]


@pytest.mark.proves("G3-responsiveness-filler")
@pytest.mark.parametrize("words", [[Wait(2.1), "Hm."], [failure()], ["…"], [], [ZeroDivisionError()]])
async def test_words_that_are_late_or_none_are_not_said(words: Sequence[Any]) -> None:
    async with client_session([Wait(3.9), "Yes."], words, config=config_with(small_model="tiny")) as call:
        await call.wait(7_000)
        assert (fillers(call), call.said[1:]) == ([], [("assistant", "Yes.")])


@pytest.mark.proves("G3-responsiveness-timing")
async def test_a_turn_has_no_more_than_its_number_of_fillers_with_the_gap_between_them() -> None:
    config = config_with(max_initial_per_turn=2, min_filler_gap_ms=2_500)
    async with client_session([Wait(4), STALL], config=config) as call:
        await call.wait(3_800)
        first, second = call.seen_at(FillerPlayed)
        assert second - first == pytest.approx(2.5)
        assert fillers(call) == list(FILLERS[:2])


@pytest.mark.proves("G3-responsiveness-timing")
async def test_the_first_answer_of_all_is_waited_for_in_silence_unless_asked_otherwise() -> None:
    config = config_with(enable_filler_on_first_assistant_reply=False)
    async with client_session([Wait(2), "One."], [Wait(2), "Two."], config=config) as call:
        await call.wait(4_000)
        assert fillers(call) == []
        await call.utter()
        await call.wait(4_000)
        assert fillers(call) == [FILLERS[0]]
        assert [text for _, text in call.said] == ["hello", "One.", "and now", FILLERS[0], "Two."]


async def test_the_next_turn_has_another_phrase_and_waits_for_the_gap() -> None:
    config = config_with(min_filler_gap_ms=3_000)
    async with client_session([Wait(2), "One."], [Wait(2), "Two."], config=config) as call:
        await call.wait(4_000)
        await call.utter()
        await call.wait(4_000)
        assert fillers(call) == list(FILLERS[:2])


async def test_a_caller_who_speaks_again_is_not_told_to_wait() -> None:
    async with client_session([Wait(3), "Yes."]) as call:
        await call.wait(700)
        await call.speak(1_000)
        assert fillers(call) == []


async def test_an_answer_that_is_cancelled_needs_no_filler() -> None:
    async with client_session([STALL]) as call:
        await call.wait(500)
        call.engine.receive(ResponseCancel())
        await call.wait(4_000)
        assert fillers(call) == []


@pytest.mark.parametrize("output", [{"output_modality": "text"}, {"output_format": PCM_24K}])
async def test_a_response_in_text_or_in_a_format_of_its_own_has_none(output: dict[str, Any]) -> None:
    config = msgspec.structs.replace(config_with(), turn_detection=ServerVad(create_response=False))
    async with client_session([Wait(3), "Yes."], config=config) as call:
        call.engine.receive(ResponseCreate(config=msgspec.structs.replace(config, **output)))
        await call.wait(5_000)
        assert (fillers(call), len(call.seen(ResponseDone))) == ([], 1)


async def test_english_phrases_are_for_sessions_in_english() -> None:
    config = msgspec.structs.replace(config_with(), language="de-DE")
    async with client_session([Wait(3), "Ja."], config=config) as call:
        await call.wait(4_000)
        assert (fillers(call), call.voice.clauses) == ([], ["Ja."])


async def test_it_can_be_turned_off_while_somebody_waits() -> None:
    async with client_session([Wait(3), "Yes."]) as call:
        await call.wait(300)
        call.engine.receive(SessionUpdate(session=config_with(enabled=False)))
        await call.wait(4_000)
        assert fillers(call) == []


async def test_an_end_in_the_middle_leaves_nothing_running() -> None:
    async with client_session([STALL], [STALL], config=config_with(small_model="tiny")) as call:
        await call.wait(2_000)
        assert call.model.running == 2
