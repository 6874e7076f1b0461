"""The gateway under the benchmark of turns: `switchboard serve`, with the settings of its first argument, as JSON.

They are set here and not by the parent, so that those of a real gateway in the environment change nothing.
"""

from __future__ import annotations

import json
import os
import sys

from gateway.cli.main import main


def serve(settings: dict[str, str]) -> None:
    """Until told to stop."""
    os.environ |= settings
    main(["serve"])


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
