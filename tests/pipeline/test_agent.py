"""An agent's file: the built-in one, a small one, and every fault of a bad one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.agent import BUILT_IN, Agent, AgentFileError, load_agent, parse_agent
from pipeline.agent_tools import TableTool
from pipeline.audio.apology import APOLOGY_TEXT
from pipeline.events.config import SemanticVad, ServerVad
from pipeline.provider import FunctionTool


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_agents_have_all_a_call_needs(name: str) -> None:
    agent = load_agent(name)
    assert agent.name == name
    assert agent.greeting
    assert agent.dialogue is not None
    assert agent.apology == APOLOGY_TEXT  # what the recording says, if the voice has failed
    tables = [tool for tool in agent.tools if isinstance(tool, TableTool)]
    assert {tool.name for tool in tables if tool.ends_call} == {"hang_up"}


def test_an_agent_with_a_name_alone_has_the_usual_rest() -> None:
    assert parse_agent('name = "a"', "a.toml") == Agent("a")


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(
        """
        name = "shop"
        greeting = '''Hello,
            how are you?'''
        apology = "Sorry."
        instructions = "Be kind."
        voice = "en-us+f3"
        language = "en-US"
        phrases = ["hello"]
        turn_detection = { silence_duration_ms = 300, interrupt_response = false }
        [[tools]]
        name = "find"
        description = "Finds it."
        key = "id"
        parameters = { type = "object" }
        otherwise = { found = false }
        [tools.answers]
        7 = { found = true }
        """
    )
    agent = load_agent(path)
    find = TableTool(
        FunctionTool("find", "Finds it.", {"type": "object"}), "id", {"7": {"found": True}}, {"found": False}
    )
    assert agent == Agent(
        name="shop",
        greeting="Hello, how are you?",
        apology="Sorry.",
        instructions="Be kind.",
        voice="en-us+f3",
        language="en-US",
        phrases=("hello",),
        turn_detection=ServerVad(silence_duration_ms=300, interrupt_response=False),
        tools=(find,),
    )


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ('{"id": "7"}', True),
        ('{"id": 7}', True),
        ('{"id": "8"}', False),
        ("{}", False),
        ("[]", False),
        ("{", False),
    ],
)
def test_a_table_tool_answers_from_its_table_whatever_it_is_asked(arguments: str, found: bool) -> None:
    tool = TableTool(FunctionTool("find"), "id", {"7": {"found": True}}, {"found": False})
    assert json.loads(tool.answer(arguments)) == {"found": found}


def test_all_faults_of_a_file_are_told_together_with_file_and_key() -> None:
    with pytest.raises(AgentFileError) as failure:
        parse_agent(
            """
            greating = "Hello"
            [turn_detection]
            threshold = 50
            silence_duration_ms = "long"
            [[tools]]
            name = "find"
            [tools.answers]
            7 = 1
            [[tools]]
            name = "find"
            [dialogue]
            opening = "Hello"
            fallback = "Sorry?"
            """,
            "bad.toml",
        )
    assert str(failure.value).splitlines() == [
        "bad.toml: tools[0].answers.7: expected a table, got 1",
        "bad.toml: tools[0].key: expected the argument by which answers are looked up, it is missing",
        "bad.toml: tools[1].name: expected a different name for each tool, got 'find'",
        "bad.toml: name: expected a text that is not empty, it is missing",
        "bad.toml: turn_detection.threshold: expected a number from 0.01 to 0.99, got 50",
        "bad.toml: turn_detection.silence_duration_ms: expected a number from 0 to 10000, got 'long'",
        "bad.toml: dialogue.topics: expected at least one [[dialogue.topics]], it is missing",
        "bad.toml: greating: unknown key; did you mean 'greeting'?",
    ]
    assert failure.value.path == "bad.toml"


def test_a_file_that_is_not_toml_or_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(AgentFileError, match=r"a\.toml: is not TOML: "):
        parse_agent("name = ", "a.toml")
    with pytest.raises(AgentFileError, match=r"nobody\.toml: cannot be read .* built-in agent \(reception\)"):
        load_agent(tmp_path / "nobody.toml")


def test_an_agent_may_wait_until_what_was_said_sounds_finished() -> None:
    agent = parse_agent('name = "a"\nturn_detection = { type = "semantic_vad", eagerness = "low" }', "a.toml")
    assert agent.turn_detection == SemanticVad(eagerness="low")
    idle = parse_agent('name = "a"\nturn_detection = { idle_timeout_ms = 6000 }', "a.toml")
    assert idle.turn_detection == ServerVad(idle_timeout_ms=6_000)


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ('type = "vad"', "turn_detection.type: expected server_vad or semantic_vad, got 'vad'"),
        (
            'type = "semantic_vad", eagerness = "keen"',
            "turn_detection.eagerness: expected one of low, medium, high, auto, got 'keen'",
        ),
        (
            "idle_timeout_ms = 4999",
            "turn_detection.idle_timeout_ms: expected a number from 5000 to 30000, got 4999",
        ),
    ],
)
def test_a_rule_for_turns_that_makes_no_sense_is_a_fault(rule: str, fault: str) -> None:
    with pytest.raises(AgentFileError) as failure:
        parse_agent(f'name = "a"\nturn_detection = {{ {rule} }}', "a.toml")
    assert failure.value.faults == [fault]
