"""A corpus of turns with pauses of known truth, and a caller who speaks them to a rule of turn-taking.

`|900|` in a turn is a pause of 900 ms in which the caller has not finished; at its end the caller has. One sample
is one millisecond here.

The corpus was written together with the rules. It shows that what they know works, from score to boundary, and
that it goes on working; how often callers pause where no rule looks, it does not show.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pipeline.reports import SpeechScored
from pipeline.turn.semantic_vad import SemanticTurns

RATE_HZ = 1_000
FRAME_MS = 20
WINDOW_MS = 32
WORD_MS = 300

TURNS = """
hello
hi there
yes
no thank you
yes please
that's right
that's all thanks
good morning i'd like to book a table for two
what time do you open on sundays
where are you located
can i speak to somebody in sales please
could you tell me where my order is right now
i need to change my flight
thursday at half past seven
it was in 2019
two
about twenty people
no that's not what i meant
i think so
yes it is
yes i do
hola quiero reservar una mesa para dos personas
können sie mich bitte zurückrufen
je voudrais parler à quelqu'un
rufen sie mich morgen an
my name is |900| sarah miller
my name is |1500| um |800| it's thomas
i'd like to order a |700| large pizza with mushrooms
i'm calling because |1100| my internet is down
i want to |600| cancel my subscription
i need a flight from |900| boston to |700| chicago
the appointment is on |800| tuesday the fourth
could you |650| send that again
can you tell me if |800| the shop is open today
um |1200| i don't know
so |700| what happens next
okay so |900| i have a question
let me see |2500| the twelfth of may
hold on |3000| yes i have it here
well i was wondering |800| whether you deliver
i would like |900| the red one
it's about my |700| last invoice
i've been waiting since monday and |900| nobody called me
either tomorrow or |1000| the day after
we'll be there at |800| eight
is there a |700| vegetarian option
i have two children and |600| a dog
the problem is |900| it doesn't turn on
they said that the |800| parcel was delivered
my address is |1300| twelve main street
my email is |900| john dot smith |800| at example |700| dot com
john smith at |900| example dot |700| com
my number is |800| five five five |900| one two three |900| four five six seven
five five five |900| one two three |900| four five six seven
five |900| five |900| five |900| one |900| two |900| three |900| four |900| five |900| six |900| seven
555 |900| 123 |900| 4567
you can reach me at five five five |900| one two three |900| four five six seven
my phone number is oh seven nine one one |900| one two three |900| four five six
my phone number is double five |900| five one two |900| three four five six seven
the card number is 4242 |1000| 4242 |1000| 4242 |1000| 4242
the order number is 12 |900| 34 |900| 56
my account is b |700| four |700| seven two nine
it's spelled s |700| m |700| i |700| t |700| h
m as in mike |900| o |700| n as in nancy
my zip code is nine four |900| one oh three
my pin is four two |900| seven one
i'd like a table |300| for four people
i want the blue one |300| in size nine
i'm not sure |320| maybe next week
yes |300| that would be great
i was there yesterday |280| but nobody came
can you check |300| if my parcel has arrived
i'd like to book a room |900| with a view
""".strip().splitlines()


@dataclass(slots=True)
class Outcome:
    cut_ins: list[str] = field(default_factory=list)
    """Where the rule took the turn from a caller who had not finished."""
    waits_ms: list[int] = field(default_factory=list)
    """Silence after the end of each turn until the rule took it."""
    pauses: int = 0


class Caller:
    """Speaks to a rule, with a transcriber that is `words_lag_ms` behind; None: one that gives no partial words."""

    def __init__(self, turns: SemanticTurns, words_lag_ms: int | None) -> None:
        self.turns = turns
        self.words_lag_ms = words_lag_ms
        self.now = 0
        self._voice_end = 0
        self._text: list[str] = []
        self._text_due: int | None = None

    def say(self, words: str) -> None:
        if not self.turns.is_speaking:
            self._text = []
        until = self.now + WORD_MS * len(words.split())
        while self.now < until:
            self._tick(is_voice=True)
        self._text += words.split()
        if self.words_lag_ms is not None:
            self._text_due = self._voice_end + self.words_lag_ms

    def pause(self, ms: int) -> int | None:
        """How much silence there was when the rule took the turn, if it did within `ms`."""
        until = self._voice_end + ms
        while self.now < until:
            if self._tick(is_voice=False):
                return self.now - self._voice_end
        return None

    def _tick(self, is_voice: bool) -> bool:
        """One frame, of which the windows that end in it are scored. Whether the turn is over."""
        before = self.now
        self.now += FRAME_MS
        if is_voice:
            self._voice_end = self.now
        was_speaking = self.turns.is_speaking
        if self._text_due is not None and self.now >= self._text_due:
            self._text_due = None
            self.turns.words(" ".join(self._text))
        for end in range((before // WINDOW_MS + 1) * WINDOW_MS, self.now + 1, WINDOW_MS):
            probability = 0.9 if end - WINDOW_MS < self._voice_end else 0.1
            self.turns.judge(SpeechScored(end, probability, min(end, self._voice_end)))
        if self.turns.is_over(self.now):
            self.turns.end()
        return was_speaking and not self.turns.is_speaking


def speak(turn: str, turns: SemanticTurns, words_lag_ms: int | None, outcome: Outcome) -> None:
    """One turn of the corpus from rest to rest."""
    caller = Caller(turns, words_lag_ms)
    *pieces, last = re.split(r"\s*\|(\d+)\|\s*", turn)
    for words, gap_ms in zip(pieces[::2], pieces[1::2], strict=True):
        outcome.pauses += 1
        caller.say(words)
        if caller.pause(int(gap_ms)) is not None:
            outcome.cut_ins.append(f"{turn}: after {words!r}")
    caller.say(last)
    wait_ms = caller.pause(20_000)
    assert wait_ms is not None, turn
    outcome.waits_ms.append(wait_ms)
