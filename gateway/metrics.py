"""What the gateway counts and measures, for Prometheus.

One `Metrics` object has its own registry, so two gateways in one process, or two tests, do not meet. Units are
base units; no label ever carries a number, a call id or words of a caller. Labels of the hot path are bound here
once, because looking one up costs more than counting.
"""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

TURN_BUCKETS_S = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 5, 10)
"""Close together where a caller begins to notice the wait."""

STAGE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1, 1.5, 2, 3, 5, 10)
BARGE_IN_BUCKETS_S = (0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3, 0.5, 1)
LAG_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
SETUP_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)
CALL_BUCKETS_S = (5, 15, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400)

REDIS_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)

STAGES = ("endpoint", "stt", "llm", "tool", "tts", "send")
"""The parts of a turn, from the caller's last word to the agent's first."""


class Metrics:
    """Every metric by its name without the prefix `switchboard_`."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.calls_active = self._gauge("calls_active", "Calls that have not ended.")
        self.calls_total = self._counter("calls", "Calls, by why they ended.", "ended_reason")
        self.call_duration_s = self._seconds("call_duration", "From the webhook to the end.", CALL_BUCKETS_S)
        self.call_setup_s = self._seconds("call_setup", "From the webhook to the first media.", SETUP_BUCKETS_S)
        self.turn_response_s = self._seconds(
            "turn_response", "From the caller's last word to the agent's first.", TURN_BUCKETS_S
        )
        stages = self._seconds("turn_stage", "The parts of a turn.", STAGE_BUCKETS_S, "stage")
        self.turn_stage_s: dict[str, Histogram] = {stage: stages.labels(stage) for stage in STAGES}
        self.barge_in = self._counter("barge_in", "Times a caller interrupted the agent.")
        self.barge_in_clear_s = self._seconds(
            "barge_in_clear", "From the caller's speech to the agent's silence.", BARGE_IN_BUCKETS_S
        )
        frames = self._counter("audio_frames", "Frames of sound, from (in) and to (out) callers.", "direction")
        self.frames_in: Counter = frames.labels("in")
        self.frames_out: Counter = frames.labels("out")
        self.frames_dropped = self._counter("audio_frames_dropped", "Frames thrown away.", "reason")
        self.playout_underruns = self._counter("playout_underruns", "Times the agent's sound came too late.")
        self.event_loop_lag_s = self._seconds("event_loop_lag", "How late the event loop is.", LAG_BUCKETS_S)
        self.provider_request_s = self._seconds(
            "provider_request", "Requests to providers.", STAGE_BUCKETS_S, "provider", "kind"
        )
        self.provider_errors = self._counter(
            "provider_errors", "Failures of providers.", "provider", "kind", "error"
        )
        self.fillers = self._counter("fillers", "Phrases said to callers while an answer was slow.")
        self.backchannels = self._counter("backchannels", "Acknowledgements said to callers who spoke.")
        self.backchannels_skipped = self._counter(
            "backchannels_skipped", "Acknowledgements considered and not said.", "reason"
        )
        self.backchannel_s = self._seconds(
            "backchannel", "From considering an acknowledgement to its sound.", STAGE_BUCKETS_S
        )
        self.hedges = self._counter(
            "hedges", "Second requests sent because the first was slow.", "provider", "kind", "won"
        )
        self.fallbacks = self._counter(
            "fallbacks", "Times another provider had to take over.", "provider", "kind", "reason"
        )
        self.anticipations = self._counter(
            "anticipations", "Answers begun before the turn was over, by whether they were wanted.", "wanted"
        )
        self.provider_tokens = self._counter(
            "provider_tokens",
            "Tokens used. input and output are all; cached, input_audio and output_audio are parts of them.",
            "provider",
            "kind",
            "direction",
        )
        self.provider_characters = self._counter("provider_characters", "Characters given to voices.", "provider")
        self.provider_audio_s = self._counter(
            "provider_audio_seconds", "Sound sent to transcribers and made by voices.", "provider", "kind"
        )
        self.cost_usd = self._counter("cost_usd", "What is known to have been spent.", "provider", "kind")
        self.wasted_tokens = self._counter(
            "wasted_tokens", "Of the tokens, those of requests that no answer came of.", "provider"
        )
        self.recordings, self.recordings_spool_bytes = self._recordings()
        self.webhook_requests = self._counter("webhook_requests", "Webhooks answered.", "route", "code")
        self.webhook_rejected = self._counter("webhook_rejected", "Webhooks turned away.", "reason")
        self._count_sessions()
        self._count_records()
        self.redis_s = self._seconds("redis", "Operations of Redis, answered or not.", REDIS_BUCKETS_S, "op")
        self.redis_errors = self._counter("redis_errors", "Operations Redis did not answer in time.", "op")
        self.calls_moved = self._counter("calls_moved", "Calls that were given to another worker.")
        self.draining = self._gauge("draining", "1 while the gateway takes no new calls because it is stopping.")
        build = Info("switchboard_build", "What is running.", registry=self.registry)
        build.info({"version": version, "python": platform.python_version()})

    def _count_sessions(self) -> None:
        self.realtime_sessions_active = self._gauge("realtime_sessions_active", "Realtime sessions that are open.")
        self.realtime_sessions = self._counter(
            "realtime_sessions",
            "Realtime sessions, by dialect, transport and why they ended.",
            "dialect",
            "transport",
            "ended_reason",
        )
        self.realtime_side_bands_active = self._gauge(
            "realtime_side_bands_active", "Connections that have joined a session or call."
        )
        self.realtime_refused = self._counter(
            "realtime_refused", "Realtime connections turned away at the handshake.", "reason"
        )

    def render(self) -> tuple[bytes, str]:
        """All metrics as Prometheus reads them, and the content type of that."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _count_records(self) -> None:
        self.call_records = self._counter("call_records", "Records of calls, by what became of them.", "result")
        self.call_records_waiting = self._gauge("call_records_waiting", "Records that nobody has taken yet.")
        self.call_records_oldest_s = self._gauge("call_records_oldest_seconds", "How long the oldest has waited.")
        self.call_records_undelivered = self._gauge("call_records_undelivered", "Records that were given up.")
        self.call_records_owed = self._gauge("call_records_owed", "Records this worker could not put down yet.")

    def _recordings(self) -> tuple[Counter, Gauge]:
        return (
            self._counter("recordings", "Parts of recordings, by what became of them.", "result"),
            self._gauge("recordings_spool_bytes", "Recordings that wait to be uploaded."),
        )

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"switchboard_{name}_total", help, labels, registry=self.registry)

    def _gauge(self, name: str, help: str) -> Gauge:
        return Gauge(f"switchboard_{name}", help, registry=self.registry)

    def _seconds(self, name: str, help: str, buckets_s: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"switchboard_{name}_seconds", help, labels, buckets=buckets_s, registry=self.registry)
