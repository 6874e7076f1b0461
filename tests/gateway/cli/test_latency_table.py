from __future__ import annotations

from gateway.cli.call_review import Exchange, Review, Stages, review
from gateway.cli.latency_table import TITLE, latency_table, summary
from gateway.cli.page import Page, Piece
from simulator.call_result import Turn
from simulator.playback import Underrun
from tests.gateway.cli.recorded import happened, journal_of, recorded_call, result_of


def exchange(number: int, total_ms: int | None, stages: Stages | None) -> Exchange:
    turn = Turn("hello", 0, 1000.0, None if total_ms is None else 1000.0 + total_ms)
    return Exchange(number, turn, stages=stages)


def text_of(line: list[Piece]) -> str:
    return "".join(text for text, _ in line)


PLAIN = exchange(1, 600, Stages(300, 60, 90, None, 120, 30))
TOOLED = exchange(2, 1200, Stages(300, 60, 90, 600, 120, 30))
UNANSWERED = exchange(3, None, None)
UNKNOWN = exchange(4, 600, None)


def test_a_row_holds_each_stage_and_the_total() -> None:
    lines = [text_of(line) for line in latency_table([TOOLED, UNANSWERED, UNKNOWN], 90, is_coloured=False)]
    assert lines[0] == TITLE
    assert lines[1].split() == ["endpoint", "speech", "to"]
    assert lines[2].split() == ["turn", "wait", "to", "text", "model", "tool", "speech", "caller", "total"]
    assert lines[3].split()[:8] == ["2", "300", "60", "90", "600", "120", "30", "1,200"]
    assert lines[4].split() == ["3", *"–––––––"]
    assert lines[5].split() == ["4", *"––––––", "600"]


def test_without_tools_there_is_no_column_for_them() -> None:
    lines = [text_of(line) for line in latency_table([PLAIN], 90, is_coloured=False)]
    assert "tool" not in lines[2]
    assert lines[3].split()[:7] == ["1", "300", "60", "90", "120", "30", "600"]


def test_bars_are_drawn_to_one_scale_and_fill_the_width_at_most() -> None:
    for width in (80, 100, 120):
        lines = [text_of(line) for line in latency_table([PLAIN, TOOLED], width, is_coloured=False)]
        assert all(len(line) <= width for line in lines)
        short, long = (line.split()[-1] for line in lines[3:])
        assert len(short) == round(len(long) / 2)
        assert long == "".join(sorted(long, key="░▒▓▞█─".index))
        assert "▞" in long and "▞" not in short


def test_in_colour_the_stages_differ_by_colour_and_a_slow_total_is_red() -> None:
    *_, plain, tooled = latency_table([PLAIN, TOOLED], 100, is_coloured=True)
    assert {style for text, style in tooled if "█" in text} == {
        "endpoint",
        "stt",
        "model",
        "tooling",
        "speech",
        "wire",
    }
    assert [style for text, style in plain if text.strip() == "600"] == ["bold"]
    assert [style for text, style in tooled if text.strip() == "1,200"] == ["bad"]


def test_there_is_no_bar_where_there_is_no_room() -> None:
    *_, line = latency_table([TOOLED], 60, is_coloured=False)
    assert text_of(line).split()[-1] == "1,200"


def test_the_summary_of_a_recorded_call() -> None:
    events = recorded_call()
    result = result_of(events, underruns=(Underrun(10, 5),))
    line = text_of(summary(review(result, journal_of(events)), result))
    assert line == (
        "median 555 ms · p95 1,160 ms · interruptions 1 · heard 98 % of sent audio · underruns 1 · lost frames 0"
    )


def test_a_call_of_nothing_has_a_summary_too() -> None:
    result = result_of([happened("stream.ended", 5, lost_frames=7)], received_bytes=0, heard_bytes=0)
    line = text_of(summary(Review((), (), ()), result))
    assert line.startswith("median – · p95 – · interruptions 0 · heard – of sent audio")
    assert line.endswith("lost frames 7")


def test_the_table_of_a_recorded_call_fits_a_page_of_eighty_columns() -> None:
    events = recorded_call()
    reviewed = review(result_of(events), journal_of(events))
    out: list[str] = []
    page = Page(out.append, 80)
    for line in latency_table(reviewed.exchanges, 80, is_coloured=False):
        page.line(*line)
    assert len("".join(out).splitlines()) == 3 + 4
