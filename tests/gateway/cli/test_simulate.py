from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from gateway.cli import simulate
from gateway.cli.placed_call import PlacedCall
from gateway.cli.target import read_target
from simulator.call_setup import CallSetup
from simulator.caller import BargeIn, Dtmf, HangUp, Listen, Say, Step
from simulator.sound import Codec
from tests.gateway.cli.recorded import journal_of, recorded_call, result_of
from tests.simulator.throwaway_gateway import Page, ThrowawayGateway, running

ROOT = Path(__file__).parents[3]


@contextmanager
def bot(page: str | Page) -> Iterator[ThrowawayGateway]:
    """A bot that answers its voice webhook so, on an event loop of its own."""
    gateway = ThrowawayGateway(pages={"/twilio/voice": page, "/twilio/status": ""})
    loop, ready, leave = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with running(gateway):
            ready.set()
            await leave.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield gateway
    finally:
        loop.call_soon_threadsafe(leave.set)
        thread.join(10)
        loop.close()


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(simulate.command, arguments, env={"TWILIO_AUTH_TOKEN": "secret", **environ})


def test_a_call_that_is_hung_up_at_once_has_failed_and_says_why() -> None:
    with bot("<Hangup/>") as gateway:
        result = run("--url", gateway.url, "--say", "hello")
        assert result.exit_code == 1
        assert "✗ the caller came to say 0 of 1 things: the gateway hung up" in result.stdout
        assert gateway.forms_at("/twilio/voice")[0]["To"] == "+15550100001"
        assert gateway.forms_at("/twilio/status")[0]["CallStatus"] == "completed"


def test_for_programs_every_line_is_json_and_the_last_is_the_result() -> None:
    with bot("<Hangup/>") as gateway:
        result = run("--say", "hello", "--json", "--to", "+14155550100", SWITCHBOARD_URL=gateway.url)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[0]["event"] == "webhook"
    assert (lines[-1]["event"], lines[-1]["ok"], lines[-1]["exit_code"]) == ("result", False, 1)
    assert gateway.forms_at("/twilio/voice")[0]["To"] == "+14155550100"
    assert result.stderr == ""


def test_keys_alone_make_a_call_that_only_wants_to_hear_somebody(tmp_path: Path) -> None:
    with bot("<Say>Hello.</Say>") as gateway:
        result = run("--url", gateway.url, "--dtmf", "12#", "--save", str(tmp_path / "out"))
    assert result.exit_code == 0
    assert "Hello.  (<Say>)" in result.stdout
    assert f"saved {tmp_path}/out/call.wav" in "".join(result.stdout.split("\n"))
    assert (tmp_path / "out" / "call.jsonl").exists()


def test_a_gateway_that_is_not_there_ends_with_three(unused_port: int) -> None:
    result = run("--url", f"http://127.0.0.1:{unused_port}", "--say", "hello")
    assert result.exit_code == 3
    assert "switchboard: cannot reach" in result.stderr
    assert "Traceback" not in result.output


