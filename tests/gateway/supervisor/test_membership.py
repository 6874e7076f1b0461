from __future__ import annotations

import os
import socket

from gateway.supervisor.membership import Membership
from gateway.supervisor.seat import Seat
from gateway.supervisor.tally import shared_memory


def test_no_child_of_a_worker_inherits_its_seat() -> None:
    ours, theirs = socket.socketpair()
    with ours, socket.create_server(("127.0.0.1", 0)) as listener, shared_memory(1) as memory:
        channel, port = theirs.detach(), os.dup(listener.fileno())
        seat = Seat(worker_id="one", place=0, listener=port, channel=channel, tally=os.dup(memory))
        for descriptor in seat.descriptors:
            os.set_inheritable(descriptor, True)  # as they are behind an exec
        membership = Membership(seat, lambda: b"")
        assert membership.port == listener.getsockname()[1]
        assert not any(os.get_inheritable(descriptor) for descriptor in seat.descriptors)
        membership.close_door()
        membership._tally.close()
        membership._channel.close()
        os.close(seat.tally)
