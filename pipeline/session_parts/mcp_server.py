"""Model Context Protocol servers as tools of the session object, both ways (Realtime reference, section C.4).

In GA they are tools of type `mcp`; the seed has `mcpServers`, a list of `url` and `transport`. Secrets are read and
never shown. Nothing here opens a connection, or knows whether an address may be reached.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from pipeline.events.config import McpServer, Tool
from pipeline.session_parts.field import KEPT_BYTES, Field, Terms

_CAMEL_LABEL = re.compile(r"mcp_[1-9][0-9]*")
"""The seed's servers have no label; they are numbered."""
_URL_CHARS = 2_048
"""What browsers and proxies carry."""
_HOSTED_ELSEWHERE = ("connector_id", "tunnel_id")
_FILTER = ("tool_names", "read_only")
_FIELDS = (
    "server_label",
    "server_url",
    "server_description",
    "authorization",
    "headers",
    "allowed_tools",
    "require_approval",
    *_HOSTED_ELSEWHERE,
)


def read(entry: Field, terms: Terms) -> McpServer:
    """A tool of type `mcp`. `defer_loading` and `allowed_callers` are passed over."""
    _refuse_unserved(entry, terms)
    fields = entry.given(_FIELDS)
    for name in _HOSTED_ELSEWHERE:
        if name in fields:
            raise fields[name].refused(
                f"Invalid value: '{name}' names what only OpenAI can reach. Give a 'server_url' instead."
            )
    for name in ("server_label", "server_url"):
        if name not in fields:
            raise entry.lacks(name)
    options: dict[str, Any] = {}
    if "server_description" in fields:
        options["server_description"] = fields["server_description"].text(KEPT_BYTES)
    if "authorization" in fields:
        options["authorization"] = fields["authorization"].text(KEPT_BYTES)
    if "headers" in fields:
        options["headers"] = {name: value.text(KEPT_BYTES) for name, value in fields["headers"].members().items()}
    if "allowed_tools" in fields:
        options["allowed_tools"] = _allowed_tools(fields["allowed_tools"])
    if "require_approval" in fields:
        options["require_approval"] = _require_approval(fields["require_approval"])
    return McpServer(
        server_label=fields["server_label"].identifier(), server_url=_url(fields["server_url"]), **options
    )


def _refuse_unserved(entry: Field, terms: Terms) -> None:
    if not terms.serves_mcp:
        raise entry.refused("Invalid value: MCP servers are not offered by this server. Give functions as tools.")


def _url(field: Field) -> str:
    url = field.text(_URL_CHARS)
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_web = False
    if not is_web:
        raise field.wrong("an address that begins with https:// or http:// and a host")
    return url


def _allowed_tools(field: Field) -> object:
    if isinstance(field.value, list):
        field.words()
    else:
        _check_filter(field)
    return field.value


def _require_approval(field: Field) -> object:
    if isinstance(field.value, str):
        return field.one_of(("always", "never"))
    for rule in field.given(("always", "never"), is_strict=True).values():
        _check_filter(rule)
    return field.value


def _check_filter(field: Field) -> None:
    """`{tool_names: [name], read_only: bool}`; a misspelled key would let through what it was to hold back."""
    fields = field.given(_FILTER, is_strict=True)
    if "tool_names" in fields:
        fields["tool_names"].words()
    if "read_only" in fields:
        fields["read_only"].flag()


def shown(server: McpServer) -> dict[str, Any]:
    """Without its secrets."""
    echo: dict[str, Any] = {
        "type": "mcp",
        "server_label": server.server_label,
        "server_url": server.server_url,
    }
    if server.server_description is not None:
        echo["server_description"] = server.server_description
    if server.allowed_tools is not None:
        echo["allowed_tools"] = server.allowed_tools
    echo["require_approval"] = server.require_approval
    return echo


def secrets_of(tool: Tool) -> dict[str, Any]:
    """What `shown` leaves out; it counts towards the size of the tools."""
    if not isinstance(tool, McpServer):
        return {}
    secrets = {"authorization": tool.authorization, "headers": tool.headers, "transport": tool.transport}
    return {name: value for name, value in secrets.items() if value}


def read_camel_all(field: Field, terms: Terms) -> tuple[McpServer, ...]:
    """The seed's `mcpServers`."""
    return tuple(_read_camel(entry, number, terms) for number, entry in enumerate(field.elements(), start=1))


def _read_camel(entry: Field, number: int, terms: Terms) -> McpServer:
    _refuse_unserved(entry, terms)
    fields = entry.given(("url", "transport"))
    if "url" not in fields:
        raise entry.lacks("url")
    return McpServer(
        server_label=f"mcp_{number}",
        server_url=_url(fields["url"]),
        transport=fields["transport"].text() if "transport" in fields else None,
        require_approval="never",
    )


def is_camel_shown(tool: Tool) -> bool:
    """All there is to this server can be said in the seed's spelling."""
    return isinstance(tool, McpServer) and tool == McpServer(
        server_label=tool.server_label if _CAMEL_LABEL.fullmatch(tool.server_label) else "",
        server_url=tool.server_url,
        transport=tool.transport,
        require_approval="never",
    )


def camel_shown(tool: McpServer) -> dict[str, Any]:
    if tool.transport is None:
        return {"url": tool.server_url}
    return {"url": tool.server_url, "transport": tool.transport}
