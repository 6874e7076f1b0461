"""Costs: what the providers of a session have used, and what that comes to.

`Used` is what one provider did for one answer or utterance; a `Tally` adds up by provider, for a turn or a call.
Which numbers a provider told and which are our own count, its leg knows; what they cost, the `Prices` do. Pure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

USD_DIGITS: Final = 9
"""Shown of a cost: a token of the cheapest models costs some tens of billionths of a dollar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """By one provider, in one kind of work. All numbers can be added."""

    provider: str
    """Its label, as the configuration spells it."""
    kind: str
    """stt, llm, tts or realtime."""
    requests: int = 0
    answered: int = 0
    """Requests of which something of use came and whose time is known."""
    first_s: float = 0.0
    """Of those, from the request to the first thing of use, added up."""
    input_tokens: int = 0
    """All of them: those from the cache and those of sound, too."""
    cached_tokens: int = 0
    """Of `input_tokens`, those the service had still in its memory."""
    output_tokens: int = 0
    input_audio_tokens: int = 0
    """Of `input_tokens`, those of sound."""
    cached_audio_tokens: int = 0
    """Of `cached_tokens`, those of sound."""
    output_audio_tokens: int = 0
    """Of `output_tokens`, those of sound."""
    wasted_tokens: int = 0
    """Of both, those of requests that lost a race, failed, or were made for an answer nobody wanted."""
    characters: int = 0
    """Given to a voice."""
    audio_s: float = 0.0
    """Sound sent to a transcriber, or made by a voice or a remote service."""
    is_estimated: bool = False
    """Some of the tokens were not told by the service: counted at four characters each."""
    cost_usd: float | None = None
    """None: there is no price for all of it."""

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def wasted(self) -> Used:
        """The same, of no use to anybody."""
        return dataclasses.replace(self, wasted_tokens=self.tokens)

    def __add__(self, other: Used) -> Used:
        """Of the same provider and kind."""
        assert (self.provider, self.kind) == (other.provider, other.kind)
        sums = {name: getattr(self, name) + getattr(other, name) for name in _ADDED}
        return Used(
            provider=self.provider,
            kind=self.kind,
            is_estimated=self.is_estimated or other.is_estimated,
            cost_usd=whole_cost_usd((self, other)),
            **sums,
        )


_ADDED: Final = tuple(
    each.name
    for each in dataclasses.fields(Used)
    if each.name not in ("provider", "kind", "is_estimated", "cost_usd")
)

_SHOWN: Final = tuple(name for name in _ADDED if name not in ("answered", "first_s", "audio_s"))


class Tally:
    """By provider and kind, in the order in which they were first asked."""

    def __init__(self, used: Iterable[Used] = ()) -> None:
        self._used: dict[tuple[str, str], Used] = {}
        self.add(*used)

    def add(self, *used: Used) -> None:
        for each in used:
            key = (each.provider, each.kind)
            before = self._used.get(key)
            self._used[key] = each if before is None else before + each

    @property
    def used(self) -> tuple[Used, ...]:
        return tuple(self._used.values())

    def take(self) -> tuple[Used, ...]:
        """All of it, which it then forgets."""
        used = self.used
        self._used.clear()
        return used


def whole_cost_usd(used: Iterable[Used]) -> float | None:
    """Of all of them; None as long as one has no price."""
    costs = [each.cost_usd for each in used]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if costs and len(known) == len(costs) else None


def shown(used: Iterable[Used]) -> dict[str, Any]:
    """As records and the wire show it: a list of `providers` and the whole `cost_usd`, null if it is not known."""
    listed = tuple(used)
    return {"providers": [_shown(each) for each in listed], "cost_usd": _rounded(whole_cost_usd(listed))}


def shown_where_known(used: Iterable[Used]) -> dict[str, Any]:
    """The same without costs that are not known: among counts, strict readers take no null."""
    told = shown(used)
    told["providers"] = [_known(fields) for fields in told["providers"]]
    return _known(told)


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _shown(used: Used) -> dict[str, Any]:
    """What is 0 is left out, but not a cost: no cost and an unknown one are not the same."""
    fields: dict[str, Any] = {"provider": used.provider, "kind": used.kind}
    fields |= {name: value for name in _SHOWN if (value := getattr(used, name))}
    if used.audio_s:
        fields["audio_s"] = round(used.audio_s, 3)
    if used.answered:
        fields["first_ms"] = round(used.first_s / used.answered * 1000, 1)  # the mean of its requests
    if used.is_estimated:
        fields["is_estimated"] = True
    return fields | {"cost_usd": _rounded(used.cost_usd)}


def _rounded(cost_usd: float | None) -> float | None:
    return None if cost_usd is None else round(cost_usd, USD_DIGITS)
