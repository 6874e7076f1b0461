"""The house's own rules: which package may import which, what the inside may touch, how large a file may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("gateway", "pipeline", "twiml", "simulator")

MAY_IMPORT = {
    "gateway": {"gateway", "pipeline", "twiml"},
    "gateway/cli": {"gateway", "pipeline", "twiml", "simulator"},
    "pipeline": {"pipeline"},
    "twiml": {"twiml"},
    "simulator": {"simulator"},
}
"""One direction. The command line alone may also speak to the simulator, because it plays calls with it."""

INSIDE = (
    "gateway/call_records/journal_event.py",
    "gateway/call_records/record.py",
    "gateway/call_records/schedule.py",
    "gateway/call_records/transcript.py",
    "gateway/calls/admission.py",
    "gateway/calls/call.py",
    "gateway/calls/keys.py",
    "gateway/calls/letters.py",
    "gateway/calls/orders.py",
    "gateway/calls/record.py",
    "gateway/calls/scripts.py",
    "gateway/calls/seals.py",
    "gateway/calls/standing.py",
    "gateway/calls/talk.py",
    "gateway/calls/witness.py",
    "gateway/media_stream/exchange.py",
    "gateway/media_stream/live_sound.py",
    "gateway/media_stream/messages.py",
    "gateway/media_stream/playback.py",
    "gateway/media_stream/timeline.py",
    "gateway/realtime/form_data.py",
    "gateway/realtime/ice_servers.py",
    "gateway/realtime/turn_credentials.py",
    "gateway/recordings/agent_track.py",
    "gateway/recordings/joined.py",
    "gateway/recordings/sidecar.py",
    "gateway/recordings/stream_clock.py",
    "gateway/recordings/track.py",
    "gateway/recordings/two_tracks.py",
    "gateway/recordings/wav.py",
    "gateway/redis/address.py",
    "gateway/redis/script.py",
    "gateway/webrtc/addresses.py",
    "gateway/webrtc/answer.py",
    "gateway/webrtc/description.py",
    "gateway/webrtc/jitter_buffer.py",
    "gateway/webrtc/offer.py",
    "gateway/webrtc/payload.py",
    "gateway/webrtc/rtcp.py",
    "gateway/webrtc/rtp.py",
    "gateway/webrtc/sctp_packet.py",
    "pipeline/agent_tools.py",
    "pipeline/answers.py",
    "pipeline/audio/dtmf.py",
    "pipeline/audio/formats.py",
    "pipeline/audio/g711.py",
    "pipeline/audio/gain.py",
    "pipeline/audio/leading_silence.py",
    "pipeline/audio/resample.py",
    "pipeline/audio/transcode.py",
    "pipeline/backchannel.py",
    "pipeline/checked_table.py",
    "pipeline/commands.py",
    "pipeline/continuity.py",
    "pipeline/conversation.py",
    "pipeline/costs.py",
    "pipeline/cue.py",
    "pipeline/dialects.py",
    "pipeline/egress/addresses.py",
    "pipeline/egress/allowed.py",
    "pipeline/egress/refusal.py",
    "pipeline/egress/url.py",
    "pipeline/events",
    "pipeline/fillers.py",
    "pipeline/heard_text.py",
    "pipeline/input_buffer.py",
    "pipeline/item_requests.py",
    "pipeline/json_text.py",
    "pipeline/kept_audio.py",
    "pipeline/kept_conversation.py",
    "pipeline/large_append.py",
    "pipeline/legs/breaker.py",
    "pipeline/legs/budget.py",
    "pipeline/legs/continuation.py",
    "pipeline/legs/gaps.py",
    "pipeline/legs/lineup.py",
    "pipeline/legs/pace.py",
    "pipeline/legs/pauses.py",
    "pipeline/legs/spoken.py",
    "pipeline/limits.py",
    "pipeline/mcp/tool.py",
    "pipeline/mcp/tool_filter.py",
    "pipeline/mcp_calls.py",
    "pipeline/mcp_listings.py",
    "pipeline/mcp_offer.py",
    "pipeline/murmurs.py",
    "pipeline/opening.py",
    "pipeline/orders.py",
    "pipeline/output_line.py",
    "pipeline/output_requests.py",
    "pipeline/own_calls.py",
    "pipeline/phase.py",
    "pipeline/playback_ledger.py",
    "pipeline/playout.py",
    "pipeline/prices.py",
    "pipeline/prompts.py",
    "pipeline/providers/spoken_answer.py",
    "pipeline/providers/spoken_words.py",
    "pipeline/reports.py",
    "pipeline/response.py",
    "pipeline/response_requests.py",
    "pipeline/responsiveness.py",
    "pipeline/resumption.py",
    "pipeline/sentences.py",
    "pipeline/session.py",
    "pipeline/session_object.py",
    "pipeline/session_parts",
    "pipeline/snapshot.py",
    "pipeline/turn/dictation.py",
    "pipeline/turn/early_end.py",
    "pipeline/turn/growing_transcript.py",
    "pipeline/turn/idle.py",
    "pipeline/turn/listening.py",
    "pipeline/turn/log_mel.py",
    "pipeline/turn/misheard.py",
    "pipeline/turn/semantic_vad.py",
    "pipeline/turn/server_vad.py",
    "pipeline/turn/unfinished.py",
    "pipeline/turn/voice_trace.py",
    "pipeline/turns.py",
    "pipeline/upstream/captions.py",
    "pipeline/upstream/configuration.py",
    "pipeline/upstream/hearer.py",
    "pipeline/upstream/mirror.py",
    "pipeline/upstream/requests.py",
    "pipeline/upstream/shape.py",
    "pipeline/upstream/wire.py",
    "pipeline/wire.py",
    "pipeline/wire_fields.py",
    "pipeline/wire_items.py",
    "pipeline/wire_mcp_items.py",
    "pipeline/wire_responses.py",
    "pipeline/wire_shapes.py",
    "simulator/queues.py",
    "simulator/toxics.py",
    "twiml",
)
"""No I/O, no clock, no task, no random number."""

NOT_INSIDE = {"asyncio", "threading", "time", "random", "secrets", "socket", "os", "logging", "uuid", "subprocess"}

FORBIDDEN_WORDS = ("manager", "handler", "helper", "processor", "service", "util", "common", "misc", "impl")

LONGEST_FILE = 350
LONGEST_FUNCTION = 80

BASES_OF_OTHERS = {
    "Exception",
    "Protocol",
    "Enum",
    "StrEnum",
    "IntEnum",
    "Struct",
    "TypedDict",
    "NamedTuple",
    "Generic",
    "OfItem",  # bases of events, which share their ids
    "OfPart",
    "OfListing",
    "OfMcpCall",
    "Group",  # click finds a lazy group by its class
    "WSListener",  # picows calls its listeners by their class
    "WebSocketsSansIOProtocol",  # uvicorn is given its protocols as classes
    "H11Protocol",
    "AsyncBaseTransport",  # httpx2 knows what it connects through by its classes
    "AsyncByteStream",
    "AsyncNetworkBackend",
    "Formatter",  # logging formats through its class
}


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


def base_name(base: ast.expr) -> str:
    if isinstance(base, ast.Subscript):
        base = base.value
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else "?"


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_packages_import_in_one_direction(path: Path) -> None:
    name = name_of(path)
    package = "gateway/cli" if name.startswith("gateway/cli/") else name.split("/")[0]
    ours = {module.split(".")[0] for module in imports(tree_of(path))} & {*PACKAGES, "tests"}
    assert ours <= MAY_IMPORT[package], f"{name} imports {ours - MAY_IMPORT[package]}"


@pytest.mark.parametrize("inside", INSIDE)
def test_the_inside_touches_no_clock_task_or_system(inside: str) -> None:
    place = ROOT / inside
    paths = [place] if place.suffix else sorted(place.rglob("*.py"))
    assert paths, f"{inside} is gone; take it out of the list or mend its name"
    for path in paths:
        used = {module.split(".")[0] for module in imports(tree_of(path))} & NOT_INSIDE
        assert not used, f"{name_of(path)} imports {used}"


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= LONGEST_FILE, (
        f"{name_of(path)} has {text.count(chr(10))} lines: two nouns in one file?"
    )
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{name_of(path)}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_nothing_is_called_by_a_word_that_says_nothing(path: Path) -> None:
    named = [path.stem] + [
        node.name
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    # What overrides a library's method has the library's name.
    named = [name for name in named if name not in ("handle_connect", "handle_events")]
    found = [
        name
        for name in named
        for word in FORBIDDEN_WORDS
        if word in name.lower().split("_") or word == name.lower()
    ]
    assert not found, f"{name_of(path)}: {found}"


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_nothing_inherits_but_exceptions_and_what_a_library_demands(path: Path) -> None:
    tree = tree_of(path)
    exceptions = BASES_OF_OTHERS | all_exceptions()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            strange = {base_name(base) for base in node.bases} - exceptions
            assert not strange, f"{name_of(path)}: {node.name} inherits {strange}"


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def all_exceptions() -> frozenset[str]:
    """Classes of ours that descend from Exception."""
    parents = {
        node.name: {base_name(base) for base in node.bases}
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef)
    }
    found = {"Exception", "ValueError", "RuntimeError"}
    while more := {name for name, bases in parents.items() if bases & found} - found:
        found |= more
    return frozenset(found)


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_no_import_hides_behind_type_checking(path: Path) -> None:
    assert "TYPE_CHECKING" not in path.read_text()


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_every_file_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(tree_of(path)), f"{name_of(path)} has no docstring"
    assert "TODO" not in text, f"{name_of(path)}: open an issue instead"


def test_only_the_settings_read_the_environment() -> None:
    allowed = {"gateway/settings.py", "gateway/cli/bench_floor.py", "gateway/cli/bench_server.py"}
    for path in sources():
        if name_of(path).startswith("gateway/cli/") or name_of(path) in allowed:
            continue
        assert "os.environ" not in path.read_text(), f"{name_of(path)} reads the environment"
