"""What the failure of a request means."""

from __future__ import annotations

import pytest

from pipeline.legs.fault import fault_of, is_final, log_if_ours
from pipeline.legs.race import BrokeOff
from pipeline.provider import ProviderError

REFUSED = ProviderError("a", "no", retryable=False)
BUG = ZeroDivisionError("a bug")


@pytest.mark.parametrize(
    ("error", "message"),
    [(TimeoutError(), "b: its own time was up"), (BrokeOff("it broke off"), "b: it broke off")],
)
def test_what_nobody_named_is_the_fault_of_who_was_asked(error: Exception, message: str) -> None:
    fault = fault_of(error, "b")
    assert isinstance(fault, ProviderError)
    assert (str(fault), fault.retryable, fault.provider) == (message, True, "b")


@pytest.mark.parametrize("error", [REFUSED, BUG])
def test_all_else_stays_as_it_is(error: Exception) -> None:
    assert fault_of(error, "b") is error


def test_a_refusal_and_a_bug_do_not_pass() -> None:
    assert is_final(REFUSED) and is_final(BUG)
    assert not is_final(ProviderError("a", "later", retryable=True))


def test_only_a_fault_of_ours_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    log_if_ours(REFUSED, "a")
    assert caplog.text == ""
    log_if_ours(BUG, "a")
    assert "ZeroDivisionError: a bug" in caplog.text
