"""The endpoints that offers are posted to, in front of calls that only write down what they are asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway.credentials.door import Door
from gateway.metrics import Metrics
from gateway.realtime.agent_session import limits_of
from gateway.realtime.own_session import Opening
from gateway.realtime.studio import Studio
from gateway.webrtc.calls import Answered, RtcCalls
from gateway.webrtc.http import routes
from gateway.webrtc.offer import Offer
from pipeline.agent import load_agent
from pipeline.dialects import Dialect
from pipeline.toolbox import Toolbox
from tests.fakes import Ids
from tests.gateway.signed import CONTROL_TOKEN, SETTINGS
from tests.gateway.webrtc.offers import CHROMIUM

BEARER = {"Authorization": f"Bearer {CONTROL_TOKEN}"}
SDP = BEARER | {"Content-Type": "application/sdp"}
CALLS = "/v1/realtime/calls"


@dataclass
class FakeCalls:
    """`redeems`: whether it comes as far as to use up what lets in. `meanwhile` is what happens before."""

    admits: bool = True
    meanwhile: Callable[[], None] = lambda: None
    openings: list[Opening] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    serves_beta: bool = True

    def __post_init__(self) -> None:
        settings = replace(SETTINGS, insecure_dev=False, realtime_beta=self.serves_beta)
        self.door = Door(settings, now=time.time)
        self.metrics = Metrics("test")
        studio = SimpleNamespace(
            settings=settings,
            door=self.door,
            agent=load_agent("reception"),
            limits=limits_of(8),
            serves_mcp=False,
            toolbox=Toolbox(()),
            metrics=self.metrics,
            make_id=Ids(),
            admits=lambda: self.admits,
        )
        self.studio = cast(Studio, studio)

    async def open(self, offer: Offer, opening: Opening, redeem: Callable[[], object]) -> Answered:
        self.meanwhile()
        redeem()
        self.offers.append(offer)
        self.openings.append(opening)
        return Answered(opening.call_id, opening.session_id, "v=0\r\n")

    @property
    def client(self) -> TestClient:
        calls = cast(RtcCalls, self)
        return TestClient(Starlette(routes=routes(lambda: calls, self.door.origins)))


def test_an_offer_as_sdp_is_answered_in_sdp() -> None:
    calls = FakeCalls()
    answer = calls.client.post(f"{CALLS}?model=a-model", headers=SDP, content=CHROMIUM)
    (opening,) = calls.openings
    assert (answer.status_code, answer.text) == (201, "v=0\r\n")
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.headers["location"] == f"{CALLS}/{opening.call_id}"
    assert opening.call_id.startswith("rtc_") and opening.session_id.startswith("sess_")
    assert (opening.dialect, opening.plays, opening.config.model) == (Dialect.GA, True, "a-model")
    assert calls.offers[0].channel is not None


@pytest.mark.parametrize(
    ("path", "name", "status", "told", "dialect"),
    [
        (CALLS, "session", 201, {"id", "sdp", "ice_servers"}, Dialect.IW),
        ("/v1/realtime/webrtc", "sessionConfig", 200, {"sdp", "sessionId"}, Dialect.SEED),
    ],
)
def test_an_offer_in_json_is_answered_in_json(
    path: str, name: str, status: int, told: set[str], dialect: Dialect
) -> None:
    calls = FakeCalls()
    asked = {"sdp": CHROMIUM, name: {"instructions": "Be brief."}}
    answer = calls.client.post(path, headers=BEARER, json=asked)
    (opening,) = calls.openings
    assert (answer.status_code, answer.json().keys(), answer.json()["sdp"]) == (status, told, "v=0\r\n")
    assert (opening.dialect, opening.config.instructions) == (dialect, "Be brief.")
    assert answer.json().get("id", opening.call_id) == opening.call_id
    assert answer.json().get("sessionId", opening.session_id) == opening.session_id


def test_a_form_brings_offer_and_session() -> None:
    calls = FakeCalls()
    session = '{"type": "transcription"}'
    parts = {"sdp": ("", CHROMIUM, "application/sdp"), "session": ("", session, "application/json")}
    answer = calls.client.post(CALLS, headers=BEARER, files=parts)
    assert (answer.status_code, answer.text) == (201, "v=0\r\n")
    assert calls.openings[0].config.type == "transcription"


def closed(calls: FakeCalls) -> None:
    calls.admits = False


def test_who_asks_is_looked_at_again_when_all_is_read() -> None:
    calls = FakeCalls()
    calls.meanwhile = lambda: closed(calls)
    answer = calls.client.post(CALLS, headers=SDP, content=CHROMIUM)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "draining")
    assert calls.openings == []


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({"Content-Type": "application/sdp"}, CHROMIUM, 401, "invalid_api_key"),
        (SDP, "v=0\r\n", 400, "invalid_offer"),
        (BEARER | {"Content-Type": "text/plain"}, CHROMIUM, 415, "not_an_offer"),
        (SDP | {"OpenAI-Beta": "realtime=v1"}, CHROMIUM, 400, "beta_api_shape_disabled"),
    ],
)
def test_what_is_refused_opens_nothing(headers: dict[str, str], content: str, status: int, code: str) -> None:
    calls = FakeCalls(serves_beta=False)
    answer: Any = calls.client.post(CALLS, headers=headers, content=content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert calls.openings == []
    counted = [metric.samples for metric in calls.metrics.realtime_refused.collect()]
    assert sum(sample.value for samples in counted for sample in samples if sample.name.endswith("_total")) == 1
