"""Which metrics and settings there really are, and which ones the files of deploy/ speak of."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.calls.call import EndReason
from gateway.metrics import STAGES, Metrics
from gateway.setting_declarations import SETTINGS

PROMETHEUS_OWN = {"up": frozenset({"job", "instance"})}
"""What Prometheus adds to every scrape."""

TARGET_LABELS = {"job", "instance"}

VALUES = {
    "ended_reason": {reason.value for reason in EndReason},
    "stage": set(STAGES),
    "direction": {"in", "out"},
}
"""The values of labels that a rule asks for by name."""

NOT_OURS = {
    "WEB_CONCURRENCY",  # how many workers `serve` starts, on one machine
    "SWITCHBOARD_VERSION",  # these two are compose's own, see compose.yaml
    "SWITCHBOARD_PUBLISH",
}
"""Names in the same shape as settings that `SETTINGS` need not have."""

_SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "gauge": ("",),
    "info": ("_info",),
}
"""Of what each kind of metric exposes: https://prometheus.io/docs/instrumenting/exposition_formats/"""

_SETTING = re.compile(
    r"(?<![\w./-])(?:SWITCHBOARD|TWILIO|OPENAI|DEEPGRAM|CARTESIA|ELEVENLABS|INWORLD|REDIS)_[A-Z0-9_]*[A-Z0-9]"
)
_BARE = re.compile(r"(?<![\w./$-])(?:PUBLIC_URL|PORT|LOG_LEVEL|WEB_CONCURRENCY)\b")

_SELECTOR = re.compile(r"\b((?:switchboard|process)_[a-z0-9_]+|up)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_BY = re.compile(r"\bby \(([^)]*)\)")


def exported() -> dict[str, frozenset[str]]:
    """Every name that stands in the metrics page, or will when it has a value, with its labels."""
    metrics = Metrics("0")
    # The registry knows families by their bare names too, under which a counter or histogram exposes nothing.
    names = {
        name: frozenset(getattr(collector, "_labelnames", ())) | ({"le"} if name.endswith("_bucket") else set())
        for name, collector in metrics.registry._names_to_collectors.items()
        if name.endswith(_SUFFIXES[getattr(collector, "_type", "gauge")])
    }
    lines = metrics.render()[0].decode().splitlines()
    own = (re.match(r"[a-z_]+", line) for line in lines if line.startswith("process_"))
    return {**names, **{match[0]: frozenset() for match in own if match}, **PROMETHEUS_OWN}


def faults(expression: str) -> Iterator[str]:
    """What a PromQL expression speaks of that is not there."""
    known, about = exported(), set(TARGET_LABELS)
    for name, matchers in _SELECTOR.findall(expression):
        if name not in known:
            yield f"no metric {name}"
            continue
        about |= known[name]
        for label, value in _MATCHER.findall(matchers):
            if label not in known[name] | TARGET_LABELS:
                yield f"{name} has no label {label}"
            elif label in VALUES and (strange := set(value.split("|")) - VALUES[label]):
                yield f"{label} is never {strange}"
    for labels in _BY.findall(expression):
        if strange := {label.strip() for label in labels.split(",")} - about:
            yield f"nothing here has {strange}"


def settings() -> set[str]:
    """All names that the environment may have."""
    return {setting.name for setting in SETTINGS} | {f"{one.name}_FILE" for one in SETTINGS if one.is_secret}


def strange_settings(text: str) -> set[str]:
    """Names in a text that look like settings and are none."""
    named = set(_SETTING.findall(text)) | set(_BARE.findall(text))
    return named - settings() - NOT_OURS