def test_a_gateway_that_refuses_the_signature_ends_with_four() -> None:
    with bot(lambda _: web.Response(status=403, text="not signed by Twilio")) as gateway:
        result = run("--url", gateway.url, "--say", "hello", "--json")
    assert result.exit_code == 4
    assert "refused the call with 403" in result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["exit_code"] == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Give what the caller says"),
        (("--say", "hello", "--wav", "x.wav"), "Give one of --say and --wav, not both."),
        (("--script", "x.toml", "--dtmf", "1"), "A script holds its own dtmf"),
        (("--barge-in", "2", "--dtmf", "1"), "--barge-in needs something to say"),
        (("--say", "hello", "--dtmf", "1x"), "digits are 0-9"),
        (("--say", "hello", "--to", "0123"), "no E.164 number; write it like +15550100001"),
        (("--say", "hello", "--loss", "101"), "--loss"),
        (("--say", "hello", "--url", "here"), "--url: 'here' is no http or https URL"),
        (("--wav", "none.wav"), "none.wav: cannot be read"),
        (("--script", "none.toml"), "none.toml: cannot be read"),
    ],
)
def test_wrong_use_ends_with_two_and_says_what_to_give(arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_a_folder_that_cannot_be_made_is_told_before_the_call(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("--say", "hello", "--save", str(tmp_path / "file" / "out"))
    assert result.exit_code == 2
    assert "cannot be made" in result.stderr


def test_a_folder_that_goes_away_during_the_call_is_told_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_placed: PlacedCall, folder: Path) -> tuple[Path, Path]:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(simulate, "save", refuse)
    with bot("<Hangup/>") as gateway:
        result = run("--url", gateway.url, "--say", "hello", "--save", str(tmp_path))
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


class Recorder:
    """Stands for the call: keeps the setup, and gives the recorded call back."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure
        self.setups: list[CallSetup] = []

    async def __call__(self, setup: CallSetup, watcher: object, *, base_url: str, token: str) -> PlacedCall:
        self.setups.append(setup)
        if self.failure is not None:
            raise self.failure
        events = recorded_call()
        return PlacedCall(result_of(events), journal_of(events), None)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    placing = Recorder()
    monkeypatch.setattr(simulate, "place_call", placing)
    return placing


def test_every_option_reaches_the_call(recorder: Recorder, tmp_path: Path) -> None:
    options = "--from +14155550199 --loss 2.5 --jitter 60 --codec pcma --no-color --save".split()
    texts = ("--say", "hello", "--say", "stop please", "--barge-in", "2.5")
    result = run(*texts, *options, str(tmp_path), TWILIO_ACCOUNT_SID="AC" + "1" * 32)
    assert result.exit_code == 0
    (setup,) = recorder.setups
    assert (setup.from_number, setup.codec, setup.account_sid) == ("+14155550199", Codec.PCMA, "AC" + "1" * 32)
    assert (setup.network.loss, setup.network.jitter_ms) == (0.025, 60)
    assert [type(step) for step in setup.steps] == [Listen, Say, BargeIn, Listen, HangUp]
    assert (tmp_path / "call.wav").exists()


def test_a_script_and_recordings_are_what_the_caller_says(recorder: Recorder, tmp_path: Path) -> None:
    script = tmp_path / "talk.toml"
    script.write_text('[[turn]]\nclip = "hello"\n')
    assert run("--script", str(script)).exit_code == 0
    save_wav = run("--say", "hello", "--save", str(tmp_path))
    assert save_wav.exit_code == 0
    (tmp_path / "call.wav").write_bytes(a_wav())
    assert run("--wav", str(tmp_path / "call.wav"), "--dtmf", "1").exit_code == 0
    steps: tuple[Step, ...] = recorder.setups[-1].steps
    assert [type(step) for step in steps] == [Listen, Say, Listen, Dtmf, Listen, HangUp]


def a_wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x00\x40" * 800)
    return buffer.getvalue()


def test_ctrl_c_ends_the_call_with_130_and_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "place_call", Recorder(KeyboardInterrupt()))
    result = run("--say", "hello")
    assert result.exit_code == 130
    assert "switchboard: stopped" in result.stderr


def test_output_goes_nowhere_once_its_reader_has_left(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("--say", "hello").exit_code == 0
    recorder.failure = BrokenPipeError()
    target = read_target(None, "secret", None)
    with os.fdopen(os.dup(1), "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert simulate.run(recorder.setups[0], target, lambda _result, _review: [], None, None) == 1
        print("to nobody", flush=True)
    monkeypatch.undo()
    assert capfd.readouterr().out == ""


def test_a_reader_who_leaves_ends_the_call_quietly(unused_port: int) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "gateway.cli.main", "simulate", "--url", f"http://127.0.0.1:{unused_port}"]
    environ = {**os.environ, "TWILIO_AUTH_TOKEN": "secret", "PYTHONPATH": str(ROOT)}
    with os.fdopen(write_end, "wb") as stdout:
        told = subprocess.run(
            [*command, "--say", "hello"], stdout=stdout, stderr=subprocess.PIPE, env=environ, timeout=60
        )
    assert (told.returncode, told.stderr) == (1, b"")
