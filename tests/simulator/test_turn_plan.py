from __future__ import annotations

from base64 import b64decode

from simulator.sound import Codec, Sound, rms
from simulator.subtitles import SubtitleReader
from simulator.turn_plan import FRAME_BYTES, PAUSES_MS, Turns, plan_of, texts_of

LOUD = Codec.PCMU.decode(b"\x20\xa0" * 4_050)
CLIPS = [Sound("a b c d", LOUD), Sound("e f g h i", LOUD + LOUD[:1_000])]
TURNS = Turns(calls=10, turns=4, pause_share=0.5, seed=3)


def test_the_same_seed_makes_the_same_plan_and_another_another() -> None:
    assert plan_of(TURNS, CLIPS, noise_dbfs=-60.0) == plan_of(TURNS, CLIPS, noise_dbfs=-60.0)
    other = Turns(calls=10, turns=4, pause_share=0.5, seed=4)
    assert texts_of(other, CLIPS) != texts_of(TURNS, CLIPS)


def test_the_sound_tells_its_words_one_after_the_other() -> None:
    plan, texts = plan_of(TURNS, CLIPS, noise_dbfs=-60.0), texts_of(TURNS, CLIPS)
    spoken = [turn for call in plan.calls for turn in call]
    assert {turn.number: turn.text for turn in spoken} == texts
    assert len(set(texts.values())) == 40
    for turn in spoken:
        sound = b"".join(map(b64decode, turn.payloads))
        words = len(turn.text.split())
        assert SubtitleReader().read(sound) == [(turn.number, said) for said in range(1, words + 1)]
        assert all(len(b64decode(payload)) == FRAME_BYTES for payload in turn.payloads)


def test_some_turns_have_a_pause_in_the_middle_and_it_is_as_long_as_told() -> None:
    spoken = [turn for call in plan_of(TURNS, CLIPS, noise_dbfs=-60.0).calls for turn in call]
    paused = [turn for turn in spoken if turn.has_pause]
    assert 0 < len(paused) < len(spoken)
    for turn in spoken:
        quiet = [rms(Codec.PCMU.decode(b64decode(payload))) < 300 for payload in turn.payloads]
        assert not quiet[-1], "its last frame ends the speech"
        pause_ms = 20 * sum(quiet[1:])
        assert (PAUSES_MS[0] - 40 <= pause_ms <= PAUSES_MS[1]) if turn.has_pause else pause_ms == 0


def test_the_line_is_never_digitally_silent() -> None:
    noise = plan_of(TURNS, CLIPS, noise_dbfs=-50.0).noise
    assert all(len(set(b64decode(payload))) > 2 for payload in noise)
