"""The figures of a benchmark of turns, and how they are shown. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.cli.bench_run import percentile
from gateway.cli.bench_turns_options import Options
from gateway.cli.bench_turns_run import Outcome
from pipeline.turn.early_end import EARLY_MS


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one arm. Times in milliseconds; None where there is nothing to measure."""

    arm: str
    turns: int
    unanswered: int
    failed: int
    answer_p50: float | None
    """From the caller's last sound to the first of the answer, as heard."""
    answer_p95: float | None
    answer_p99: float | None
    sound_p50: float | None
    """The same to the first sound at all: it may be a filler."""
    sound_p95: float | None
    sound_p99: float | None
    saved_median: float | None
    """Against the first arm, turn by turn."""
    saved_mean: float | None
    saved_p50: float | None
    """The difference of the percentiles."""
    saved_p95: float | None
    saved_p99: float | None
    input_tokens: int
    output_tokens: int
    wasted_input_percent: float
    wasted_output_percent: float
    wasted_percent: float
    """Of both."""
    requests: int
    guesses: int
    kept: int
    abandoned: int
    second_requests: int
    second_transcripts: int
    split_turns: int
    fillers: int
    generator_lateness_p99: float | None


def figures_of(outcome: Outcome, first: Outcome) -> Figures:
    """`first` is what it is compared with."""
    answers, bill = _answers_ms(outcome), outcome.bill
    before = _answers_ms(first)
    saved = [before[number] - answers[number] for number in sorted(answers.keys() & before.keys())]
    now, then = list(answers.values()), list(before.values())
    sounds = [1000 * turn.first_sound_s for turn in outcome.waited if turn.first_sound_s is not None]
    billed = bill.input_tokens + bill.output_tokens
    return Figures(
        arm=outcome.arm.name,
        turns=len(outcome.waited),
        unanswered=len(outcome.waited) - len(answers),
        failed=outcome.failed,
        answer_p50=percentile(now, 50),
        answer_p95=percentile(now, 95),
        answer_p99=percentile(now, 99),
        sound_p50=percentile(sounds, 50),
        sound_p95=percentile(sounds, 95),
        sound_p99=percentile(sounds, 99),
        saved_median=round(statistics.median(saved), 1) if saved else None,
        saved_mean=round(statistics.fmean(saved), 1) if saved else None,
        saved_p50=_less(then, now, 50),
        saved_p95=_less(then, now, 95),
        saved_p99=_less(then, now, 99),
        input_tokens=bill.input_tokens,
        output_tokens=bill.output_tokens,
        wasted_input_percent=_percent(bill.wasted_input_tokens, bill.input_tokens),
        wasted_output_percent=_percent(bill.wasted_output_tokens, bill.output_tokens),
        wasted_percent=_percent(bill.wasted_input_tokens + bill.wasted_output_tokens, billed),
        requests=bill.requests,
        guesses=bill.guesses,
        kept=bill.kept,
        abandoned=bill.abandoned,
        second_requests=bill.second_requests,
        second_transcripts=bill.second_transcripts,
        split_turns=bill.split_turns,
        fillers=sum(turn.fillers for turn in outcome.waited),
        generator_lateness_p99=outcome.generator_lateness_p99,
    )


def _answers_ms(outcome: Outcome) -> dict[int, float]:
    return {turn.number: 1000 * turn.answer_s for turn in outcome.waited if turn.answer_s is not None}


def _less(then: list[float], now: list[float], percent: float) -> float | None:
    before, after = percentile(then, percent), percentile(now, percent)
    return None if before is None or after is None else round(before - after, 1)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


ROWS: Final = (
    ("turns, unanswered, calls failed", "{turns} · {unanswered} · {failed}"),
    ("answer p50 / p95 / p99, ms", "{answer_p50:.0f} / {answer_p95:.0f} / {answer_p99:.0f}"),
    ("first sound p50 / p95 / p99, ms", "{sound_p50:.0f} / {sound_p95:.0f} / {sound_p99:.0f}"),
    ("saved per turn, median / mean, ms", "{saved_median:.0f} / {saved_mean:.0f}"),
    ("saved at p50 / p95 / p99, ms", "{saved_p50:.0f} / {saved_p95:.0f} / {saved_p99:.0f}"),
    ("tokens billed, in + out", "{input_tokens} + {output_tokens}"),
    (
        "tokens wasted, in / out / both",
        "{wasted_input_percent} / {wasted_output_percent} / {wasted_percent} %",
    ),
    ("requests to the model", "{requests}"),
    ("guesses, kept, abandoned", "{guesses} · {kept} · {abandoned}"),
    ("second requests: model, transcriber", "{second_requests} · {second_transcripts}"),
    ("turns cut in two by a pause", "{split_turns}"),
    ("fillers", "{fillers}"),
    ("generator late p99, ms", "{generator_lateness_p99}"),
)


def table(figures: Sequence[dict[str, Any]]) -> str:
    """The arms side by side, for people."""
    columns = [["", *(title for title, _ in ROWS)]]
    columns += [[str(one["arm"]), *(_shown(row, one) for _, row in ROWS)] for one in figures]
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in zip(*columns, strict=True)
    )


def _shown(row: str, one: dict[str, Any]) -> str:
    """Nothing measured is a dash."""
    try:
        return row.format(**one)
    except TypeError:
        return "–"


def floors(options: Options) -> list[str]:
    """What the arms come to if gateway, machine and line take no time at all, and all is as the median."""
    pace = options.pace
    clause_ms = round(1000 * pace.first_clause_s)
    answer_ms = options.llm + clause_ms + options.tts
    plain_ms = options.silence + options.stt + answer_ms
    decided_ms = options.silence + options.stt
    early_ms = min(EARLY_MS, options.silence) + answer_ms
    return [
        f"floor, plain: {options.silence} silence + {options.stt} transcript + {options.llm} first token + "
        f"{clause_ms} first clause + {options.tts} first byte = {plain_ms} ms",
        f"floor, preemptive: the later of {options.silence} + {options.stt} = {decided_ms} (all is understood) and "
        f"{EARLY_MS} + {answer_ms} = {early_ms} (the answer is made): {max(decided_ms, early_ms)} ms",
    ]
