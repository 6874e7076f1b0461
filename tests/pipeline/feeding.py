"""Feeding a session: a list of sounds, events and reports goes in, one list of all that follows comes out.

Sessions here hear and speak µ-law at 8 kHz, so a millisecond is eight bytes and eight samples.
"""

from __future__ import annotations

from typing import TypeAlias

from pipeline.audio.formats import PCMU
from pipeline.events.config import ServerVad, SessionConfig, Transcription
from pipeline.events.event import ClientEvent
from pipeline.events.items import Item
from pipeline.provider import FunctionTool, Prompt, WordTime
from pipeline.reports import AudioMade, Report, SpeechScored, TextMade
from pipeline.session import Output, Session
from tests.fakes import Ids

Input: TypeAlias = bytes | ClientEvent | Report

TOOLS = (FunctionTool("find_table"),)
CONFIG = SessionConfig(
    instructions="Be kind.",
    input_format=PCMU,
    output_format=PCMU,
    turn_detection=ServerVad(prefix_padding_ms=300, silence_duration_ms=500),
    tools=TOOLS,
    transcription=Transcription(),
)
MANUAL = SessionConfig(
    instructions="Be kind.",
    input_format=PCMU,
    output_format=PCMU,
    turn_detection=None,
    tools=TOOLS,
    transcription=Transcription(),
)


def session(
    config: SessionConfig = CONFIG,
    *,
    plays: bool = True,
    own_tools: frozenset[str] = frozenset(),
    apology: str = "",
    history: tuple[Item, ...] = (),
) -> Session:
    return Session(config, Ids(), plays=plays, own_tools=own_tools, apology=apology, history=history)


def feed(to: Session, *inputs: Input) -> list[Output]:
    outputs: list[Output] = []
    for each in inputs:
        if isinstance(each, bytes):
            outputs += to.hear(each)
        elif isinstance(each, Report):
            outputs += to.report(each)
        else:
            outputs += to.receive(each)
    return outputs


def line(ms: int) -> bytes:
    """The caller's line for so long. What is on it only the scores say."""
    return PCMU.silence * PCMU.bytes_in(ms)


def voice(ms: int) -> bytes:
    """The agent's voice."""
    return b"\x20" * PCMU.bytes_in(ms)


def speech(until_ms: int) -> SpeechScored:
    """Somebody speaks at this moment of the session's input."""
    return SpeechScored(until_ms * 8, 0.9, until_ms * 8)


def silence(until_ms: int) -> SpeechScored:
    return SpeechScored(until_ms * 8, 0.1, 0)


def turn(at_ms: int) -> tuple[list[Input], list[Input]]:
    """An utterance of a caller who is silent until `at_ms`: what begins it, and what ends it 1,100 ms later."""
    begins: list[Input] = [silence(at_ms), line(100), speech(at_ms + 100)]
    ends: list[Input] = [line(500), speech(at_ms + 600), line(500), silence(at_ms + 1_100)]
    return begins, ends


def prompt(*items: Item, instructions: str = "Be kind.") -> Prompt:
    """What the model is told."""
    return Prompt(instructions=instructions, items=items, tools=TOOLS)


def text(response: int, words: str) -> TextMade:
    return TextMade(f"resp_{response}", words)


def audio(response: int, ms: int, words: str = "") -> AudioMade:
    return AudioMade(f"resp_{response}", voice(ms), words)


GOOD_MORNING = AudioMade(
    "resp_1",
    voice(800),
    "Good morning to you.",
    (WordTime("Good", 0), WordTime("morning", 200), WordTime("to", 500), WordTime("you.", 600)),
)


def greeted(*, plays: bool = True, config: SessionConfig = CONFIG) -> Session:
    """A session that is saying its greeting, which is `item_1`."""
    talk = session(config, plays=plays)
    talk.say("Good morning to you.")
    feed(talk, text(1, "Good morning to you."), GOOD_MORNING)
    return talk
