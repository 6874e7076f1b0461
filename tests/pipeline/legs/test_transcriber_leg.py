"""The transcriber's leg under the faults of a transcriber and its spares: one final transcript of the whole."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio.formats import PCM_16K, PCMU, AudioFormat
from pipeline.legs.pace import LEAST
from pipeline.legs.transcriber_leg import (
    MUTE_MS,
    SOONEST_LATE_S,
    STALL_PER_S,
    STREAMING_LATE_S,
    TRANSCRIPT_STALL_S,
    TranscriberLeg,
)
from pipeline.legs.utterance import PIECE_MS
from pipeline.observations import Hedged
from pipeline.provider import ProviderError, Transcriber, TranscriberSkills, Transcript
from tests.fakes import VOICE_BYTE, FakeTranscriber
from tests.pipeline.legs.observed import Observed
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, settle, virtual_loop

pytestmark = pytest.mark.anyio

PIECE = VOICE_BYTE * PCMU.bytes_in(PIECE_MS)
QUIET = b"\xff" * PCMU.bytes_in(PIECE_MS)


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


def broken(*, retryable: bool = True) -> ProviderError:
    return ProviderError("stt", "is out of order", retryable=retryable)


class Typist:
    """Says how many pieces it has heard: with `has_partials` each time it hears one, and finally `delay_s` after
    the end. Each request has its own fault: what happens (or not) after so many pieces; at 99, after the end.
    """

    formats: tuple[AudioFormat, ...] = (PCMU,)

    def __init__(
        self, name: str, *faults: tuple[int, str], has_partials: bool = True, delay_s: float = 0.1
    ) -> None:
        self.name = name
        self.skills = TranscriberSkills(has_partials=has_partials)
        self.running = 0
        self.requests = 0
        self._faults = deque(faults)
        self._delay_s = delay_s

    async def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        self.running += 1
        self.requests += 1
        after, fault = self._faults.popleft() if self._faults else (-1, "none")
        heard = 0
        try:
            async for sound in audio:
                heard += len(sound) // len(PIECE)
                if heard >= after >= 0 and await self._suffer(fault):
                    return
                if self.skills.has_partials and heard and fault != "mute":
                    yield Transcript(f"{self.name} {heard}", is_final=False, turn="may_be_over")
            if after == 99 and await self._suffer(fault):
                return
            await asyncio.sleep(self._delay_s)
            yield Transcript(f"{self.name} {heard}", is_final=True)
        finally:
            self.running -= 1

    async def _suffer(self, fault: str) -> bool:
        """Whether it ends here."""
        match fault:
            case "fail":
                raise broken()
            case "refuse":
                raise broken(retryable=False)
            case "stall":
                await asyncio.sleep(1e9)
            case "slow":
                await asyncio.sleep(1.5)
        return fault == "end"


class Deaf:
    """Understands nothing, of anything."""

    formats: tuple[AudioFormat, ...] = (PCMU,)

    def __init__(self, name: str, delay_s: float = 0.1) -> None:
        self.name = name
        self.requests = 0
        self._delay_s = delay_s

    async def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        self.requests += 1
        async for _ in audio:
            pass
        await asyncio.sleep(self._delay_s)
        yield Transcript("", is_final=True)


@dataclass
class Dictation:
    """One utterance of a leg: what was understood by when, in seconds from its end."""

    transcribers: Sequence[Transcriber]
    observed: Observed = field(default_factory=Observed)
    pieces: Sequence[bytes] = (PIECE,) * 20
    audio: bytes = b""
    transcripts: list[Transcript] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    failure: ProviderError | None = None

    async def run(self) -> Dictation:
        leg = TranscriberLeg(self.transcribers, self.observed.means)
        self.utterance = leg.begin(self.audio, PCMU)
        ends_s = now_s() + len(self.pieces) * PIECE_MS / 1000
        try:
            async with asyncio.timeout(300), asyncio.TaskGroup() as tasks:
                speaking = tasks.create_task(self._speak())
                try:
                    async with aclosing(leg.transcribe(self.utterance, "en")) as transcripts:
                        async for transcript in transcripts:
                            self.transcripts.append(transcript)
                            self.times.append(now_s() - ends_s)
                except ProviderError as error:
                    self.failure = error
                self.took_s = now_s() - ends_s
                await speaking
        finally:
            self.is_over = True
        return self

    async def _speak(self) -> None:
        for piece in self.pieces:
            await asyncio.sleep(PIECE_MS / 1000)
            self.utterance.hear(piece)
        self.utterance.end()

    @property
    def finals(self) -> list[str]:
        return [transcript.text for transcript in self.transcripts if transcript.is_final]

    @property
    def led(self) -> list[str]:
        """Whose partial transcripts came, in order."""
        names = [transcript.text.split()[0] for transcript in self.transcripts if not transcript.is_final]
        return [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]


async def test_what_is_understood_passes_untouched_with_its_turn_and_is_timed() -> None:
    at = await Dictation([Typist("a")], pieces=[PIECE] * 2).run()
    assert at.transcripts == [
        Transcript("a 1", is_final=False, turn="may_be_over"),
        Transcript("a 2", is_final=False, turn="may_be_over"),
        Transcript("a 2", is_final=True),
    ]
    assert at.observed.timed == [("a", None)]


@pytest.mark.parametrize("fault", ["fail", "refuse", "end"])
@pytest.mark.parametrize("after", [0, 7, 99])
async def test_a_failure_is_followed_by_the_spare_which_hears_all_of_it(after: int, fault: str) -> None:
    at = await Dictation([Typist("a", (after, fault)), Typist("b")]).run()
    assert at.finals == ["b 20"]
    assert at.took_s == pytest.approx(0.1)
    assert at.observed.timed[0] == ("a", "final" if fault == "refuse" else "retryable")


async def test_one_that_says_nothing_at_the_end_is_raced_by_the_spare() -> None:
    first = Typist("a", (99, "stall"))
    at = await Dictation([first, Typist("b")]).run()
    assert at.finals == ["b 20"] and at.led == ["a"]
    assert at.took_s == pytest.approx(STREAMING_LATE_S + 0.1)
    assert at.observed.fallbacks == [("a", "b", "it is late")] and first.running == 0


async def test_the_first_to_be_sure_is_believed() -> None:
    at = await Dictation([Typist("a", (99, "slow")), Typist("b", delay_s=1.0)]).run()
    assert at.finals == ["a 20"]
    assert at.took_s == pytest.approx(1.5 + 0.1)


async def test_one_that_does_not_stream_has_the_whole_time() -> None:
    at = await Dictation([FakeTranscriber("late", deaf_s=2.0 + 3.5), Typist("b")]).run()
    assert (at.finals, at.observed.fallbacks) == (["late"], [])


async def test_where_its_pace_is_known_one_is_late_after_twice_its_slowest() -> None:
    observed = Observed()
    for _ in range(LEAST):
        observed.pace.took("stt", "a", 0.1)
        observed.pace.took("stt", "b", 1.0)
    at = await Dictation([Typist("a", (99, "stall")), Typist("c")], observed).run()
    assert at.took_s == pytest.approx(SOONEST_LATE_S + 0.1)
    at = await Dictation([Typist("b", (99, "stall"), has_partials=False), Typist("c")], observed).run()
    assert at.took_s == pytest.approx(2.0 + 0.1)


async def test_silence_of_one_that_says_words_as_it_hears_is_noticed_before_the_end() -> None:
    spare = Typist("b")
    at = await Dictation([Typist("a", (5, "stall")), spare], pieces=[PIECE] * 80).run()
    assert (at.finals, spare.requests) == (["b 80"], 1)
    assert at.took_s == pytest.approx(0.1)


async def test_silence_of_the_caller_is_no_fault_of_the_transcriber() -> None:
    pieces = [PIECE] * 5 + [QUIET] * (2 * MUTE_MS // PIECE_MS)
    spare = Typist("b")
    at = await Dictation([Typist("a", (0, "mute")), spare], pieces=pieces).run()
    assert (at.finals, spare.requests) == (["a 65"], 0)


async def test_all_who_hang_are_given_up() -> None:
    at = await Dictation([Typist("a", (99, "stall")), Typist("b", (99, "stall"))]).run()
    stalled_s = TRANSCRIPT_STALL_S + STALL_PER_S * 2.0
    assert str(at.failure) == f"b: no words {stalled_s:g} seconds after the caller stopped"
    assert at.took_s == pytest.approx(STREAMING_LATE_S + stalled_s)
    assert at.observed.timed == [("a", "stalled"), ("b", "stalled")]


async def test_of_two_at_work_one_may_fail() -> None:
    at = await Dictation([Typist("a", (99, "stall")), Typist("b", (99, "fail")), Typist("c")]).run()
    assert at.finals == ["c 20"] and at.took_s == pytest.approx(STREAMING_LATE_S + 0.1)
    at = await Dictation([Typist("a", (99, "slow")), Typist("b", (99, "fail"))]).run()
    assert at.finals == ["a 20"] and at.took_s == pytest.approx(1.6)


async def test_the_next_one_leads_when_the_first_has_failed() -> None:
    at = await Dictation([Typist("a", (3, "fail")), Typist("b")]).run()
    assert at.led == ["a", "b"] and at.finals == ["b 20"]


async def test_a_late_one_may_be_asked_a_second_time() -> None:
    at = await Dictation([Typist("a", (99, "stall"))], Observed(hedges=True)).run()
    assert (at.finals, at.observed.hedged) == (["a 20"], [Hedged("stt", "a", True)])
    at = await Dictation([Typist("a", (99, "slow"), (99, "stall"))], Observed(hedges=True)).run()
    assert (at.finals, at.observed.hedged) == (["a 20"], [Hedged("stt", "a", False)])
    at = await Dictation([Typist("a", (99, "stall"), (99, "stall"))], Observed(hedges=True)).run()
    assert at.failure is not None and at.observed.hedged == [Hedged("stt", "a", False)]


async def test_where_nothing_was_understood_of_speech_another_one_is_asked() -> None:
    dictation = await Dictation([Deaf("deaf"), Typist("spare")]).run()
    assert dictation.finals == ["spare 20"]


async def test_what_two_do_not_understand_was_nothing() -> None:
    deaf, other = Deaf("deaf"), Deaf("other")
    dictation = await Dictation([deaf, other]).run()
    assert (dictation.finals, deaf.requests, other.requests) == ([""], 1, 1)


async def test_a_cough_has_no_words_and_nobody_else_is_asked() -> None:
    spare = Typist("spare")
    dictation = await Dictation([Deaf("deaf"), spare], pieces=(PIECE,) * 4 + (QUIET,) * 10).run()
    assert (dictation.finals, spare.requests) == ([""], 0)


async def test_of_two_at_work_the_one_that_understands_is_believed() -> None:
    late = Typist("late", (99, "slow"), delay_s=0.2)
    deaf = Deaf("deaf")
    dictation = await Dictation([late, deaf]).run()
    assert dictation.finals == ["late 20"]
    assert deaf.requests == 1


async def test_alone_one_that_is_late_is_waited_for() -> None:
    at = await Dictation([Typist("a", (99, "slow"))]).run()
    assert at.finals == ["a 20"] and at.took_s == pytest.approx(1.6)


async def test_a_final_transcript_before_the_end_says_nothing_of_its_pace() -> None:
    at = await Dictation([FakeTranscriber(*["hm"] * 30, early=True)]).run()
    assert at.finals == ["hm"] and at.took_s < 0
    for _ in range(LEAST):
        at = await Dictation(at.transcribers, at.observed).run()
    assert not at.observed.pace.knows("stt", "fake-stt")


async def test_who_failed_for_others_is_passed_over() -> None:
    observed = Observed()
    for _ in range(3):
        await Dictation([Typist("a", (0, "fail")), Typist("b")], observed).run()
    first = Typist("a")
    at = await Dictation([first, Typist("b")], observed).run()
    assert (at.finals, first.requests) == (["b 20"], 0)


async def test_what_has_ended_before_it_is_heard_has_its_time_from_then_on() -> None:
    at = await Dictation([Typist("a", (0, "stall"))], pieces=[], audio=PIECE * 20).run()
    assert at.took_s == pytest.approx(TRANSCRIPT_STALL_S + STALL_PER_S * 2.0)


async def test_each_hears_in_a_format_it_knows() -> None:
    spare = FakeTranscriber("hello", formats=(PCM_16K,))
    at = await Dictation([Typist("a", (0, "fail")), spare]).run()
    assert at.finals == ["hello"] and spare.asked == [(PCM_16K, "en")]
    assert len(spare.heard[0]) == PCM_16K.bytes_in(20 * PIECE_MS)


@pytest.mark.parametrize("is_final", [True, False])
async def test_words_at_the_very_moment_are_in_time_if_they_are_the_last(is_final: bool) -> None:
    came = asyncio.Event()
    asyncio.get_running_loop().call_at(now_s() + TRANSCRIPT_STALL_S, came.set)

    class Punctual:
        name = "punctual"
        formats: tuple[AudioFormat, ...] = (PCMU,)

        async def transcribe(
            self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
        ) -> AsyncGenerator[Transcript, None]:
            await came.wait()
            yield Transcript("hello", is_final)
            await asyncio.sleep(1e9)

    at = await Dictation([Punctual()], pieces=[]).run()
    assert at.transcripts == [Transcript("hello", is_final)]
    assert (at.failure is None, at.took_s) == (is_final, TRANSCRIPT_STALL_S)


async def test_closing_the_leg_closes_all_who_race() -> None:
    typists = [Typist("a", (0, "stall")), Typist("b", (0, "stall"))]
    leg = TranscriberLeg(typists, Observed().means)
    utterance = leg.begin(PIECE, PCMU)
    utterance.end()

    async def listen() -> None:
        async with aclosing(leg.transcribe(utterance, None)) as transcripts:
            async for _ in transcripts:
                pass

    task = asyncio.create_task(listen())
    await asyncio.sleep(STREAMING_LATE_S + STALL_PER_S)
    assert [typist.running for typist in typists] == [1, 1]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settle()
    assert [typist.running for typist in typists] == [0, 0]


FAULTS = ("fail", "refuse", "stall", "slow", "end")
TYPISTS = st.tuples(
    st.lists(st.tuples(st.sampled_from([0, 3, 19, 99]), st.sampled_from(FAULTS)), max_size=3), st.booleans()
)


@settings(deadline=None, max_examples=300)
@given(st.lists(TYPISTS, min_size=1, max_size=3), st.booleans())
def test_whatever_fails_there_is_one_final_transcript_of_all_that_was_said(
    scripts: list[tuple[list[tuple[int, str]], bool]], hedges: bool
) -> None:
    typists = [
        Typist(f"typist{at}", *faults, has_partials=partials) for at, (faults, partials) in enumerate(scripts)
    ]
    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        at = runner.run(Dictation(typists, Observed(hedges)).run())
    assert [typist.running for typist in typists] == [0] * len(typists)
    if at.failure is None:
        assert at.transcripts[-1].is_final and len(at.finals) == 1
        assert at.finals[0].endswith(" 20")
    else:
        assert at.finals == []
        assert all(fault for faults, _ in scripts for fault in faults[:1]) and all(faults for faults, _ in scripts)
    stalled_s = TRANSCRIPT_STALL_S + STALL_PER_S * 2.0
    assert at.took_s <= 2 * len(typists) * stalled_s + 1e-6


async def test_each_transcriber_is_paid_for_the_sound_it_was_given() -> None:
    at = await Dictation([Typist("a", (99, "fail")), Typist("b")]).run()
    failed, understood = at.observed.used
    seconds = 20 * PIECE_MS / 1000
    assert (failed.provider, failed.kind, failed.answered) == ("a", "stt", 0)
    assert (understood.provider, understood.requests, understood.answered) == ("b", 1, 1)
    assert failed.audio_s == pytest.approx(seconds) and understood.audio_s == pytest.approx(seconds)
    assert understood.first_s == pytest.approx(0.1)
