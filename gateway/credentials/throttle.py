"""A brake on guessing: failures are counted per client address, a minute at a time.

Bounded: of the addresses, those longest known are forgotten first. An IPv6 client has a /64 of its own, so that is
what is counted for it.
"""

from __future__ import annotations

import ipaddress
from typing import Final

MOST_FAILURES: Final = 10
"""A person mistypes a few times, a client with an old key retries a few times."""

CLIENTS_BEHIND_A_PROXY: Final = 10
"""Where one address may stand for many clients, so many times as many failures: one that guesses must not change
what the others are told."""

WINDOW_S: Final = 60.0
MOST_ADDRESSES: Final = 10_000


class Throttle:
    """The failures of the last minute."""

    def __init__(self, most_failures: int = MOST_FAILURES, most_addresses: int = MOST_ADDRESSES) -> None:
        self._most_failures = most_failures
        self._most_addresses = most_addresses
        self._failures: dict[str, tuple[float, int]] = {}
        """When the address's minute began, and its failures since; in the order the minutes began."""

    def __len__(self) -> int:
        return len(self._failures)

    def wait_s(self, address: str, now_s: float) -> int:
        """Whole seconds until the address may try again; 0 if it may now."""
        began_s, count = self._failures.get(_network(address), (now_s, 0))
        left_s = began_s + WINDOW_S - now_s
        # A clock that was set back would make the wait longer than the window.
        most = self._most_failures * (CLIENTS_BEHIND_A_PROXY if may_be_proxy(address) else 1)
        if count < most or not 0 < left_s <= WINDOW_S:
            return 0
        return int(left_s) + 1

    def note_failure(self, address: str, now_s: float) -> None:
        network = _network(address)
        began_s, count = self._failures.get(network, (now_s, 0))
        if not 0 <= now_s - began_s < WINDOW_S:
            began_s, count = now_s, 0
        if count == 0:
            self._failures.pop(network, None)
            if len(self._failures) >= self._most_addresses:
                del self._failures[next(iter(self._failures))]
        self._failures[network] = (began_s, count + 1)


def may_be_proxy(address: str) -> bool:
    """Whether others may stand behind the address: one of this machine or of a private network, or none at all."""
    try:
        return not ipaddress.ip_address(address).is_global
    except ValueError:
        return True


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
