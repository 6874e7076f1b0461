"""The output line: the ledger, the playout and the kept sound agree on every sample."""

from __future__ import annotations

from pipeline.audio.formats import PCM_8K, PCM_24K, PCMU
from pipeline.kept_audio import KeptAudio
from pipeline.output_line import OutputLine
from pipeline.reports import AudioMade
from tests.fakes import Ids
from tests.pipeline.expected import has_played, is_cleared, plays
from tests.pipeline.feeding import voice


def line(*, our_own: bool = True) -> OutputLine:
    return OutputLine(PCMU, KeptAudio(100_000), Ids(), plays=our_own)


def made(ms: int) -> AudioMade:
    return AudioMade("resp_1", voice(ms), "Hello.")


def test_what_is_made_sounds_until_it_was_heard() -> None:
    out = line()
    out.write("resp_1", "item_1", made(100), PCMU)
    assert out.is_sounding
    assert out.finish("resp_1") == []
    assert out.play(400) == [plays("resp_1")]
    assert out.play(9_999) == [has_played("resp_1")], "no further than it was made"
    assert (out.is_sounding, line().is_sounding) == (False, False)
    assert (out.ledger.kept_ms("item_1"), out.kept.of("item_1")) == (100, voice(100))


def test_a_murmur_is_counted_and_does_not_sound() -> None:
    out = line()
    out.murmur(voice(100))
    assert (out.ledger.end, out.is_sounding) == (800, False)
    out.write("resp_1", "item_1", made(100), PCMU)
    assert out.is_sounding, "what is said behind it does"
    assert out.play(800) == []
    assert out.play(801) == [plays("resp_1")]
    out.finish("resp_1")
    out.murmur(voice(100))
    assert out.play(1_600) == [has_played("resp_1")]
    assert (out.is_sounding, out.ledger.is_drained) == (False, False)


def test_a_flush_clears_what_the_ledger_cuts() -> None:
    out = line()
    out.write("resp_1", "item_1", made(100), PCMU)
    out.play(80)
    (cut,) = out.ledger.flush(400)
    assert (cut.item_id, cut.ms) == ("item_1", 50)
    assert out.flush() == [is_cleared("resp_1")]


def test_a_flush_that_is_late_clears_at_the_position_that_was_told() -> None:
    out = line()
    out.write("resp_1", "item_1", made(100), PCMU)
    out.finish("resp_1")
    out.play(400)
    out.ledger.flush(80)
    assert out.flush() == [is_cleared("resp_1")]
    assert out.ledger.position == 400


def test_a_client_that_plays_for_itself_is_told_nothing_of_its_own_loudspeaker() -> None:
    out = line(our_own=False)
    out.write("resp_1", "item_1", made(100), PCMU)
    assert not out.is_sounding
    assert [*out.play(800), *out.finish("resp_1")] == []
    assert out.ledger.kept_ms("item_1") == 100


def test_sound_in_a_format_of_its_own_is_counted_in_time_and_not_kept() -> None:
    out = line(our_own=False)
    sound = AudioMade("resp_1", bytes(PCM_24K.bytes_in(500)), "Hello.")
    out.write("resp_1", "item_1", sound, PCM_24K)
    assert (out.ledger.kept_ms("item_1"), out.kept.of("item_1")) == (500, None)


def test_before_the_first_sound_the_line_may_have_another_format() -> None:
    out = line(our_own=False)
    out.follow(PCM_24K)
    assert out.format == PCM_24K
    out.write("resp_1", "item_1", AudioMade("resp_1", bytes(PCM_8K.bytes_in(100))), PCM_8K)
    assert (out.ledger.end, out.ledger.kept_ms("item_1")) == (2_400, 100)
