"""What the levels of the WebRTC benchmark come to, and how people read it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

IDLE_PERCENT: Final = 65.0
"""Of the core. Where the floor is late and has used less, somebody else used the rest."""

ROWS: Final = (
    ("sessions, failed, errors", "{sessions} · {failed} · {errors}"),
    ("sustained", "{sustained}"),
    ("CPU of the core", "{cpu_percent} %"),
    ("CPU per session-second, of an added one", "{cpu_ms_per_session_s} ms · {cpu_ms_per_added_session_s} ms"),
    ("sessions per core, computed", "{sessions_by_cpu}"),
    ("memory, per added session", "{rss_mb} MB · {rss_kb_per_added_session} kB"),
    ("offer to answer p50 / p95", "{offer_to_answer_p50} / {offer_to_answer_p95} ms"),
    ("offer to first packet p50 / p95", "{offer_to_packet_p50} / {offer_to_packet_p95} ms"),
    ("packet late p50 / p99", "{packet_lateness_p50} / {packet_lateness_p99} ms"),
    ("packet to packet p99", "{packet_gap_p99} ms"),
    ("packets, lost", "{packets} · {lost}"),
    ("data channel there and back p50 / p95 / p99", "{round_trip_p50} / {round_trip_p95} / {round_trip_p99} ms"),
    ("mouth to ear, added, p50 / p95", "{mouth_to_ear_p50} / {mouth_to_ear_p95} ms"),
    ("ask to sound p50 / p95", "{ask_to_sound_p50} / {ask_to_sound_p95} ms"),
    ("stop to sound p50 / p95", "{stop_to_sound_p50} / {stop_to_sound_p95} ms"),
    ("voice to voice p50 / p95", "{voice_to_voice_p50} / {voice_to_voice_p95} ms"),
    ("beyond the silence of a turn p50", "{beyond_silence_p50} ms"),
    ("sound of packets in, out", "{sound_in_percent} % · {sound_out_percent} %"),
    ("turns or marks, unanswered", "{turns} · {unanswered}"),
    ("generator late p99", "{generator_lateness_p99} ms"),
)


def summary_of(levels: Mapping[str, Sequence[dict[str, Any]]], is_full: Mapping[str, bool]) -> dict[str, Any]:
    """By the names of the servers; None where a figure is missing. Their first levels are of one size."""
    floor, transport, gateway = (levels[name] for name in ("floor", "transport", "gateway"))
    summary: dict[str, Any] = {"at_sessions": gateway[0]["sessions"]}
    for name, rig in levels.items():
        summary[f"{name}_sessions_per_core"] = max((one["sessions"] for one in rig if one["sustained"]), default=0)
        summary[f"{name}_is_full"] = is_full[name]
    carried, least = summary["gateway_sessions_per_core"], summary["floor_sessions_per_core"]
    return summary | {
        "sessions_ratio": _share(carried, least) if carried else None,
        "transport_cpu_of_floor": _share(transport[0]["cpu_ms_per_session_s"], floor[0]["cpu_ms_per_session_s"]),
        "transport_added_cpu_of_floor": _added(transport[0], floor[0]),
        "gateway_added_cpu_of_floor": _added(gateway[0], floor[0]),
        "gateway_cpu_of_floor": _share(gateway[0]["cpu_ms_per_session_s"], floor[0]["cpu_ms_per_session_s"]),
        "floor_mouth_to_ear_p50": _calm(floor)["mouth_to_ear_p50"],
        "transport_mouth_to_ear_p50": _calm(transport)["mouth_to_ear_p50"],
        "believable": all(one["believable"] for rig in levels.values() for one in rig if one["sustained"])
        and all(any(one["believable"] for one in rig) for rig in levels.values())
        and not (is_full["floor"] and floor[-1]["cpu_percent"] < IDLE_PERCENT),
    }


def _calm(levels: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The first level that was sustained: past what a server can carry, delay has no end."""
    return next((one for one in levels if one["sustained"]), levels[0])


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 2) if whole else None


def _added(one: dict[str, Any], floor: dict[str, Any]) -> float | None:
    part, whole = one["cpu_ms_per_added_session_s"], floor["cpu_ms_per_added_session_s"]
    return None if part is None or whole is None else _share(part, whole)


def told(summary: dict[str, Any], *, stepped: bool) -> list[str]:
    """The same for people."""
    figures = {name: _shown(value) for name, value in summary.items()}
    lines = [
        "At {at_sessions} sessions a session costs {gateway_cpu_of_floor} of the CPU of stock aiortc's echo, each "
        "added one {gateway_added_cpu_of_floor}; our own echo {transport_cpu_of_floor} and "
        "{transport_added_cpu_of_floor}.".format(**figures),
        "Mouth to ear our connections add {transport_mouth_to_ear_p50} ms, stock ones "
        "{floor_mouth_to_ear_p50} ms.".format(**figures),
    ]
    if stepped:
        floor, transport, gateway = (_most(summary, who) for who in ("floor", "transport", "gateway"))
        lines.append(
            f"Sessions per core: floor {floor}, our echo {transport}, gateway {gateway}: "
            f"{figures['sessions_ratio']} times the floor."
        )
    if not summary["believable"]:
        lines.append(
            "Not to be believed: the load generator itself was late, or the floor was with its core half idle. "
            "Run it on a quiet machine."
        )
    return lines


def _most(summary: dict[str, Any], who: str) -> str:
    most = summary[f"{who}_sessions_per_core"]
    if not most:
        return f"fewer than {summary['at_sessions']}"
    return str(most) if summary[f"{who}_is_full"] else f"at least {most}"


def table(figures: Sequence[dict[str, Any]]) -> str:
    """Levels side by side, for people."""
    rows = [("", *(str(one["server"]) for one in figures))]
    rows += [
        (title, *(row.format(**{name: _shown(value) for name, value in one.items()}) for one in figures))
        for title, row in ROWS
    ]
    return _aligned(rows)


def profile_table(profile: dict[str, Any]) -> str:
    """The parts of a session's way, and what they come to of what it was measured to cost; then the delays."""
    measured = profile["measured_ms_per_session_s"] or 0.0
    rows = [("alone, best of three", "a frame", "a session-second", "share")]
    rows += [
        (
            part["part"],
            f"{part['us_per_frame']:.1f} µs",
            f"{part['ms_per_session_s']:.2f} ms",
            _percent(part["ms_per_session_s"], measured),
        )
        for part in profile["parts"]
    ]
    parts = sum(part["ms_per_session_s"] for part in profile["parts"])
    rows += [
        ("all of these", "", f"{parts:.2f} ms", _percent(parts, measured)),
        ("the rest, and colder caches", "", f"{measured - parts:.2f} ms", _percent(measured - parts, measured)),
        (f"measured, an added session at {profile['at_sessions']}", "", f"{measured:.2f} ms", ""),
    ]
    return _aligned(rows) + (
        "\n\nOn a perfect network, by a counted clock: a packet's sound reaches the session {inbound_mean} ms "
        "after it came ({inbound_least} to {inbound_most}), of which it waits {buffer_mean} ms in the jitter "
        "buffer; what a voice gives has left after {outbound_mean} ms ({outbound_least} to {outbound_most}), 6.5 "
        "of them the encoder's.".format(**profile["delays"])
    )


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _shown(value: object) -> object:
    """As people read it: nothing measured is a dash."""
    return "–" if value is None else {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
