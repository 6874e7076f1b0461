"""Cartesia's voice against its stand-in, and against a socket that says what no service should."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError

from pipeline.agent import Agent
from pipeline.audio import g711
from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat, Encoding
from pipeline.provider import Closes, KnowsVoices, Prepares, ProviderError, skills_of_voice
from pipeline.providers import cartesia
from pipeline.providers.cartesia import FASTEST, SLOWEST, VOICE, CartesiaVoice, voice
from pipeline.providers.source import Source
from simulator.sound import rms
from simulator.standins.cartesia import CartesiaStandin
from simulator.standins.fault import Fault, Faults
from simulator.standins.serving import served
from tests.pipeline.providers.scripted_socket import scripted_socket
from tests.pipeline.providers.spoken import CLAUSES, WORDS, Said, said, then_nothing
from tests.pipeline.providers.streams import TIMEOUT_S, all_of, stream_of

pytestmark = pytest.mark.anyio

KEY = "s3cret"
OTHER_VOICE = "a0e99841-438c-4a64-b679-ae501e7d6091"
SOUND = base64.b64encode(b"\x20" * 800).decode()
CHUNK = {"type": "chunk", "data": SOUND, "done": False, "status_code": 206, "context_id": "$ID"}
DONE = {"type": "done", "done": True, "status_code": 200, "context_id": "$ID"}


def source(base_url: str = "", model: str = "", language: str | None = None, **options: Any) -> Source:
    agent = Agent("a", language=language)
    return Source(name="cartesia", model=model, agent=agent, api_key=KEY, base_url=base_url, options=options)


@asynccontextmanager
async def speaking(
    standin: CartesiaStandin, *, model: str = "", language: str | None = None, **options: Any
) -> AsyncGenerator[CartesiaVoice, None]:
    async with served(standin) as host, voiced(f"http://{host}", model, language, **options) as speaker:
        yield speaker


@asynccontextmanager
async def voiced(
    base_url: str, model: str = "", language: str | None = None, **options: Any
) -> AsyncGenerator[CartesiaVoice, None]:
    speaker = CartesiaVoice(source(base_url, model, language, **options))
    try:
        yield speaker
    finally:
        await speaker.aclose()


@pytest.mark.parametrize("format", CartesiaVoice.formats)
async def test_each_format_comes_as_the_service_makes_it(format: AudioFormat) -> None:
    standin = CartesiaStandin(Faults())
    async with speaking(standin) as speaker:
        answer = await said(speaker, format=format)

    asked = standin.sent[0]["output_format"]
    names = {Encoding.PCM16: "pcm_s16le", Encoding.ULAW: "pcm_mulaw", Encoding.ALAW: "pcm_alaw"}
    assert asked == {"container": "raw", "encoding": names[format.encoding], "sample_rate": format.rate_hz}
    assert answer.text == WORDS
    assert format.seconds_of(answer.audio) == pytest.approx(len(WORDS.split()) * 0.2 + 0.02, abs=0.002)
    assert rms(g711.decode(answer.audio, format.encoding)) == pytest.approx(2_800, rel=0.05)


async def test_words_are_timed_in_the_sound_that_is_left_without_its_silence() -> None:
    async with speaking(CartesiaStandin(Faults())) as speaker:
        answer = await said(speaker)

    starts = answer.starts(PCMU)
    assert starts[:3] == [("Hello,", 20), ("my", 220), ("dear", 420)]
    assert starts[-1] == ("ready?", 20 + 200 * 10)
    assert answer.heard(PCMU, 700) == "Hello, my dear"
    assert answer.heard(PCMU, 10_000) == WORDS


async def test_silence_stays_for_who_wants_it() -> None:
    async with speaking(CartesiaStandin(Faults(), lead_ms=150), trim_silence=False) as speaker:
        answer = await said(speaker, ["One."])

    assert PCMU.seconds_of(answer.audio) == pytest.approx(0.35)
    assert answer.starts(PCMU) == [("One.", 150)]


async def test_one_context_has_all_clauses_and_ends_with_an_empty_one() -> None:
    standin = CartesiaStandin(Faults())
    async with speaking(standin, model="sonic", language="de-AT", volume=1.5) as speaker:
        await said(speaker, [*CLAUSES, " "], speed=0.1, name=OTHER_VOICE)

    assert [(sent["transcript"], sent["continue"]) for sent in standin.sent] == [
        (CLAUSES[0] + " ", True),
        (CLAUSES[1] + " ", True),
        ("", False),
    ]
    assert len({sent["context_id"] for sent in standin.sent}) == 1
    first = standin.sent[0]
    assert (first["model_id"], first["language"], first["voice"]) == ("sonic-latest", "de", {"id": OTHER_VOICE})
    assert first["generation_config"] == {"speed": SLOWEST, "volume": 1.5}
    assert standin.keys[0] == KEY


async def test_speed_stays_within_what_the_service_can() -> None:
    standin = CartesiaStandin(Faults())
    async with speaking(standin) as speaker:
        await said(speaker, speed=9.0)
        await said(speaker)

    assert standin.sent[0]["generation_config"] == {"speed": FASTEST}
    assert "generation_config" not in standin.sent[-1]
    assert (standin.sent[-1]["voice"], standin.sent[-1]["max_buffer_delay_ms"]) == ({"id": VOICE}, 0)


async def test_nothing_to_say_asks_for_nothing() -> None:
    standin = CartesiaStandin(Faults())
    async with speaking(standin) as speaker:
        assert (await said(speaker, [])).pieces == []
        assert (await said(speaker, [" "])).pieces == []

    assert standin.sent == []


async def test_a_connection_is_open_beforehand_and_used_again() -> None:
    standin = CartesiaStandin(Faults())
    async with speaking(standin) as speaker:
        await speaker.prepare()
        assert len(standin.keys) == 1
        for _ in range(4):
            assert (await said(speaker)).text == WORDS

    assert len(standin.keys) == 2  # the one that spoke, and the spare one
    assert len({sent["context_id"] for sent in standin.sent}) == 4


async def test_answers_side_by_side_do_not_mix() -> None:
    async with speaking(CartesiaStandin(Faults())) as speaker, asyncio.TaskGroup() as calls:
        answers = [
            calls.create_task(said(speaker, [f"This is caller {name}."])) for name in ("one", "two", "three")
        ]

    assert [answer.result().text for answer in answers] == [
        f"This is caller {name}." for name in ("one", "two", "three")
    ]
    assert len({len(answer.result().audio) for answer in answers}) == 1


async def test_an_answer_that_is_broken_off_is_cancelled_at_the_service() -> None:
    standin = CartesiaStandin(Faults())
    async with speaking(standin) as speaker, asyncio.timeout(TIMEOUT_S):
        clauses = then_nothing("A long sentence that nobody will hear to its end.")
        async with aclosing(speaker.speak(clauses, format=PCMU, voice=None)) as speech:
            assert (await anext(speech)).audio
        while not standin.cancelled:  # noqa: ASYNC110 - a mere list; bounded by the timeout around
            await asyncio.sleep(0)
        assert (await said(speaker)).text == WORDS

    assert standin.cancelled == [standin.sent[0]["context_id"]]


@pytest.fixture
def expired(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once the voice knows that its context has expired."""
    event, renew = asyncio.Event(), cartesia._Context.renew

    def renewed(context: cartesia._Context, begins_ms: float) -> None:
        renew(context, begins_ms)
        event.set()

    monkeypatch.setattr(cartesia._Context, "renew", renewed)
    return event


