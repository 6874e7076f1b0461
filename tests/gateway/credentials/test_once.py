from __future__ import annotations

from gateway.credentials.once import Once


def test_an_id_is_taken_once_until_it_expires() -> None:
    once = Once()
    assert once.take("a", until_s=10, now_s=0)
    assert not once.take("a", until_s=20, now_s=9.9)
    assert once.was_taken("a", now_s=9.9)
    assert not once.was_taken("a", now_s=10)
    assert once.take("a", until_s=20, now_s=10)
    assert not once.was_taken("b", now_s=0)


def test_when_full_of_what_still_counts_a_further_id_is_refused_and_none_forgotten() -> None:
    once = Once(most=2)
    assert once.take("a", until_s=10, now_s=0)
    assert once.take("b", until_s=20, now_s=0)
    assert not once.take("c", until_s=30, now_s=9)
    assert once.was_taken("a", now_s=9)
    assert once.take("c", until_s=30, now_s=10)
    assert (len(once), once.was_taken("b", now_s=10)) == (2, True)
