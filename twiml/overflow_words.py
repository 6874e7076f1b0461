"""What callers hear for whom there is no room: short sentences, in the languages we have them in.

Pure data. A language without words of its own is spoken to in English, and with an English voice.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One language's sentences; `{…}` is filled in."""

    language: str
    """For Twilio's voice (https://www.twilio.com/docs/voice/twiml/say/text-speech)."""
    all_busy: str
    wait: str
    """Before the queue."""
    position: str
    """`{position}` in the queue, from 2 on."""
    next: str
    """First in the queue."""
    minutes: str
    """`{minutes}` to wait, from 2 on."""
    hold: str
    press_for_callback: str
    """In the queue, when a callback can be had."""
    offer_callback: str
    will_call_back: str
    connecting: str
    leave_message: str
    message_kept: str
    try_later: str
    """The last word."""


_ENGLISH = Words(
    language="en-US",
    all_busy="All our lines are busy.",
    wait="Please hold the line.",
    position="You are number {position} in line.",
    next="You are next in line.",
    minutes="The wait is about {minutes} minutes.",
    hold="Thank you for holding.",
    press_for_callback="Press 1 and we will call you back instead.",
    offer_callback="Press 1, and we will call you back at this number.",
    will_call_back="Thank you. We will call you back. Goodbye.",
    connecting="One moment, we are connecting you.",
    leave_message="Please leave a message after the tone. Press the hash key when you are done.",
    message_kept="Thank you, we have your message. Goodbye.",
    try_later="We are sorry, nobody can take your call just now. Please call again in a few minutes.",
)

_GERMAN = Words(
    language="de-DE",
    all_busy="Alle Leitungen sind besetzt.",
    wait="Bitte bleiben Sie am Apparat.",
    position="Vor Ihnen warten noch andere. Sie haben Platz {position}.",
    next="Sie sind als Nächstes an der Reihe.",
    minutes="Die Wartezeit beträgt etwa {minutes} Minuten.",
    hold="Danke für Ihre Geduld.",
    press_for_callback="Drücken Sie die 1, dann rufen wir Sie zurück.",
    offer_callback="Drücken Sie die 1, dann rufen wir Sie unter dieser Nummer zurück.",
    will_call_back="Danke. Wir rufen Sie zurück. Auf Wiederhören.",
    connecting="Einen Moment, wir verbinden Sie.",
    leave_message="Bitte sprechen Sie nach dem Ton. Drücken Sie die Rautetaste, wenn Sie fertig sind.",
    message_kept="Danke, wir haben Ihre Nachricht. Auf Wiederhören.",
    try_later="Leider kann gerade niemand Ihren Anruf annehmen. Bitte rufen Sie in einigen Minuten wieder an.",
)

_LANGUAGES = {words.language.partition("-")[0]: words for words in (_ENGLISH, _GERMAN)}


def words_in(language: str | None) -> Words:
    """The words in an agent's language, such as `de-AT`."""
    primary = (language or "").partition("-")[0].lower()
    return _LANGUAGES.get(primary, _ENGLISH)
