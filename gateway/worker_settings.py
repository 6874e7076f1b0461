"""The settings of several workers on one machine.

Each is a declaration, of which `setting_declarations.py` makes a field of `Settings`. Which of them go together,
`setting_conflicts.py` knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from gateway.setting import declared
from gateway.setting_values import whole_number


def seconds(least_s: float, most_s: float) -> Callable[[str], float]:
    """Reads seconds with up to two decimals, between these two; 0 as well, for what can be switched off."""

    def read(text: str) -> float:
        value_s = float(text) if re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,2})?", text) else -1.0
        if value_s != 0 and not least_s <= value_s <= most_s:
            raise ValueError(f"{text!r} is neither 0 nor seconds from {least_s:g} to {most_s:g}, such as 1.5")
        return value_s

    return read


WORKERS: Final = declared(
    "WEB_CONCURRENCY",
    1,
    whole_number(1, 256),
    "Worker processes that share the port of this machine. More than 1 needs REDIS_URL. One per core; leave it at "
    "1 where each container is a worker.",
)
WATCHDOG_S: Final = declared(
    "SWITCHBOARD_WATCHDOG_S",
    1.0,
    seconds(0.3, 60),
    "Seconds without a sign of life after which one of several workers is killed and replaced; its calls go on in "
    "another. More on a machine that others keep busy. 0: never.",
)
