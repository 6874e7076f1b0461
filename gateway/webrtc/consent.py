"""Whether a peer still agrees to be sent to (RFC 7675): asked every few seconds, lost after thirty without answer.

In place of aioice's own, which counts failures instead of time and takes an answer after half a second for none.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

from aioice import stun
from aioice.ice import Connection

CONSENT_LIMIT_S: Final = 30.0
""" "Consent expires after 30 seconds" without an answer (RFC 7675, section 5.1)."""

CONSENT_EVERY_S: Final = 5.0
"""Between checks, "randomized between 0.8 and 1.2 times" that (the same)."""

_REPEATS: Final = 1
"""Of each check, which so has 1.5 s to be answered."""

_COMPONENT: Final = 1


async def consent_lost(connection: Connection, *, limit_s: float, every_s: float) -> None:
    """Back when the peer has not answered for `limit_s`, or the connection was closed."""
    try:
        while connection._nominated:
            async with asyncio.timeout(limit_s):
                await _given(connection, every_s)
    except TimeoutError:
        return


async def _given(connection: Connection, every_s: float) -> None:
    """Back when the peer has agreed once more, to whichever pair it has nominated last."""
    while (pair := connection._nominated.get(_COMPONENT)) is not None:
        await asyncio.sleep(every_s * random.uniform(0.8, 1.2))
        try:
            await pair.protocol.request(
                connection.build_request(pair, nominate=False),
                pair.remote_addr,
                integrity_key=(connection.remote_password or "").encode(),
                retransmissions=_REPEATS,
            )
        except stun.TransactionError:
            continue
        return
