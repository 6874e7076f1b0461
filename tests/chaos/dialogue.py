"""What is said in a call of the fault matrix: four turns of the caller's, and the model's answer to each.

The model knows which turn it is because it is told: what a broken transcriber understood must not matter here.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Final

from simulator.standins.openai_chat import Called, Said, words_of
from simulator.standins.realtime_answer import Call, Part
from simulator.standins.realtime_session import RealtimeSession


class Moment(enum.StrEnum):
    """A turn of the call."""

    GREETING = "greeting"
    FIRST = "first"
    SECOND = "second"
    TOOL = "tool"
    AFTER = "after"
    """Nothing is wrong any more: the call goes on."""


ANSWERS: Final = {
    Moment.FIRST: "We are open from nine until six, on every day of the week but Sunday.",
    Moment.SECOND: "A parcel takes two days to the coast, and three days to all of the islands.",
    Moment.TOOL: "I have looked that up for you, and all of it is as you wanted it.",
    Moment.AFTER: "It was a pleasure to talk to you, and we hope that you will call again.",
}
"""Two clauses each, so that a fault in the middle of an answer has a middle to strike at."""

CANNOT: Final = "I am sorry that I cannot look that up, but please do ask me something else."
"""To a tool that failed."""

BOOK: Final = Called("book", '{"day": "Monday"}')
"""The webhook's tool."""
LOOK_UP: Final = Called("lookup_order", '{"order_id": "A-17"}')
"""The MCP server's."""


@dataclass(slots=True)
class Dialogue:
    """Of one call. `moment` is set by whoever watches the call."""

    tool: Called = field(default=BOOK)
    moment: Moment = Moment.GREETING

    def of_chat(self, messages: list[dict[str, Any]]) -> Said:
        """As `openai_chat.Answering`. Asked to continue what another model began, it says only the rest."""
        last = messages[-1] if messages else {}
        if last.get("role") != "system" or len(messages) < 2:
            return self._answer(messages)
        whole, begun = self._answer(messages[:-2]), words_of(messages[-2]).strip()
        is_begun = bool(begun) and whole.text.startswith(begun)
        return Said(whole.text.removeprefix(begun).strip()) if is_begun else whole

    def of_session(self, session: RealtimeSession) -> Part:
        """The same for a remote Realtime service, which tells no more than its items."""
        if self.moment is not Moment.TOOL:
            return ANSWERS.get(self.moment, "")
        outputs = [item for item in session.items if item.get("type") == "function_call_output"]
        if outputs:
            return _told(str(outputs[-1].get("output")))
        return Call(self.tool.name, self.tool.arguments)

    def _answer(self, messages: list[dict[str, Any]]) -> Said:
        if self.moment is not Moment.TOOL:
            return Said(ANSWERS.get(self.moment, ""))
        outputs = [words_of(message) for message in messages if message.get("role") == "tool"]
        return Said(_told(outputs[-1])) if outputs else Said(calls=(self.tool,))


def _told(output: str) -> str:
    return CANNOT if '"error"' in output else ANSWERS[Moment.TOOL]
