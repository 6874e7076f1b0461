"""The table of events in `docs/realtime.md`: `python -m tests.realtime_table` writes it anew.

The names are those of the unions in OpenAI's package, so an event that OpenAI adds is missed by a test until it
works here or is named below with the reason why not. What shows an event to work are the tests that prove a rule
about it (`tests/requirements.toml`, and `@pytest.mark.proves`), or those of the codec.

    [[rule]]
    id = "…"                                   # what the marker names
    source = "Realtime reference, section …"
    rule = "…"
    events = ["response.done"]                 # GA names, or none
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import openai.types.beta.realtime as beta_models
import openai.types.realtime as ga_models
from pydantic import BaseModel

from pipeline.dialects import NAMES, UNSPOKEN, Dialect
from pipeline.events.event import ServerEvent
from pipeline.wire import CLIENT_EVENTS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "realtime.md"
REQUIREMENTS = ROOT / "tests" / "requirements.toml"
BEGIN, END = "<!-- events: begin -->", "<!-- events: end -->"

CLIENT_CODEC = "tests/pipeline/test_wire.py::test_every_client_event_is_understood_with_and_without_an_event_id"
SERVER_CODEC = (
    "tests/pipeline/test_wire_shapes.py::test_every_server_event_is_written_byte_for_byte_as_its_dialect_has_it"
)

BETA_OWN = {
    "transcription_session.update": "tests/pipeline/test_wire.py::"
    "test_the_beta_dialect_alone_has_an_update_for_transcription_sessions",
    "transcription_session.created": "tests/pipeline/test_wire_shapes.py::"
    "test_the_beta_dialect_has_its_own_names_for_a_transcription_session",
    "transcription_session.updated": "tests/pipeline/test_wire_shapes.py::"
    "test_the_beta_dialect_has_its_own_names_for_a_transcription_session",
}
"""Events that only the beta dialect has, and what shows them."""

INWORLDS = (
    "ping",
    "response.backchannel.audio.delta",
    "response.backchannel.audio.done",
    "response.backchannel.skipped",
    "input_audio_buffer.turn_suggestion",
    "input_audio_buffer.turn_suggestion_revoked",
    "conversation.item.input_audio_transcription.updated",
)
"""Inworld's additions (Realtime reference, section G.4), which no package lists."""

NOT_HERE = {
    "conversation.item.input_audio_transcription.segment": "needs a transcriber that tells speakers apart",
    "ping": "asks for no answer, and strict clients report it as an unknown event",
    "input_audio_buffer.turn_suggestion": "turn detection keeps its estimates to itself",
    "input_audio_buffer.turn_suggestion_revoked": "turn detection keeps its estimates to itself",
    "conversation.item.input_audio_transcription.updated": "takes back words; transcription here only adds",
}
"""Events that are never sent, and why."""


def names_of(union: Any) -> set[str]:
    """Of the events of one of the package's unions."""
    members = get_args(get_args(union)[0])
    models: list[type[BaseModel]] = [member for member in members if isinstance(member, type)]
    return {get_args(model.model_fields["type"].annotation)[0] for model in models}


def client_events() -> set[str]:
    return names_of(ga_models.RealtimeClientEvent) | names_of(beta_models.RealtimeClientEvent)


def server_events() -> set[str]:
    """By their GA names."""
    old_names = {own: ga for names in NAMES.values() for ga, own in names.items()}
    told = names_of(ga_models.RealtimeServerEvent) | names_of(beta_models.RealtimeServerEvent)
    return {old_names.get(name, name) for name in told} | {"transcription_session.created"} | set(INWORLDS)


def works() -> set[str]:
    """Events the codec reads or writes."""
    return {*CLIENT_EVENTS, *BETA_OWN, *(event.__struct_config__.tag for event in get_args(ServerEvent))}


def rules() -> list[dict[str, Any]]:
    if not REQUIREMENTS.exists():
        return []
    found: list[dict[str, Any]] = tomllib.loads(REQUIREMENTS.read_text()).get("rule", [])
    return found


@cache
def proofs() -> dict[str, tuple[str, ...]]:
    """By id of a rule: the tests that carry its marker, as pytest names them."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for test, ids in marked(ast.parse(path.read_text())):
            for rule_id in ids:
                found.setdefault(rule_id, []).append(f"{path.relative_to(ROOT).as_posix()}::{test}")
    return {rule_id: tuple(tests) for rule_id, tests in found.items()}


def marked(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """The tests of one file, with the ids that their `proves` markers name."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            calls = [call for decorator in node.decorator_list for call in ast.walk(decorator)]
            yield (
                node.name,
                [
                    argument.value
                    for call in calls
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.proves"
                    for argument in call.args
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
                ],
            )


def tests_of(event: str) -> list[str]:
    """What shows that an event works, the most particular first."""
    proved = [test for rule in rules() if event in rule.get("events", ()) for test in proofs().get(rule["id"], ())]
    if proved:
        return [*dict.fromkeys(proved)]
    return [BETA_OWN[event] if event in BETA_OWN else CLIENT_CODEC if event in CLIENT_EVENTS else SERVER_CODEC]


def row(event: str) -> str:
    if event in NOT_HERE:
        return f"| `{event}` | | not sent: {NOT_HERE[event]} | |"
    return f"| `{event}` | {spelling(event)} | works | `{tests_of(event)[0].removeprefix('tests/')}` |"


def spelling(event: str) -> str:
    """How the other dialects have it, where they differ."""
    if event in BETA_OWN:
        return "beta only"
    told = []
    for dialect in (Dialect.GA, Dialect.BETA, Dialect.SEED):
        if event in UNSPOKEN[dialect]:
            told.append(f"not in {dialect.value}")
        elif event in NAMES[dialect]:
            told.append(f"{dialect.value}: `{NAMES[dialect][event]}`")
    return "<br>".join(told)


def table() -> str:
    """Both tables, as they stand between the markers."""
    lines = []
    for title, events in (("Client events", client_events()), ("Server events", server_events())):
        lines += [f"### {title}", "", "| event | elsewhere | here | shown by |", "|---|---|---|---|"]
        lines += [row(event) for event in sorted(events)]
        lines.append("")
    return "\n".join(lines)


def page_with(table: str, page: str) -> str:
    """The page with this table in place of what stands between its markers."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_with(table(), PAGE.read_text()))
