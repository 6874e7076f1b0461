"""docs/call-records.md says what is true: its samples are run, its example is read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.call_records.deliveries import Outcome
from gateway.call_records.receiver import NEVER
from gateway.call_records.record import CallEnded, CallRecord
from gateway.calls.call import EndReason
from pipeline.webhook_tool import Signature
from tests.gateway.call_records.support import SECRET

PAGE = (Path(__file__).parents[3] / "docs" / "call-records.md").read_text()
BODY = '{"words":"für alle"}'.encode()
NODE = shutil.which("node")


def sample(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(found)


def headers(at_s: float | None = None) -> dict[str, str]:
    return Signature(SECRET).headers("call_ended_CA1", int(time.time() if at_s is None else at_s), BODY)


def cases() -> list[tuple[dict[str, str], bytes, bool]]:
    """Headers, body and whether it is genuine; signed now, for a sample refuses what is five minutes old."""
    return [
        (headers(), BODY, True),
        (headers(), BODY + b" ", False),
        (headers(time.time() - 400), BODY, False),
        ({**headers(), "webhook-id": "another"}, BODY, False),
        ({**headers(), "webhook-signature": "v1,short"}, BODY, False),
    ]


def test_the_python_sample_knows_the_genuine() -> None:
    names: dict[str, Any] = {}
    exec(sample("python"), names)
    for told, body, is_genuine in cases():
        assert names["is_genuine"](SECRET, told, body) is is_genuine


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_the_javascript_sample_knows_the_genuine() -> None:
    assert NODE is not None
    told_of = cases()
    given = json.dumps([[told, body.decode()] for told, body, _ in told_of])
    program = sample("javascript") + (
        f"const cases = {given};"
        f"console.log(JSON.stringify(cases.map(([h, b]) => isGenuine({SECRET!r}, h, Buffer.from(b)))));"
    )
    ran = subprocess.run([NODE, "-e", program], capture_output=True, check=True, timeout=60)
    assert json.loads(ran.stdout) == [is_genuine for _, _, is_genuine in told_of]


def test_the_samples_are_short() -> None:
    assert [sample(language).count("\n") <= 10 for language in ("python", "javascript")] == [True, True]


def test_the_example_is_a_record_with_every_field() -> None:
    text = sample("json")
    assert json.loads(msgspec.json.encode(msgspec.json.decode(text, type=CallEnded))) == json.loads(text)


def test_every_field_reason_and_result_is_on_the_page() -> None:
    names = [*CallRecord.__struct_encode_fields__, *EndReason, *(outcome.value for outcome in Outcome)]
    assert [name for name in names if f"`{name}`" not in PAGE and f'"{name}"' not in PAGE] == []
    assert ", ".join(str(status) for status in sorted(NEVER)) in PAGE
