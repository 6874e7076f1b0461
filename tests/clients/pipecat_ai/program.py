"""pipecat's `OpenAIRealtimeLLMService` and `InworldRealtimeLLMService`, in the pipeline its examples build.

In place of a call's transport stand frames of sound queued at the pipeline's beginning, and a loudspeaker that
plays by the clock. Which service it is stands before the URL on the command line: `openai` or `inworld`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from loguru import logger
from pipecat.frames.frames import InputAudioRawFrame, InterruptionFrame, LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.inworld.realtime.llm import InworldRealtimeLLMService
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SemanticTurnDetection,
    SessionProperties,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from tests.clients.scenario import (
    HELLO,
    RATE_HZ,
    STORY,
    SUNNY,
    WEATHER,
    Run,
    Scenario,
    beside,
    describe,
    microphone,
    play,
)


class Loudspeaker(BaseOutputTransport):  # type: ignore[misc]  # its types are not installed where ours are checked
    """The pipeline's end: plays at the pace of speech, and sees interruptions pass."""

    def __init__(self, run: Run) -> None:
        super().__init__(TransportParams(audio_out_enabled=True, audio_out_sample_rate=RATE_HZ))
        self._run = run
        self._due = 0.0

    async def start(self, frame: Any) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def process_frame(self, frame: Any, direction: Any) -> None:
        if isinstance(frame, InterruptionFrame):
            self._run.note(interruptions=self._run.facts.get("interruptions", 0) + 1)
        await super().process_frame(frame, direction)

    async def write_audio_frame(self, frame: Any) -> bool:
        self._run.hear_audio(frame.audio)
        now = asyncio.get_running_loop().time()
        self._due = max(self._due, now) + len(frame.audio) / 2 / RATE_HZ
        await asyncio.sleep(self._due - now)
        return True


def openai_service(run: Run, key: str) -> Any:
    settings = OpenAIRealtimeLLMService.Settings(
        model="m",
        system_instruction="Be brief.",
        session_properties=SessionProperties(
            audio=AudioConfiguration(
                input=AudioInput(transcription=InputAudioTranscription(), turn_detection=SemanticTurnDetection())
            )
        ),
    )
    return OpenAIRealtimeLLMService(api_key=key, base_url=f"{run.ws_url}/v1/realtime", settings=settings)


def inworld_service(run: Run, key: str) -> Any:
    # Its `basic` wants an Inworld key, base64 of `id:secret`; a token is a bearer's.
    url = f"{run.ws_url}/api/v1/realtime/session"
    return InworldRealtimeLLMService(api_key=key, base_url=url, voice="Clive")


async def get_weather(params: FunctionCallParams, city: str) -> None:
    """The weather in a city.

    Args:
        city: The city's name.
    """
    await params.result_callback(SUNNY)


class Talk:
    """One running pipeline and what it told."""

    def __init__(self, run: Run, worker: Any) -> None:
        self.run, self.worker = run, worker
        self.answers: list[str] = []

    async def hear(self, sound: bytes) -> None:
        await self.worker.queue_frame(InputAudioRawFrame(audio=sound, sample_rate=RATE_HZ, num_channels=1))

    async def begin(self) -> None:
        await self.worker.queue_frames([LLMRunFrame()])

    async def answer(self, number: int) -> None:
        """Waits for the assistant's turn of this number, counted from 1, and notes its words."""
        await self.run.until(f"{number} × the end of an assistant's turn", lambda: len(self.answers) >= number)
        self.run.note(said=self.answers[number - 1])


@asynccontextmanager
async def talk(run: Run, service: Any, asked: str) -> AsyncGenerator[Talk, None]:
    async def noting_weather(params: FunctionCallParams, city: str) -> None:
        run.note(tool_calls=[*run.facts.get("tool_calls", []), ["get_weather", {"city": city}]])
        await get_weather(params, city)

    noting_weather.__name__, noting_weather.__doc__ = get_weather.__name__, get_weather.__doc__
    context = LLMContext([{"role": "user", "content": asked}], [noting_weather])
    user, assistant = LLMContextAggregatorPair(context)
    worker = PipelineWorker(
        Pipeline([user, service, Loudspeaker(run), assistant]),
        params=PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ),
    )
    one = Talk(run, worker)

    async def said(_aggregator: Any, message: Any) -> None:
        one.answers.append(message.content)
        run.note()

    async def heard(_aggregator: Any, message: Any) -> None:
        run.note(heard=message.content)

    async def failed(_worker: Any, frame: Any) -> None:
        run.fault(f"ErrorFrame: {frame.error}")

    assistant.add_event_handler("on_assistant_turn_stopped", said)
    user.add_event_handler("on_user_turn_message_added", heard)
    worker.add_event_handler("on_pipeline_error", failed)
    sink = logger.add(lambda message: run.fault(f"log: {message}"), level="ERROR", format="{message}")
    runner = WorkerRunner(handle_sigint=False)
    try:
        await runner.add_workers(worker)
        async with beside(run, runner.run()):
            yield one
            await runner.cancel()
    finally:
        logger.remove(sink)


def scenarios(service: Callable[[Run, str], Any]) -> dict[str, Scenario]:
    async def text(run: Run) -> None:
        async with talk(run, service(run, run.key), HELLO) as one:
            await one.begin()
            await one.answer(1)

    async def tool(run: Run) -> None:
        async with talk(run, service(run, run.key), WEATHER) as one:
            await one.begin()
            await run.until("words", lambda: any(one.answers))
            run.note(said=next(said for said in one.answers if said))

    async def voice(run: Run) -> None:
        async with talk(run, service(run, run.key), HELLO) as one, microphone(run, one.hear) as mic:
            # As in its examples the conversation begins with the assistant: Inworld's is deaf before that.
            await one.begin()
            await one.answer(1)
            mic.say(run.clip)
            await run.until("the transcript of what was said", lambda: run.facts["heard"])
            await one.answer(2)

    async def barge_in(run: Run) -> None:
        async with talk(run, service(run, run.key), STORY) as one, microphone(run, one.hear) as mic:
            await one.begin()
            await run.until("the story's first sound", lambda: run.facts["audio_bytes"])
            mic.say(run.clip)
            await run.until("an interruption", lambda: run.facts.get("interruptions"))
            await one.answer(2)
            run.note(interrupted=True)

    async def bad_key(run: Run) -> None:
        run.expects_refusal = True
        try:
            async with talk(run, service(run, "wrong"), HELLO) as one:
                await one.begin()
                await run.until("the refusal", lambda: run.shown)
        except Exception as error:
            run.shown.append(describe(error))

    return {one.__name__: one for one in (text, tool, voice, barge_in, bad_key)}


if __name__ == "__main__":
    name = sys.argv.pop(1)
    services = {"openai": openai_service, "inworld": inworld_service}
    play(f"pipecat {version('pipecat-ai')} {name}", scenarios(services[name]))
