"""Acknowledgements while a caller speaks: whole calls on the clock that jumps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from pipeline.attention import LONGEST_MURMUR_MS, UNKNOWN_WORDS, allowed
from pipeline.audio.formats import PCM_24K, PCMU
from pipeline.audio.gain import scaled
from pipeline.audio.transcode import transcode
from pipeline.backchannel import Backchannel, provider_data_of
from pipeline.events.backchannel import BackchannelAudioDelta, BackchannelAudioDone, BackchannelSkipped
from pipeline.events.config import ServerVad
from pipeline.events.input_audio import InputAudioBufferClear, InputAudioBufferCommit, SpeechStarted
from pipeline.events.response import OutputAudioDelta, ResponseCreate
from pipeline.events.session import SessionUpdate
from pipeline.observations import Backchannelled, CutShort, Interrupted
from pipeline.reports import Transcribed
from tests.fakes import SPEECH_BYTE, STALL, WORD_MS, FakeModel, FakePhone, FakeTranscriber, FakeVoice, Wait, failure
from tests.pipeline.phone_call import PHONE_CONFIG, PhoneCall, phone_call
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

pytestmark = pytest.mark.anyio

RULE = Backchannel(enabled=True, decider_kind="rule", rule_fire_probability=1.0, allowed_phrases=("okay",))
MODEL = Backchannel(enabled=True, allowed_phrases=("mm-hm", "I see"))
ONE_WORD = SPEECH_BYTE * PCMU.bytes_in(WORD_MS)


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


def config_with(settings: Backchannel, **changes: Any) -> Any:
    return msgspec.structs.replace(PHONE_CONFIG, provider_data=provider_data_of(settings), **changes)


def reasons(call: PhoneCall) -> list[str]:
    return [event.reason for event in call.seen(BackchannelSkipped)]


def phrases(call: PhoneCall) -> list[str]:
    return [event.phrase for event in call.seen(BackchannelAudioDone)]


async def test_it_is_off_unless_asked_for() -> None:
    async with phone_call() as call:
        await call.speak(6_000)
        assert (call.seen(BackchannelAudioDelta), call.seen(BackchannelSkipped)) == ([], [])
        assert (call.voice.clauses, call.model.prompts) == ([], [])


@pytest.mark.proves("G3-backchannel-choice", "G4-backchannel")
async def test_who_speaks_at_length_hears_that_somebody_listens() -> None:
    async with phone_call(config=config_with(RULE)) as call:
        await call.speak(1_200)
        (delta,), (done,) = call.seen(BackchannelAudioDelta), call.seen(BackchannelAudioDone)
        sound = scaled(transcode(ONE_WORD, PCMU, PCM_24K), RULE.volume_gain)
        assert (delta.backchannel_id, delta.delta) == (done.backchannel_id, sound)
        assert delta.line == transcode(sound, PCM_24K, PCMU)
        (begun,), (heard,) = call.seen_at(SpeechStarted), call.seen_at(BackchannelAudioDelta)
        # Speech is noticed a few windows after it began, and scored in windows of 32 ms.
        assert heard - begun == pytest.approx(0.8, abs=0.1)
        (observed,) = call.seen(Backchannelled)
        assert (observed.phrase, round(observed.after_s, 3)) == ("okay", 0.0)


async def test_what_was_spoken_once_is_not_asked_for_again() -> None:
    settings = msgspec.structs.replace(RULE, min_gap_ms=0)
    async with phone_call(config=config_with(settings)) as call:
        await call.speak(5_000)
        assert phrases(call) == ["okay"] * 3
        assert reasons(call) == ["max_per_turn_reached"]
        assert call.voice.clauses == ["okay"]


async def test_it_interrupts_nobody_and_belongs_to_no_conversation() -> None:
    transcriber, model = FakeTranscriber("a long story"), FakeModel("And then?")
    async with phone_call(config=config_with(RULE), transcriber=transcriber, model=model) as call:
        await call.speak(3_000)
        await call.wait(3_000)
        assert len(phrases(call)) == 1
        assert len(call.seen(SpeechStarted)) == 1
        assert (call.seen(Interrupted), "flush" in call.phone.told) == ([], False)
        assert call.said == [("user", "a long story"), ("assistant", "And then?")]
        assert call.session.ledger.is_drained and call.session.ledger.position == call.phone.position
        item_id = call.session.conversation.items[-1].id
        assert call.session.ledger.heard(item_id).text == "And then?"


async def test_a_new_utterance_over_its_sound_is_no_interruption() -> None:
    long_word = FakeVoice({}, tells_times=False)
    settings = msgspec.structs.replace(RULE, allowed_phrases=("oh my oh my oh my",), min_speech_ms=300)
    transcriber = FakeTranscriber([Wait(3), "one"], "two")
    config = config_with(settings, turn_detection=ServerVad(silence_duration_ms=200))
    async with phone_call(config=config, voice=long_word, transcriber=transcriber) as call:
        await call.speak(500)
        await call.wait(300)
        assert not call.session.ledger.is_drained, "the murmur is still heard"
        assert not call.session.is_heard
        await call.speak(300)
        assert len(call.seen(SpeechStarted)) == 2
        assert (call.seen(Interrupted), call.seen(CutShort), "flush" in call.phone.told) == ([], [], False)


async def test_an_answer_after_it_can_be_interrupted_to_the_word() -> None:
    transcriber, model = FakeTranscriber("go on", "stop"), FakeModel("One two three four five six.", "")
    async with phone_call(config=config_with(RULE), transcriber=transcriber, model=model) as call:
        await call.speak(1_200)
        await call.wait(1_300)
        await call.speak(200)
        (cut,) = call.seen(CutShort)
        murmured = len(call.seen(BackchannelAudioDelta)[0].line)
        assert cut.heard_ms == PCMU.ms_in(call.phone.position - murmured)
        assert cut.heard == " ".join("One two three four five six.".split()[: cut.heard_ms // WORD_MS])


@pytest.mark.parametrize("settings", [RULE, MODEL])
async def test_while_an_answer_is_heard_nothing_is_said(settings: Backchannel) -> None:
    config = config_with(settings, turn_detection=ServerVad(interrupt_response=False))
    async with phone_call(config=config, greeting="One two three four five six seven eight nine ten.") as call:
        await call.wait(100)
        await call.speak(1_500)
        assert (reasons(call), call.model.prompts) == (["answer_under_way"], [])


async def test_a_rule_that_does_not_fire_says_so() -> None:
    settings = msgspec.structs.replace(RULE, rule_fire_probability=0.0)
    async with phone_call(config=config_with(settings)) as call:
        await call.speak(2_000)
        await call.wait(200)
        assert (reasons(call), call.voice.clauses) == (["rule_not_fired"] * 2, [])
        assert [event.backchannel_id for event in call.seen(BackchannelSkipped)] == [None, None]


@pytest.mark.proves("G3-backchannel-choice")
async def test_the_model_chooses_among_what_may_be_said() -> None:
    transcriber = FakeTranscriber("hello", "my washing machine")
    model = FakeModel("Good day.", ["I", " see."])
    async with phone_call(config=config_with(MODEL), model=model, transcriber=transcriber) as call:
        await call.utter()
        await call.wait(1_500)
        call.engine.report(Transcribed("item_1", "hello", is_final=False))  # of another turn, and late
        await call.speak(700)
        call.engine.report(Transcribed("item_3", "my washing", is_final=False))
        await call.speak(400)
        assert phrases(call) == ["I see"]
        prompt = model.prompts[-1]
        assert "mm-hm, I see" in prompt.instructions
        assert [item.text for item in prompt.items] == ["hello", "Good day.", "my washing"]  # type: ignore[union-attr]
        assert (prompt.max_output_tokens, prompt.temperature, prompt.tools) == (6, 0.7, ())


async def test_a_template_of_the_clients_takes_the_place_of_ours() -> None:
    settings = msgspec.structs.replace(MODEL, prompt_template="One of: {allowed_phrases}!", history_tail_items=0)
    async with phone_call(config=config_with(settings)) as call:
        await call.speak(1_200)
        (prompt,) = call.model.prompts
        assert prompt.instructions == "One of: mm-hm, I see!"
        assert [item.text for item in prompt.items] == [UNKNOWN_WORDS]  # type: ignore[union-attr]


@pytest.mark.proves("G3-backchannel-choice")
@pytest.mark.parametrize(
    ("answer", "before", "reason"),
    [
        (["none"], None, "no_phrase"),
        (["I see", " what you mean"], None, "no_phrase"),
        ([Wait(1.6), "I see"], None, "deadline_missed"),
        (["I see"], Wait(2), "deadline_missed"),
        ([failure()], None, "provider_failed"),
        (["I see"], failure(), "provider_failed"),
        ([ZeroDivisionError()], None, "provider_failed"),
    ],
)
async def test_what_is_late_wrong_or_broken_is_not_said_and_told(
    answer: Sequence[Any], before: Wait | Exception | None, reason: str
) -> None:
    voice = FakeVoice({} if before is None else {0: before})
    settings = msgspec.structs.replace(MODEL, eval_interval_ms=10_000)
    async with phone_call(config=config_with(settings), model=FakeModel(answer), voice=voice) as call:
        await call.speak(3_000)
        assert (phrases(call), reasons(call)) == ([], [reason])
        (skipped,) = call.seen(BackchannelSkipped)
        assert skipped.backchannel_id == "bc_1"
        assert call.providers_running == (1, 0, 0)


async def test_a_model_at_work_is_not_asked_again() -> None:
    async with phone_call(config=config_with(MODEL), model=FakeModel([STALL], [STALL])) as call:
        await call.speak(2_200)
        assert len(call.model.prompts) == 1
        await call.speak(1_000)
        assert len(call.model.prompts) == 2


async def test_a_caller_who_has_finished_hears_nothing_any_more() -> None:
    model = FakeModel([Wait(1.4), "I see"], "Yes.")
    transcriber = FakeTranscriber("a question")
    async with phone_call(config=config_with(MODEL), model=model, transcriber=transcriber) as call:
        await call.speak(1_000)
        await call.wait(2_000)
        assert (phrases(call), reasons(call)) == ([], ["turn_over"])
        assert call.said == [("user", "a question"), ("assistant", "Yes.")]


@pytest.mark.parametrize("event", [InputAudioBufferCommit(), InputAudioBufferClear()])
async def test_a_client_may_end_the_turn_itself(event: InputAudioBufferCommit | InputAudioBufferClear) -> None:
    async with phone_call(config=config_with(MODEL), model=FakeModel([STALL])) as call:
        await call.speak(1_200)
        call.engine.receive(event)
        assert reasons(call) == ["turn_over"]


async def test_an_answer_that_is_asked_for_meanwhile_goes_first() -> None:
    model = FakeModel([Wait(0.5), "mm-hm"], [STALL])
    async with phone_call(config=config_with(MODEL), model=model) as call:
        await call.speak(1_000)
        call.engine.receive(ResponseCreate())
        await call.speak(400)
        assert (phrases(call), reasons(call)) == ([], ["answer_under_way"])


async def test_it_can_be_turned_on_changed_and_off_while_somebody_speaks() -> None:
    async with phone_call(model=FakeModel([STALL])) as call:

        def update(settings: Backchannel) -> None:
            call.engine.receive(SessionUpdate(session=config_with(settings)))

        update(msgspec.structs.replace(RULE, min_speech_ms=2_000))
        await call.speak(1_500)
        update(RULE)
        await call.speak(1_000)
        assert phrases(call) == ["okay"]
        update(msgspec.structs.replace(MODEL, min_gap_ms=0))
        await call.speak(1_000)
        assert call.model.running == 1
        update(Backchannel())
        await call.speak(3_000)
        assert (phrases(call), call.model.running) == (["okay"], 0)
        assert reasons(call) == ["min_gap_not_elapsed"], "while it was on"


@pytest.mark.parametrize("changes", [{"type": "transcription"}, {"output_modality": "text"}])
async def test_a_session_that_does_not_speak_does_not_murmur(changes: dict[str, Any]) -> None:
    async with phone_call(config=config_with(RULE, **changes)) as call:
        await call.speak(2_000)
        assert (phrases(call), reasons(call)) == ([], [])


async def test_a_client_that_plays_for_itself_gets_the_sound_and_its_ledger_nothing() -> None:
    settings = msgspec.structs.replace(RULE, allowed_phrases=("one two three four five six seven eight nine",))
    async with phone_call(config=config_with(settings), phone=FakePhone(plays=False)) as call:
        await call.speak(1_500)
        deltas = call.seen(BackchannelAudioDelta)
        assert [len(delta.delta) for delta in deltas] == [19_200, 19_200, 19_200, PCM_24K.bytes_in(300)]
        assert sum(len(delta.delta) for delta in deltas) == PCM_24K.bytes_in(LONGEST_MURMUR_MS)
        assert {delta.line for delta in deltas} == {b""}
        assert call.session.ledger.end == 0 and call.seen(OutputAudioDelta) == []


@pytest.mark.parametrize(
    ("answer", "phrase"),
    [("Mm-hm.", "mm-hm"), ('"I SEE"', "I see"), ("  i   see!", "I see"), ("none", ""), ("", ""), ("I see you", "")],
)
def test_case_stops_and_blanks_do_not_matter(answer: str, phrase: str) -> None:
    assert allowed(answer, ("mm-hm", "I see")) == phrase
