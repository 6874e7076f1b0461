"""The command line: `switchboard`. Each command's module is loaded when the command is run, so that help is quick.

Exit codes: 0 done, 1 a check or a call failed, 2 wrong use, 3 cannot reach, 4 refused, 130 Ctrl-C. Results go to
stdout, everything said to people goes to stderr.
"""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = {
    "serve": ("gateway.cli.serve", "Answer calls."),
    "demo": (
        "gateway.cli.demo",
        "Start a gateway with built-in providers on this machine; with --call, place a call to it.",
    ),
    "simulate": ("gateway.cli.simulate", "Play Twilio and a caller against a running gateway."),
    "standin": ("gateway.cli.standin", "Serve a stand-in for a provider, to try an agent with no account."),
    "bench": ("gateway.cli.bench", "Measure how many conversing calls one core carries."),
    "bench-turns": (
        "gateway.cli.bench_turns",
        "Measure what preemptive generation and hedging save with providers as slow as real ones.",
    ),
    "bench-realtime": ("gateway.cli.bench_realtime", "Measure how many Realtime sessions one core carries."),
    "bench-webrtc": ("gateway.cli.bench_webrtc", "Measure how many WebRTC sessions one core carries."),
    "prove": ("gateway.cli.prove", "Break things under live calls, and count what callers lost."),
    "undelivered": ("gateway.cli.undelivered", "List call records that nobody took, and try them again."),
    "drain": ("gateway.cli.drain", "Have a running gateway take no new calls, and wait until it has none."),
    "key": ("gateway.cli.key", "Make API keys for programs."),
    "token": ("gateway.cli.token", "Mint short-lived tokens."),
    "doctor": ("gateway.cli.doctor", "Check this machine and the settings, and say how to mend what is wrong."),
}


class Commands(click.Group):
    """click asks its groups by inheritance; this one loads a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="switchboard-voice", prog_name="switchboard")
def main() -> None:
    """Give a phone number an AI voice agent."""


if __name__ == "__main__":
    main()
