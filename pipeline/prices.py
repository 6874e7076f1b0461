"""Prices of providers, in US dollars, as the operator has written them down: a table for each provider's label.

    ["openai/gpt-6-luna"]
    input = 0.4             # a million tokens; also output, cached, input_audio, cached_audio, output_audio
    output = 1.6
    ["deepgram/flux"]
    audio_minute = 0.0077   # a minute of sound, heard or made
    ["cartesia/sonic-3.5"]
    characters = 38.0       # a million characters spoken
    [espeak]
    characters = 0          # free: without a line its cost would be unknown

None are built in: they change, and differ from contract to contract. Opens nothing.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from pipeline.checked_table import CheckedTable
from pipeline.costs import Used

MILLION: Final = 1_000_000
MINUTE_S: Final = 60
MOST_USD: Final = 100_000.0
"""For a million of anything; more is a slip of the decimal point."""

_Bill: TypeAlias = list[tuple[float, float | None]]
"""Quantities, each with its rate."""


class PriceFileError(Exception):
    """A file of prices is not as it should be. `faults` holds one line each: key, expectation, what came."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Of one provider, in US dollars: for a million tokens or characters, or for a minute."""

    input: float | None = None
    cached: float | None = None
    """None: as `input`."""
    output: float | None = None
    input_audio: float | None = None
    cached_audio: float | None = None
    """None: as `input_audio`."""
    output_audio: float | None = None
    characters: float | None = None
    audio_minute: float | None = None

    def cost_usd(self, used: Used) -> float | None:
        """What it cost; None if it used what no rate is for."""
        measures: tuple[_Bill, ...] = (
            self._tokens(used),
            [(used.characters / MILLION, self.characters)],
            [(used.audio_s / MINUTE_S, self.audio_minute)],
        )
        # What is measured and not charged costs nothing: a voice is paid by letters or by minutes.
        charged = [bill for bill in measures if any(rate is not None for _, rate in bill)]
        parts = [part for bill in charged for part in bill if part[0]]
        if not parts and any(quantity for bill in measures for quantity, _ in bill):
            return None
        costs = [None if rate is None else quantity * rate for quantity, rate in parts]
        known = [cost for cost in costs if cost is not None]
        return sum(known, 0.0) if len(known) == len(costs) else None

    def _tokens(self, used: Used) -> _Bill:
        cached_audio = used.cached_audio_tokens
        cached = max(0, used.cached_tokens - cached_audio)
        fresh_audio = max(0, used.input_audio_tokens - cached_audio)
        fresh = max(0, used.input_tokens - cached - cached_audio - fresh_audio)
        return [
            (fresh / MILLION, self.input),
            (cached / MILLION, self.input if self.cached is None else self.cached),
            (fresh_audio / MILLION, self.input_audio),
            (cached_audio / MILLION, self.input_audio if self.cached_audio is None else self.cached_audio),
            (max(0, used.output_tokens - used.output_audio_tokens) / MILLION, self.output),
            (used.output_audio_tokens / MILLION, self.output_audio),
        ]


@dataclass(frozen=True, slots=True)
class Prices:
    """By the label of a provider."""

    rates: Mapping[str, Rates] = field(default_factory=dict)

    def priced(self, used: Used) -> Used:
        """The same with its cost, if there are rates for it."""
        rates = self.rates.get(used.provider)
        return used if rates is None else dataclasses.replace(used, cost_usd=rates.cost_usd(used))


def read_prices(text: str) -> Prices:
    """The prices of a TOML document. Raises `PriceFileError` with all its faults."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PriceFileError([f"is not TOML: {error}"]) from error
    faults: list[str] = []
    tables = CheckedTable(values, key="", faults=faults)
    prices = Prices({label: _read_rates(tables.table(label)) for label in values})
    if not faults:
        faults += [
            f"{label}: expected at least one price" for label, each in prices.rates.items() if each == Rates()
        ]
    if faults:
        raise PriceFileError(faults)
    return prices


def _read_rates(table: CheckedTable) -> Rates:
    numbers = {
        each.name: table.number(each.name, 0.0, least=0, most=MOST_USD) for each in dataclasses.fields(Rates)
    }
    table.no_more()
    return Rates(**{name: number for name, number in numbers.items() if name in table})
