"""ElevenLabs' voice against its stand-in, and against a socket that says what no service should."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError

from pipeline.agent import Agent
from pipeline.audio import g711
from pipeline.audio.formats import PCM_8K, PCM_24K, PCMA, PCMU, AudioFormat, Encoding
from pipeline.provider import Closes, KnowsVoices, Prepares, ProviderError, skills_of_voice
from pipeline.providers.elevenlabs import FASTEST, MOST_ROUTES, SLOWEST, VOICE, ElevenLabsVoice, voice
from pipeline.providers.source import Source
from simulator.sound import rms
from simulator.standins.elevenlabs import ElevenLabsStandin
from simulator.standins.fault import Fault, Faults
from simulator.standins.serving import served
from tests.pipeline.providers.scripted_socket import scripted_socket
from tests.pipeline.providers.spoken import CLAUSES, WORDS, said, then_nothing
from tests.pipeline.providers.streams import TIMEOUT_S, all_of, stream_of

pytestmark = pytest.mark.anyio

KEY = "s3cret"
OTHER_VOICE = "21m00Tcm4TlvDq8ikWAM"
SOUND = base64.b64encode(b"\x20" * 800).decode()
FINAL = {"isFinal": True, "contextId": "$ID"}


def alignment(text: str, *starts: object) -> dict[str, object]:
    return {"chars": list(text), "charStartTimesMs": list(starts), "charDurationsMs": [10] * len(text)}


def sound(timed: object = None, **more: object) -> dict[str, Any]:
    return {"audio": SOUND, "alignment": timed, "contextId": "$ID", **more}


def is_closed(sent: dict[str, Any]) -> bool:
    return bool(sent.get("close_context"))


@asynccontextmanager
async def speaking(
    standin: ElevenLabsStandin, *, model: str = "", language: str | None = None, **options: Any
) -> AsyncGenerator[ElevenLabsVoice, None]:
    async with served(standin) as host, voiced(f"http://{host}/", model, language, **options) as speaker:
        yield speaker


@asynccontextmanager
async def voiced(
    base_url: str, model: str = "", language: str | None = None, **options: Any
) -> AsyncGenerator[ElevenLabsVoice, None]:
    agent = Agent("a", language=language)
    source = Source(name="elevenlabs", model=model, agent=agent, api_key=KEY, base_url=base_url, options=options)
    speaker = ElevenLabsVoice(source)
    try:
        yield speaker
    finally:
        await speaker.aclose()


@pytest.mark.parametrize("format", ElevenLabsVoice.formats)
async def test_each_format_comes_as_the_service_makes_it(format: AudioFormat) -> None:
    standin = ElevenLabsStandin(Faults())
    async with speaking(standin) as speaker:
        answer = await said(speaker, format=format)

    names = {Encoding.PCM16: "pcm", Encoding.ULAW: "ulaw", Encoding.ALAW: "alaw"}
    assert standin.opened[0].query["output_format"] == f"{names[format.encoding]}_{format.rate_hz}"
    assert answer.text == WORDS
    assert format.seconds_of(answer.audio) == pytest.approx(len(WORDS.split()) * 0.2 + 0.02, abs=0.002)
    assert rms(g711.decode(answer.audio, format.encoding)) == pytest.approx(2_800, rel=0.05)


async def test_words_are_timed_in_the_sound_that_is_left_without_its_silence() -> None:
    async with speaking(ElevenLabsStandin(Faults(), word_ms=150)) as speaker:
        answer = await said(speaker)

    starts = answer.starts(PCMU)
    assert starts[:3] == [("Hello,", 20), ("my", 170), ("dear", 320)]
    assert starts[-1] == ("ready?", 20 + 150 * 10)
    assert answer.heard(PCMU, 550) == "Hello, my dear"
    assert answer.heard(PCMU, 10_000) == WORDS


async def test_silence_stays_for_who_wants_it() -> None:
    async with speaking(ElevenLabsStandin(Faults(), lead_ms=150), trim_silence=False) as speaker:
        answer = await said(speaker, ["One."])

    assert PCMU.seconds_of(answer.audio) == pytest.approx(0.35)
    assert answer.starts(PCMU) == [("One.", 150)]


async def test_one_context_begins_with_its_settings_and_is_flushed_and_closed() -> None:
    standin = ElevenLabsStandin(Faults())
    async with speaking(standin, model="eleven_turbo_v2_5", language="de-AT", stability=0.3) as speaker:
        await said(speaker, [*CLAUSES, " "], speed=0.1, name="a?b")

    context_id = standin.sent[0]["context_id"]
    assert standin.sent == [
        {"text": " ", "voice_settings": {"stability": 0.3, "speed": SLOWEST}, "context_id": context_id},
        {"text": CLAUSES[0] + " ", "context_id": context_id},
        {"text": CLAUSES[1] + " ", "context_id": context_id},
        {"flush": True, "context_id": context_id},
        {"close_context": True, "context_id": context_id},
    ]
    opened = standin.opened[0]
    assert (opened.voice, opened.key) == ("a?b", KEY)
    assert opened.query["model_id"] == "eleven_turbo_v2_5"
    assert opened.query["language_code"] == "de"


async def test_a_model_that_finds_the_language_by_itself_is_not_told() -> None:
    standin = ElevenLabsStandin(Faults())
    async with speaking(standin, model="eleven_multilingual_v2", language="de") as speaker:
        await said(speaker, speed=9.0)

    assert "language_code" not in standin.opened[0].query
    assert standin.opened[0].voice == VOICE
    assert standin.sent[0]["voice_settings"] == {"speed": FASTEST}


async def test_nothing_to_say_makes_no_sound() -> None:
    standin = ElevenLabsStandin(Faults())
    async with speaking(standin) as speaker:
        assert (await said(speaker, [])).pieces == []
        assert standin.opened == []
        assert (await said(speaker, [" "])).pieces == []


async def test_a_connection_is_open_beforehand_and_used_again() -> None:
    standin = ElevenLabsStandin(Faults())
    async with speaking(standin) as speaker:
        await speaker.prepare()
        assert len(standin.opened) == 1
        for _ in range(7):  # more than there may be contexts at once
            assert (await said(speaker)).text == WORDS

    assert len(standin.opened) == 2  # the one that spoke, and the spare one


async def test_only_so_many_voices_keep_connections() -> None:
    standin = ElevenLabsStandin(Faults())
    async with speaking(standin) as speaker:
        for number in range(MOST_ROUTES + 1):
            await said(speaker, ["Hello."], name=f"voice{number}")
        before = len(standin.opened)
        await said(speaker, ["Hello."], name=f"voice{MOST_ROUTES}")
        assert len(standin.opened) == before
        await said(speaker, ["Hello."], name="voice0")
        assert len(standin.opened) > before


async def test_answers_side_by_side_do_not_mix() -> None:
    names = ("one", "two", "three")
    async with speaking(ElevenLabsStandin(Faults())) as speaker, asyncio.TaskGroup() as calls:
        answers = [calls.create_task(said(speaker, [f"This is caller {name}."])) for name in names]

    assert [answer.result().text for answer in answers] == [f"This is caller {name}." for name in names]


async def test_an_answer_that_is_broken_off_is_closed_at_the_service() -> None:
    standin = ElevenLabsStandin(Faults())
    async with speaking(standin) as speaker, asyncio.timeout(TIMEOUT_S):
        clauses = then_nothing("A long sentence that nobody will hear to its end.")
        async with aclosing(speaker.speak(clauses, format=PCMU, voice=None)) as speech:
            assert (await anext(speech)).audio
        while not standin.cut_short:  # noqa: ASYNC110 - a mere list; bounded by the timeout around
            await asyncio.sleep(0)
        assert (await said(speaker)).text == WORDS

    assert standin.cut_short == [standin.sent[0]["context_id"]]


@pytest.mark.parametrize(
    ("fault", "said_of_it", "retryable"),
    [
        (Fault.REFUSE, "HTTP 401", False),
        (Fault.TOO_MANY, "HTTP 429", True),
        (Fault.BROKEN, "HTTP 500", True),
        (Fault.CLOSE_1006, "without a goodbye", True),
        (Fault.CLOSE_1011, "1011", True),
        (Fault.ZERO_AUDIO, "without a sample of sound", True),
        (Fault.GARBAGE, "no JSON object", True),
        (Fault.BIG_CHUNK, "1009", True),
    ],
)
async def test_each_fault_is_the_provider_s(fault: Fault, said_of_it: str, retryable: bool) -> None:
    async with speaking(ElevenLabsStandin(Faults(then=[fault]))) as speaker:
        with pytest.raises(ProviderError, match=said_of_it) as raised:
            await said(speaker)
        assert raised.value.retryable is retryable
        assert KEY not in str(raised.value)
        assert (await said(speaker)).text == WORDS  # the next one is not harmed


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.STALL])
async def test_a_service_that_hangs_can_be_left(fault: Fault) -> None:
    async with speaking(ElevenLabsStandin(Faults(then=[fault]))) as speaker:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await said(speaker)
        assert (await said(speaker)).text == WORDS


@pytest.mark.parametrize("format", [PCM_8K, PCM_24K])
async def test_chunks_that_end_within_a_sample_are_joined(format: AudioFormat) -> None:
    async with speaking(ElevenLabsStandin(Faults(then=[Fault.ODD_PCM]))) as speaker:
        odd, even = await said(speaker, format=format), await said(speaker, format=format)

    assert odd.audio == even.audio
    assert all(len(piece.audio) % 2 == 0 for piece in odd.pieces)


async def test_no_server_is_a_provider_error() -> None:
    async with voiced("ws://127.0.0.1:9") as speaker:
        with pytest.raises(ProviderError, match="cannot be reached") as raised:
            await said(speaker)
    assert raised.value.retryable


@pytest.mark.parametrize(
    ("message", "said_of_it", "retryable"),
    [
        ({"error": "invalid_api_key", "message": f"{KEY} is wrong"}, "error invalid_api_key *** is wrong", False),
        ({"error": "quota_exceeded", "code": 1008}, "error quota_exceeded", False),
        ({"error": "system_busy", "contextId": "$ID"}, "error system_busy", True),
        (sound(audio="§"), "sound that is no base64", True),
        (sound(alignment("ab", 0)), "an alignment without characters and times", True),
        (sound("ab"), "an alignment without characters and times", True),
        (sound(alignment("a", "now")), "a character's time that is no number", True),
        (FINAL, "ended before it was told everything", True),
        ("[1, 2]", "no JSON object", True),
    ],
)
async def test_what_the_wire_does_not_allow_is_the_provider_s(
    message: dict[str, Any] | str, said_of_it: str, retryable: bool
) -> None:
    async with scripted_socket(message) as socket, voiced(socket.base_url) as speaker:
        with pytest.raises(ProviderError) as raised:
            await all_of(speaker.speak(then_nothing("One."), format=PCMU, voice=None))
    assert said_of_it in str(raised.value)
    assert KEY not in str(raised.value)
    assert raised.value.retryable is retryable


async def test_messages_of_other_contexts_are_not_listened_to() -> None:
    others = [sound(contextId="other"), {**FINAL, "contextId": "other"}]
    async with (
        scripted_socket(*others, sound(), {"audio": None, "contextId": "$ID"}, FINAL, after=is_closed) as socket,
        voiced(socket.base_url) as speaker,
    ):
        answer = await said(speaker)

    assert len(answer.audio) == 800
    assert answer.text == WORDS
    assert answer.heard(PCMU, 100) == WORDS


async def test_a_word_may_end_in_the_next_chunk() -> None:
    chunks = [sound(alignment("Hel", 0, 30, 60)), sound(alignment("lo you", 0, 10, 20, 40, 50, 60))]
    async with (
        scripted_socket(*chunks, FINAL, after=is_closed) as socket,
        voiced(socket.base_url) as speaker,
    ):
        answer = await said(speaker, ["Hello you"])

    assert answer.starts(PCMU) == [("Hello", 0), ("you", 140)]


async def test_times_that_count_from_the_beginning_of_the_answer_are_understood() -> None:
    chunks = [sound(alignment("one ", 0, 30, 60, 90)), sound(alignment("two", 110, 140, 170))]
    async with (
        scripted_socket(*chunks, FINAL, after=is_closed) as socket,
        voiced(socket.base_url) as speaker,
    ):
        answer = await said(speaker, ["one two"])

    assert answer.starts(PCMU) == [("one", 0), ("two", 110)]


async def test_a_connection_that_is_closed_while_one_speaks_tells_why_it_was() -> None:
    async with scripted_socket({"error": "busy"}) as socket, voiced(socket.base_url) as speaker:
        with pytest.raises(ProviderError, match="busy"):
            await all_of(speaker.speak(stream_of(["word"] * 50), format=PCMU, voice=None))


async def test_a_connection_that_is_gone_before_a_clause_is_sent_is_the_provider_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def vanish(connection: ClientConnection, *_: object) -> None:
        connection.transport.abort()
        raise ConnectionClosedError(None, None)

    monkeypatch.setattr(ClientConnection, "send", vanish)
    async with speaking(ElevenLabsStandin(Faults())) as speaker:
        with pytest.raises(ProviderError, match="without a goodbye") as raised:
            await said(speaker)
    assert raised.value.retryable


async def test_another_format_is_refused() -> None:
    async with voiced("") as speaker:
        with pytest.raises(ProviderError, match="speaks"):
            await said(speaker, format=AudioFormat(Encoding.PCM16, 11_025))


async def test_a_voice_s_name_is_of_letters_and_digits() -> None:
    async with voiced("") as speaker:
        assert await speaker.knows(OTHER_VOICE)
        assert not await speaker.knows("alloy")
        assert not await speaker.knows("../" + OTHER_VOICE)


async def test_it_is_what_the_engine_asks_for() -> None:
    speaker = voice(Source(name="elevenlabs", agent=Agent("a"), api_key=KEY))

    assert isinstance(speaker, Prepares) and isinstance(speaker, Closes) and isinstance(speaker, KnowsVoices)
    assert speaker.name == "elevenlabs"
    assert skills_of_voice(speaker).has_word_times and skills_of_voice(speaker).joins_clauses
    assert set(speaker.formats) >= {PCMU, PCMA, PCM_24K}


def test_a_missing_key_and_an_unknown_option_are_told() -> None:
    with pytest.raises(ProviderError, match="ELEVENLABS_API_KEY"):
        voice(Source(name="elevenlabs", agent=Agent("a")))
    with pytest.raises(ProviderError, match="no option 'pitch'"):
        voice(Source(name="elevenlabs", agent=Agent("a"), api_key=KEY, options={"pitch": 1}))
