"""What a redis-server says of itself, and what that comes to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.cli.bench_redis import Moment, Moments, RedisFigures, figures_of, informant, moment_of
from simulator.redis_server import redis_server

REDIS = RedisFigures(
    commands_per_call_s=18.11,
    scripts_per_call_s=1.888,
    reads_per_call_s=3.2,
    bytes_in_per_call_s=3448.3,
    bytes_out_per_call_s=85.1,
    cpu_ms_per_call_s=0.08,
    cpu_percent=0.3,
    memory_mb=1.82,
    kb_per_call=14.5,
    bytes_kept_per_call_s=337.7,
    idle_commands_per_s=7.0,
    commands_per_short_call=85.8,
    kb_per_short_call=16.8,
    by_command={"hset": 5.5, "evalsha": 1.888},
)

BEGUN = Moment({"set": 10}, reads=10, bytes_in=0, bytes_out=0, cpu_s=0.0, memory_bytes=1_000_000)
IDLE = replace(BEGUN, commands={"set": 30})
ENDED = replace(IDLE, commands={"set": 80, "evalsha": 25}, memory_bytes=1_050_000)
BEFORE = Moment({"set": 100, "evalsha": 100}, 500, 10_000, 1_000, cpu_s=1.0, memory_bytes=1_200_000)
AFTER = Moment({"set": 140, "evalsha": 160, "hset": 600}, 600, 110_000, 11_000, cpu_s=1.5, memory_bytes=1_250_000)
SEEN = Moments(BEGUN, IDLE, ENDED, BEFORE, AFTER, idle_s=2.0, short_s=5.0, took_s=5.0)

TEXT = """# Memory\r
used_memory:1234567\r
used_memory_human:1.18M\r
# Stats\r
total_net_input_bytes:5000\r
total_net_output_bytes:7000\r
total_reads_processed:40\r
# CPU\r
used_cpu_sys:0.25\r
used_cpu_user:0.5\r
# Commandstats\r
cmdstat_hset:calls=12,usec=30,usec_per_call=2.50,rejected_calls=0,failed_calls=0\r
cmdstat_info:calls=3,usec=300,usec_per_call=100.00,rejected_calls=0,failed_calls=0\r
cmdstat_client|setinfo:calls=2,usec=4,usec_per_call=2.00,rejected_calls=0,failed_calls=0\r
"""


def test_a_moment_is_read_without_what_we_asked_ourselves() -> None:
    moment = moment_of(TEXT, asked=3, asked_bytes=75, answered_bytes=4_000)
    assert moment == Moment({"hset": 12, "client|setinfo": 2}, 37, 4_925, 3_000, 0.75, 1_234_567)
    assert moment.done == 14


def test_what_a_server_does_not_say_is_not_made_up() -> None:
    with pytest.raises(KeyError, match="used_memory"):
        moment_of(TEXT.replace("used_memory:", "memory:"), asked=0, asked_bytes=0, answered_bytes=0)


def test_figures_are_the_difference_by_call_and_second() -> None:
    assert figures_of(SEEN, calls=10, short_calls=5) == RedisFigures(
        commands_per_call_s=14.0,
        scripts_per_call_s=1.2,
        reads_per_call_s=2.0,
        bytes_in_per_call_s=2_000.0,
        bytes_out_per_call_s=200.0,
        cpu_ms_per_call_s=10.0,
        cpu_percent=10.0,
        memory_mb=1.25,
        kb_per_call=20.0,
        bytes_kept_per_call_s=1_000.0,
        idle_commands_per_s=10.0,
        commands_per_short_call=5.0,  # 75 in those 5 s, of which 50 are the gateways' own
        kb_per_short_call=10.0,
        by_command={"hset": 12.0, "evalsha": 1.2, "set": 0.8},
    )


def test_without_short_calls_nothing_is_said_of_them() -> None:
    figures = figures_of(SEEN, calls=10, short_calls=0)
    assert (figures.commands_per_short_call, figures.kb_per_short_call) == (None, None)


@pytest.mark.anyio
async def test_looking_at_a_real_server_leaves_no_trace_in_what_is_seen() -> None:
    async with redis_server() as server, informant(server.port) as watcher:
        before = await watcher.look()
        unchanged = await watcher.look()
        assert replace(unchanged, cpu_s=before.cpu_s, memory_bytes=before.memory_bytes) == before
        client = server.client()
        for number in range(20):
            await client.set(f"key:{number}", "x" * 1_000)
        await client.eval("return redis.call('GET', KEYS[1])", 1, "key:1")
        await client.aclose()
        after = await watcher.look()
    done = {name: count - before.commands.get(name, 0) for name, count in after.commands.items()}
    assert (done["set"], done["eval"], done["get"]) == (20, 1, 1), "what a script does is counted as well"
    assert after.bytes_in - before.bytes_in > 20_000
    assert after.bytes_out - before.bytes_out > 1_000
    assert after.memory_bytes - before.memory_bytes > 20_000
    assert after.reads - before.reads >= 21
    assert after.cpu_s >= before.cpu_s
