"""Orders: what a worker is told to answer, made of the conversation as it is at that moment. Pure.

An order whose words are still being understood, or whose tools are still being listed, is held until they are
known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline import commands
from pipeline.audio.formats import AudioFormat
from pipeline.conversation import Conversation
from pipeline.events.config import SessionConfig
from pipeline.events.items import AnyItem, Message
from pipeline.mcp_listings import McpListings
from pipeline.output_line import OutputLine
from pipeline.prompts import prompt_of, told
from pipeline.provider import Prompt
from pipeline.response import Response


@dataclass(frozen=True, slots=True)
class _Held:
    """A response that is created, and waits for the words of what was said before it."""

    response: Response
    input: tuple[AnyItem, ...] | None
    remark: str


class Orders:
    """Of one session."""

    def __init__(self, conversation: Conversation, line: OutputLine, listings: McpListings) -> None:
        self._conversation = conversation
        self._line = line
        self._listings = listings
        self._held: list[_Held] = []

    def order(
        self,
        response: Response,
        input: tuple[AnyItem, ...] | None,
        remark: str = "",
        script: str | None = None,
        is_recorded: bool = False,
    ) -> commands.Respond:
        """`input`: what the model is told instead of the conversation."""
        items = self._conversation.items if input is None else input
        prompt = self._prompt(response, items, remark)
        config = response.config
        return commands.Respond(
            response.id,
            prompt,
            script=script,
            speaks=response.speaks,
            is_recorded=is_recorded,
            format=self._format(config),
            voice=config.voice,
            speed=config.speed,
            input=None if input is None else told(input, response.offer),
            is_out_of_band=response.is_out_of_band,
        )

    def anticipate(self, config: SessionConfig, said: Message) -> commands.Anticipate:
        """The order there would be, had the caller said this and finished."""
        items = (*self._conversation.items, said)
        prompt = prompt_of(config, items, "", self._listings.offer(config))
        speaks = config.output_modality == "audio"
        return commands.Anticipate(
            commands.Respond(
                "", prompt, speaks=speaks, format=self._format(config), voice=config.voice, speed=config.speed
            )
        )

    def hold(self, response: Response, input: tuple[AnyItem, ...] | None, remark: str = "") -> None:
        """Until `release`."""
        self._held.append(_Held(response, input, remark))

    def release(self, is_current: Callable[[str], bool]) -> list[commands.Respond]:
        """What was said before is understood: the orders that waited for it, of responses that still run."""
        released = [held for held in self._held if not self._listings.is_asking(held.response.config)]
        self._held = [held for held in self._held if held not in released]
        return [
            self.order(held.response, None if held.input is None else self._known(held.input), held.remark)
            for held in released
            if is_current(held.response.id)
        ]

    def _prompt(self, response: Response, items: tuple[AnyItem, ...], remark: str) -> Prompt:
        """Out of band no tools of MCP servers are offered: items of the conversation tell what they return."""
        if not response.is_out_of_band:
            response.offer = self._listings.offer(response.config)
        return prompt_of(response.config, items, remark, response.offer)

    def _known(self, input: tuple[AnyItem, ...]) -> tuple[AnyItem, ...]:
        """What a model is told, with the words that were not known when it was asked for."""
        find, holds = self._conversation.find, self._conversation.holds
        return tuple(find(item.id) if holds(item.id) else item for item in input)

    def _format(self, config: SessionConfig) -> AudioFormat | None:
        return None if config.output_format == self._line.format else config.output_format
