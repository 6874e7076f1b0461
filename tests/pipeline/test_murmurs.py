"""Murmurs: sound that is nobody's turn, in the ledger and nowhere else."""

from __future__ import annotations

import pytest

from pipeline import commands
from pipeline.audio.formats import PCM_24K, PCMU
from pipeline.audio.transcode import transcode
from pipeline.events.backchannel import BackchannelAudioDelta, BackchannelAudioDone, BackchannelSkipped
from pipeline.events.event import ServerEvent
from pipeline.events.response import ResponseCreate
from pipeline.reports import AudioMade, Finished, Flushed, Played, TextMade, Transcribed
from pipeline.session import Session
from tests.pipeline.feeding import feed, line, session, silence, speech, voice

SOUND = bytes(range(256)) * 150  # 800 ms at 24 kHz
SAMPLES = PCMU.bytes_in(800)


def listening(*, plays: bool = True) -> Session:
    """The caller has begun to speak."""
    opened = session(plays=plays)
    opened.open()
    feed(opened, line(640), speech(320), speech(352), speech(384))
    assert opened.murmurs.is_welcome
    return opened


def deltas(events: list[ServerEvent]) -> list[BackchannelAudioDelta]:
    return [event for event in events if isinstance(event, BackchannelAudioDelta)]


@pytest.mark.proves("G4-backchannel")
def test_a_murmur_is_sound_and_then_its_phrase_under_one_id() -> None:
    to = listening()
    events = to.murmurs.say(to.murmurs.begin(), "okay", SOUND)
    assert [type(event) for event in events] == [BackchannelAudioDelta] * 2 + [BackchannelAudioDone]
    assert events[-1] == BackchannelAudioDone(event_id="event", backchannel_id="bc_1", phrase="okay")
    assert [len(delta.delta) for delta in deltas(events)] == [19_200, 19_200]
    assert b"".join(delta.delta for delta in deltas(events)) == SOUND
    assert b"".join(delta.line for delta in deltas(events)) == transcode(SOUND, PCM_24K, PCMU)


def test_what_a_change_of_rate_leaves_over_is_in_the_last_piece() -> None:
    to = listening()
    odd = SOUND[: 2 * 9_601]
    (first, second) = deltas(to.murmurs.say("bc", "okay", odd))
    assert (len(first.delta), len(second.delta)) == (19_200, 2)
    assert first.line + second.line == transcode(odd, PCM_24K, PCMU)


def test_the_ledger_counts_its_samples_and_nobody_is_interrupted() -> None:
    to = listening()
    to.murmurs.say("bc", "okay", SOUND)
    assert (to.ledger.end, to.ledger.is_drained, to.is_heard) == (SAMPLES, False, False)
    ended = feed(to, line(900), silence(1_500))
    assert not [output for output in ended if isinstance(output, commands.Flush)]
    begun = feed(to, line(200), speech(1_600), speech(1_632), speech(1_664))
    assert [type(output) for output in begun if isinstance(output, commands.Command)] == [commands.Transcribe]


def test_an_answer_behind_it_is_heard_from_its_own_first_sample() -> None:
    to = listening()
    to.murmurs.say("bc", "okay", SOUND)
    feed(to, line(900), silence(1_500))
    feed(to, Transcribed("item_1", "Is it?", is_final=True))
    response_id = "resp_1"
    feed(to, TextMade(response_id, "Yes."), AudioMade(response_id, voice(400), "Yes."), Finished(response_id, 1, 1))
    assert to.ledger.end == SAMPLES + PCMU.bytes_in(400)
    feed(to, Played(SAMPLES))
    item_id = to.conversation.items[-1].id
    assert (to.is_heard, to.ledger.heard(item_id).ms) == (True, 0)
    feed(to, Played(SAMPLES + PCMU.bytes_in(400)))
    assert (to.is_heard, to.ledger.heard(item_id).text) == (False, "Yes.")


def test_a_flush_throws_it_away_like_any_sound() -> None:
    to = listening()
    to.murmurs.say("bc", "okay", SOUND)
    assert feed(to, Flushed(80)) == []
    assert (to.ledger.end, to.ledger.spoken_end, to.ledger.is_drained) == (80, 0, True)


def test_a_client_that_plays_has_the_sound_and_the_ledger_has_none() -> None:
    to = listening(plays=False)
    events = to.murmurs.say("bc", "okay", SOUND)
    assert {delta.line for delta in deltas(events)} == {b""}
    assert to.ledger.end == 0


def test_nothing_is_said_to_who_does_not_speak_or_is_answered() -> None:
    quiet = session()
    quiet.open()
    assert quiet.murmurs.say("bc", "okay", SOUND) == []
    to = listening()
    feed(to, ResponseCreate())
    assert to.murmurs.say("bc", "okay", SOUND) == []
    ended = listening()
    ended.close()
    assert ended.murmurs.say("bc", "okay", SOUND) == []
    assert (quiet.ledger.end, to.ledger.end, ended.ledger.end) == (0, 0, 0)


def test_a_skip_names_its_reason_and_its_attempt_if_there_was_one() -> None:
    to = listening()
    assert to.murmurs.skip("min_gap_not_elapsed") == [
        BackchannelSkipped(event_id="event", reason="min_gap_not_elapsed")
    ]
    assert to.murmurs.skip("no_phrase", to.murmurs.begin()) == [
        BackchannelSkipped(event_id="event", reason="no_phrase", backchannel_id="bc_1")
    ]
