"""The settings, each declared once: name, default, help, and what reads its text.

Frozen: what was read and checked (`settings.py`) never changes. `.env.example` is made from the declarations. Knows
no environment and no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway import (
    admission_settings,
    realtime_settings,
    record_settings,
    recording_settings,
    redis_settings,
    worker_settings,
)
from gateway.credentials.signing_keys import SigningKey
from gateway.realtime.ice_servers import IceServer
from gateway.redis.address import read_address
from gateway.setting import Setting, declared, declared_in, key, place, written
from gateway.setting_values import account_sid as read_account_sid
from gateway.setting_values import any_text, named_keys, one_of, provider_names, secret, switch, whole_number
from gateway.setting_values import public_url as read_public_url
from gateway.webrtc import addresses
from pipeline.egress.allowed import Entry, read_allowed
from pipeline.egress.guard import ClientServers
from twiml.overflow import Ladder


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked. A number's unit stands in its name."""

    public_url: str = declared(
        "PUBLIC_URL",
        "",
        read_public_url,
        "Where Twilio reaches this gateway: scheme, host and, if there is one, port and path prefix, exactly as "
        "in the number's voice URL, because Twilio signs the URL byte for byte. Required, except on loopback, "
        "where it is http://HOST:PORT.",
    )
    account_sid: str = declared(
        "TWILIO_ACCOUNT_SID",
        "",
        read_account_sid,
        "The Twilio account whose calls are answered; webhooks of others are refused. Empty: any that is signed.",
    )
    auth_token: str = declared(
        "TWILIO_AUTH_TOKEN",
        "",
        secret,
        "The account's auth token, which Twilio signs with. Required, except with SWITCHBOARD_INSECURE_DEV, or "
        "with SWITCHBOARD_API_KEYS alone: then every webhook is refused.",
        is_secret=True,
    )
    auth_token_secondary: str = declared(
        "TWILIO_AUTH_TOKEN_SECONDARY",
        "",
        secret,
        "The account's other token, accepted as well while tokens are being changed.",
        is_secret=True,
    )
    host: str = declared("SWITCHBOARD_HOST", "127.0.0.1", any_text, "The address to listen on.")
    port: int = declared("PORT", 8080, whole_number(0, 65_535), "The port to listen on; 0 takes a free one.")
    metrics_port: int = declared(
        "SWITCHBOARD_METRICS_PORT",
        0,
        whole_number(0, 65_535),
        "A port of its own for /metrics; 0 serves it on the main port.",
    )
    log_level: str = declared(
        "LOG_LEVEL", "info", one_of("debug", "info", "warning", "error"), "debug, info, warning or error."
    )
    log_format: str = declared(
        "SWITCHBOARD_LOG_FORMAT", "json", one_of("json", "text"), "json, one object a line, or text for people."
    )
    token: str = declared(
        "SWITCHBOARD_TOKEN",
        "",
        secret,
        "The operator's own key: a bearer token for the control API under /v1/calls, and for everything else that "
        "asks for one. Without it and SWITCHBOARD_API_KEYS, these are closed.",
        is_secret=True,
    )
    insecure_dev: bool = declared(
        "SWITCHBOARD_INSECURE_DEV",
        False,
        switch,
        "1 answers webhooks without checking who signed them. Only on loopback, never behind a tunnel.",
    )
    agent: str = declared(
        "SWITCHBOARD_AGENT", "reception", any_text, "The agent: a TOML file, or the name of a built-in one."
    )
    stt: tuple[str, ...] = declared(
        "SWITCHBOARD_STT",
        ("pocketsphinx",),
        provider_names,
        "The provider of speech to text, as PROVIDER or PROVIDER/MODEL; after a comma those to fall back on. What "
        "the agent's file says stands above this, and above the next two.",
    )
    llm: tuple[str, ...] = declared(
        "SWITCHBOARD_LLM", ("scripted",), provider_names, "The same for the language model."
    )
    tts: tuple[str, ...] = declared("SWITCHBOARD_TTS", ("espeak",), provider_names, "The same for text to speech.")
    realtime: str = declared(
        "SWITCHBOARD_REALTIME",
        "",
        any_text,
        "A remote Realtime service that does the work of all three, such as openai/gpt-realtime.",
    )
    hedging: bool = declared(
        "SWITCHBOARD_HEDGING",
        True,
        switch,
        "0 sends no second request when a provider is slower than it nearly always is.",
    )
    preemptive: bool = declared(
        "SWITCHBOARD_PREEMPTIVE",
        False,
        switch,
        "1 begins an answer at the first sign that the caller has finished, before it is certain. Quicker, for "
        "tokens that are sometimes wasted.",
    )
    provider_keys: tuple[tuple[str, str], ...] = declared(
        "SWITCHBOARD_PROVIDER_KEYS",
        (),
        named_keys,
        "API keys of servers of one's own, as name=key with commas between; the name is that of [providers.NAME] "
        "in the agent's file.",
        is_secret=True,
    )
    openai_api_key: str = key("OPENAI", "OpenAI")
    openai_base_url: str = place("OPENAI", "OpenAI")
    deepgram_api_key: str = key("DEEPGRAM", "Deepgram")
    deepgram_base_url: str = place("DEEPGRAM", "Deepgram")
    cartesia_api_key: str = key("CARTESIA", "Cartesia")
    cartesia_base_url: str = place("CARTESIA", "Cartesia")
    elevenlabs_api_key: str = key("ELEVENLABS", "ElevenLabs")
    elevenlabs_base_url: str = place("ELEVENLABS", "ElevenLabs")
    inworld_api_key: str = key("INWORLD", "Inworld")
    inworld_base_url: str = place("INWORLD", "Inworld")
    prices: str = declared(
        "SWITCHBOARD_PRICES",
        "",
        any_text,
        "A TOML file of what providers cost, for the record of calls and the metrics. Empty: only what was used.",
    )
    smart_turn_model: str = declared(
        "SWITCHBOARD_SMART_TURN_MODEL",
        "",
        any_text,
        "An end-of-turn model for semantic_vad: the path of smart-turn's ONNX file, or `pipecat` to take it out of "
        "an installed pipecat-ai. Empty: the words alone decide.",
    )
    egress_allow: tuple[Entry, ...] = declared(
        "SWITCHBOARD_EGRESS_ALLOW",
        (),
        read_allowed,
        "What a client or a model may have us reach besides public HTTPS servers: host, host:port, *.domain or "
        "CIDR, commas between. What the agent's file names is let through without.",
    )
    mcp_client_servers: ClientServers = declared(
        "SWITCHBOARD_MCP_CLIENT_SERVERS",
        ClientServers.OFF,
        lambda text: ClientServers(one_of(*ClientServers)(text)),
        "Which MCP servers a Realtime client may name: off, listed (in SWITCHBOARD_EGRESS_ALLOW) or public.",
    )
    webhook_secret: str = declared(
        "SWITCHBOARD_WEBHOOK_SECRET",
        "",
        secret,
        "What webhook tools are signed with: whsec_ and base64, as of openssl rand -base64 32.",
        is_secret=True,
    )
    messages_file: str = declared(
        "SWITCHBOARD_MESSAGES_FILE",
        "messages.jsonl",
        any_text,
        "Where messages are kept that callers leave with the take_message tool, one JSON object a line.",
    )
    max_calls: int = declared(
        "SWITCHBOARD_MAX_CALLS",
        0,
        whole_number(0, 100_000),
        "Calls at a time on one worker; a further caller meets SWITCHBOARD_OVERFLOW. 0: no limit.",
    )
    max_calls_per_line: int = admission_settings.MAX_CALLS_PER_LINE
    max_lag_ms: int = admission_settings.MAX_LAG_MS
    overflow: Ladder = admission_settings.OVERFLOW
    queue_limit_s: int = admission_settings.QUEUE_LIMIT_S
    hold_music: str = admission_settings.HOLD_MUSIC
    drain_timeout_s: int = declared(
        "SWITCHBOARD_DRAIN_TIMEOUT",
        600,
        whole_number(0, 86_400),
        "Seconds that calls may go on after the gateway was told to stop.",
    )
    playback_lead_ms: int = declared(
        "SWITCHBOARD_PLAYBACK_LEAD_MS",
        300,
        whole_number(20, 5_000),
        "How far, in milliseconds, sound is sent ahead of what the caller hears. More rides out a slow network; "
        "less stops sooner when the caller interrupts.",
    )
    workers: int = worker_settings.WORKERS
    watchdog_s: float = worker_settings.WATCHDOG_S
    redis_url: str = redis_settings.URL
    redis_prefix: str = redis_settings.PREFIX
    redis_cluster: bool = redis_settings.CLUSTER
    redis_ca: str = redis_settings.CA
    api_keys: str = realtime_settings.API_KEYS
    jwt_keys: tuple[SigningKey, ...] = realtime_settings.JWT_KEYS
    jwt_max_s: int = realtime_settings.JWT_MAX_S
    realtime_origins: tuple[str, ...] = realtime_settings.ORIGINS
    realtime_beta: bool = realtime_settings.BETA
    realtime_session_s: int = realtime_settings.SESSION_S
    realtime_sessions_per_key: int = realtime_settings.SESSIONS_PER_KEY
    realtime_events_per_s: int = realtime_settings.EVENTS_PER_S
    realtime_responses_per_min: int = realtime_settings.RESPONSES_PER_MIN
    realtime_max_event_mib: int = realtime_settings.MAX_EVENT_MIB
    realtime_ice_servers: tuple[IceServer, ...] = realtime_settings.ICE_SERVERS
    turn_secret: str = realtime_settings.TURN_SECRET
    turn_ttl_s: int = realtime_settings.TURN_TTL_S
    webrtc: bool = realtime_settings.WEBRTC
    webrtc_addresses: tuple[addresses.Entry, ...] = realtime_settings.WEBRTC_ADDRESSES
    kept_sessions: str = realtime_settings.KEPT_SESSIONS
    demo_page: bool = realtime_settings.DEMO_PAGE
    call_webhook: str = record_settings.CALL_WEBHOOK
    call_webhook_limit_s: int = record_settings.CALL_WEBHOOK_LIMIT_S
    call_webhook_hours: int = record_settings.CALL_WEBHOOK_HOURS
    outbox: str = record_settings.OUTBOX
    record: str = recording_settings.RECORD
    recordings: str = recording_settings.RECORDINGS
    recordings_spool: str = recording_settings.SPOOL
    recordings_days: int = recording_settings.DAYS
    recordings_format: str = recording_settings.FORMAT
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
        providers = (key for _, key in self.provider_keys)
        redis = read_address(self.redis_url).password if self.redis_url else ""
        single = (*texts, redis)
        return (*(text for text in single if text and isinstance(text, str)), *signing, *turn, *providers)

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


SETTINGS: tuple[Setting, ...] = declared_in(Settings)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
