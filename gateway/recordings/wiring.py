"""The recorder as the settings have it, counted by the metrics."""

from __future__ import annotations

from gateway.metrics import Metrics
from gateway.recordings.recorder import Recorder, make_recorder
from gateway.settings import Settings


def recorder_of(settings: Settings, metrics: Metrics) -> Recorder | None:
    """None if nothing is recorded and there is no place where anything was. Raises `SettingsError`."""
    return make_recorder(
        record=settings.record,
        place=settings.recordings,
        spool=settings.recordings_spool,
        keep_days=settings.recordings_days,
        format=settings.recordings_format,
        count=lambda state: metrics.recordings.labels(state.value).inc(),
        show_waiting=metrics.recordings_spool_bytes.set,
    )
