from __future__ import annotations

import math
import os
import signal

import pytest

from gateway.supervisor import worker_process
from gateway.supervisor.worker_process import STEPS, Limits, Stage, cause_of, silence
from tests.gateway.supervisor.support import team


def test_every_stage_has_its_limit_and_0_switches_only_the_watchdog_off() -> None:
    limits = Limits(watchdog_s=0, start_s=3, leave_s=2)
    assert [limits.of(stage) for stage in (Stage.STARTING, Stage.SERVING, Stage.DRAINING, Stage.LEAVING)] == [
        3,
        math.inf,
        math.inf,
        2,
    ]
    assert Limits(watchdog_s=1.5).of(Stage.DRAINING) == 1.5


def test_every_stage_but_the_last_may_end_in_death_and_none_is_entered_twice() -> None:
    assert [stage for stage in Stage if Stage.GONE not in STEPS[stage]] == [Stage.GONE]
    order = list(Stage)
    assert all(order.index(after) > order.index(before) for before in STEPS for after in STEPS[before])


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (3, "exit code 3"), (-9, "killed by signal 9 (SIGKILL)"), (-99, "killed by signal 99")],
)
def test_a_cause_of_death_is_an_exit_code_or_a_signal_by_name(code: int, words: str) -> None:
    assert cause_of(code) == words


def test_a_silence_is_told_by_what_was_awaited() -> None:
    assert silence(Stage.STARTING, 30.04) == "not ready after 30.0 s"
    assert silence(Stage.DRAINING, 1.23) == "no beat for 1.2 s"
    assert silence(Stage.LEAVING, 15.0) == "still there 15.0 s after it had finished"


@pytest.mark.anyio
async def test_a_worker_that_does_not_answer_has_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "PAGE_LIMIT_S", 0.3)
    async with team() as here:
        name, pid = (await here.both()).popitem()
        os.kill(pid, signal.SIGSTOP)
        assert name not in await here.supervisor.pages()
        os.kill(pid, signal.SIGCONT)
        # What comes too late is no answer to the next question.
        assert name in await here.supervisor.pages()
