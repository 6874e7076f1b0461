"""Errands to the functions that are ours to run, for one session: each called, timed and reported.

What a function does and how long it may take is the toolbox's business.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.call_controls import CallControls
from pipeline.commands import CallTool
from pipeline.observations import Observation, ToolTimed
from pipeline.reports import Report, ToolReturned
from pipeline.toolbox import PRIVATE, Toolbox


class ToolErrands:
    """See the module's docstring. `controls` is what functions may do to the call; `now` counts seconds."""

    def __init__(
        self,
        toolbox: Toolbox,
        controls: CallControls,
        report: Callable[[Report], None],
        observe: Callable[[Observation], None],
        now: Callable[[], float],
    ) -> None:
        self._toolbox = toolbox
        self._controls = controls
        self._report = report
        self._observe = observe
        self._now = now

    async def run(self, command: CallTool, returned: Callable[[], None]) -> None:
        """`returned` is called before the result is reported."""
        began = self._now()
        result = await self._toolbox.call(command.name, command.arguments, self._controls)
        told, output = command.arguments, result.output
        if self._toolbox.is_private(command.name):
            told = output = PRIVATE
        self._observe(ToolTimed(command.name, told, output, self._now() - began))
        returned()
        self._report(
            ToolReturned(command.call_id, result.output, result.ends_call, result.transfer_to, result.wants_answer)
        )
