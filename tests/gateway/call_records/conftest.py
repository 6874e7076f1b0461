"""What the tests of call records share: a Redis that may take its time."""

from __future__ import annotations

import pytest

from gateway.redis import link
from tests.gateway.call_records.support import PATIENCE_S


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "OPERATION_LIMIT_S", PATIENCE_S)
