"""A level of the Realtime benchmark as an echo shows it, for tests that change what they are about."""

from __future__ import annotations

from gateway.cli.bench_realtime_run import Figures

FIGURES = Figures(
    server="floor",
    sessions=3,
    sustained=True,
    believable=True,
    failed=0,
    first_failure=None,
    errors=0,
    first_error=None,
    cpu_percent=60.0,
    cpu_ms_per_session_s=2.0,
    rss_mb=80.0,
    rss_kb_per_added_session=30.0,
    round_trip_p50=0.2,
    round_trip_p95=0.5,
    round_trip_p99=1.0,
    delta_kb=13.0,
    delta_p50=0.3,
    delta_p95=0.6,
    delta_p99=1.1,
    further_delta_p50=None,
    further_delta_p95=None,
    further_delta_p99=None,
    delta_lateness_p99=None,
    stop_to_delta_p50=None,
    stop_to_delta_p95=None,
    voice_to_voice_p50=None,
    voice_to_voice_p95=None,
    turns=0,
    unanswered=0,
    generator_lateness_p99=0.4,
)
