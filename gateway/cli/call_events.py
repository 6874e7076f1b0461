"""What the gateway says happens in a call: its journal, followed live over the control API.

The journal is a help and no condition: another bot has none, a stranger has no token. So what is wrong becomes a
sentence for a person, `JournalClosed`, and the call goes on without.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import aiohttp

from gateway.logs import masked
from simulator.call_result import Happening

WAIT_S: Final = 5
"""How long the gateway may wait for the webhook that opens the call."""

CONNECT_LIMIT_S: Final = 5.0
"""As short as any person's patience; the call itself tells what is wrong with the connection."""

Fields: TypeAlias = Mapping[str, Any]


class JournalClosed(Exception):
    """There is no journal to follow; says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the gateway's journal, as it reached us."""

    at_s: float
    """On the steady clock the call runs on, like `Happening.at_s`."""
    name: str
    fields: Fields


async def follow_journal(base_url: str, token: str, call_sid: str) -> AsyncGenerator[tuple[str, Fields], None]:
    """Name and fields of each event, until the call has ended. Raises `JournalClosed`."""
    url = f"{base_url}/v1/calls/{call_sid}/events?follow=1&wait_s={WAIT_S}"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_LIMIT_S)
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(url) as response,
        ):
            if response.status != 200:
                raise JournalClosed(_refusal(response.status, await response.text()))
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    fields = json.loads(line)
                    yield str(fields.pop("event")), fields
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
        raise JournalClosed(f"the gateway's journal broke off: {error or type(error).__name__}") from error


def _refusal(status: int, body: str) -> str:
    if status == 401:
        return "the gateway has another SWITCHBOARD_TOKEN; give the same with --token"
    if status == 403:
        return "the gateway's control API is closed; start it with SWITCHBOARD_TOKEN and give the same with --token"
    if status == 404 and "call_not_found" in body:
        return "the gateway's journal does not know the call"
    return f"this bot keeps no journal as Switchboard does (HTTP {status})"


def sound_zero_s(happenings: tuple[Happening, ...]) -> float | None:
    """When the call's sound clock began, on the steady clock; None if no stream was opened."""
    for one in happenings:
        if one.name == "connected":
            return one.at_s - one.at_ms / 1000
    return None


def event_lines(happenings: tuple[Happening, ...], journal: tuple[Entry, ...]) -> list[dict[str, Any]]:
    """Both records in one, by time: what call.jsonl holds."""
    zero_s = sound_zero_s(happenings)
    if zero_s is None and happenings:
        zero_s = happenings[0].at_s - happenings[0].at_ms / 1000
    stamped = [(one.at_s, happening_line(one)) for one in happenings]
    stamped += [(one.at_s, entry_line(one, (one.at_s - (zero_s or 0.0)) * 1000)) for one in journal]
    return [line for _, line in sorted(stamped, key=lambda pair: pair[0])]


def happening_line(one: Happening) -> dict[str, Any]:
    """What Twilio's side saw. One-time tokens are masked: the file may be passed on."""
    detail = dict(one.detail)
    for key in ("url", "text") if one.name == "twiml" else ("url",):
        if isinstance(text := detail.get(key), str):
            detail[key] = masked(text)
    return {
        "event": one.name,
        "source": "simulator",
        "at_ms": round(one.at_ms, 3),
        "at_s": round(one.at_s, 6),
        **detail,
    }


def entry_line(one: Entry, at_ms: float) -> dict[str, Any]:
    """What the gateway told; its own clock's `at_s` becomes `gateway_s`."""
    fields = {("gateway_s" if key == "at_s" else key): value for key, value in one.fields.items()}
    return {"event": one.name, "source": "gateway", "at_ms": round(at_ms, 3), "at_s": round(one.at_s, 6), **fields}
