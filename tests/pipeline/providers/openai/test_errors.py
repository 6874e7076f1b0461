from __future__ import annotations

import httpx2
import openai
import pytest

from pipeline.provider import ProviderError
from pipeline.providers.openai.errors import LONGEST_EXCUSE_CHARS, excuse_of, refusals

REQUEST = httpx2.Request("POST", "http://127.0.0.1:1/v1/chat/completions")
SECRET = "sk-1234567890"


def mapped(error: BaseException) -> ProviderError:
    with pytest.raises(ProviderError) as raised, refusals("openai/m", "OPENAI_API_KEY", SECRET):
        raise error
    return raised.value


def status(number: int, message: str = "no", **more: object) -> openai.APIStatusError:
    response = httpx2.Response(number, request=REQUEST)
    return openai.APIStatusError("no", response=response, body={"message": message, **more})


@pytest.mark.parametrize("code", [408, 409, 425, 429, 500, 502, 503, 529])
def test_what_will_pass_may_be_tried_again(code: int) -> None:
    assert mapped(status(code)).retryable


@pytest.mark.parametrize("code", [400, 401, 403, 404, 413, 422, 418])
def test_what_is_refused_stays_refused(code: int) -> None:
    error = mapped(status(code))
    assert not error.retryable
    assert f"HTTP {code}" in str(error)
    assert str(error).startswith("openai/m: ")


def test_an_account_without_credit_stays_without() -> None:
    error = mapped(status(429, code="insufficient_quota"))
    assert not error.retryable
    assert "billing" in str(error)


def test_a_refused_key_is_told_by_where_it_is_set() -> None:
    assert "OPENAI_API_KEY" in str(mapped(status(401)))


def test_no_message_has_the_key_in_it() -> None:
    for code in (400, 401, 403, 404, 500):
        assert SECRET not in str(mapped(status(code, f"Incorrect API key provided: {SECRET}")))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (openai.APITimeoutError(REQUEST), "in time"),
        (httpx2.ReadTimeout("slow", request=REQUEST), "in time"),
        (httpx2.ConnectError("nobody", request=REQUEST), "cannot be reached; check its base URL"),
        (httpx2.ReadError("cut", request=REQUEST), "cut the connection"),
        (openai.APIConnectionError(request=REQUEST), "cut the connection"),
        (openai.OpenAIError("what"), "answered nonsense"),
        (httpx2.InvalidURL("what"), "answered nonsense"),
    ],
)
def test_what_happens_to_connections_may_be_tried_again(error: Exception, said: str) -> None:
    provider_error = mapped(error)
    assert provider_error.retryable
    assert said in str(provider_error)


def test_a_server_that_is_not_there_is_known_by_the_cause_of_the_sdks_error() -> None:
    error = openai.APIConnectionError(request=REQUEST)
    error.__cause__ = httpx2.ConnectError("nobody", request=REQUEST)
    assert "cannot be reached" in str(mapped(error))


def test_what_is_not_theirs_is_left_alone() -> None:
    with pytest.raises(KeyError), refusals("openai", "OPENAI_API_KEY", ""):
        raise KeyError


@pytest.mark.parametrize(
    ("body", "excuse"),
    [
        ({"message": " model not\n loaded "}, ": model not loaded"),
        ("plain text", ": plain text"),
        ({"message": None}, ""),
        ({"message": "  "}, ""),
        ([], ""),
        (None, ""),
        ({"message": f"key {SECRET} bad"}, ": key … bad"),
        ({"message": "x" * 100_000}, f": {'x' * LONGEST_EXCUSE_CHARS}"),
    ],
)
def test_an_excuse_is_short_and_without_the_key(body: object, excuse: str) -> None:
    assert excuse_of(body, SECRET) == excuse
