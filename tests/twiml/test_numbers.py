from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twiml.numbers import WITHHELD, mask, mask_within


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+14155550134", "+1 415 ••• 0134"),
        ("+4915112345678", "+49 ••• 5678"),
        ("+442079460958", "+44 ••• 0958"),
        ("+12345", "•••"),
        ("4155550134", "•••"),
        ("client:alice", "client:•••"),
        ("sip:bob@example.com\nx", "sip:•••"),
        ("sips:bob@example.com", "sips:•••"),
        ("anonymous", "anonymous"),
        ("", "•••"),
        ("+١٤١٥٥٥٥٠١٣٤", "•••"),
    ],
)
def test_a_mask_shows_a_prefix_and_the_last_four_digits_at_most(number: str, shown: str) -> None:
    assert mask(number) == shown


@given(st.text() | st.from_regex(r"\+[0-9]{1,20}", fullmatch=True))
def test_a_mask_never_fails_and_hides_at_least_three_digits(number: str) -> None:
    shown = mask(number)
    assert number in WITHHELD or "•••" in shown
    digits = re.sub(r"[^0-9]", "", number)
    assert len(re.sub(r"[^0-9]", "", shown)) <= max(0, len(digits) - 3)


def test_numbers_within_a_text_are_masked_with_a_plus_or_its_escape() -> None:
    text = "from=+14155550134 to=%2B4915112345678, ext 42"
    assert mask_within(text) == "from=+1 415 ••• 0134 to=+49 ••• 5678, ext 42"


def test_a_long_run_of_digits_within_a_text_does_not_show_through() -> None:
    assert mask_within("+" + "9" * 40) == "+99 ••• 9999"
