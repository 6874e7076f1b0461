"""The records' office as the settings have it, counted by the metrics."""

from __future__ import annotations

from collections.abc import Callable

from gateway.call_records.office import Destination, RecordsOffice, outbox_of
from gateway.call_records.outbox import Fill
from gateway.fleet import Fleet
from gateway.metrics import Metrics
from gateway.settings import Settings


def office_of(settings: Settings, fleet: Fleet, metrics: Metrics, now: Callable[[], float]) -> RecordsOffice | None:
    """None if no record is sent. From now on the fleet's store has the record of every call put down before it lets
    go of the call. Raises `SettingsError` for a secret that is none."""
    if not settings.call_webhook:
        return None

    def show(fill: Fill, now_s: float) -> None:
        metrics.call_records_waiting.set(fill.waiting)
        metrics.call_records_oldest_s.set(0.0 if fill.oldest_at_s is None else now_s - fill.oldest_at_s)
        metrics.call_records_undelivered.set(fill.dead)

    office = RecordsOffice(
        fleet.store,
        outbox_of(fleet.link, settings.redis_prefix, settings.outbox),
        Destination(
            url=settings.call_webhook,
            secret=settings.webhook_secret,
            limit_s=settings.call_webhook_limit_s,
            give_up_after_s=settings.call_webhook_hours * 3600,
        ),
        now=now,
        count=lambda outcome: metrics.call_records.labels(outcome.value).inc(),
        show=show,
    )
    metrics.call_records_owed.set_function(lambda: office.registrar.owed)
    fleet.store.recorded = office.registrar.record
    return office
