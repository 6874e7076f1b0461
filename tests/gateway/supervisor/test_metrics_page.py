from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.supervisor.metrics_page import labelled, merged


def page(calls: int) -> str:
    registry = CollectorRegistry()
    Counter("calls", "Calls { by end }.", ["reason"], registry=registry).labels('a "b} c').inc(calls)
    Histogram("lag_seconds", "Lag.", registry=registry).observe(calls)
    return generate_latest(registry).decode()


def test_each_family_stands_once_with_every_workers_samples() -> None:
    text = merged({"host-w1": page(2), "host-w2": page(3)}, serving=2, deaths=1)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    calls = {
        sample.labels["worker"]: (sample.value, sample.labels["reason"])
        for sample in families["calls"].samples
        if sample.name == "calls_total"
    }
    assert calls == {"host-w1": (2, 'a "b} c'), "host-w2": (3, 'a "b} c')}
    sums = {s.labels["worker"]: s.value for s in families["lag_seconds"].samples if s.name == "lag_seconds_sum"}
    assert sums == {"host-w1": 2, "host-w2": 3}
    assert [s.value for s in families["switchboard_workers"].samples] == [2]
    assert [s.value for s in families["switchboard_worker_deaths"].samples] == [1]
    assert text.count("# TYPE lag_seconds histogram") == text.count("# HELP lag_seconds ") == 1


def test_without_workers_there_is_still_a_page() -> None:
    assert "switchboard_workers 0\n" in merged({}, serving=0, deaths=4)


def test_a_sample_gets_its_workers_name_whether_or_not_it_has_labels() -> None:
    assert labelled("up 1.0", "w") == 'up{worker="w"} 1.0'
    assert labelled('up{a="x y"} 1.0', "w") == 'up{worker="w",a="x y"} 1.0'
