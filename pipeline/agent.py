"""An agent: who answers the telephone, what it says first, how it listens and what it may do. One TOML file each.

    name = "reception"
    greeting = "Hello, how can I help you?"         # spoken word for word when the call begins
    welcome_back = "Sorry, we were cut off."        # the same, when nobody knows what was said before
    apology = "I'm sorry, something went wrong."    # spoken when a provider fails
    instructions = "You are …"                      # what a real language model is told
    voice = "en-us"                                 # a name of the voice provider's; may be left out
    language = "en-US"                              # may be left out
    phrases = ["what are your opening hours"]       # for recognisers that can be told; see providers/phrases.py
    [turn_detection]                                # as the Realtime protocol's, server_vad unless `type` says more
    stt = "deepgram/flux"                           # providers; a list names those to fall back on
    llm = ["openai/gpt-6-luna", "groq/llama-3.3"]   # left out: the settings'
    tts = "cartesia/sonic"
    realtime = "openai/gpt-realtime"                # or a remote service that does all three
    fillers = ["One moment, please."]               # said while an answer is slow; [] for none
    [providers.groq]                                # a server of one's own, or a provider's options
    [backchannel]                                   # a quiet "mm-hm" for who speaks at length; see backchannel.py
    [[tools]]                                       # what the model may do; see agent_tools.py
    [dialogue]                                      # for the scripted model; see providers/dialogue.py

All faults of a file are told together. Which providers run the agent is not its business.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, cast, get_args

from pipeline.agent_tools import AgentTool, read_mcp_servers, read_tools
from pipeline.audio.apology import APOLOGY_TEXT
from pipeline.backchannel import Backchannel, backchannel_of
from pipeline.checked_table import CheckedTable
from pipeline.events.config import (
    IDLE_TIMEOUT_MS,
    Eagerness,
    McpServer,
    SemanticVad,
    ServerVad,
    TurnDetection,
)
from pipeline.providers.dialogue import Dialogue, read_dialogue

BUILT_IN: Final = ("reception",)
"""Agents that come with the package, by name."""

WELCOME_BACK: Final = "Sorry, we were cut off for a moment. Please go on."

FILLERS: Final = ("One moment, please.", "Just a second longer.", "Thank you for waiting.")

MAX_WAIT_MS: Final = 10_000
"""Of prefix padding and silence, as in `ServerVad`."""


class AgentFileError(Exception):
    """An agent's file is not as it should be. `faults` holds one line each: key, expectation, what came."""

    def __init__(self, path: str, faults: list[str]) -> None:
        super().__init__("\n".join(f"{path}: {fault}" for fault in faults))
        self.path = path
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Agent:
    """Everything an agent's file says."""

    name: str
    greeting: str = ""
    """Empty: the caller speaks first."""
    welcome_back: str = WELCOME_BACK
    apology: str = APOLOGY_TEXT
    instructions: str = ""
    voice: str | None = None
    language: str | None = None
    phrases: tuple[str, ...] = ()
    turn_detection: TurnDetection = ServerVad()
    fillers: tuple[str, ...] = FILLERS
    """Said one after the other while an answer is slow; none: the caller waits in silence."""
    backchannel: Backchannel = Backchannel()
    """What a caller who speaks at length hears meanwhile; off unless asked for."""
    tools: tuple[AgentTool, ...] = ()
    mcp: tuple[McpServer, ...] = ()
    dialogue: Dialogue | None = None
    stt: tuple[str, ...] = ()
    """Providers in order of preference, the later for when the earlier fail; empty: the settings'."""
    llm: tuple[str, ...] = ()
    tts: tuple[str, ...] = ()
    realtime: str = ""
    """A remote Realtime service that holds the conversation instead of these three."""
    providers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Options of providers by name, and servers of one's own."""


