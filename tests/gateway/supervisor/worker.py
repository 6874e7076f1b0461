"""A worker that tests start: the real server and membership around a tiny application, ready in half a second.

Run as `python -m tests.gateway.supervisor.worker BEHAVIOUR OPTIONS…`; the options are a seat's.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from dataclasses import replace

import click
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from gateway.app import Gateway
from gateway.calls.call import Call, EndReason
from gateway.operations import Doors
from gateway.server import serve
from gateway.supervisor.membership import Membership
from gateway.supervisor.seat import Seat
from gateway.worker_id import take_worker_id, worker_id
from tests.gateway.signed import SETTINGS, House

BLOCKED_S = 60.0
"""Longer than any watchdog of the tests."""


def app_of(house: House) -> Starlette:
    store, numbers = house.desk.store, itertools.count()

    async def who(_request: Request) -> Response:
        return PlainTextResponse(f"{worker_id()} {os.getpid()}")

    async def block(_request: Request) -> Response:
        time.sleep(BLOCKED_S)  # noqa: ASYNC251 - a worker with a blocked loop is what is wanted
        return PlainTextResponse("never")

    async def stay(socket: WebSocket) -> None:
        """A call: the socket is the worker's to close; it ends when the client says so."""
        await socket.accept()
        call = Call(call_sid=f"CA{next(numbers):032x}", from_="", to="", agent="", started_at_s=0.0)
        await store.open(call)
        await socket.send_text(f"{worker_id()} {os.getpid()}")
        async for text in socket.iter_text():
            await socket.send_text(text)
        await store.end(call, EndReason.COMPLETED, 0.0)

    routes = [Route("/", who), Route("/block", block), WebSocketRoute("/stay", stay)]
    return Starlette(routes=routes)


@click.command()
@click.argument("behaviour")
@click.option("--worker-id", "name")
@click.option("--place", type=int)
@click.option("--listener", type=int)
@click.option("--channel", type=int)
@click.option("--tally", type=int)
def command(behaviour: str, name: str, place: int, listener: int, channel: int, tally: int) -> None:
    if behaviour.startswith("exits-"):
        sys.exit(int(behaviour.removeprefix("exits-")))
    if behaviour == "babbles":
        os.write(channel, b"hello")
    if behaviour in ("never-ready", "babbles"):
        time.sleep(BLOCKED_S)
    take_worker_id(name)
    house = House()
    gateway = Gateway(app_of(house), house.desk, Doors())
    seat = Seat(worker_id=name, place=place, listener=listener, channel=channel, tally=tally)
    membership = Membership(seat, lambda: house.desk.metrics.render()[0])
    settings = replace(SETTINGS, drain_timeout_s=60)
    uvloop.run(serve(settings, gateway, lambda port: None, membership))
    if behaviour == "never-leaves":
        time.sleep(BLOCKED_S)


if __name__ == "__main__":
    command()
