"""Barge-in: whoever interrupts is obeyed at once, and the conversation holds exactly what was heard.

The simulator's playback buffer knows to the byte what came out of the loudspeaker; the gateway has to work it out
from marks and its own clock. Every claim about what was heard is compared with the former.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import pytest

from pipeline.events.items import Message
from pipeline.provider import Prompt
from pipeline.providers.stub import WORD_MS
from simulator.call_result import CallResult
from simulator.caller import BargeIn, HangUp, Wait
from simulator.network import Network
from tests.calls.support import AGENT, RunningGateway, cascade, clip, running_gateway
from tests.fakes import FakeModel

pytestmark = pytest.mark.anyio

GREETING = " ".join(f"greeting{number}" for number in range(40)) + "."
ANSWER = " ".join(f"answer{number}" for number in range(40)) + "."
TALKATIVE = replace(AGENT, greeting=GREETING)

MOMENTS_MS = (320, 450, 610, 750, 880, 1010, 1190, 1330, 1470, 1690)
"""Into the agent's speech; nowhere in particular, on words and between them."""

MEAN_ERROR_MS = 40
"""What heard-ms may be wrong by, on average."""

MEAN_ERROR_WITH_JITTER_MS = 250
"""With a network that holds every message back by 30 to 300 ms, each way, no two alike: a mark cannot tell how
long it has travelled. Reported; the bound only says that the estimate has not lost its way."""


@dataclass(frozen=True)
class Interruption:
    """One, as both sides saw it."""

    item_id: str
    words: tuple[str, ...]
    """All that would have been said."""
    claimed_ms: int
    """What the gateway's journal says was heard."""
    claimed: str
    true_ms: float
    """What came out of the loudspeaker."""
    cleared_after_ms: float
    """From the caller's first sound until the `clear` had reached the phone."""

    @property
    def error_ms(self) -> float:
        return self.claimed_ms - self.true_ms


async def interrupted(house: RunningGateway, network: Network) -> tuple[list[CallResult], list[Interruption]]:
    """Ten calls at once. Each interrupts the greeting, then the answer."""
    scripts = [
        (BargeIn(first_ms, clip("stop")), BargeIn(second_ms, clip("yes")), Wait(400), HangUp())
        for first_ms, second_ms in zip(MOMENTS_MS, reversed(MOMENTS_MS), strict=True)
    ]
    results = await house.calls(scripts, network=network)
    found: list[Interruption] = []
    for result in results:
        told = await house.journal(result.call_sid, "transcript.truncated")
        # The caller's hanging up may cut the second answer; only what a caller cut has a `clear` with a truth.
        for one, cut, text in zip(told[:2], result.cuts[:2], (GREETING, ANSWER), strict=True):
            assert cut.since_caller_spoke_ms is not None
            found.append(
                Interruption(
                    item_id=one["item_id"],
                    words=tuple(text.split()),
                    claimed_ms=one["heard_ms"],
                    claimed=one["heard"],
                    true_ms=cut.utterance_heard_bytes / 8,
                    cleared_after_ms=cut.since_caller_spoke_ms,
                )
            )
    return results, found


def words_within(words: Sequence[str], ms: float) -> str:
    """The words that were played to their end."""
    return " ".join(words[: max(0, int(ms // WORD_MS))])


def told_of(prompts: Sequence[Prompt], item_id: str) -> set[str]:
    """What models were told that the agent had said with this item."""
    items = (item for prompt in prompts for item in prompt.items)
    return {item.text for item in items if isinstance(item, Message) and item.id == item_id}


def report(name: str, found: Sequence[Interruption], record_property: Callable[[str, object], None]) -> float:
    """The mean error, told to whoever reads the suite's report."""
    mean_ms = fmean(abs(one.error_ms) for one in found)
    worst_ms = max(abs(one.error_ms) for one in found)
    bias_ms = fmean(one.error_ms for one in found)
    clear_ms = fmean(one.cleared_after_ms for one in found)
    record_property(f"heard_ms_error_{name}", round(mean_ms, 1))
    print(
        f"{name}: {len(found)} interruptions, heard-ms wrong by {mean_ms:.1f} ms on average (worst {worst_ms:.1f}, "
        f"bias {bias_ms:+.1f}), "
        f"clear reached the phone {clear_ms:.0f} ms after the caller's first sound"
    )
    return mean_ms


@pytest.mark.proves("E2-phone")
async def test_an_interrupted_agent_falls_silent_and_knows_exactly_what_was_heard(
    record_property: Callable[[str, object], None],
) -> None:
    model = FakeModel(*[ANSWER] * 2 * len(MOMENTS_MS))
    async with running_gateway(providers=cascade(model=model), agent=TALKATIVE) as house:
        results, found = await interrupted(house, Network())
    for result in results:
        assert all(cut.discarded_bytes > 0 for cut in result.cuts[:2])
        for interruption in result.interruptions:
            assert interruption.cleared_ms is not None
            assert silent_between(result, interruption.cleared_ms + 20, interruption.cleared_ms + 250)
        assert result.complaints == ()
    assert len(found) == 2 * len(MOMENTS_MS)
    for one in found:
        assert one.claimed == words_within(one.words, one.claimed_ms)
        assert one.claimed in {words_within(one.words, one.true_ms + off_ms) for off_ms in (-100, 0, 100)}
    first = found[::2]
    assert [told_of(model.prompts, one.item_id) for one in first] == [{one.claimed} for one in first]
    assert report("without jitter", found, record_property) <= MEAN_ERROR_MS


async def test_what_was_heard_is_known_through_a_network_of_30_to_300_ms_too(
    record_property: Callable[[str, object], None],
) -> None:
    model = FakeModel(*[ANSWER] * 2 * len(MOMENTS_MS))
    async with running_gateway(providers=cascade(model=model), agent=TALKATIVE) as house:
        _, found = await interrupted(house, Network(delay_ms=30, jitter_ms=270))
    assert len(found) == 2 * len(MOMENTS_MS)
    assert report("with 30-300 ms jitter", found, record_property) <= MEAN_ERROR_WITH_JITTER_MS


def silent_between(result: CallResult, from_ms: float, until_ms: float) -> bool:
    sound = result.agent_sound[round(from_ms * 8) : round(until_ms * 8)]
    return len(sound) > 0 and not sound.any()
