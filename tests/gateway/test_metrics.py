from __future__ import annotations

import re

from gateway.metrics import STAGES, Metrics

NAMES = {
    "switchboard_calls_active",
    "switchboard_calls_total",
    "switchboard_call_duration_seconds",
    "switchboard_call_setup_seconds",
    "switchboard_turn_response_seconds",
    "switchboard_turn_stage_seconds",
    "switchboard_barge_in_total",
    "switchboard_fillers_total",
    "switchboard_hedges_total",
    "switchboard_fallbacks_total",
    "switchboard_barge_in_clear_seconds",
    "switchboard_audio_frames_total",
    "switchboard_audio_frames_dropped_total",
    "switchboard_playout_underruns_total",
    "switchboard_event_loop_lag_seconds",
    "switchboard_provider_request_seconds",
    "switchboard_provider_errors_total",
    "switchboard_backchannels_total",
    "switchboard_backchannels_skipped_total",
    "switchboard_backchannel_seconds",
    "switchboard_anticipations_total",
    "switchboard_provider_tokens_total",
    "switchboard_provider_characters_total",
    "switchboard_provider_audio_seconds_total",
    "switchboard_cost_usd_total",
    "switchboard_wasted_tokens_total",
    "switchboard_webhook_requests_total",
    "switchboard_webhook_rejected_total",
    "switchboard_realtime_sessions_active",
    "switchboard_realtime_sessions_total",
    "switchboard_realtime_side_bands_active",
    "switchboard_realtime_refused_total",
    "switchboard_redis_seconds",
    "switchboard_redis_errors_total",
    "switchboard_calls_moved_total",
    "switchboard_call_records_total",
    "switchboard_call_records_waiting",
    "switchboard_call_records_oldest_seconds",
    "switchboard_call_records_undelivered",
    "switchboard_call_records_owed",
    "switchboard_recordings_total",
    "switchboard_recordings_spool_bytes",
    "switchboard_draining",
    "switchboard_build_info",
}


def rendered(metrics: Metrics) -> str:
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    return body.decode()


def test_every_metric_of_the_conventions_is_there() -> None:
    names = set(re.findall(r"^# TYPE (switchboard_\w+) (?!.*_created)", rendered(Metrics("1.2.3")), re.MULTILINE))
    assert {name for name in names if not name.endswith("_created")} == NAMES


def test_labels_of_the_hot_path_are_bound_to_their_series() -> None:
    metrics = Metrics("1.2.3")
    metrics.frames_in.inc()
    metrics.frames_out.inc(2)
    metrics.turn_stage_s["llm"].observe(0.3)
    text = rendered(metrics)
    assert 'switchboard_audio_frames_total{direction="in"} 1.0' in text
    assert 'switchboard_audio_frames_total{direction="out"} 2.0' in text
    assert 'switchboard_turn_stage_seconds_count{stage="llm"} 1.0' in text
    assert set(metrics.turn_stage_s) == set(STAGES)


def test_the_build_is_named() -> None:
    assert re.search(
        r'switchboard_build_info\{python="3\.[\d.]+",version="1\.2\.3"\} 1\.0', rendered(Metrics("1.2.3"))
    )


def test_two_gateways_do_not_count_for_each_other() -> None:
    first, second = Metrics("1"), Metrics("1")
    first.calls_active.inc()
    assert "switchboard_calls_active 1.0" in rendered(first)
    assert "switchboard_calls_active 0.0" in rendered(second)
