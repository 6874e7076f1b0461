from __future__ import annotations

import pytest

from gateway import record_settings
from gateway.record_settings import read_webhook_url


@pytest.mark.parametrize(
    "url",
    ["", "https://crm.example.com/calls?token=x", "http://crm.default.svc.cluster.local:8000/", "http://[::1]:1/x"],
)
def test_a_webhook_may_be_anywhere_the_operator_says(url: str) -> None:
    assert read_webhook_url(url) == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://a b", "blank"),
        ("https://exämple.com", "outside ASCII"),
        ("https://example.com:99999/", "cannot be read"),
        ("https://example.com:0/", "no http or https URL"),
        ("ftp://example.com/secret", "no http or https URL"),
        ("/secret", "no http or https URL"),
        ("https://", "no http or https URL"),
        ("https://me:secret@example.com/", "leave them out"),
        ("https://example.com/#secret", "leave them out"),
    ],
)
def test_a_webhook_that_cannot_be_is_refused_without_repeating_it(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        read_webhook_url(url)
    assert "secret" not in str(refused.value)


def test_every_setting_has_a_default_that_its_reader_would_accept() -> None:
    declared = [
        record_settings.CALL_WEBHOOK,
        record_settings.CALL_WEBHOOK_LIMIT_S,
        record_settings.CALL_WEBHOOK_HOURS,
        record_settings.OUTBOX,
    ]
    for setting in declared:
        assert setting.metadata["read"](str(setting.default)) == setting.default
