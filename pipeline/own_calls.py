"""The functions of ours that run for a session, and which of them the caller waits for. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline import commands
from pipeline.events.items import FunctionCall


class OwnCalls:
    """`tools`: the functions that are ours to run; `patient`: those of them that wait for the caller."""

    def __init__(self, tools: frozenset[str], patient: frozenset[str]) -> None:
        self._tools = tools
        self._patient = patient
        self._running: dict[str, str] = {}
        """Names, by `call_id`."""

    @property
    def are_running(self) -> bool:
        return bool(self._running)

    @property
    def are_awaited(self) -> bool:
        """One runs that the caller waits for."""
        return any(name not in self._patient for name in self._running.values())

    def begin(self, calls: Iterable[FunctionCall], others: frozenset[str] | None) -> list[commands.CallTool]:
        """Run those that are ours. `others` are those a client runs; on a telephone, what is neither was made up by
        the model, and has to be told so by somebody. None: all that is not ours is the client's."""
        ours = [call for call in calls if self.owns(call.name, others)]
        self._running |= {call.call_id: call.name for call in ours}
        return [commands.CallTool(call.call_id, call.name, call.arguments) for call in ours]

    def owns(self, name: str, others: frozenset[str] | None) -> bool:
        """Whether it is for us to answer a call of this name; `others` as above."""
        return name in self._tools or (others is not None and name not in others)

    def end(self, call_id: str) -> bool:
        """One has returned. False if it was not running: a result counts once."""
        return self._running.pop(call_id, None) is not None
