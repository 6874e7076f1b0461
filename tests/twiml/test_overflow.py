from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twiml.overflow import APOLOGY, Ladder, Rung, RungKind, read_ladder

WORDS = ["queue", "callback", "voicemail", "+493012345", "+15550100001"]


def test_a_ladder_is_read_in_its_order_and_always_ends_in_an_apology() -> None:
    ladder = read_ladder(" queue,callback , +493012345, voicemail")
    assert ladder == Ladder(
        (
            Rung(RungKind.QUEUE),
            Rung(RungKind.CALLBACK),
            Rung(RungKind.NUMBER, "+493012345"),
            Rung(RungKind.VOICEMAIL),
            APOLOGY,
        )
    )
    assert str(ladder) == "queue,callback,+493012345,voicemail,apology"
    assert read_ladder("apology").rungs == (APOLOGY,)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "'' is not one of queue, callback, voicemail, apology and no number like +493012345"),
        ("queue,", "'' is not one of"),
        ("number", "'number' is not one of"),
        ("030123456", "'030123456' is not one of"),
        ("queue, queue", "'queue' stands twice"),
        ("apology, voicemail", "'voicemail' stands behind apology, which ends the call"),
        (",".join(f"+4930123450{n:02}" for n in range(10)), "has 11 steps with the apology; 10 are the most"),
    ],
)
def test_a_faulty_ladder_is_refused_by_the_word_that_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        read_ladder(text)


@given(st.lists(st.sampled_from(WORDS), unique=True, min_size=1), st.integers(-3, 20))
def test_every_way_up_the_ladder_comes_to_the_apology(words: list[str], place: int) -> None:
    ladder = read_ladder(",".join(words))
    assert read_ladder(str(ladder)) == ladder
    assert ladder.rungs[-1] == APOLOGY and ladder.rungs.count(APOLOGY) == 1
    assert ladder.at(place) == (ladder.rungs[place] if 0 <= place < len(ladder.rungs) else APOLOGY)
    queue = ladder.place_of_queue()
    assert (queue is None) is ("queue" not in words)
    assert queue is None or str(ladder.at(queue)) == "queue"
