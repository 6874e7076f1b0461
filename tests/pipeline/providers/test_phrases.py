"""From phrases to a grammar."""

from __future__ import annotations

import pytest

from pipeline.providers.phrases import SOUNDS, is_expected, phrase_grammar, words_of


def test_every_word_is_listed_once_with_the_digits_and_without_rules_or_signs() -> None:
    words = words_of(["(Talk | speak) to [a] person", "talk about <digits>", "what's <digit>"])
    assert words == sorted(set(words))
    assert {"talk", "speak", "to", "a", "person", "about", "what's", "oh", "nine"} <= set(words)
    assert not {"digits", "digit"} & set(words)


def test_the_grammar_holds_each_phrase_and_a_way_out() -> None:
    grammar = phrase_grammar(["Hello", "order <digits>"])
    assert grammar.startswith("#JSGF V1.0;")
    assert "<expected> = (hello) | (order <digits>);" in grammar
    assert all(sound in grammar for sound in SOUNDS)


def test_an_unknown_rule_is_refused_with_the_phrase_that_uses_it() -> None:
    with pytest.raises(ValueError, match=r"'order <number>' uses <number>; only <digit> and <digits> are known"):
        phrase_grammar(["hello", "order <number>"])


def test_a_hypothesis_of_sounds_or_of_nothing_is_not_expected() -> None:
    assert is_expected("hello")
    assert not is_expected("sound_aa sound_b")
    assert not is_expected("")
