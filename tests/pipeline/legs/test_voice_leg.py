"""The voice's leg under the faults of a voice and its spares: each word announced once, and none left unsounded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio import g711
from pipeline.audio.formats import PCM_8K, PCM_24K, PCMU, AudioFormat
from pipeline.legs.pace import UNKNOWN_P95_S
from pipeline.legs.voice_leg import (
    KNOWS_S,
    SPARED_VOICE_STALL_S,
    VOICE_STALL_S,
    Manner,
    SpareVoice,
    VoiceLeg,
)
from pipeline.observations import Hedged
from pipeline.provider import ProviderError, Speech, Voice, WordTime
from tests.fakes import WORD_MS, FakeVoice, Wait, failure
from tests.pipeline.legs.observed import Observed
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, virtual_loop

pytestmark = pytest.mark.anyio

P95_S = UNKNOWN_P95_S["tts"]
CLAUSES = ("ab0 ab1.", "ab2 ab3 ab4.", "ab5 ab6.")
WORDS = " ".join(CLAUSES).split()
MANNER = Manner(format=PCMU)


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


def broken(*, retryable: bool = True) -> ProviderError:
    return ProviderError("tts", "is out of order", retryable=retryable)


class Reader:
    """Speaks `WORD_MS` a word, which sounds as its number in the answer. Each request has its own fault: what
    happens (or not) after so many words. `asks_ahead`: it takes clauses as they come, whatever it speaks.
    """

    def __init__(
        self,
        name: str,
        *faults: tuple[int, str],
        format: AudioFormat = PCMU,
        tells_times: bool = True,
        asks_ahead: bool = False,
    ) -> None:
        self.name = name
        self.formats: tuple[AudioFormat, ...] = (format,)
        self.running = 0
        self.given: list[list[str]] = []
        """The clauses of each request."""
        self.voices: list[str | None] = []
        self._faults = deque(faults)
        self._tells_times = tells_times
        self._asks_ahead = asks_ahead

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        self.running += 1
        self.voices.append(voice)
        given: list[str] = []
        self.given.append(given)
        faults_at, fault = self._faults.popleft() if self._faults else (99, "none")
        spoken = 0
        feeding: asyncio.Task[None] | None = None
        try:
            if self._asks_ahead:
                ahead: asyncio.Queue[str | None] = asyncio.Queue()
                feeding = asyncio.create_task(_feed(clauses, ahead))
                clauses = _drained(ahead)
            async for clause in clauses:
                given.append(clause)
                words = clause.split()
                if fault == "mute" and spoken <= faults_at < spoken + len(words):
                    spoken += len(words)
                    continue
                times = tuple(WordTime(word, at * WORD_MS) for at, word in enumerate(words))
                for number, word in enumerate(words):
                    if spoken == faults_at:
                        match fault:
                            case "fail":
                                raise broken()
                            case "refuse":
                                raise broken(retryable=False)
                            case "stall":
                                await asyncio.sleep(1e9)
                            case "slow":
                                await asyncio.sleep(0.9)
                            case "end":
                                return
                    spoken += 1
                    sound = _sound_of(word, format)
                    text = "" if number else clause
                    yield Speech(sound, text, times if text and self._tells_times else ())
        finally:
            if feeding is not None:
                feeding.cancel()
            self.running -= 1


async def _feed(clauses: AsyncIterator[str], ahead: asyncio.Queue[str | None]) -> None:
    async for clause in clauses:
        ahead.put_nowait(clause)
    ahead.put_nowait(None)


async def _drained(ahead: asyncio.Queue[str | None]) -> AsyncIterator[str]:
    while (clause := await ahead.get()) is not None:
        yield clause


def _sound_of(word: str, format: AudioFormat) -> bytes:
    code = bytes([0x10 + int(word.strip("ab."))])
    return g711.decode(code * PCMU.bytes_in(WORD_MS), PCMU.encoding) if format == PCM_8K else code * 1_600


@dataclass
class Telling:
    """One answer of a leg: what it spoke by when, and how it ended."""

    voices: Sequence[Voice | SpareVoice]
    observed: Observed = field(default_factory=Observed)
    manner: Manner = MANNER
    clauses: Sequence[str | Wait | None] = (*CLAUSES, None)
    speech: list[Speech] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    first_clauses: int = 0
    failure: ProviderError | None = None

    async def run(self) -> Telling:
        voices = [each if isinstance(each, SpareVoice) else SpareVoice(each) for each in self.voices]
        queue: asyncio.Queue[str | None] = asyncio.Queue(8)
        began_s = now_s()
        leg = VoiceLeg(voices, self.observed.means)
        try:
            async with asyncio.timeout(300), asyncio.TaskGroup() as tasks:
                thinking = tasks.create_task(self._think(queue))
                async with aclosing(leg.speak(queue, self.manner, self._first_clause)) as speech:
                    async for piece in speech:
                        self.speech.append(piece)
                        self.times.append(now_s() - began_s)
                thinking.cancel()
        except* ProviderError as errors:
            (error,) = errors.exceptions
            assert isinstance(error, ProviderError)
            self.failure = error
        self.took_s = now_s() - began_s
        return self

    async def _think(self, queue: asyncio.Queue[str | None]) -> None:
        for clause in self.clauses:
            if isinstance(clause, Wait):
                await asyncio.sleep(clause.seconds)
            else:
                await queue.put(clause)

    def _first_clause(self) -> None:
        self.first_clauses += 1

    @property
    def text(self) -> str:
        return " ".join(piece.text for piece in self.speech if piece.text)

    @property
    def sounded(self) -> list[int]:
        """The numbers of the words that sound, in order."""
        sound = b"".join(piece.audio for piece in self.speech)
        word_bytes = PCMU.bytes_in(WORD_MS)
        return [sound[at] - 0x10 for at in range(0, len(sound), word_bytes)]


EVERY_WORD = list(range(len(WORDS)))


async def test_an_answer_passes_untouched_and_is_timed() -> None:
    at = await Telling([Reader("a")]).run()
    assert [piece.text for piece in at.speech if piece.text] == list(CLAUSES)
    assert (at.sounded, at.first_clauses, at.observed.timed) == (EVERY_WORD, 1, [("a", None)])


async def test_where_nothing_is_to_be_said_nothing_is_timed() -> None:
    at = await Telling([Reader("a"), Reader("b")], clauses=[None]).run()
    assert (at.speech, at.failure, at.observed.all) == ([], None, [])


@pytest.mark.parametrize("tells_times", [True, False])
@pytest.mark.parametrize(("after", "again"), [(0, 0), (1, 1), (2, 2), (4, 4), (5, 5), (6, 6)])
async def test_the_spare_says_only_what_was_not_sounded(after: int, again: int, tells_times: bool) -> None:
    """Between clauses the seam is exact; within one it may say a word again, and never leaves one out."""
    spare = Reader("b")
    at = await Telling([Reader("a", (after, "fail"), tells_times=tells_times), spare]).run()
    assert at.text.split() == WORDS
    begins = int(spare.given[0][0].split()[0].strip("ab."))
    assert begins == again or (again in (4, 6, 1) and begins == again - 1)
    assert at.sounded == [*range(after), *range(begins, len(WORDS))]


async def test_a_voice_without_sound_makes_room_for_the_spare() -> None:
    at = await Telling([Reader("a", (0, "stall")), Reader("b")]).run()
    assert at.sounded == EVERY_WORD and at.times[0] == pytest.approx(SPARED_VOICE_STALL_S)


async def test_a_gap_in_mid_sentence_makes_room_for_the_spare() -> None:
    at = await Telling([Reader("a", (3, "stall"), asks_ahead=True), Reader("b")]).run()
    assert at.sounded[-4:] == [3, 4, 5, 6] and at.took_s == pytest.approx(SPARED_VOICE_STALL_S)


async def test_a_gap_in_mid_sentence_is_seen_while_the_model_still_thinks() -> None:
    """Also of a voice that asks for its next clause all the time."""
    clauses = ("ab0 ab1 ab2 ab3 ab4 ab5.", Wait(3.0), "ab6.", None)
    at = await Telling([Reader("a", (3, "stall"), asks_ahead=True), Reader("b")], clauses=clauses).run()
    gaps = [after - before for before, after in zip(at.times, at.times[1:], strict=False)]
    assert len(at.text.split()) == len(WORDS) and max(gaps[:5]) == pytest.approx(SPARED_VOICE_STALL_S)


@pytest.mark.parametrize("asks_ahead", [True, False])
async def test_a_voice_that_waits_for_its_next_clause_owes_nothing(asks_ahead: bool) -> None:
    clauses = (CLAUSES[0], Wait(10.0), CLAUSES[1], Wait(10.0), CLAUSES[2], Wait(10.0), None)
    at = await Telling([Reader("a", asks_ahead=asks_ahead), Reader("b")], clauses=clauses).run()
    assert (at.sounded, at.observed.fallbacks) == (EVERY_WORD, [])


async def test_a_voice_that_never_asks_for_its_first_clause_is_given_up() -> None:
    deaf = Connecting("deaf")
    at = await Telling([SpareVoice(deaf), Reader("b")], clauses=[Wait(1.0), *CLAUSES, None]).run()
    assert at.sounded == EVERY_WORD and at.times[0] == pytest.approx(1.0 + SPARED_VOICE_STALL_S)
    assert deaf.running == 0


class Connecting:
    """A voice that never comes round to asking what it is to say."""

    formats: tuple[AudioFormat, ...] = (PCMU,)

    def __init__(self, name: str) -> None:
        self.name = name
        self.running = 0

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        self.running += 1
        try:
            await asyncio.sleep(1e9)
            yield Speech(b"")
        finally:
            self.running -= 1


@pytest.mark.parametrize("clause", [0, 1, 2])
async def test_a_clause_without_sound_is_spoken_by_the_spare(clause: int) -> None:
    first_word = (0, 2, 5)[clause]
    at = await Telling([Reader("a", (first_word, "mute")), Reader("b")]).run()
    assert (at.sounded, at.text.split()) == (EVERY_WORD, WORDS)


async def test_alone_a_voice_that_leaves_out_a_clause_is_better_than_none() -> None:
    at = await Telling([Reader("a", (2, "mute"))]).run()
    assert (at.sounded, at.failure) == ([0, 1, 5, 6], None)


async def test_a_voice_without_any_sound_has_failed() -> None:
    at = await Telling([Reader("a", (0, "mute"))], clauses=["ab0 ab1.", None]).run()
    assert str(at.failure) == "a: made no sound"


async def test_dots_need_no_sound() -> None:
    at = await Telling([Reader("a", (2, "mute"))], clauses=["ab0 ab1.", "... ...", "ab2.", None]).run()
    assert (at.text, at.failure) == ("ab0 ab1. ab2.", None)
    at = await Telling([Reader("a", (0, "mute")), Reader("b")], clauses=["... ...", None]).run()
    assert (at.speech, at.failure, at.observed.fallbacks) == ([], None, [])


@pytest.mark.parametrize(("words", "begins"), [(2, 2), (5, 5), (3, 3), (1, 1)])
async def test_a_voice_that_ends_early_is_continued(words: int, begins: int) -> None:
    first, spare = Reader("a", (words, "end"), tells_times=False), Reader("b")
    at = await Telling([first, spare], clauses=[*CLAUSES, None]).run()
    assert at.text.split() == WORDS
    assert int(spare.given[0][0].split()[0].strip("ab.")) in (begins, begins - 1)
    assert at.observed.fallbacks == [("a", "b", "a: stopped before it had said everything")]


async def test_a_spare_that_speaks_another_format_is_heard_in_the_one_asked_for() -> None:
    at = await Telling([Reader("a", (2, "fail")), Reader("b", format=PCM_8K)]).run()
    assert at.sounded == EVERY_WORD


async def test_the_last_sound_of_the_filter_is_not_lost() -> None:
    at = await Telling([FakeVoice({2: failure()}), Reader("b", (9, ""))], manner=Manner(format=PCM_24K)).run()
    assert sum(len(piece.audio) for piece in at.speech) == PCM_24K.bytes_in(len(WORDS) * WORD_MS)


async def test_a_slow_voice_is_raced_and_the_loser_is_stopped() -> None:
    voice = Reader("a", (0, "slow"))
    at = await Telling([voice], Observed(hedges=True)).run()
    assert (at.sounded, voice.running) == (EVERY_WORD, 0) and at.times[0] == pytest.approx(P95_S)
    (hedged,) = at.observed.hedged
    assert (hedged.kind, hedged.provider, hedged.won) == ("tts", "a", True)
    assert hedged.saved_s == pytest.approx(SPARED_VOICE_STALL_S - P95_S)


async def test_a_second_request_may_be_in_vain() -> None:
    at = await Telling([Reader("a", (0, "slow"), (0, "stall"))], Observed(hedges=True)).run()
    assert (at.sounded, at.observed.hedged) == (EVERY_WORD, [Hedged("tts", "a", False)])


async def test_two_that_race_and_stall_are_waited_for_to_the_last() -> None:
    at = await Telling([Reader("a", (0, "stall"), (0, "stall"))], Observed(hedges=True)).run()
    assert str(at.failure) == f"a: no sound for {VOICE_STALL_S:g} seconds"
    assert at.took_s == pytest.approx(P95_S + VOICE_STALL_S)
    assert at.observed.hedged == [Hedged("tts", "a", False)]


async def test_who_failed_for_others_is_passed_over() -> None:
    observed = Observed()
    for _ in range(3):
        await Telling([Reader("a", (0, "stall")), Reader("b")], observed).run()
    first = Reader("a")
    at = await Telling([first, Reader("b")], observed).run()
    assert (at.sounded, first.given) == (EVERY_WORD, [])
    assert observed.fallbacks[-1] == ("a", "b", "it failed lately")


async def test_a_refusal_is_final() -> None:
    first = Reader("a", (0, "refuse"))
    at = await Telling([first], Observed(hedges=True)).run()
    assert str(at.failure) == "tts: is out of order" and len(first.given) == 1


class Choir:
    """A reader that knows its names, sooner or later."""

    formats: tuple[AudioFormat, ...] = (PCMU,)

    def __init__(self, name: str, *faults: tuple[int, str]) -> None:
        self.name = name
        self.knows_after_s = 0.0
        self.names: tuple[str, ...] = ()
        reader = Reader(name, *faults)
        self.voices, self.speak = reader.voices, reader.speak

    async def knows(self, voice: str) -> bool:
        await asyncio.sleep(self.knows_after_s)
        return voice in self.names


@pytest.mark.parametrize(
    ("asked", "names", "name"),
    [("eve", (), "own"), ("eve", ("eve",), "eve"), ("anna", ("anna",), "own"), (None, (), "own")],
)
async def test_a_spare_speaks_with_a_name_of_its_own(
    asked: str | None, names: tuple[str, ...], name: str | None
) -> None:
    choir, plain = Choir("b", (0, "fail")), Reader("c")
    choir.names = names
    voices = [SpareVoice(Reader("a", (0, "fail")), "anna"), SpareVoice(choir, "own"), SpareVoice(plain, "carl")]
    at = await Telling(voices, manner=Manner(format=PCMU, voice=asked)).run()
    assert (choir.voices, plain.voices, at.sounded) == ([name], ["carl"], EVERY_WORD)


async def test_a_voice_that_cannot_say_which_names_it_has_speaks_with_its_own() -> None:
    choir = Choir("a")
    choir.knows_after_s, choir.names = 10.0, ("eve",)
    at = await Telling([SpareVoice(choir, "own")], manner=Manner(format=PCMU, voice="eve")).run()
    assert (choir.voices, at.sounded) == (["own"], EVERY_WORD) and at.times[0] == pytest.approx(KNOWS_S)


class Spelling:
    """A voice that brings its words apart from their sound, and in its own spelling."""

    formats: tuple[AudioFormat, ...] = (PCMU,)
    name = "spelling"

    def __init__(self, *pieces: Speech | ProviderError) -> None:
        self._pieces = pieces

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        async for _ in clauses:
            pass
        for piece in self._pieces:
            if isinstance(piece, ProviderError):
                raise piece
            yield piece


async def test_words_before_the_first_sound_are_kept_for_the_winner() -> None:
    words = Speech(b"", "one two", (WordTime("one", 0), WordTime("two", 200)))
    at = await Telling([SpareVoice(Spelling(words, Speech(b"\x20" * 3_200)))], clauses=["one two", None]).run()
    assert at.speech == [words, Speech(b"\x20" * 3_200)]


async def test_words_announced_after_their_sound_are_whole() -> None:
    after = Speech(b"", "one two", (WordTime("one", -400), WordTime("two", -200)))
    voices = [SpareVoice(Spelling(Speech(b"\x20" * 3_200), after)), SpareVoice(Reader("b"))]
    at = await Telling(voices, clauses=["one two", None]).run()
    assert (at.text, at.observed.fallbacks) == ("one two", [])


async def test_words_that_sounded_unannounced_are_announced_at_the_seam() -> None:
    first = Spelling(Speech(b"\x20" * 6_400), broken())
    at = await Telling([SpareVoice(first), Reader("b")]).run()
    assert at.speech[1] == Speech(b"", "ab0 ab1.") and at.text.split() == WORDS


async def test_words_announced_at_one_seam_are_not_announced_at_the_next() -> None:
    silent = [SpareVoice(Spelling(Speech(b"\x20" * 6_400), broken())) for _ in range(2)]
    at = await Telling([*silent, Reader("c")]).run()
    assert at.text.split() == WORDS and len(at.observed.fallbacks) == 2


async def test_words_announced_ahead_of_their_sound_are_not_announced_twice() -> None:
    times = tuple(WordTime(word, at * WORD_MS) for at, word in enumerate(WORDS[:5]))
    first = Spelling(Speech(b"\x10" * 3_200 + b"\x11", " ".join(WORDS[:5]), times), broken())
    at = await Telling([SpareVoice(first), Reader("b")]).run()
    assert at.text.split() == WORDS


async def test_a_voice_with_a_spelling_of_its_own_is_believed_if_its_sound_suffices() -> None:
    pieces = (Speech(b"\x20" * 16_000, "twenty", ()),)
    at = await Telling([SpareVoice(Spelling(*pieces)), Reader("b")], clauses=["20 and 20", None]).run()
    assert (at.text, at.observed.fallbacks) == ("twenty", [])


async def test_sound_at_the_very_moment_is_in_time() -> None:
    came = asyncio.Event()
    asyncio.get_running_loop().call_at(now_s() + SPARED_VOICE_STALL_S, came.set)

    class Punctual:
        name = "punctual"
        formats: tuple[AudioFormat, ...] = (PCMU,)

        async def speak(
            self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
        ) -> AsyncGenerator[Speech, None]:
            async for clause in clauses:
                await came.wait()
                yield Speech(b"\x20" * 16_000, clause)

    at = await Telling([SpareVoice(Punctual()), Reader("b")]).run()
    assert (at.text.split(), at.took_s, at.observed.fallbacks) == (WORDS, SPARED_VOICE_STALL_S, [])


async def test_an_error_after_the_last_word_changes_nothing() -> None:
    voices = [SpareVoice(Spelling(Speech(b"\x20" * 16_000, "one two"), broken())), SpareVoice(Reader("b"))]
    at = await Telling(voices, clauses=["one two", None]).run()
    assert (at.text, at.failure, at.observed.fallbacks) == ("one two", None, [])


async def test_cancelling_closes_all_who_race() -> None:
    for after_s in (0.3, P95_S + 0.3, SPARED_VOICE_STALL_S + 0.3):
        voices = [Reader("a", (0, "stall"), (0, "stall")), Reader("b", (0, "stall"))]
        task = asyncio.create_task(Telling(voices, Observed(True)).run())
        await asyncio.sleep(after_s)
        assert sum(voice.running for voice in voices) > 0
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [voice.running for voice in voices] == [0, 0]


FAULTS = ("fail", "refuse", "stall", "slow", "end", "mute")
READERS = st.tuples(
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from(FAULTS)), max_size=3),
    st.sampled_from([PCMU, PCM_8K]),
    st.booleans(),
    st.booleans(),
)
ENDS = (2, 5, 7)
"""Where the clauses end, in words."""


@settings(deadline=None, max_examples=400)
@given(st.lists(READERS, min_size=1, max_size=3), st.booleans(), st.sampled_from([0.0, 0.5, 2.0]))
def test_whatever_fails_each_word_is_announced_once_and_none_is_left_out(
    scripts: list[tuple[list[tuple[int, str]], AudioFormat, bool, bool]], hedges: bool, thinks_s: float
) -> None:
    readers = [
        Reader(f"voice {at}", *faults, format=format, tells_times=times, asks_ahead=ahead)
        for at, (faults, format, times, ahead) in enumerate(scripts)
    ]
    clauses = [step for clause in CLAUSES for step in (clause, Wait(thinks_s))]
    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        at = runner.run(Telling(readers, Observed(hedges), clauses=[*clauses, None]).run())
    assert [reader.running for reader in readers] == [0] * len(readers)
    told, sounded = at.text.split(), at.sounded
    # Only where nobody is left who could make up for it, or nobody can tell: the voice had all there is to say and
    # ended as if it had said it.
    is_last = sum(len(reader.given) for reader in readers) >= len(readers)
    may_leave_out = any(
        (fault == "mute" and is_last) or (fault == "end" and ahead)
        for faults, _, _, ahead in scripts
        for _, fault in faults
    )
    if at.failure is None and not may_leave_out:
        assert told == WORDS and set(sounded) == set(EVERY_WORD)
    else:
        assert told == [word for word in WORDS if word in told], "each once and in order"
    for before, after in zip(sounded, sounded[1:], strict=False):
        clause_begins = max((end for end in (0, *ENDS) if end <= before), default=0)
        assert after > clause_begins or after > before, "no clause is sounded twice as a whole"
        assert after <= before + 1 or may_leave_out, "no word is left out"
    times = [0.0, *at.times, at.took_s]
    longest_s = max(after - before for before, after in zip(times, times[1:], strict=False))
    assert longest_s <= 2 * len(readers) * VOICE_STALL_S + thinks_s * len(CLAUSES) + 1e-6


class Dripper:
    """Says one clause in pieces of 20 ms, one every `every_s` seconds."""

    name = "dripper"
    formats: tuple[AudioFormat, ...] = (PCMU,)

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        async for clause in clauses:
            length = PCMU.bytes_in(WORD_MS) * len(clause.split())
            for at in range(0, length, 160):
                yield Speech(b"\x10" * 160, "" if at else clause)
                await asyncio.sleep(self._every_s)


async def test_a_voice_that_drips_makes_room_for_the_spare() -> None:
    telling = await Telling([Dripper(0.4), Reader("spare")]).run()
    assert telling.failure is None and telling.text.split() == WORDS
    assert telling.took_s == pytest.approx(3 * 0.4)  # the third gap is one too many


async def test_alone_a_voice_that_drips_has_failed_before_long() -> None:
    telling = await Telling([Dripper(0.4)]).run()
    assert telling.failure is not None and "slower than it plays" in str(telling.failure)
    assert telling.took_s == pytest.approx(7 * 0.4)


async def test_alone_a_voice_that_is_a_little_too_slow_is_better_than_none() -> None:
    telling = await Telling([Dripper(0.03)]).run()
    assert telling.failure is None and telling.text.split() == WORDS


async def test_each_voice_is_paid_for_what_it_was_given_and_timed_for_what_was_heard() -> None:
    first, second = Reader("a", (2, "fail")), Reader("b")
    at = await Telling([first, second]).run()
    assert at.sounded == EVERY_WORD
    broke, went_on = at.observed.used
    assert [broke.provider, went_on.provider] == ["a", "b"]
    assert broke.characters == sum(map(len, first.given[0]))
    assert went_on.characters == sum(map(len, second.given[0]))
    sound_s = len(EVERY_WORD) * WORD_MS / 1000
    assert broke.audio_s + went_on.audio_s == pytest.approx(sound_s)
    assert (broke.requests, broke.answered, went_on.answered) == (1, 1, 1)


async def test_a_voice_that_loses_a_race_is_paid_as_well() -> None:
    at = await Telling([Reader("a", (0, "slow"))], Observed(hedges=True)).run()
    lost, won = at.observed.used
    assert (lost.answered, lost.audio_s, won.answered) == (0, 0.0, 1)
    assert lost.characters > 0


async def test_a_voice_that_was_given_nothing_is_not_paid() -> None:
    clauses: asyncio.Queue[str | None] = asyncio.Queue()
    clauses.put_nowait(None)
    observed = Observed()
    leg = VoiceLeg([SpareVoice(Reader("a"))], observed.means)
    async with asyncio.timeout(60), aclosing(leg.speak(clauses, MANNER, lambda: None)) as speech:
        assert [piece async for piece in speech] == []
    assert observed.used == []


class Breather:
    """Says each clause, and then sends silence without end."""

    name = "breather"
    formats: tuple[AudioFormat, ...] = (PCMU,)

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        async for clause in clauses:
            yield Speech(b"".join(_sound_of(word, format) for word in clause.split()), clause)
            while True:
                yield Speech(PCMU.silence * 1_600)
                await asyncio.sleep(0.01)


async def test_silence_that_is_sent_as_sound_makes_room_for_the_spare() -> None:
    telling = await Telling([Breather(), Reader("spare")]).run()
    assert telling.failure is None and telling.text.split() == WORDS
    assert telling.took_s == pytest.approx(SPARED_VOICE_STALL_S + 0.05, abs=0.1)
    silence_bytes = b"".join(piece.audio for piece in telling.speech).count(PCMU.silence)
    assert silence_bytes <= PCMU.bytes_in(1_000)