async def test_a_context_that_expires_while_the_model_thinks_is_followed_by_another(expired: asyncio.Event) -> None:
    standin = CartesiaStandin(Faults(), expires_s=0.01, lead_ms=0)

    async def slowly() -> AsyncIterator[str]:
        yield "One moment please."
        await expired.wait()
        yield "Here it is."

    async with speaking(standin) as speaker:
        answer = Said(await all_of(speaker.speak(slowly(), format=PCMU, voice=None)))

    assert answer.text == "One moment please. Here it is."
    assert answer.starts(PCMU)[3] == ("Here", 600)
    assert len(answer.audio) == 6 * 1_600
    assert len({sent["context_id"] for sent in standin.sent}) == 2


async def test_an_answer_may_end_with_a_context_that_has_expired(expired: asyncio.Event) -> None:
    standin = CartesiaStandin(Faults(), expires_s=0.01)

    async def slowly() -> AsyncIterator[str]:
        yield "That was all."
        await expired.wait()

    async with speaking(standin) as speaker:
        answer = Said(await all_of(speaker.speak(slowly(), format=PCMU, voice=None)))

    assert answer.text == "That was all."
    assert len(standin.sent) == 1


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
    async with speaking(CartesiaStandin(Faults(then=[fault]))) as speaker:
        with pytest.raises(ProviderError, match=said_of_it) as raised:
            await said(speaker)
        assert raised.value.retryable is retryable
        assert KEY not in str(raised.value)
        assert (await said(speaker)).text == WORDS  # the next one is not harmed


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.STALL])
async def test_a_service_that_hangs_can_be_left(fault: Fault) -> None:
    async with speaking(CartesiaStandin(Faults(then=[fault]))) as speaker:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await said(speaker)
        assert (await said(speaker)).text == WORDS


@pytest.mark.parametrize("format", [PCM_8K, PCM_16K, PCM_24K])
async def test_chunks_that_end_within_a_sample_are_joined(format: AudioFormat) -> None:
    async with speaking(CartesiaStandin(Faults(then=[Fault.ODD_PCM]))) as speaker:
        odd, even = await said(speaker, format=format), await said(speaker, format=format)

    assert odd.audio == even.audio
    assert all(len(piece.audio) % 2 == 0 for piece in odd.pieces)


async def test_no_server_is_a_provider_error() -> None:
    async with voiced("http://127.0.0.1:9") as speaker:
        with pytest.raises(ProviderError, match="cannot be reached") as raised:
            await said(speaker)
    assert raised.value.retryable


async def test_an_address_that_is_none_is_told() -> None:
    async with voiced("nonsense") as speaker:
        with pytest.raises(ProviderError, match="base_url") as raised:
            await said(speaker)
    assert not raised.value.retryable


