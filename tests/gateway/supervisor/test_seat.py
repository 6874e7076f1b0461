from __future__ import annotations

from gateway.cli.serve_worker import command
from gateway.supervisor.seat import Seat


def test_the_workers_command_understands_a_seats_options() -> None:
    seat = Seat(worker_id="host-w1-5f3a9c", place=0, listener=5, channel=6, tally=7)
    params = command.make_context("serve-worker", list(seat.options())).params
    assert Seat(**{name: value for name, value in params.items() if name != "env_file"}) == seat
    assert seat.descriptors == (5, 6, 7)
