"""Several worker processes on one port of one machine, and the supervisor above them.

The parent's side: `supervisor.py`, `worker_process.py`, `restarts.py`, `metrics_port.py`. The child's side:
`membership.py`, `entrance.py`. Both: `channel.py`, `seat.py`, `tally.py`. What a worker does, these do not know.
"""
