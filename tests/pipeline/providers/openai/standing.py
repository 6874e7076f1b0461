"""A stand-in on loopback for one test, and what a provider of ours is made with to ask it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pipeline.agent import Agent
from pipeline.providers.source import Source
from simulator.standins.fault import Fault, Faults
from simulator.standins.openai import Asked, OpenAIScript, OpenAIStandIn
from simulator.standins.serving import served

KEY = "sk-secret-of-this-test"


def source_at(base_url: str, model: str = "", **options: Any) -> Source:
    return Source(name="openai", agent=Agent("test"), model=model, api_key=KEY, base_url=base_url, options=options)


@dataclass
class Standing:
    standin: OpenAIStandIn
    base_url: str

    def source(self, model: str = "", **options: Any) -> Source:
        return source_at(self.base_url, model, **options)

    @property
    def asked(self) -> list[Asked]:
        return self.standin.asked


@asynccontextmanager
async def standing(script: OpenAIScript | None = None, fault: Fault = Fault.NONE) -> AsyncGenerator[Standing, None]:
    standin = OpenAIStandIn(script or OpenAIScript(), Faults(fault))
    async with served(standin.app) as place:
        yield Standing(standin, f"http://{place}/v1")


@asynccontextmanager
async def answering(answer: Callable[[Request], Awaitable[Response]]) -> AsyncGenerator[str, None]:
    """A server that answers every POST in its own way; gives its base URL."""
    async with served(Starlette(routes=[Route("/{path:path}", answer, methods=["POST", "HEAD"])])) as place:
        yield f"http://{place}/v1"
