"""What surrounds a session in random tests: workers who do as they are told, late or twice, and a peer who does as
it likes. A step is a name, a number and a flag; the same steps do the same, whoever chose them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from pipeline import reports
from pipeline.audio.formats import PCM_24K
from pipeline.commands import CallMcpTool, CallTool, EndTranscription, Flush, ListTools, Respond, Transcribe
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import output_audio as played
from pipeline.events import response as resp
from pipeline.events import session as sess
from pipeline.events.config import McpServer, SemanticVad, ServerVad
from pipeline.events.event import ClientEvent
from pipeline.events.items import (
    AnyItem,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    ItemReference,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    Message,
)
from pipeline.limits import Limits
from pipeline.mcp.tool import McpTool
from pipeline.session import Output, Session
from tests.fakes import Ids
from tests.pipeline.expected import typed
from tests.pipeline.feeding import CONFIG, TOOLS, Input, feed
from tests.pipeline.judge import Judge

replace = msgspec.structs.replace

FREE: Final = McpServer(server_label="free", server_url="https://free.example", require_approval="never")
ASKS: Final = McpServer(server_label="asks", server_url="https://asks.example")
LISTED: Final = (McpTool("look", "Looks.", {"type": "object"}, None), McpTool("write", "", {}, None))
AUTOMATIC: Final = {"auto_tool_response": True}

CONFIGS: Final = (
    CONFIG,
    replace(CONFIG, turn_detection=ServerVad(interrupt_response=False, silence_duration_ms=100)),
    replace(CONFIG, turn_detection=ServerVad(create_response=False, idle_timeout_ms=5_000)),
    replace(CONFIG, turn_detection=ServerVad(idle_timeout_ms=5_000), transcription=None),
    replace(CONFIG, turn_detection=SemanticVad(eagerness="high")),
    replace(CONFIG, turn_detection=SemanticVad(interrupt_response=False), transcription=None),
    replace(CONFIG, turn_detection=None),
    replace(CONFIG, output_modality="text"),
    replace(CONFIG, output_format=PCM_24K),
    replace(CONFIG, input_format=PCM_24K),
    replace(CONFIG, tools=(*TOOLS, FREE, ASKS)),
    replace(CONFIG, tools=(FREE,), provider_data=AUTOMATIC),
    replace(CONFIG, tools=(ASKS,), turn_detection=None, provider_data=AUTOMATIC),
)
TRANSCRIBING: Final = (
    replace(CONFIG, type="transcription", turn_detection=ServerVad(idle_timeout_ms=5_000)),
    replace(CONFIG, type="transcription", turn_detection=None),
)
SMALL: Final = Limits(buffered_bytes=20_000, kept_audio_bytes=6_000, items=60, conversation_bytes=20_000)
"""So that each limit is met."""
VOICE: Final = b"\x20\x00"

Step: TypeAlias = tuple[str, int, bool]


class World:
    """A session, its judge, and what both have been told so far."""

    def __init__(self, *, plays: bool, transcribes: bool = False, first: int = 0, apology: str = "Sorry.") -> None:
        self.configs = TRANSCRIBING if transcribes else CONFIGS
        first_config = self.configs[first % len(self.configs)]
        if plays:  # its line has one format, from the beginning
            first_config = replace(
                first_config, input_format=CONFIG.input_format, output_format=CONFIG.output_format
            )
        self.session = Session(
            first_config,
            Ids(),
            plays=plays,
            own_tools=frozenset({"own", "farewell"}),
            apology=apology,
            limits=SMALL,
        )
        self.judge = Judge(plays=plays)
        self.plays = plays
        self.voiced: dict[str, list[str]] = {}
        """Words that got sound, by item."""
        self.cut_off: set[str] = set()
        """Responses whose model stopped early, though its words may not all have sound here."""
        self._speaking: list[Respond] = []
        """Those commanded, in order; a worker goes on reporting for them after they are over."""
        self._utterances = ["item_0"]
        self._calls = ["call_0"]
        self._listings = ["mcpl_0"]
        self._mcp_calls = ["mcp_0"]
        self._requests = ["mcpr_0"]
        self._thoughts: dict[str, list[str]] = {}
        self._made = 0
        self.judge.see(self.session.open())

    def do(self, step: Step) -> None:
        kind, number, flag = step
        for each in INPUTS[kind](self, number, flag):
            self._give(each)
        self.judge.rest()

    def end(self) -> None:
        """Whatever is still awaited comes, so that nothing is held for ever; then the peer is gone."""
        for item_id in sorted(self.judge.caller.waiting):
            self._give(reports.Transcribed(item_id, "at last", True))
            self.judge.rest()
        self._take(self.session.close())
        self.judge.see_end([item.id for item in self.session.conversation.items])

    def _give(self, each: Input) -> None:
        event_id = None
        if isinstance(each, ClientEvent):
            event_id = each.event_id
        match each:
            case reports.Transcribed(is_final=True) | reports.TranscriptionFailed():
                self.judge.verdict(each.item_id)
            case reports.Played(position=position):
                self.judge.playout.move(position)
            case resp.ResponseCreate():
                self.judge.ask(event_id or "")
            case _:
                pass
        self._take(feed(self.session, each), event_id=event_id)

    def _take(self, outputs: list[Output], *, event_id: str | None = None, is_flush: bool = False) -> None:
        """Judge a list, and do what it commands as an engine would: a flush is answered at once."""
        self.judge.see(outputs, event_id=event_id, is_flush=is_flush)
        for output in outputs:
            match output:
                case Respond():
                    self._speaking.append(output)
                case Transcribe(item_id=item_id) | EndTranscription(item_id=item_id):
                    self._utterances.append(item_id)
                case CallTool(call_id=call_id):
                    self._calls.append(call_id)
                case ListTools(item_id=item_id):
                    self._listings.append(item_id)
                case CallMcpTool(item_id=item_id):
                    self._mcp_calls.append(item_id)
                case resp.OutputItemAdded(item=McpApprovalRequest(id=item_id)):
                    self._requests.append(item_id)
                case Flush():
                    playout = self.judge.playout
                    playout.move(playout.position + self._made % 3_000)
                    playout.end = playout.position
                    self._take(feed(self.session, reports.Flushed(playout.position)), is_flush=True)
                case _:
                    pass

    # What the workers report

    def response(self, number: int) -> str:
        """Mostly one of the newest; now and then one that is over."""
        if not self._speaking:
            return "resp_0"
        newest = -1 if number < 5 else -1 - (number - 4) % min(4, len(self._speaking))
        return self._speaking[newest].response_id

    def think(self, number: int, flag: bool) -> list[Input]:
        response_id = self.response(number)
        self._made += 1
        words = f"word{self._made} and{self._made}"
        self._thoughts.setdefault(response_id, []).append(words)
        return [reports.TextMade(response_id, words + " ")]

    def speak(self, number: int, flag: bool) -> list[Input]:
        response_id = self.response(number)
        command = next((c for c in reversed(self._speaking) if c.response_id == response_id), None)
        if command is None or not command.speaks:
            return []
        self._made += 1
        thoughts = self._thoughts.get(response_id, [])
        clause = thoughts.pop(0) if thoughts and flag else ""
        format = command.format or self.session.config.output_format
        audio = VOICE[: format.encoding.bytes_per_sample] * (format.rate_hz // 10 * (number % 3))
        running = self.judge.responses.running.get(response_id)
        self._give(reports.AudioMade(response_id, audio, clause))
        for item_id in running.items if running else ():
            self.voiced.setdefault(item_id, []).extend(clause.split())
        return []

    def call(self, number: int, flag: bool) -> list[Input]:
        self._made += 1
        name = ("own", "farewell", "theirs", "look", "write", "free__look", "asks__look", "look")[number]
        arguments = "{" if number == 7 else "{}"
        return [reports.ToolRequested(self.response(number % 5), f"call_{self._made}", name, arguments)]

    def list_tools(self, number: int, flag: bool) -> list[Input]:
        item_id = self._listings[-1 - number % min(3, len(self._listings))]
        if number == 7:
            return [reports.ListingFailed(item_id)]
        return [reports.ToolsListed(item_id, LISTED if flag else LISTED[:1])]

    def return_mcp(self, number: int, flag: bool) -> list[Input]:
        item_id = self._mcp_calls[-1 - number % min(3, len(self._mcp_calls))]
        if flag:
            return [reports.McpReturned(item_id, "found" * (5_000 if number == 7 else 1))]
        return [reports.McpFailed(item_id, "http_error", "gone", 410 if number else None)]

    def approve(self, number: int, flag: bool) -> list[Input]:
        event_id = self.mine()
        request_id = self._requests[-1 - number % min(3, len(self._requests))]
        return self.added(
            McpApprovalResponse(id=event_id, approval_request_id=request_id, approve=number < 6), request_id, flag
        )

    def finish(self, number: int, flag: bool) -> list[Input]:
        response_id = self.response(number)
        if number != 4:
            return [reports.Finished(response_id)]
        self.cut_off.add(response_id)
        return [reports.Finished(response_id, cut_off="max_output_tokens")]

    def return_tool(self, number: int, flag: bool) -> list[Input]:
        call_id = self._calls[-1 if number < 6 else number % len(self._calls)]
        return [reports.ToolReturned(call_id, "{}", ends_call=flag)]

    def transcribe(self, number: int, flag: bool) -> list[Input]:
        item_id = self._utterances[-1 if number < 5 else -1 - number % len(self._utterances)]
        if number == 4:
            return [reports.TranscriptionFailed(item_id, "gone")]
        words = " ".join(f"word{at}" for at in range(number))
        if flag:
            return [reports.Transcribed(item_id, words, True)]
        return [reports.Transcribed(item_id, words + (" perhaps" if number == 3 else ""), False)]

    def play(self, number: int, flag: bool) -> list[Input]:
        return [reports.Played(self.judge.playout.position + number * 400)] if self.plays else []

    def hear(self, number: int, flag: bool) -> list[Input]:
        audio = bytes(self.session.config.input_format.bytes_in(number * 50))
        return [heard.InputAudioBufferAppend(audio=audio, event_id=self.mine())] if flag else [audio]

    def score(self, number: int, flag: bool) -> list[Input]:
        config = self.session.config
        # The line's clock, which no event tells.
        at = round((self.session.s_since_voice + self._since_first()) * config.input_format.rate_hz)
        return [reports.SpeechScored(at, 0.9 if flag else 0.1, at if flag else 0)] if at else []

    def _since_first(self) -> float:
        return self.session._turns.listening.voice_edge / self.session.config.input_format.rate_hz

    def silence(self, number: int, flag: bool) -> list[Input]:
        """A long one, as the line brings it."""
        return [bytes(self.session.config.input_format.bytes_in(500)) for _ in range(3 * (number + 1))]

    def judge_turn(self, number: int, flag: bool) -> list[Input]:
        return [reports.TurnJudged(self._utterances[-1], number / 7)]

    # What the peer asks for

    def mine(self) -> str:
        self._made += 1
        return f"mine_{self._made}"

    def item(self, number: int) -> str:
        order = self.judge.items.order
        return order[-1 - number % len(order)] if order else "nobody"

    def create(self, number: int, flag: bool) -> list[Input]:
        event_id = self.mine()
        item_id = event_id if number < 6 else "mine_again"
        return self.added(self.made(item_id, number), ("root", self.item(number), "nobody")[number % 3], flag)

    def added(self, item: AnyItem, after: str, flag: bool) -> list[Input]:
        event_id = self.mine()
        previous = after if flag else None
        return [conv.ConversationItemCreate(item=item, previous_item_id=previous, event_id=event_id)]

    def made(self, item_id: str, number: int) -> AnyItem:
        match number:
            case 0:
                return FunctionCallOutput(id=item_id, call_id=self._calls[-1], output="{}")
            case 1:
                return FunctionCallOutput(id=item_id, call_id="call_0", output="{}")
            case 2:
                image = InputImage(image_url="data:image/png;base64,AA==")
                return Message(id=item_id, role="user", content=(image,))
            case 5:
                return McpCall(id=item_id, server_label="free", name="look", arguments="{}")
            case 3 | 4:
                sound = InputAudio(transcript="known" if number == 4 else None, audio=bytes(1_600))
                return Message(id=item_id, role="user", content=(InputText(text="Listen."), sound))
            case _:
                return typed(item_id, "typed")

    def respond(self, number: int, flag: bool) -> list[Input]:
        event_id = self.mine()
        asked = resp.ResponseCreate(metadata={"asked": event_id}, event_id=event_id)
        config = self.session.config
        match number:
            case 0:
                asked = replace(asked, input=(ItemReference(id=self.item(1)), typed("only_here", "And?")))
            case 1:
                asked = replace(asked, config=replace(config, output_modality="text"))
            case 2:
                asked = replace(asked, config=replace(config, output_format=PCM_24K))
            case 6:
                label = f"free_{self._made}" if flag else "free"
                asked = replace(asked, config=replace(config, tools=(replace(FREE, server_label=label),)))
            case _:
                pass
        return [asked]

    def respond_aside(self, number: int, flag: bool) -> list[Input]:
        (asked,) = self.respond(number % 4, flag)
        assert isinstance(asked, resp.ResponseCreate)
        config = replace(asked.config or self.session.config, output_modality="text" if flag else "audio")
        return [replace(asked, is_out_of_band=True, config=config)]

    def cancel(self, number: int, flag: bool) -> list[Input]:
        wanted = self.response(number) if flag else None
        return [resp.ResponseCancel(response_id=wanted, event_id=self.mine())]

    def truncate(self, number: int, flag: bool) -> list[Input]:
        wanted, end_ms = self.item(number // 2), number * 50
        event_id = self.mine()
        return [conv.ConversationItemTruncate(item_id=wanted, audio_end_ms=end_ms, clamps=flag, event_id=event_id)]

    def update(self, number: int, flag: bool) -> list[Input]:
        return [sess.SessionUpdate(session=self.configs[self._made % len(self.configs)], event_id=self.mine())]

    def say(self, number: int, flag: bool) -> list[Input]:
        self._take(self.session.say("Hello."))
        return []

    def ask(self, kind: Callable[..., ClientEvent]) -> list[Input]:
        return [kind(event_id=self.mine())]


INPUTS: Final[dict[str, Callable[[World, int, bool], list[Input]]]] = {
    "think": World.think,
    "speak": World.speak,
    "call": World.call,
    "finish": World.finish,
    "fail": lambda w, n, flag: [reports.Failed(w.response(n), "x", "gone", is_voiceless=flag)],
    "return": World.return_tool,
    "list_tools": World.list_tools,
    "return_mcp": World.return_mcp,
    "approve": World.approve,
    "transcribe": World.transcribe,
    "play": World.play,
    "hear": World.hear,
    "silence": World.silence,
    "score": World.score,
    "judge_turn": World.judge_turn,
    "press": lambda _, n, flag: [reports.DigitPressed("#" if flag else str(n))],
    "commit": lambda w, *_: w.ask(heard.InputAudioBufferCommit),
    "clear": lambda w, *_: w.ask(heard.InputAudioBufferClear),
    "clear_output": lambda w, *_: w.ask(played.OutputAudioBufferClear),
    "create": World.create,
    "retrieve": lambda w, n, _: [conv.ConversationItemRetrieve(item_id=w.item(n), event_id=w.mine())],
    "delete": lambda w, n, _: [conv.ConversationItemDelete(item_id=w.item(n), event_id=w.mine())],
    "truncate": World.truncate,
    "respond": World.respond,
    "respond_aside": World.respond_aside,
    "cancel": World.cancel,
    "update": World.update,
    "say": World.say,
}

OFTEN: Final = (
    *("list_tools", "call", "respond", "think", "think", "speak", "speak", "speak", "finish", "finish"),
    *("hear", "hear", "score", "score", "score", "transcribe", "transcribe", "transcribe", "play", "play"),
)
"""So that conversations get somewhere."""

KINDS: Final = (*sorted(INPUTS), *OFTEN)
