"""A call as a person watches it: the webhook, the stream, then who says what, while it is said.

Fed by both records as they come, writes on a page, keeps no clock. Lines stand in the order of their times: what
the caller says into the agent's speech waits until it is known what became of that speech. The agent's line begins
when the caller hears it, and its words follow when the gateway tells them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.cli.call_events import Entry
from gateway.cli.page import Page, Piece
from gateway.logs import masked
from simulator.call_result import Happening
from simulator.sound import FRAME_MS

_INDENT: Final = 17
"""Where the words begin: a blank, the time, a blank, who, a blank."""

_UNHEARD_CHARS: Final = 90
"""So much of what nobody heard is shown."""

_TAIL_WORDS: Final = 6


def clock_text(at_ms: float) -> str:
    """`00:04.66`."""
    hundredths = round(max(0.0, at_ms) / 10)
    return f"{hundredths // 6000:02}:{hundredths // 100 % 60:02}.{hundredths % 100:02}"


class CallView:
    """One call's. `see` takes what the simulator saw, `tell` what the gateway told."""

    def __init__(self, page: Page, *, has_journal: bool) -> None:
        self._page = page
        self._has_journal = has_journal
        self._is_first = True
        self._stream_url, self._stream_sid = "", ""
        self._said = ""
        self._waiting: list[Callable[[], None]] = []
        """Lines that wait until it is known how much of the agent's speech was heard."""
        self._is_cutting = False
        self._audible_since_ms: float | None = None
        self._has_words = False
        self._texts: dict[str, str] = {}
        """By item: what the agent says and is not written yet."""
        self._barge_in: tuple[float, float | None, float | None] | None = None
        """Of the caller's last: after how much of the agent's speech, ms until the clear, ms truly heard."""
        self._takers: dict[str, Callable[[Happening], None]] = {
            "webhook": self._webhook,
            "verb": self._verb,
            "stream.opened": self._note_stream,
            "start": self._start,
            "stream.refused": self._refused,
            "agent.heard": self._agent_heard,
            "agent.silent": self._agent_silent,
            "caller.speaks": self._caller_speaks,
            "caller.stops": lambda _: self._settle_cut(),
            "caller.impatient": self._impatient,
            "barge_in": self._barged_in,
            "clear": self._cleared,
            "dtmf": self._pressed,
            "complaint": self._complaint,
            "stream.ended": self._stream_ended,
            "call.ended": self._call_ended,
        }
        self._tellers: dict[str, Callable[[float, dict[str, Any]], None]] = {
            "transcript.done": self._transcript,
            "transcript.truncated": self._truncated,
            "transcript.failed": self._gateway_failed,
            "response.failed": self._gateway_failed,
            "error": self._gateway_failed,
            "interrupted": lambda _at_ms, _fields: self._begin_cut(),
            "tool.done": self._tool,
            "journal.gap": self._journal_gap,
        }

    def see(self, happening: Happening) -> None:
        """Something happened on Twilio's side."""
        if (take := self._takers.get(happening.name)) is not None:
            take(happening)

    def tell(self, entry: Entry, at_ms: float) -> None:
        """The gateway told something, which reached us at `at_ms` of the call."""
        if (teller := self._tellers.get(entry.name)) is not None:
            teller(at_ms, dict(entry.fields))

    def close(self) -> None:
        """Nothing more comes: whatever waited is written."""
        self._settle_cut()
        self._page.end()

    # The way in.

    def _webhook(self, one: Happening) -> None:
        """The first stands above the talk; a later one is a line of it."""
        detail = one.detail
        method, url = f"{detail['method']} ", str(detail["url"])
        if "error" in detail:
            answer: list[Piece] = [(f"  failed, Twilio error {detail['error']}", "bad")]
        else:
            answer = [("  signed as Twilio  ", "dim"), (str(detail["status"]), "figure")]
            answer.append((f"  {_float(detail['took_ms']):.0f} ms", "dim"))
        if self._is_first:
            self._page.line((method, "dim"), (url, "link"), *answer, indent=5)
        else:
            self._line(one.at_ms, "call", (method + (urlsplit(url).path or "/"), "dim"), *answer)
        self._is_first = False

    def _note_stream(self, one: Happening) -> None:
        self._stream_url = masked(str(one.detail["url"]))
        self._stream_sid = str(one.detail["stream_sid"])

    def _start(self, one: Happening) -> None:
        law = "µ-law" if one.detail["encoding"] == "audio/x-mulaw" else "A-law"
        pieces: list[Piece] = [("WS   ", "dim"), (self._stream_url, "link"), ("  streamSid ", "dim")]
        pieces.append((f"{self._stream_sid[:6]}…{self._stream_sid[-4:]}", "figure"))
        pieces.append((f"  {law} 8 kHz 20 ms", "dim"))
        parameters = one.detail["parameters"]
        if isinstance(parameters, dict):
            for name, value in parameters.items():
                pieces.append((f"  {name}={value}", "dim"))
        self._page.line(*pieces, indent=5)
        self._page.gap()

    def _refused(self, one: Happening) -> None:
        status = one.detail["http_status"]
        self._line(
            one.at_ms, "call", (f"the media stream was refused{f' with HTTP {status}' if status else ''}", "bad")
        )

    def _verb(self, one: Happening) -> None:
        match one.detail["verb"]:
            case "Say":
                self._line(one.at_ms, "agent", (str(one.detail["text"]), "plain"), ("  (<Say>)", "dim"))
            case "Connect" | "Hangup":
                pass  # told by the stream's line and by the call's end
            case name:
                self._line(one.at_ms, "call", (f"<{name}>", "plain"))

    # The conversation.

    def _agent_heard(self, one: Happening) -> None:
        self._settle_cut()
        self._audible_since_ms, self._has_words = one.at_ms, False
        self._begin(one.at_ms, "agent")
        for item_id in list(self._texts):
            self._write_text(self._texts.pop(item_id), "plain")

    def _agent_silent(self, one: Happening) -> None:
        self._settle_cut()
        if self._audible_since_ms is None:
            return
        if not self._has_words:
            seconds = (_float(one.detail["media_ms"]) - _float(one.detail["start_ms"])) / 1000
            self._write_text(f"({seconds:.1f} s of speech)", "dim")
        self._audible_since_ms = None
        self._page.end()

    def _caller_speaks(self, one: Happening) -> None:
        text = self._said = str(one.detail["text"])
        if self._audible_since_ms is not None:
            self._waiting.append(lambda: self._line(one.at_ms, "caller", (text, "plain")))
        else:
            self._line(one.at_ms, "caller", (text, "plain"))

    def _impatient(self, one: Happening) -> None:
        waited_s = _float(one.detail["waited_ms"]) / 1000
        self._line(one.at_ms, "caller", (f"(goes on after waiting {waited_s:.1f} s for the agent)", "dim"))

    def _pressed(self, one: Happening) -> None:
        self._line(one.at_ms, "caller", ("presses ", "dim"), (str(one.detail["digit"]), "figure"))

    def _barged_in(self, one: Happening) -> None:
        self._barge_in = (_float(one.detail["agent_heard_ms"]), None, None)

    def _cleared(self, one: Happening) -> None:
        if self._barge_in is None:
            return
        since_ms, heard_bytes = one.detail["since_caller_spoke_ms"], one.detail["utterance_heard_bytes"]
        self._barge_in = (
            self._barge_in[0],
            None if since_ms is None else _float(since_ms),
            _float(heard_bytes) / 8,
        )
        if not self._has_journal:
            self._settle_cut()

    def _begin_cut(self) -> None:
        self._is_cutting = True

    def _settle_cut(self) -> None:
        """The agent's speech that was spoken into is done with: tell what is known, and what waited for it."""
        if self._is_cutting:
            self._texts.clear()  # cut off, and how much of it was heard was never told
        self._is_cutting = False
        if self._barge_in is not None and self._barge_in[1] is not None:
            self._scissors("")
        self._barge_in = None
        waiting, self._waiting = self._waiting, []
        for write in waiting:
            write()

    def _truncated(self, at_ms: float, fields: dict[str, Any]) -> None:
        heard, text = str(fields["heard"]), self._texts.pop(fields["item_id"], None)
        if text is not None and self._audible_since_ms is not None:
            self._write_text(heard, "plain")
            unheard = text.removeprefix(heard).strip()
            if unheard:
                self._write_text("✂", "bad")
                self._write_text(_shortened(unheard), "struck")
        self._scissors(heard)
        self._settle_cut()

    def _scissors(self, heard: str) -> None:
        if self._barge_in is None or self._barge_in[1] is None:
            return
        after_ms, cleared_ms, heard_ms = self._barge_in
        self._barge_in, self._audible_since_ms = None, None
        words = heard.split()
        tail = ("… " if len(words) > _TAIL_WORDS else "") + " ".join(words[-_TAIL_WORDS:])
        told = f': "{tail}"' if words else ""
        self._page.line(
            (" " * 10, "plain"),
            ("✂".ljust(7), "bad"),
            (f"barge-in after {after_ms / 1000:.1f} s, cleared in {cleared_ms:.0f} ms; ", "dim"),
            (f"heard {_float(heard_ms) / 1000:.1f} s{told}", "dim"),
            indent=_INDENT,
        )

    def _transcript(self, at_ms: float, fields: dict[str, Any]) -> None:
        text = str(fields["text"])
        if fields["speaker"] == "caller":
            self._understood(text)
        elif self._audible_since_ms is not None and not self._is_cutting:
            self._write_text(text, "plain")
        elif text:
            self._texts[fields["item_id"]] = text

    def _understood(self, text: str) -> None:
        if _words(text) != _words(self._said):
            told = f'understood as "{text}"' if text else "not understood"
            self._page.line((" " * _INDENT, "plain"), (told, "dim"), indent=_INDENT)

    def _tool(self, at_ms: float, fields: dict[str, Any]) -> None:
        call = f"{fields['name']}({_arguments(fields['arguments'])})"
        took = f"  {fields['ms']:.0f} ms"
        # The caller's ear tells of a frame when it is over; so that no line goes back in time, this is of the last.
        at_ms = at_ms // FRAME_MS * FRAME_MS - FRAME_MS
        self._line(at_ms, "tool", (call, "plain"), (" → ", "dim"), (fields["output"], "plain"), (took, "dim"))

    def _gateway_failed(self, at_ms: float, fields: dict[str, Any]) -> None:
        what = " ".join(str(fields[key]) for key in ("code", "message") if fields.get(key))
        self._line(at_ms, "call", (f"the gateway reports: {what}", "bad"))

    def _journal_gap(self, at_ms: float, fields: dict[str, Any]) -> None:
        self._line(at_ms, "call", (f"({fields['dropped']} events of the gateway's journal are missing)", "dim"))

    # The way out.

    def _complaint(self, one: Happening) -> None:
        self._line(one.at_ms, "call", (f"✗ Twilio would report {_without_code(one)}", "bad"))

    def _stream_ended(self, one: Happening) -> None:
        if one.detail["by"] == "gateway" and one.detail["close_code"] != 1000:
            self._line(one.at_ms, "call", (f"the gateway closed the stream with {one.detail['close_code']}", "bad"))

    def _call_ended(self, one: Happening) -> None:
        self.close()
        self._line(one.at_ms, "call", (f"{one.detail['reason']}, after {one.detail['duration_s']} s", "plain"))

    # Writing.

    def _begin(self, at_ms: float | None, who: str) -> None:
        when = " " * 8 if at_ms is None else clock_text(at_ms)
        self._page.begin((f" {when} ", "dim"), (who, who), (" " * (7 - len(who)), "plain"), indent=_INDENT)

    def _line(self, at_ms: float, who: str, *pieces: Piece) -> None:
        self._begin(at_ms, who)
        self._page.add(*pieces)
        self._page.end()

    def _write_text(self, text: str, style: str) -> None:
        """Words of the agent; in a line without a time, where another line came between."""
        if not text:
            return
        if not self._page.is_open:
            self._begin(None, "agent")
            self._has_words = False
        self._page.add(*([(" ", "plain")] if self._has_words else []), (text, style))
        self._has_words = True


def _float(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _words(text: str) -> list[str]:
    return "".join(one for one in text.lower() if one.isalnum() or one.isspace()).split()


def _shortened(text: str) -> str:
    return text if len(text) <= _UNHEARD_CHARS else text[:_UNHEARD_CHARS].rsplit(" ", 1)[0] + " …"


def _arguments(text: str) -> str:
    """`order_id="4815"` for `{"order_id": "4815"}`; what is no object as it is."""
    try:
        values = json.loads(text)
    except ValueError:
        return text
    if not isinstance(values, dict):
        return text
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items())


def _without_code(one: Happening) -> str:
    """Complaints of the webhook begin with their number, those of the stream do not."""
    code, message = str(one.detail["code"]), masked(str(one.detail["message"]))
    return message if message.startswith(code) else f"{code}: {message}"
