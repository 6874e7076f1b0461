"""One page of metrics from the pages of many workers. Pure.

Every sample gets a label with its worker's name, as Prometheus adds the instance's to what it scrapes itself: a
counter stays one process's counter, so rates are right across deaths, and sums are the reader's to take. Format:
https://prometheus.io/docs/instrumenting/exposition_formats/ (text-based format).
"""

from __future__ import annotations

from collections.abc import Mapping


def merged(pages: Mapping[str, str], *, serving: int, deaths: int) -> str:
    """The pages by worker's name, and what the supervisor itself counts."""
    families: dict[str, list[str]] = {}
    for worker_id, page in pages.items():
        samples: list[str] = []
        for line in page.splitlines():
            if line.startswith("# HELP "):
                # "All lines for a given metric must be provided as one single group": its head stands once.
                samples = families.setdefault(line.split(" ")[2], [line])
            elif line.startswith("# TYPE "):
                if len(samples) == 1:
                    samples.append(line)
            elif line:
                samples.append(labelled(line, worker_id))
    lines = [
        "# HELP switchboard_workers Workers that take connections.",
        "# TYPE switchboard_workers gauge",
        f"switchboard_workers {serving}",
        "# HELP switchboard_worker_deaths_total Workers that went without being told to.",
        "# TYPE switchboard_worker_deaths_total counter",
        f"switchboard_worker_deaths_total {deaths}",
    ]
    for family in families.values():
        lines += family
    return "\n".join(lines) + "\n"


def labelled(sample: str, worker_id: str) -> str:
    """`name{a="b"} 1` or `name 1`, with the worker's label first."""
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{worker="{worker_id}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{worker="{worker_id}"}} {value}'
