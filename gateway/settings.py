"""The settings: read once, checked together, never changed.

A flag wins over the environment, the environment over `.env`, `.env` over the default. A secret may also stand
in a file, named by the setting's name with `_FILE` behind it. Nothing else in the house reads `os.environ`.
What settings there are, `setting_declarations.py` says.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.env_file import read_env_text
from gateway.errors import SettingsError
from gateway.setting import Setting, written
from gateway.setting_conflicts import conflicts
from gateway.setting_declarations import BY_NAME, SETTINGS, Settings
from gateway.setting_values import is_loopback

__all__ = ["SETTINGS", "Setting", "Settings", "env_example", "read_settings"]

ENV_FILE = Path(".env")


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
            BY_NAME[name].name: (written(v), BY_NAME[name].flag)
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
    faults += [text for concerned, text in conflicts(settings) if not concerned & faulty]
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
        default = written(setting.default)
        lines.append(f"#{setting.name}={default}" if default else f"{setting.name}=")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


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


def _unknown_names(layers: list[dict[str, tuple[str, str]]]) -> Iterator[str]:
    known = set(BY_NAME) | {f"{setting.name}_FILE" for setting in SETTINGS if setting.is_secret}
    # Compared without the prefix, which makes all names alike.
    short = {name.removeprefix("SWITCHBOARD_"): name for name in sorted(known)}
    for layer in layers:
        for name in sorted(layer.keys() - known):
            if name.startswith("SWITCHBOARD_"):
                nearest = difflib.get_close_matches(name.removeprefix("SWITCHBOARD_"), short, n=1)
                hint = f"; did you mean {short[nearest[0]]}?" if nearest else ""
                yield f"{name} ({layer[name][1]}) is no setting of Switchboard{hint}"
