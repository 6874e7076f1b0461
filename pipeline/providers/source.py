"""What a provider is made with: the model it is asked for, the key, where its server stands, and the agent.

Read from the settings and the agent's file; a provider reads neither, and no environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.agent import Agent
from pipeline.provider import ProviderError


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """See the module's docstring."""

    name: str
    """As the configuration calls the provider: `openai`, or a name of one's own for a compatible server."""
    agent: Agent
    model: str = ""
    """What stands behind the slash in `deepgram/nova-3`; empty: the provider's usual one."""
    api_key: str = field(default="", repr=False)
    base_url: str = ""
    """Where its server stands; empty: the provider's own."""
    decoders: int = 1
    """Utterances at once, for a recogniser of this machine."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of its table in the agent's file, which the provider checks."""

    @property
    def label(self) -> str:
        """For metrics and messages: `deepgram/nova-3`."""
        return f"{self.name}/{self.model}" if self.model else self.name

    def key(self, setting: str) -> str:
        """The API key. Raises `ProviderError` if there is none; `setting` says where one would be read."""
        if not self.api_key:
            raise ProviderError(self.label, f"has no API key; set {setting}", retryable=False)
        return self.api_key

    def no_options(self, *known: str) -> None:
        """Raise `ProviderError` for an option that the provider does not know."""
        for name in self.options:
            if name not in known:
                hint = f"known are {', '.join(sorted(known))}" if known else "it has none"
                raise ProviderError(self.label, f"has no option {name!r}; {hint}", retryable=False)
