"""The router is asked as OpenAI is, at Inworld's address, with Inworld's key and names of models."""

from __future__ import annotations

import pytest

from pipeline.provider import Closes, LanguageModel, Prompt, ProviderError, TextDelta
from pipeline.providers.inworld.router import DEFAULT_MODEL, router
from simulator.standins.fault import Fault, Faults
from simulator.standins.inworld import CHAT_PATH, SCRIPT, InworldStandIn
from simulator.standins.openai import OpenAIScript
from simulator.standins.openai_chat import in_turn
from simulator.standins.serving import served
from tests.pipeline.providers.inworld.places import KEY, source_at
from tests.pipeline.providers.streams import all_of

pytestmark = pytest.mark.anyio

PROMPT = Prompt("Be brief.", ())


def stand_in(fault: Fault = Fault.NONE) -> InworldStandIn:
    return InworldStandIn(SCRIPT, Faults(fault), chat=OpenAIScript(answers=in_turn("Good day to you.")))


async def answer_of(model: LanguageModel) -> str:
    outputs = await all_of(model.respond(PROMPT))
    return "".join(output.text for output in outputs if isinstance(output, TextDelta))


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("", DEFAULT_MODEL),
        ("auto", "auto"),
        ("my-router", "inworld/my-router"),
        ("inworld/my-router", "inworld/my-router"),
        ("openai/gpt-4o-mini", "openai/gpt-4o-mini"),
    ],
)
async def test_a_model_is_asked_by_its_whole_name(model: str, asked: str) -> None:
    place = stand_in()
    async with served(place) as address:
        made = router(source_at(address, model=model, language="de", delivery="STABLE", temperature=0.5))
        assert await answer_of(made) == "Good day to you."
        assert isinstance(made, Closes)
        await made.aclose()
    assert [(request.path, request.authorization) for request in place.router.asked] == [
        (CHAT_PATH, f"Bearer {KEY}")
    ]
    assert place.router.asked[0].body["model"] == asked
    assert place.router.asked[0].body["temperature"] == 0.5


@pytest.mark.parametrize(("fault", "retryable"), [(Fault.REFUSE, False), (Fault.BROKEN, True)])
async def test_a_failure_says_whether_to_try_again(fault: Fault, retryable: bool) -> None:
    async with served(stand_in(fault)) as address:
        made = router(source_at(address))
        with pytest.raises(ProviderError) as failed:
            await answer_of(made)
        assert isinstance(made, Closes)
        await made.aclose()
    assert failed.value.retryable is retryable
    assert KEY not in str(failed.value)


def test_it_needs_a_key_and_options_it_knows() -> None:
    with pytest.raises(ProviderError, match="set INWORLD_API_KEY"):
        router(source_at("", api_key=""))
    with pytest.raises(ProviderError, match="has no option 'pitch'"):
        router(source_at("", pitch=1))
