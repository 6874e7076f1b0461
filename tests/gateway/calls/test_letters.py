from __future__ import annotations

import msgspec
import pytest

from gateway.calls.letters import FRESH_S, Alive, Answer, Ask, Letters, Message, Over, Piece
from gateway.calls.orders import Done, HangUp, Join, Listen, Refused, Say, Transfer, Whisper
from gateway.calls.seals import SEAL_BYTES, Seals
from pipeline.dialects import Dialect

NOW_S = 1_800_000_000.0
SID = f"CA{1:032x}"
ALL: list[Message] = [
    Ask("1", "one", SID, Say(text="Hello.", interrupts=True)),
    Ask("2", "one", SID, Whisper(text="A VIP.", answer=True)),
    Ask("3", "one", SID, Transfer(to="sales", farewell="One moment.")),
    Ask("4", "one", SID, HangUp()),
    Ask("5", "one", SID, Listen()),
    Ask("6", "one", SID, Join(Dialect.GA)),
    Answer("1", Done("speaking")),
    Answer("1", Refused(status_code=409, code="x", message="y", retry_after_s=1)),
    Piece("5", True, 7, b"\x00\xff"),
    Alive("5", False, 8),
    Over("5", False, 9),
]


def letters(name: str, *keys: str) -> Letters:
    return Letters(Seals(keys or ("secret",)), name)


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_what_one_worker_writes_the_other_reads(message: Message) -> None:
    assert letters("two").read(letters("one").written("two", message, NOW_S), NOW_S) == message


def test_a_letter_for_another_worker_is_not_read() -> None:
    assert letters("three").read(letters("one").written("two", ALL[0], NOW_S), NOW_S) is None


@pytest.mark.parametrize("apart_s", [FRESH_S, -FRESH_S])
def test_clocks_may_differ_and_old_letters_are_not_read(apart_s: float) -> None:
    letter = letters("one").written("two", ALL[0], NOW_S)
    assert letters("two").read(letter, NOW_S + apart_s) == ALL[0]
    assert letters("two").read(letter, NOW_S + 1.01 * apart_s) is None


def test_nobody_without_the_secret_writes_or_changes_one() -> None:
    reader = letters("two")
    assert reader.read(letters("one", "guessed").written("two", ALL[3], NOW_S), NOW_S) is None
    letter = letters("one").written("two", ALL[3], NOW_S)
    for at in (0, SEAL_BYTES - 1, SEAL_BYTES, len(letter) - 1):
        changed = bytearray(letter)
        changed[at] ^= 1
        assert reader.read(bytes(changed), NOW_S) is None
    for junk in (b"", b"x", letter[:SEAL_BYTES], letter[SEAL_BYTES:]):
        assert reader.read(junk, NOW_S) is None


def test_a_secret_can_be_changed_while_letters_are_under_way() -> None:
    letter = letters("one", "old").written("two", ALL[0], NOW_S)
    assert letters("two", "new", "old").read(letter, NOW_S) == ALL[0]
    assert letters("two", "new").read(letter, NOW_S) is None


def test_a_letter_of_another_version_is_not_read() -> None:
    sealed = Seals(["secret"]).sealed(msgspec.msgpack.encode(["two", NOW_S, [99, "what"]]))
    assert letters("two").read(sealed, NOW_S) is None
