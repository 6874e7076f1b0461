"""The settings, each declared once: name, default, help, and what reads its text.

Frozen: what was read and checked (`settings.py`) never changes. `.env.example` is made from the declarations. Knows
no environment and no file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.credentials.origins import read_origins
from gateway.credentials.signing_keys import SigningKey, read_signing_keys
from gateway.realtime.ice_servers import IceServer, read_ice_servers
from gateway.setting_values import account_sid as read_account_sid
from gateway.setting_values import any_text, named_keys, one_of, provider_names, secret, switch, whole_number
from gateway.setting_values import public_url as read_public_url
from pipeline.egress.allowed import Entry, read_allowed
from pipeline.egress.guard import ClientServers


def _setting(
    name: str, default: object, read: Callable[[str], object], help: str, *, is_secret: bool = False
) -> Any:
    """A field of `Settings`, with its name outside, its reader and its help."""
    metadata = {"name": name, "read": read, "help": help, "is_secret": is_secret}
    return field(default=default, repr=not is_secret, metadata=metadata)


def _key(name: str, provider: str) -> Any:
    return _setting(f"{name}_API_KEY", "", secret, f"The key of {provider}.", is_secret=True)


def _place(name: str, provider: str) -> Any:
    help = f"Where {provider}'s server stands, if not at its own address."
    return _setting(f"{name}_BASE_URL", "", any_text, help)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked. A number's unit stands in its name."""

    public_url: str = _setting(
        "PUBLIC_URL",
        "",
        read_public_url,
        "Where Twilio reaches this gateway: scheme, host and, if there is one, port and path prefix, exactly as "
        "in the number's voice URL, because Twilio signs the URL byte for byte. Required, except on loopback, "
        "where it is http://HOST:PORT.",
    )
    account_sid: str = _setting(
        "TWILIO_ACCOUNT_SID",
        "",
        read_account_sid,
        "The Twilio account whose calls are answered; webhooks of others are refused. Empty: any that is signed.",
    )
    auth_token: str = _setting(
        "TWILIO_AUTH_TOKEN",
        "",
        secret,
        "The account's auth token, which Twilio signs with. Required, except with SWITCHBOARD_INSECURE_DEV, or "
        "with SWITCHBOARD_API_KEYS alone: then every webhook is refused.",
        is_secret=True,
    )
    auth_token_secondary: str = _setting(
        "TWILIO_AUTH_TOKEN_SECONDARY",
        "",
        secret,
        "The account's other token, accepted as well while tokens are being changed.",
        is_secret=True,
    )
    host: str = _setting("SWITCHBOARD_HOST", "127.0.0.1", any_text, "The address to listen on.")
    port: int = _setting("PORT", 8080, whole_number(0, 65_535), "The port to listen on; 0 takes a free one.")
    metrics_port: int = _setting(
        "SWITCHBOARD_METRICS_PORT",
        0,
        whole_number(0, 65_535),
        "A port of its own for /metrics; 0 serves it on the main port.",
    )
    log_level: str = _setting(
        "LOG_LEVEL", "info", one_of("debug", "info", "warning", "error"), "debug, info, warning or error."
    )
    log_format: str = _setting(
        "SWITCHBOARD_LOG_FORMAT", "json", one_of("json", "text"), "json, one object a line, or text for people."
    )
    token: str = _setting(
        "SWITCHBOARD_TOKEN",
        "",
        secret,
        "The operator's own key: a bearer token for the control API under /v1/calls, and for everything else that "
        "asks for one. Without it and SWITCHBOARD_API_KEYS, these are closed.",
        is_secret=True,
    )
    insecure_dev: bool = _setting(
        "SWITCHBOARD_INSECURE_DEV",
        False,
        switch,
        "1 answers webhooks without checking who signed them. Only on loopback, never behind a tunnel.",
    )
    agent: str = _setting(
        "SWITCHBOARD_AGENT", "reception", any_text, "The agent: a TOML file, or the name of a built-in one."
    )
    stt: tuple[str, ...] = _setting(
        "SWITCHBOARD_STT",
        ("pocketsphinx",),
        provider_names,
        "The provider of speech to text, as PROVIDER or PROVIDER/MODEL; after a comma those to fall back on. What "
        "the agent's file says stands above this, and above the next two.",
    )
    llm: tuple[str, ...] = _setting(
        "SWITCHBOARD_LLM", ("scripted",), provider_names, "The same for the language model."
    )
    tts: tuple[str, ...] = _setting("SWITCHBOARD_TTS", ("espeak",), provider_names, "The same for text to speech.")
    realtime: str = _setting(
        "SWITCHBOARD_REALTIME",
        "",
        any_text,
        "A remote Realtime service that does the work of all three, such as openai/gpt-realtime.",
    )
    hedging: bool = _setting(
        "SWITCHBOARD_HEDGING",
        True,
        switch,
        "0 sends no second request when a provider is slower than it nearly always is.",
    )
    preemptive: bool = _setting(
        "SWITCHBOARD_PREEMPTIVE",
        False,
        switch,
        "1 begins an answer at the first sign that the caller has finished, before it is certain. Quicker, for "
        "tokens that are sometimes wasted.",
    )
    provider_keys: tuple[tuple[str, str], ...] = _setting(
        "SWITCHBOARD_PROVIDER_KEYS",
        (),
        named_keys,
        "API keys of servers of one's own, as name=key with commas between; the name is that of [providers.NAME] "
        "in the agent's file.",
        is_secret=True,
    )
    openai_api_key: str = _key("OPENAI", "OpenAI")
    openai_base_url: str = _place("OPENAI", "OpenAI")
    deepgram_api_key: str = _key("DEEPGRAM", "Deepgram")
    deepgram_base_url: str = _place("DEEPGRAM", "Deepgram")
    cartesia_api_key: str = _key("CARTESIA", "Cartesia")
    cartesia_base_url: str = _place("CARTESIA", "Cartesia")
    elevenlabs_api_key: str = _key("ELEVENLABS", "ElevenLabs")
    elevenlabs_base_url: str = _place("ELEVENLABS", "ElevenLabs")
    inworld_api_key: str = _key("INWORLD", "Inworld")
    inworld_base_url: str = _place("INWORLD", "Inworld")
    prices: str = _setting(
        "SWITCHBOARD_PRICES",
        "",
        any_text,
        "A TOML file of what providers cost, for the record of calls and the metrics. Empty: only what was used.",
    )
    smart_turn_model: str = _setting(
        "SWITCHBOARD_SMART_TURN_MODEL",
        "",
        any_text,
        "An end-of-turn model for semantic_vad: the path of smart-turn's ONNX file, or `pipecat` to take it out of "
        "an installed pipecat-ai. Empty: the words alone decide.",
    )
    egress_allow: tuple[Entry, ...] = _setting(
        "SWITCHBOARD_EGRESS_ALLOW",
        (),
        read_allowed,
        "What a client or a model may have us reach besides public HTTPS servers: host, host:port, *.domain or "
        "CIDR, commas between. What the agent's file names is let through without.",
    )
    mcp_client_servers: ClientServers = _setting(
        "SWITCHBOARD_MCP_CLIENT_SERVERS",
        ClientServers.OFF,
        lambda text: ClientServers(one_of(*ClientServers)(text)),
        "Which MCP servers a Realtime client may name: off, listed (in SWITCHBOARD_EGRESS_ALLOW) or public.",
    )
    webhook_secret: str = _setting(
        "SWITCHBOARD_WEBHOOK_SECRET",
        "",
        secret,
        "What webhook tools are signed with: whsec_ and base64, as of openssl rand -base64 32.",
        is_secret=True,
    )
    messages_file: str = _setting(
        "SWITCHBOARD_MESSAGES_FILE",
        "messages.jsonl",
        any_text,
        "Where messages are kept that callers leave with the take_message tool, one JSON object a line.",
    )
    max_calls: int = _setting(
        "SWITCHBOARD_MAX_CALLS",
        0,
        whole_number(0, 100_000),
        "Calls at a time; a further caller hears an apology. 0: no limit.",
    )
    drain_timeout_s: int = _setting(
        "SWITCHBOARD_DRAIN_TIMEOUT",
        600,
        whole_number(0, 86_400),
        "Seconds that calls may go on after the gateway was told to stop.",
    )
    playback_lead_ms: int = _setting(
        "SWITCHBOARD_PLAYBACK_LEAD_MS",
        300,
        whole_number(20, 5_000),
        "How far, in milliseconds, sound is sent ahead of what the caller hears. More rides out a slow network; "
        "less stops sooner when the caller interrupts.",
    )
    api_keys: str = _setting(
        "SWITCHBOARD_API_KEYS",
        "",
        any_text,
        "A TOML file of API keys, made with `switchboard key new`; read when the gateway starts. "
        "Empty: no API keys, only SWITCHBOARD_TOKEN.",
    )
    jwt_keys: tuple[SigningKey, ...] = _setting(
        "SWITCHBOARD_JWT_KEYS",
        (),
        read_signing_keys,
        "The keys that JWTs are signed with: kid:secret[,kid:secret], each secret of 32 bytes or more. The first "
        "signs, all verify, so that keys can be changed while tokens are about. Empty: a key drawn at the start, "
        "whose tokens no other process and no later start accepts.",
        is_secret=True,
    )
    jwt_max_s: int = _setting(
        "SWITCHBOARD_JWT_MAX_S",
        3600,
        whole_number(60, 7200),
        "The longest life, in seconds, of a JWT that is minted or accepted.",
    )
    realtime_origins: tuple[str, ...] = _setting(
        "SWITCHBOARD_REALTIME_ORIGINS",
        (),
        read_origins,
        "The web pages that may speak to this gateway, by Origin, with commas between: https://app.example.com. "
        "Empty: pages of PUBLIC_URL and of the visitor's own machine. *: all. Programs send no Origin and may.",
    )
    realtime_beta: bool = _setting(
        "SWITCHBOARD_REALTIME_BETA",
        True,
        switch,
        "Whether clients of the Realtime beta (OpenAI-Beta: realtime=v1) are served.",
    )
    realtime_session_s: int = _setting(
        "SWITCHBOARD_REALTIME_SESSION_S",
        3600,
        whole_number(1, 86_400),
        "The longest life, in seconds, of a Realtime session.",
    )
    realtime_sessions_per_key: int = _setting(
        "SWITCHBOARD_REALTIME_SESSIONS_PER_KEY",
        100,
        whole_number(0, 100_000),
        "Realtime sessions at a time of one API key, with all that was minted from it. 0: no limit.",
    )
    realtime_events_per_s: int = _setting(
        "SWITCHBOARD_REALTIME_EVENTS_PER_S",
        200,
        whole_number(0, 100_000),
        "Events a second that one Realtime client may send; twice as many in a burst. 0: no limit.",
    )
    realtime_responses_per_min: int = _setting(
        "SWITCHBOARD_REALTIME_RESPONSES_PER_MIN",
        600,
        whole_number(0, 1_000_000),
        "Responses a minute of all Realtime sessions of one API key. 0: no limit.",
    )
    realtime_max_event_mib: int = _setting(
        "SWITCHBOARD_REALTIME_MAX_EVENT_MIB",
        24,
        whole_number(1, 64),
        "The largest event, in MiB, that a Realtime client may send; a larger one closes the connection. "
        "15 MiB of sound, the most the protocol allows, need 20 in base64.",
    )
    realtime_ice_servers: tuple[IceServer, ...] = _setting(
        "SWITCHBOARD_REALTIME_ICE_SERVERS",
        (),
        read_ice_servers,
        'STUN and TURN servers for browsers, as JSON: [{"urls": "turn:turn.example.com", "username": "u", '
        '"credential": "c"}].',
        is_secret=True,
    )
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Where each setting's value came from, by the setting's name."""
    warnings: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """What is odd but no fault."""

    @property
    def auth_tokens(self) -> tuple[str, ...]:
        return tuple(token for token in (self.auth_token, self.auth_token_secondary) if token)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that may stand in no log."""
        texts = (getattr(self, setting.field) for setting in SETTINGS if setting.is_secret)
        signing = (key.secret for key in self.jwt_keys)
        turn = (server.credential for server in self.realtime_ice_servers if server.credential)
        keys = (key for _, key in self.provider_keys)
        return (*(text for text in texts if text and isinstance(text, str)), *signing, *turn, *keys)

    def http_url(self, path: str) -> str:
        """The URL Twilio knows a path of ours by."""
        return self.public_url + path

    def ws_url(self, path: str) -> str:
        """The same for a WebSocket: wss for https, ws for http."""
        return "ws" + self.public_url.removeprefix("http") + path

    def shown(self) -> Iterator[tuple[str, str, str]]:
        """Name, value and source of each setting, a secret as dots."""
        for setting in SETTINGS:
            value = getattr(self, setting.field)
            text = "••••" if setting.is_secret and value else written(value)
            yield setting.name, text, self.sources.get(setting.name, "default")


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one setting."""

    field: str
    name: str
    default: object
    read: Callable[[str], object]
    help: str
    is_secret: bool

    @property
    def flag(self) -> str:
        return "--" + self.name.removeprefix("SWITCHBOARD_").lower().replace("_", "-")


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(field=declared.name, default=declared.default, **declared.metadata)
    for declared in dataclasses.fields(Settings)
    if declared.metadata
)


BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


def written(value: object) -> str:
    """A value as a setting's text."""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(int(value)) if isinstance(value, bool) else str(value)
