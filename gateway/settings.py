"""The settings: read once, checked together, never changed.

A flag wins over the environment, the environment over `.env`, `.env` over the default. A secret may also stand
in a file, named by the setting's name with `_FILE` behind it. Nothing else in the house reads `os.environ`.
Each setting is declared once, with its help; `.env.example` is made from the declarations.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.env_file import read_env_text
from gateway.errors import SettingsError
from gateway.setting_values import account_sid as read_account_sid
from gateway.setting_values import any_text, is_loopback, one_of, secret, switch, whole_number
from gateway.setting_values import public_url as read_public_url

ENV_FILE = Path(".env")


def _setting(
    name: str, default: object, read: Callable[[str], object], help: str, *, is_secret: bool = False
) -> Any:
    """A field of `Settings`, with its name outside, its reader and its help."""
    metadata = {"name": name, "read": read, "help": help, "is_secret": is_secret}
    return field(default=default, repr=not is_secret, metadata=metadata)


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
        "The account's auth token, which Twilio signs with. Required, except with SWITCHBOARD_INSECURE_DEV.",
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
        "The bearer token of the control API under /v1/calls; without one that API is closed.",
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
    stt: str = _setting("SWITCHBOARD_STT", "pocketsphinx", any_text, "The provider of speech to text.")
    llm: str = _setting("SWITCHBOARD_LLM", "scripted", any_text, "The provider of the language model.")
    tts: str = _setting("SWITCHBOARD_TTS", "espeak", any_text, "The provider of text to speech.")
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
        return tuple(value for setting in SETTINGS if setting.is_secret and (value := getattr(self, setting.field)))

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
            text = "••••" if setting.is_secret and value else _written(value)
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


def read_settings(
    flags: Mapping[str, str | int | bool | None] | None = None,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = None,
) -> Settings:
    """The settings, from flags (by the setting's name; None is absent), the environment and `.env`.

    `env_file` must exist if it is named; without it, `.env` is read if there is one. An empty value is absent.
    Raises `SettingsError` with every fault at once.
    """
    faults: list[str] = []
    layers = [
        {
            _BY_NAME[name].name: (_written(v), _BY_NAME[name].flag)
            for name, v in (flags or {}).items()
            if v is not None
        },
        {name: (v, f"env {name}") for name, v in (os.environ if environ is None else environ).items() if v},
        _env_file_layer(env_file, faults),
    ]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    faulty: set[str] = set()
    for setting in SETTINGS:
        try:
            if (found := _find(setting, layers)) is not None:
                sources[setting.name] = found[1]
                values[setting.field] = setting.read(found[0])
        except ValueError as error:
            source = f" ({sources[setting.name]})" if setting.name in sources else ""
            faults.append(f"{setting.name}{source}: {error}")
            faulty.add(setting.field)
    settings = Settings(**values, sources=sources, warnings=tuple(_unknown_names(layers)))
    if not settings.public_url and is_loopback(settings.host):
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        settings = dataclasses.replace(settings, public_url=f"http://{host}:{settings.port}")
    faults += [text for concerned, text in _conflicts(settings) if not concerned & faulty]
    if faults:
        raise SettingsError(faults)
    return settings


def env_example() -> str:
    """The text of `.env.example`: every setting with its help and default."""
    blocks = [
        "# Settings of Switchboard. Copy to .env and fill in. A flag wins over the environment,\n"
        "# the environment over .env. Each secret may stand in a file instead: NAME_FILE=/path."
    ]
    for setting in SETTINGS:
        lines = textwrap.wrap(setting.help, 100, initial_indent="# ", subsequent_indent="# ")
        default = _written(setting.default)
        lines.append(f"#{setting.name}={default}" if default else f"{setting.name}=")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


_BY_NAME = {setting.name: setting for setting in SETTINGS}


def _written(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _find(setting: Setting, layers: list[dict[str, tuple[str, str]]]) -> tuple[str, str] | None:
    """Value and source, from the first layer that has it."""
    for layer in layers:
        plain = layer.get(setting.name)
        in_file = layer.get(f"{setting.name}_FILE") if setting.is_secret else None
        if plain and in_file:
            raise ValueError(f"{plain[1]} and {in_file[1]} are both set; unset one")
        if plain:
            return plain
        if in_file:
            return _file_text(Path(in_file[0]), in_file[1]), in_file[1]
    return None


def _file_text(path: Path, source: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{source}: {str(path)!r} cannot be read ({error}); name a file this user can read"
        ) from error


def _env_file_layer(env_file: Path | None, faults: list[str]) -> dict[str, tuple[str, str]]:
    path = env_file or ENV_FILE
    if env_file is None and not path.exists():
        return {}
    try:
        lines, unreadable = read_env_text(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        faults.append(f"{path}: cannot be read ({error}); name a UTF-8 file this user can read")
        return {}
    faults.extend(f"{path}:{number}: is no NAME=value; mend it or begin it with #" for number in unreadable)
    return {line.name: (line.value, f"{path}:{line.line_number}") for line in lines if line.value}


def _conflicts(settings: Settings) -> Iterator[tuple[set[str], str]]:
    """Faults of settings that do not go together, each with the fields concerned."""
    host_is_ours = is_loopback(settings.host)
    if not settings.public_url:
        yield (
            {"public_url", "host"},
            f"PUBLIC_URL (not set): needed because SWITCHBOARD_HOST is {settings.host}, which others can reach; "
            "set it to the https URL Twilio calls, such as https://voice.example.com",
        )
    if not settings.insecure_dev:
        if not settings.auth_token:
            yield (
                {"auth_token", "insecure_dev"},
                "TWILIO_AUTH_TOKEN (not set): forged webhooks would pass for Twilio's; copy it from "
                "the Twilio Console, or try without Twilio on loopback with --insecure-dev",
            )
    elif not host_is_ours:
        yield (
            {"insecure_dev", "host"},
            f"SWITCHBOARD_INSECURE_DEV ({settings.sources['SWITCHBOARD_INSECURE_DEV']}): webhooks would go "
            f"unchecked on {settings.host}, which others can reach; listen on 127.0.0.1 or leave it out",
        )
    elif not is_loopback(urlsplit(settings.public_url).hostname or ""):
        yield (
            {"insecure_dev", "public_url"},
            f"SWITCHBOARD_INSECURE_DEV: webhooks would go unchecked on {settings.public_url}, which others can "
            "reach; unset PUBLIC_URL or set TWILIO_AUTH_TOKEN and leave it out",
        )
    if settings.metrics_port and settings.metrics_port == settings.port:
        yield (
            {"metrics_port", "port"},
            f"SWITCHBOARD_METRICS_PORT: {settings.metrics_port} is the main port too; take another, or 0 to share",
        )


def _unknown_names(layers: list[dict[str, tuple[str, str]]]) -> Iterator[str]:
    known = set(_BY_NAME) | {f"{setting.name}_FILE" for setting in SETTINGS if setting.is_secret}
    # Compared without the prefix, which makes all names alike.
    short = {name.removeprefix("SWITCHBOARD_"): name for name in sorted(known)}
    for layer in layers:
        for name in sorted(layer.keys() - known):
            if name.startswith("SWITCHBOARD_"):
                nearest = difflib.get_close_matches(name.removeprefix("SWITCHBOARD_"), short, n=1)
                hint = f"; did you mean {short[nearest[0]]}?" if nearest else ""
                yield f"{name} ({layer[name][1]}) is no setting of Switchboard{hint}"
