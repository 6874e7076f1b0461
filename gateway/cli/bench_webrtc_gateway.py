"""The gateway under the WebRTC benchmark: `switchboard serve`, with one key that may open any number of sessions.

The settings are set here and not by the parent, so that those of a real gateway in the environment change nothing.
"""

from __future__ import annotations

import os
import sys

from gateway.cli.main import main


def serve(token: str) -> None:
    """Until told to stop; `token` is what every session shows."""
    os.environ |= {
        "SWITCHBOARD_TOKEN": token,
        # All sessions are of one key, which no real client's are.
        "SWITCHBOARD_REALTIME_SESSIONS_PER_KEY": "0",
        "SWITCHBOARD_REALTIME_RESPONSES_PER_MIN": "0",
    }
    main(["serve"])


if __name__ == "__main__":
    serve(sys.argv[1])
