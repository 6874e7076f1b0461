"""The providers of the benchmark of turns, in a process of their own: `simulator.standins.turn_services` on the
port that the environment names. Started by `gateway.cli.bench_turns_run`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from gateway.cli.bench_turns_options import Options, clips
from pipeline.agent import FILLERS
from simulator.standins.serving import served
from simulator.standins.turn_services import TurnServices
from simulator.turn_plan import texts_of


async def serve(options: Options, port: int) -> None:
    """Until SIGTERM."""
    loop, told_to_stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, told_to_stop.set)
    texts = texts_of(options.said, clips())
    async with served(TurnServices(options.pace, texts, FILLERS, options.seed, loop.time), port=port):
        await told_to_stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(Options(**json.loads(sys.argv[1])), int(os.environ["PORT"])))