def error(**more: object) -> dict[str, Any]:
    return {"type": "error", "done": True, "context_id": "$ID", **more}


def times(words: object) -> dict[str, Any]:
    return {"type": "timestamps", "done": False, "context_id": "$ID", "word_timestamps": words}


@pytest.mark.parametrize(
    ("message", "said_of_it", "retryable"),
    [
        (
            error(title="Invalid voice", message=f"with {KEY}", status_code=400),
            "error 400: Invalid voice with ***",
            False,
        ),
        (error(error_code="quota", message="no money", status_code=402), "error quota: no money", False),
        (error(error="busy", status_code=429), "error 429: busy", True),
        (error(context_id=None, message="oh"), "error without a code: oh", True),
        ({**CHUNK, "data": "§"}, "sound that is no base64", True),
        ({**CHUNK, "data": None}, "sound that is no base64", True),
        ({"type": "surprise", "context_id": "$ID"}, "a message of type 'surprise'", True),
        (times({"words": ["a"]}), "word timestamps without words and times", True),
        (times({"words": ["a"], "start": ["now"]}), "a word's time that is no number", True),
        ("[1, 2]", "no JSON object", True),
    ],
)
async def test_what_the_wire_does_not_allow_is_the_provider_s(
    message: dict[str, Any] | str, said_of_it: str, retryable: bool
) -> None:
    async with scripted_socket(message) as socket, voiced(socket.base_url) as speaker:
        with pytest.raises(ProviderError) as raised:
            await said(speaker)
    assert said_of_it in str(raised.value)
    assert KEY not in str(raised.value)
    assert raised.value.retryable is retryable


async def test_messages_of_other_contexts_are_not_listened_to() -> None:
    others = [{**CHUNK, "context_id": "other"}, {**DONE, "context_id": "other"}]
    mine = [times(None), {"type": "phoneme_timestamps", "context_id": "$ID"}, CHUNK, DONE]
    async with (
        scripted_socket(*others, *mine, after=lambda sent: not sent["continue"]) as socket,
        voiced(socket.base_url) as speaker,
    ):
        answer = await said(speaker)

    assert len(answer.audio) == 800
    assert answer.text == WORDS


async def test_clauses_without_times_are_told_as_soon_as_they_are_spoken() -> None:
    flushed = {"type": "flush_done", "flush_done": True, "context_id": "$ID"}
    async with (
        scripted_socket(
            CHUNK,
            {**flushed, "flush_id": None},
            {**flushed, "flush_id": 1},
            CHUNK,
            DONE,
            after=lambda sent: not sent["continue"],
        ) as socket,
        voiced(socket.base_url) as speaker,
    ):
        answer = await said(speaker)

    assert [piece.text for piece in answer.pieces] == ["", CLAUSES[0], "", CLAUSES[1]]
    assert answer.heard(PCMU, 200) == WORDS


async def test_a_connection_that_is_closed_while_one_speaks_tells_why_it_was() -> None:
    async with (
        scripted_socket(error(message="enough", status_code=500)) as socket,
        voiced(socket.base_url) as speaker,
    ):
        with pytest.raises(ProviderError, match="enough"):
            await all_of(speaker.speak(stream_of(["word"] * 50), format=PCMU, voice=None))


async def test_a_connection_that_is_gone_before_a_clause_is_sent_is_the_provider_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def vanish(connection: ClientConnection, *_: object) -> None:
        connection.transport.abort()
        raise ConnectionClosedError(None, None)

    monkeypatch.setattr(ClientConnection, "send", vanish)
    async with speaking(CartesiaStandin(Faults())) as speaker:
        with pytest.raises(ProviderError, match="without a goodbye") as raised:
            await said(speaker)
    assert raised.value.retryable


async def test_another_format_is_refused() -> None:
    async with voiced("http://127.0.0.1:9") as speaker:
        with pytest.raises(ProviderError, match="speaks"):
            await said(speaker, format=AudioFormat(Encoding.PCM16, 11_025))


async def test_a_voice_s_name_is_a_uuid() -> None:
    async with voiced("") as speaker:
        assert await speaker.knows(OTHER_VOICE)
        assert await speaker.knows(OTHER_VOICE.upper())
        assert not await speaker.knows("alloy")
        assert not await speaker.knows(OTHER_VOICE.replace("-", ""))


async def test_it_is_what_the_engine_asks_for() -> None:
    speaker = voice(source(model="sonic-3"))

    assert isinstance(speaker, Prepares) and isinstance(speaker, Closes) and isinstance(speaker, KnowsVoices)
    assert speaker.name == "cartesia/sonic-3"
    assert skills_of_voice(speaker).has_word_times and skills_of_voice(speaker).joins_clauses
    assert set(speaker.formats) >= {PCMU, PCMA, PCM_24K}
    await speaker.aclose()


def test_a_missing_key_and_an_unknown_option_are_told() -> None:
    with pytest.raises(ProviderError, match="CARTESIA_API_KEY"):
        voice(Source(name="cartesia", agent=Agent("a")))
    with pytest.raises(ProviderError, match="no option 'pitch'"):
        voice(source(pitch=1))
