"""The README's blocks do what they say: every command in it is run, every file it names is there.

Outputs shown in it (```text) are pictures of a real call; what they show, `tests/gateway/cli/test_demo.py` proves.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.loopback import free_port
from gateway.cli.main import main
from pipeline.agent import parse_agent
from tests.calls.support import AUTH_TOKEN, cascade, running_gateway
from tests.redis_server import redis_server

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()

COMMAND_LIMIT_S = 120

WORKERS = "REDIS_URL=redis://127.0.0.1:6379 switchboard serve --workers 4"


def blocks() -> list[str]:
    """The indented blocks, without the pictures and the program."""
    text = re.sub(r"```(?:text|python)\n.*?```", "", README, flags=re.DOTALL)
    found = re.findall(r"(?:^    \S.*\n(?:^    .*\n|^\n(?=    ))*)", text, flags=re.MULTILINE)
    return ["\n".join(line[4:] for line in block.splitlines()) for block in found]


def commands() -> list[str]:
    return [line.partition("#")[0].strip() for block in blocks() for line in block.splitlines() if line.strip()]


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`make` in the environment these tests run in, which has what `make` would install."""
    venv = Path(sys.prefix)
    for stamp in (".local", ".remote", ".bench", ".test"):
        (venv / stamp).touch()
    return subprocess.run(
        ["make", f"VENV={venv}", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
    )


def test_every_command_of_the_readme_is_known_to_this_test() -> None:
    assert commands() == [
        "git clone <this repository> switchboard && cd switchboard",
        "make call",
        "cp .env.example .env",
        "make run",
        "switchboard demo",
        'switchboard simulate --say "what are your opening hours" --say "stop please" --barge-in 2.5',
        "switchboard standin openai --fault hang --times 1",
        WORKERS,
    ]


@pytest.mark.anyio
async def test_the_program_of_the_readme_has_a_turn_with_the_gateway(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    async with running_gateway(providers=cascade(), SWITCHBOARD_TOKEN=AUTH_TOKEN) as gateway:
        body = textwrap.indent(program.replace("http://127.0.0.1:8080", gateway.url), "    ")
        names: dict[str, Any] = {"SWITCHBOARD_TOKEN": AUTH_TOKEN}
        exec(f"async def talk():\n{body}", names)
        async with asyncio.timeout(COMMAND_LIMIT_S):
            await names["talk"]()
    told = capsys.readouterr().out.split()
    assert told[0] == "session.created" and told[-1] == "response.done"
    assert "response.output_audio.delta" in told


def test_make_alone_says_what_there_is() -> None:
    shown = make()
    assert shown.returncode == 0
    for target in ("call", "run", "bench", "bench-turns", "test"):
        assert f"make {target} " in shown.stdout
    assert "make call" in shown.stdout.splitlines()[-1]


def test_make_call_runs_the_demo_and_make_bench_the_benchmark_with_its_floor() -> None:
    assert "switchboard demo --call --save out" in make("-n", "call").stdout
    assert "switchboard bench --calls 300 --floor" in make("-n", "bench").stdout


def test_make_run_without_settings_says_what_is_missing_and_where_to_get_it(tmp_path: Path) -> None:
    assert "switchboard serve" in make("-n", "run").stdout
    # Run where no .env lies, or it would start.
    refused = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "serve", "--port", str(free_port())],
        cwd=tmp_path,
        env={**os.environ, "TWILIO_AUTH_TOKEN": ""},
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
    )
    assert refused.returncode == 2
    assert "TWILIO_AUTH_TOKEN (not set)" in refused.stderr
    assert "Traceback" not in refused.stderr + refused.stdout


@pytest.mark.anyio
async def test_the_command_for_several_workers_starts_as_many_and_stops_them(tmp_path: Path) -> None:
    *_, flag, count = WORKERS.split()
    async with asyncio.timeout(COMMAND_LIMIT_S), redis_server() as redis:
        serving = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli.main", "serve", flag, count, "--port", "0"),
            cwd=tmp_path,
            env={**os.environ, "TWILIO_AUTH_TOKEN": AUTH_TOKEN, "REDIS_URL": redis.url},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert serving.stderr is not None
        told = ""
        while "/readyz" not in told:
            line = await serving.stderr.readline()
            assert line, told
            told += line.decode()
        assert re.search(rf"^  workers +{count}$", told, flags=re.MULTILINE)
        workers = await redis.ask("ZCARD", "switchboard:workers")
        while workers != int(count):
            await asyncio.sleep(0.05)  # each tells of itself once a second
            workers = await redis.ask("ZCARD", "switchboard:workers")
        serving.terminate()
        _, rest = await serving.communicate()
        assert serving.returncode == 0, told + rest.decode()


def test_the_example_of_settings_is_one_the_gateway_reads() -> None:
    from gateway.settings import read_settings

    settings = read_settings(
        environ={"TWILIO_AUTH_TOKEN": "0" * 32, "PUBLIC_URL": "https://voice.example.com"},
        env_file=ROOT / ".env.example",
    )
    assert settings.public_url == "https://voice.example.com"


def test_the_commands_of_the_command_line_are_the_ones_the_readme_names() -> None:
    for command in commands():
        if command.startswith("switchboard "):
            assert command.split()[1] in main.list_commands(None)  # type: ignore[arg-type]  # it asks for no context


def test_every_file_the_documents_link_to_is_there() -> None:
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^)#]+)", document.read_text()):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_every_piece_of_an_agents_file_that_is_shown_is_read() -> None:
    shown = 0
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in re.findall(r"```toml\n(.*?)```", document.read_text(), flags=re.DOTALL):
            if "[[turn]]" not in block:  # a caller's script
                parse_agent(
                    block if "name = " in block.partition("[")[0] else f'name = "a"\n{block}', document.name
                )
                shown += 1
    assert shown >= 8
