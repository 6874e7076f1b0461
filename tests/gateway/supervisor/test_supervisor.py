"""The supervisor over real processes: deaths, hangs, signals, rolling restarts, and its own death."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from gateway.supervisor.supervisor import GIVEN_UP, WRONG_USE, bound
from gateway.supervisor.worker_process import Limits
from tests.gateway.supervisor.support import LIMIT_S, ROOT, Team, team

pytestmark = pytest.mark.anyio


def is_there(pid: int) -> bool:
    """Whether the process, no child of ours, runs; one that nobody has buried does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


async def no_longer_there(pid: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while is_there(pid):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


async def test_a_killed_worker_is_replaced_and_the_others_answer_meanwhile() -> None:
    async with team() as here:
        before = await here.both()
        name, pid = before.popitem()
        os.kill(pid, signal.SIGKILL)
        words = await here.logged("died")
        assert words == f"worker {name} died: killed by signal 9 (SIGKILL); it is replaced at once"
        assert (await here.who())[0] in before
        await here.until_serving(2)
        after = await here.both()
        assert name not in after and before.keys() < after.keys()
        assert here.supervisor.deaths == 1


async def test_a_stopped_worker_is_noticed_killed_and_replaced() -> None:
    async with team(limits=Limits(watchdog_s=1.0)) as here:
        name, pid = (await here.both()).popitem()
        os.kill(pid, signal.SIGSTOP)
        assert f"worker {name} died: no beat for 1." in await here.logged("died")
        await here.until_serving(2)
        assert name not in await here.both()


async def test_a_blocked_event_loop_is_noticed_too() -> None:
    async with team(limits=Limits(watchdog_s=1.0)) as here, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await here.asked(session, "/block")
        await here.logged("no beat for 1.")
        await here.until_serving(2)


async def test_with_the_watchdog_off_a_stopped_worker_may_go_on_later() -> None:
    async with team(limits=Limits(watchdog_s=0)) as here:
        before = await here.both()
        pid = next(iter(before.values()))
        os.kill(pid, signal.SIGSTOP)
        # A whole life of a worker later it has not been touched.
        other = next(one for one in before.values() if one != pid)
        os.kill(other, signal.SIGKILL)
        await here.logged("died: killed by signal 9")
        await here.until_serving(2)
        os.kill(pid, signal.SIGCONT)
        assert pid in (await here.both()).values()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_all_workers_leave_and_so_does_it(number: signal.Signals) -> None:
    async with team() as here:
        signal.raise_signal(number)
        assert await here.left() == 0
        assert here.supervisor.serving == 0
        assert await here.logged("told to stop") == "told to stop: 2 workers drain"


async def call(session: aiohttp.ClientSession, here: Team) -> tuple[aiohttp.ClientWebSocketResponse, str]:
    """A call that goes on, and the name of its worker."""
    one = await session.ws_connect(f"http://127.0.0.1:{here.port}/stay")
    return one, (await one.receive_str(timeout=LIMIT_S)).split()[0]


async def echoed(one: aiohttp.ClientWebSocketResponse) -> bool:
    await one.send_str("still there")
    return await one.receive_str(timeout=LIMIT_S) == "still there"


async def test_the_first_signal_lets_calls_end_and_no_worker_that_dies_meanwhile_is_replaced() -> None:
    async with team() as here, aiohttp.ClientSession() as session:
        before = await here.both()
        one, name = await call(session, here)
        signal.raise_signal(signal.SIGTERM)
        idle = next(worker for worker in before if worker != name)
        assert await here.logged(f"worker {idle} has left") == f"worker {idle} has left: exit code 0"
        assert await echoed(one)
        os.kill(before[name], signal.SIGKILL)
        assert await here.left() == 0
        assert "killed by signal 9" in await here.logged(f"worker {name} has left")
        await one.close()


async def test_the_second_signal_waits_for_no_call() -> None:
    async with team() as here, aiohttp.ClientSession() as session:
        one, _ = await call(session, here)
        signal.raise_signal(signal.SIGTERM)
        await here.logged("has left")
        assert await echoed(one)
        signal.raise_signal(signal.SIGINT)
        assert await here.logged("told to stop again") == "told to stop again: 1 workers leave at once"
        assert await here.left() == 0
        await one.close()


async def test_a_roll_replaces_all_workers_and_no_request_fails() -> None:
    async with team() as here:
        before = await here.both()
        over = asyncio.Event()
        answered: set[str] = set()

        async def ask_again_and_again() -> None:
            while not over.is_set():
                answered.add((await here.who())[0])

        async with asyncio.TaskGroup() as callers:
            for _ in range(4):
                callers.create_task(ask_again_and_again())
            signal.raise_signal(signal.SIGHUP)
            await here.logged("rolling restart done")
            over.set()
        after = await here.both()
        assert not after.keys() & before.keys()
        assert answered >= before.keys() and answered & after.keys()
        assert here.supervisor.deaths == 0


async def test_a_roll_waits_for_calls_which_go_on_while_new_ones_go_elsewhere() -> None:
    async with team(workers=1) as here, aiohttp.ClientSession() as session:
        one, name = await call(session, here)
        signal.raise_signal(signal.SIGHUP)
        await here.logged("started")
        await here.until_serving(1)
        async with asyncio.timeout(LIMIT_S):
            while (await here.who())[0] == name:
                pass
        assert await echoed(one)
        await one.close()
        await here.logged(f"worker {name} has left: exit code 0")
        await here.logged("rolling restart done")


async def test_a_stop_during_a_roll_lets_the_retired_workers_calls_end_too() -> None:
    async with team(workers=1) as here, aiohttp.ClientSession() as session:
        one, name = await call(session, here)
        signal.raise_signal(signal.SIGHUP)
        async with asyncio.timeout(LIMIT_S):
            while (await here.who())[0] == name:
                pass
        signal.raise_signal(signal.SIGTERM)
        await here.logged("has left: exit code 0")
        assert await echoed(one)
        await one.close()
        await here.logged(f"worker {name} has left: exit code 0")
        assert await here.left() == 0


async def test_a_roll_stops_at_a_worker_that_is_never_ready_and_the_old_ones_stay() -> None:
    async with team() as here:
        before = await here.both()
        here.behaviour[0] = "exits-2"
        signal.raise_signal(signal.SIGHUP)
        assert "was never ready; the others stay" in await here.logged("rolling restart stopped")
        assert await here.both() == before
        assert here.supervisor.deaths == 0


async def test_a_worker_that_dies_while_its_successor_starts_is_replaced_once() -> None:
    async with team(workers=1) as here:
        _, pid = await here.who()
        signal.raise_signal(signal.SIGHUP)
        await here.logged("started")
        os.kill(pid, signal.SIGKILL)
        await here.logged("rolling restart done")
        await here.until_serving(1)
        async with asyncio.timeout(LIMIT_S):
            while here.supervisor.living > 1:  # noqa: ASYNC110 - a count, and no event
                await asyncio.sleep(0.01)
        assert (await here.who())[1] != pid


async def test_for_a_moment_there_may_be_twice_as_many_workers_as_wanted() -> None:
    async with team(workers=1) as here:
        supervisor = here.supervisor
        # A successor of a roll, and who replaces a former one that has died just before it was told to go.
        more = [await supervisor._start(supervisor._slots[0]) for _ in range(2)]
        await here.until_serving(3)
        for worker in more:
            worker.retire()
        await here.until_serving(1)
        assert (supervisor.deaths, here.running.done()) == (0, False)


async def test_a_worker_that_says_what_is_no_word_is_replaced_and_the_others_stay() -> None:
    async with team() as here:
        name, pid = (await here.both()).popitem()
        here.behaviour[0] = "babbles"
        os.kill(pid, signal.SIGKILL)
        await here.logged(f"worker {name} died")
        assert "died: said what is no word" in await here.logged("no word")
        here.behaviour[0] = "serves"
        await here.until_serving(2)
        assert not here.running.done()


async def test_workers_that_die_again_and_again_make_it_give_up() -> None:
    async with team("exits-7", is_ready=False) as here:
        assert await here.left() == GIVEN_UP
        assert "exit code 7; no worker serves" in await here.logged("giving up")


async def test_a_worker_that_cannot_start_with_these_settings_is_tried_once() -> None:
    async with team("exits-2", is_ready=False) as here:
        assert await here.left() == WRONG_USE
        assert "cannot start; it has said why" in await here.logged("giving up")
        assert here.supervisor.deaths == 1


async def test_as_long_as_another_serves_it_never_gives_up() -> None:
    async with team() as here:
        here.behaviour[0] = "exits-2"
        os.kill((await here.both()).popitem()[1], signal.SIGKILL)
        waits = [(await here.logged("died")).rpartition(" is replaced ")[2] for _ in range(5)]
        assert waits == ["at once", "in 0.5 s", "in 1 s", "in 2 s", "in 4 s"]
        assert here.supervisor.serving == 1
        await here.who()


async def test_told_to_stop_while_it_starts_it_waits_for_nobody_to_be_ready() -> None:
    async with team("never-ready", is_ready=False) as here:
        await here.logged("started")
        signal.raise_signal(signal.SIGTERM)
        assert await here.left() == 0
        await here.logged("has left: killed by signal 15 (SIGTERM)")


async def test_workers_that_take_too_long_to_be_ready_or_to_leave_are_killed() -> None:
    async with team("never-ready", workers=1, limits=Limits(watchdog_s=5, start_s=0.5), is_ready=False) as here:
        await here.logged("died: not ready after 0.")
    async with team("never-leaves", workers=1, limits=Limits(watchdog_s=5, leave_s=0.5)) as here:
        signal.raise_signal(signal.SIGTERM)
        assert await here.left() == 0
        await here.logged("after it had finished")


async def test_a_process_that_cannot_be_started_is_tried_again_and_a_roll_stops_at_it() -> None:
    async with team(workers=1) as here:
        _, pid = await here.who()
        here.behaviour[0] = "is-missing"
        signal.raise_signal(signal.SIGHUP)
        assert "No such file" in await here.logged("rolling restart stopped")
        assert (await here.who())[1] == pid
        os.kill(pid, signal.SIGKILL)
        await here.logged("cannot be started")
        here.behaviour[0] = "serves"
        await here.until_serving(1)


async def test_where_no_process_can_be_started_at_all_it_gives_up() -> None:
    async with team("is-missing", is_ready=False) as here:
        assert await here.left() == GIVEN_UP
        await here.logged("giving up: no worker can be started")


PARENT = """
import asyncio, os, sys
from tests.gateway.supervisor.support import team

async def main():
    async with team() as here:
        os.write(int(sys.argv[1]), b"%d %d %d" % (*(await here.both()).values(), here.port))
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_when_it_is_killed_its_workers_let_go_of_the_port_finish_their_calls_and_leave() -> None:
    ours, theirs = os.pipe()  # its standard output would be its workers' too, and open as long as they are
    command = (sys.executable, "-c", PARENT, str(theirs))
    parent = await asyncio.create_subprocess_exec(*command, pass_fds=(theirs,), cwd=ROOT)
    async with asyncio.timeout(LIMIT_S):
        first, second, port = [int(word) for word in (await asyncio.to_thread(os.read, ours, 100)).split()]
    os.close(ours)
    os.close(theirs)
    async with aiohttp.ClientSession() as session:
        one = await session.ws_connect(f"http://127.0.0.1:{port}/stay")
        mine = int((await one.receive_str(timeout=LIMIT_S)).split()[1])
        parent.kill()
        await parent.wait()
        await no_longer_there(second if mine == first else first)
        async with asyncio.timeout(LIMIT_S):
            while True:
                try:
                    bound("127.0.0.1", port).close()
                    break
                except OSError:
                    await asyncio.sleep(0.01)
        assert await echoed(one)
        await one.close()
    await no_longer_there(mine)


async def test_a_port_that_is_taken_is_an_error_and_0_takes_a_free_one() -> None:
    with bound("127.0.0.1", 0) as listener, pytest.raises(OSError, match="in use"):
        bound("127.0.0.1", listener.getsockname()[1])


async def test_an_ipv6_address_can_be_listened_on() -> None:
    with bound("::1", 0) as listener:
        assert listener.family == socket.AF_INET6
