"""The tools of an agent's file: each kind as it is written, and each fault with its key."""

from __future__ import annotations

import pytest

from pipeline.agent import FILLERS, AgentFileError, parse_agent
from pipeline.agent_tools import BuiltInTool, PythonTool, TableTool, WebhookTool
from pipeline.events.config import McpServer

FILE = """
name = "a"
stt = "deepgram/flux"
llm = ["openai/gpt-4o-mini", "groq/llama"]
fillers = []

[providers.groq]
wire = "openai"

[[tools]]
name = "look_up"

[[tools]]
built_in = "transfer"
description = "Connect."
to = { sales = "+493012345" }

[[tools]]
function = "shop.orders:find"
limit_s = 2.5

[[tools]]
name = "book"
url = "https://example.com/book"
parameters = { type = "object" }

[[mcp]]
label = "crm"
url = "https://example.com/mcp"
transport = "sse"
allowed_tools = ["find"]
headers = { x-tenant = 7 }
"""


def test_each_kind_of_tool_is_read() -> None:
    agent = parse_agent(FILE, "a.toml")
    table, built_in, function, webhook = agent.tools
    assert isinstance(table, TableTool) and table.name == "look_up"
    assert built_in == BuiltInTool("transfer", "Connect.", {"sales": "+493012345"})
    assert function == PythonTool("shop.orders:find", 2.5)
    assert function.name == "find"
    assert isinstance(webhook, WebhookTool)
    assert (webhook.name, webhook.url, webhook.limit_s) == ("book", "https://example.com/book", None)
    assert agent.mcp == (
        McpServer(
            server_label="crm",
            server_url="https://example.com/mcp",
            transport="sse",
            headers={"x-tenant": "7"},
            allowed_tools=["find"],
            require_approval="never",
        ),
    )


def test_providers_are_named_with_those_to_fall_back_on() -> None:
    agent = parse_agent(FILE, "a.toml")
    assert (agent.stt, agent.llm, agent.tts) == (("deepgram/flux",), ("openai/gpt-4o-mini", "groq/llama"), ())
    assert agent.providers == {"groq": {"wire": "openai"}}
    assert agent.fillers == ()
    assert parse_agent('name = "a"', "a.toml").fillers == FILLERS


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ('[[tools]]\nbuilt_in = "hangup"', "tools[0].built_in: expected a built-in tool; did you mean 'hang_up'?"),
        ('[[tools]]\nbuilt_in = "transfer"', "tools[0].to: expected numbers by name for transfer"),
        ('[[tools]]\nbuilt_in = "wait"\nto = { a = "+493012345" }', "tools[0].to: expected numbers by name"),
        ('[[tools]]\nbuilt_in = "transfer"\nto = { a = "030" }', "tools[0].to: expected telephone numbers like"),
        ('[[tools]]\nfunction = "shop.find"', "tools[0].function: expected package.module:name"),
        ('[[tools]]\nname = "a b"', "tools[0].name: expected at most 64 letters"),
        ('[[tools]]\nname = "a"\nurl = "ftp://x"', "tools[0].url: expected an address that begins with https://"),
        ('[[tools]]\nfunction = "a:b"\nlimit_s = 90', "tools[0].limit_s: expected a number from 0.1 to 30"),
        ('[[tools]]\nname = "b"\n[[tools]]\nname = "b"', "tools[1].name: expected a different name"),
        ('[[mcp]]\nlabel = "a b"\nurl = "https://x"', "mcp[0].label: expected a different label"),
        ('[[mcp]]\nlabel = "a"\nurl = "x"', "mcp[0].url: expected an address"),
        ('[[mcp]]\nlabel = "a"\nurl = "https://x"\nkey = "k"', "mcp[0].key: unknown key"),
    ],
)
def test_each_fault_is_told_with_its_key(entry: str, fault: str) -> None:
    with pytest.raises(AgentFileError) as failure:
        parse_agent(f'name = "a"\n{entry}', "a.toml")
    assert any(fault in line for line in failure.value.faults), failure.value.faults