def load_agent(path: str | Path) -> Agent:
    """The agent of a file, or a built-in one by its name. Raises `AgentFileError` with all faults of the file."""
    if str(path) in BUILT_IN:
        return parse_agent((files("pipeline") / "agents" / f"{path}.toml").read_text("utf-8"), f"{path}.toml")
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = f"expected a TOML file, or the name of a built-in agent ({', '.join(BUILT_IN)})"
        raise AgentFileError(str(path), [f"cannot be read ({error}); {hint}"]) from error
    return parse_agent(text, str(path))


def parse_agent(text: str, path: str) -> Agent:
    """The agent that `text` describes; `path` is for messages only. Raises `AgentFileError`."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AgentFileError(path, [f"is not TOML: {error}"]) from error
    faults: list[str] = []
    table = CheckedTable(values, key="", faults=faults)
    tools = read_tools(table.tables("tools"))
    names = [tool.name for tool in tools]
    agent = Agent(
        name=table.text("name"),
        greeting=_one_line(table.text("greeting", "")),
        welcome_back=_one_line(table.text("welcome_back", WELCOME_BACK)),
        apology=_one_line(table.text("apology", APOLOGY_TEXT)),
        instructions=table.text("instructions", ""),
        voice=table.text("voice", "") or None,
        language=table.text("language", "") or None,
        phrases=table.texts("phrases"),
        turn_detection=_read_turn_detection(table.table("turn_detection")),
        fillers=_read_fillers(table),
        backchannel=backchannel_of(table.table("backchannel")),
        tools=tools,
        mcp=read_mcp_servers(table.tables("mcp")),
        stt=table.texts("stt"),
        llm=table.texts("llm"),
        tts=table.texts("tts"),
        realtime=table.text("realtime", ""),
        providers=table.mapping("providers"),
        dialogue=read_dialogue(table.table("dialogue"), frozenset(names)) if "dialogue" in table else None,
    )
    table.no_more()
    if faults:
        raise AgentFileError(path, faults)
    return agent


def _read_fillers(table: CheckedTable) -> tuple[str, ...]:
    if "fillers" not in table:
        return FILLERS
    return tuple(_one_line(text) for text in table.texts("fillers", may_be_empty=True))


def _read_turn_detection(table: CheckedTable) -> TurnDetection:
    kind = table.text("type", "server_vad")
    if kind == "semantic_vad":
        return _read_semantic_vad(table)
    if kind != "server_vad":
        table.fault("type", "expected server_vad or semantic_vad")
    usual = ServerVad()
    rule = ServerVad(
        threshold=table.number("threshold", usual.threshold, least=0.01, most=0.99),
        prefix_padding_ms=_read_ms(table, "prefix_padding_ms", usual.prefix_padding_ms),
        silence_duration_ms=_read_ms(table, "silence_duration_ms", usual.silence_duration_ms),
        idle_timeout_ms=_read_idle_timeout(table),
        create_response=table.flag("create_response", usual.create_response),
        interrupt_response=table.flag("interrupt_response", usual.interrupt_response),
    )
    table.no_more()
    return rule


def _read_semantic_vad(table: CheckedTable) -> SemanticVad:
    eagerness = table.text("eagerness", "auto")
    if eagerness not in get_args(Eagerness):
        table.fault("eagerness", f"expected one of {', '.join(get_args(Eagerness))}")
        eagerness = "auto"
    rule = SemanticVad(
        eagerness=cast(Eagerness, eagerness),
        create_response=table.flag("create_response", True),
        interrupt_response=table.flag("interrupt_response", True),
    )
    table.no_more()
    return rule


def _read_idle_timeout(table: CheckedTable) -> int | None:
    if "idle_timeout_ms" not in table:
        return None
    return int(
        table.number(
            "idle_timeout_ms", IDLE_TIMEOUT_MS.start, least=IDLE_TIMEOUT_MS.start, most=IDLE_TIMEOUT_MS.stop - 1
        )
    )


def _read_ms(table: CheckedTable, name: str, default: int) -> int:
    return int(table.number(name, default, least=0, most=MAX_WAIT_MS))


def _one_line(text: str) -> str:
    return " ".join(text.split())
