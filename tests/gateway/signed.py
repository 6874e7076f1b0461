"""What tests of the gateway's doors share: a desk, Twilio's signature and the forms it is made over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx2
from starlette.applications import Starlette
from starlette.testclient import TestClient
from twilio.request_validator import RequestValidator

from gateway import control, control_events, voice
from gateway.auth import SignatureCheck
from gateway.calls.admission import Admission, Limits
from gateway.calls.call import Call
from gateway.calls.store import MemoryStore
from gateway.front_desk import FrontDesk
from gateway.gate import Gate
from gateway.metrics import Metrics
from gateway.settings import Settings

PUBLIC_URL = "https://voice.example"
TOKEN, SECONDARY = "0123456789abcdef" * 2, "fedcba9876543210" * 2
ACCOUNT = "AC" + "a" * 32
CALL = "CA" + "b" * 32
STREAM = "MZ" + "c" * 32
CONTROL_TOKEN = "sw1tchboard"
FORM_TYPE = "application/x-www-form-urlencoded"

SETTINGS = Settings(
    public_url=PUBLIC_URL,
    account_sid=ACCOUNT,
    auth_token=TOKEN,
    auth_token_secondary=SECONDARY,
    token=CONTROL_TOKEN,
)

VOICE = {
    "CallSid": CALL,
    "AccountSid": ACCOUNT,
    "From": "+14155550134",
    "To": "+14155550100",
    "CallStatus": "ringing",
    "Direction": "inbound",
}


def sign(url: str, form: Mapping[str, str] | None = None, token: str = TOKEN) -> str:
    """As Twilio signs, by Twilio's own code."""
    return str(RequestValidator(token).compute_signature(url, form or {}))


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class House:
    """A desk behind its routes, on a clock the test sets."""

    settings: Settings = SETTINGS
    clock: Clock = field(default_factory=Clock)
    store: MemoryStore = field(default_factory=MemoryStore)
    metrics: Metrics = field(default_factory=lambda: Metrics("test"))
    completed: list[str] = field(default_factory=list)
    admits: bool = True

    def __post_init__(self) -> None:
        self.desk = FrontDesk(
            settings=self.settings,
            store=self.store,
            signatures=SignatureCheck(self.settings),
            metrics=self.metrics,
            now=self.clock,
            gate=Gate(
                admission=Admission(Limits(calls=self.settings.max_calls)),
                now=self.clock,
                is_open=lambda: self.admits,
            ),
            on_completed=self.completed.append,
        )
        self.leaving = asyncio.Event()
        watching = control_events.routes(self.desk, self.leaving)
        routes = [*voice.routes(self.desk), *control.routes(self.desk), *watching]
        self.client = TestClient(Starlette(routes=routes))

    def post(self, target: str, form: Mapping[str, str], **headers: str) -> httpx2.Response:
        """Posts a form to a target (path and query, or a URL of ours), signed unless headers say otherwise."""
        target = target.removeprefix(self.settings.public_url)
        signed = {"X-Twilio-Signature": sign(self.settings.public_url + target, form), "Content-Type": FORM_TYPE}
        signed.update({name.replace("_", "-"): value for name, value in headers.items()})
        return self.client.post(target, content=urlencode(form), headers=signed)

    def sample(self, name: str, **labels: str) -> float | None:
        """The value of a metric, None if there is none yet."""
        return self.metrics.registry.get_sample_value(f"switchboard_{name}", labels)

    @property
    def call(self) -> Call:
        """The one call of most tests."""
        (call,) = self.store._calls.values()
        return call
