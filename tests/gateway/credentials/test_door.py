from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials.credential import ALL_SCOPES, Credential, Kind, Scope
from gateway.credentials.door import DEV, Door
from gateway.credentials.keyring import base64_of
from gateway.credentials.throttle import CLIENTS_BEHIND_A_PROXY, MOST_FAILURES
from gateway.errors import CredentialRefused, SettingsError
from gateway.settings import Settings
from pipeline.dialects import Dialect
from tests.gateway.credentials.support import (
    SECRETS,
    SETTINGS,
    Clock,
    Header,
    b64,
    bearer,
    door_with_keys,
    forge,
    good_claims,
    iw1_header,
    key_text,
)

REALTIME = frozenset({Scope.REALTIME})
TOKEN = "operators-own-token.with.dots"
DEV_SETTINGS = Settings(public_url="http://127.0.0.1:8080", insecure_dev=True)
STRANGER = "8.8.8.8"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(tmp_path: Path, clock: Clock) -> Door:
    return door_with_keys(tmp_path, clock, token=TOKEN)


def refusal(
    door: Door,
    headers: Sequence[Header] = (),
    query: str = "",
    subprotocols: Sequence[str] = (),
    *,
    address: str = "",
    starts_session: bool = True,
) -> CredentialRefused:
    with pytest.raises(CredentialRefused) as refused:
        door.admit(headers, query, subprotocols, address=address, starts_session=starts_session)
    return refused.value


WEB = Credential(owner="web", scopes=REALTIME, kind=Kind.KEY)
TEXT = key_text("web")
BASE64 = base64_of(TEXT)


@pytest.mark.parametrize(
    ("headers", "query", "subprotocols"),
    [
        (bearer(TEXT), "", []),
        (bearer(BASE64), "", []),
        ([(b"authorization", f"Basic {BASE64}".encode())], "", []),
        ([(b"authorization", f"basic {BASE64.rstrip('=')}".encode())], "", []),
        ([], "", ["realtime", f"openai-insecure-api-key.{b64(TEXT.encode())}"]),
        ([], f"model=m&token={b64(TEXT.encode())}", []),
    ],
)
def test_an_api_key_comes_in_wherever_a_client_puts_it(
    door: Door, headers: list[Header], query: str, subprotocols: list[str]
) -> None:
    assert door.admit(headers, query, subprotocols) == WEB


def test_the_operators_token_opens_everything(door: Door) -> None:
    operator = Credential(owner="operator", scopes=ALL_SCOPES, kind=Kind.KEY)
    assert door.admit(bearer(TOKEN)) == operator
    assert door.identify(bearer(TOKEN)) == operator
    plain = Door(replace(SETTINGS, token="plain"), now=Clock())
    assert plain.admit([], "token=plain") == operator


def test_the_operators_token_is_no_basic_credential(door: Door) -> None:
    assert refusal(door, [(b"authorization", f"Basic {TOKEN}".encode())]).code == "invalid_api_key"


@pytest.mark.parametrize("prefix", ["", "ek_"])
def test_a_token_comes_in_with_what_it_says_and_a_browser_may_put_ek_before_it(door: Door, prefix: str) -> None:
    text, token = door.access_tokens.mint("web", REALTIME, life_s=60, session_id="s-1")
    assert door.admit(bearer(prefix + text)) == Credential(
        owner="web", scopes=REALTIME, kind=Kind.ACCESS_TOKEN, session_id="s-1", expires_at_s=token.expires_at_s
    )


def test_a_client_secret_comes_in_with_its_session(door: Door) -> None:
    value, grant = door.client_secrets.mint(
        "web", REALTIME, life_s=60, session={"a": 1}, dialect=Dialect.BETA, is_transcription=True
    )
    assert door.admit([], "", ["realtime", f"openai-insecure-api-key.{value}"]) == Credential(
        owner="web",
        scopes=REALTIME,
        kind=Kind.CLIENT_SECRET,
        session={"a": 1},
        dialect=Dialect.BETA,
        is_transcription=True,
        expires_at_s=grant.expires_at_s,
    )


WRONG: dict[str, list[Header]] = {
    "unknown id": bearer("nobody:" + SECRETS["web"]),
    "wrong secret": bearer("web:" + SECRETS["ops"]),
    "an unknown client secret": bearer("ek_" + "x" * 40),
    "a forged token": bearer(forge(good_claims(), secret="guess")),
    "a key of OpenAI's": bearer("sk-proj-0123456789abcdef"),
    "nothing behind Bearer": bearer(""),
    "another scheme": [(b"authorization", b"Digest abc")],
    "sent twice": bearer(TEXT) + bearer(TEXT),
    "8 MB": bearer("x" * 8_000_000),
    "bytes outside ASCII": [(b"authorization", b"Bearer \xff\xfe" + b"x" * 30)],
    "Basic of binary": [(b"authorization", b"Basic " + base64.b64encode(b"\xff:\xff"))],
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
def test_what_is_not_known_is_refused_as_an_incorrect_key(door: Door, headers: list[Header]) -> None:
    refused = refusal(door, headers)
    assert (refused.status_code, refused.code, refused.is_guess) == (401, "invalid_api_key", True)
    assert str(refused).startswith("Incorrect API key provided")


def test_unknown_id_and_wrong_secret_are_refused_in_the_same_words(door: Door) -> None:
    first = refusal(door, bearer("nob:0123456789abcdefghij-wxyz"))
    second = refusal(door, bearer("web:0123456789abcdefghij-wxyz"))
    assert str(first).replace("nob", "web") == str(second) == "Incorrect API key provided: web…wxyz."
    assert (first.reason, first.status_code) == (second.reason, second.status_code)


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
def test_no_refusal_repeats_more_than_seven_characters(door: Door, headers: list[Header]) -> None:
    text = headers[0][1].decode("latin-1").partition(" ")[2]
    told = str(refusal(door, headers))
    assert not [start for start in range(len(text[:5_000]) - 7) if text[start : start + 8] in told]


def test_without_a_credential_it_is_said_what_to_send(door: Door) -> None:
    refused = refusal(door, [(b"user-agent", b"x")], "model=m", ["realtime"])
    assert (refused.status_code, refused.code, refused.is_guess) == (401, "invalid_api_key", False)
    assert "Authorization: Bearer" in str(refused)


def test_a_gateway_without_keys_lets_nobody_in_and_says_what_to_set() -> None:
    door = Door(replace(SETTINGS, jwt_keys=()), now=Clock())
    assert not door.has_keys
    for headers in ([], bearer("sk-anything")):
        refused = refusal(door, headers)
        assert (refused.status_code, refused.code) == (401, "invalid_api_key")
        assert "SWITCHBOARD_API_KEYS" in str(refused)
        assert "SWITCHBOARD_TOKEN" in str(refused)


def test_signing_keys_alone_open_the_door_to_tokens() -> None:
    door = Door(SETTINGS, now=Clock())
    assert door.has_keys
    assert door.admit(bearer(forge(good_claims()))).owner == "web"


def test_without_signing_keys_tokens_are_good_in_this_process_only(tmp_path: Path, clock: Clock) -> None:
    first, second = (door_with_keys(tmp_path, clock, jwt_keys=()) for _ in range(2))
    text, _ = first.access_tokens.mint("web", REALTIME, life_s=60)
    assert first.admit(bearer(text)).owner == "web"
    assert refusal(second, bearer(text)).is_guess


def test_a_faulty_key_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SWITCHBOARD_API_KEYS: .*missing.toml"):
        Door(replace(SETTINGS, api_keys=str(tmp_path / "missing.toml")), now=Clock())


def test_what_was_ours_is_refused_with_the_reason(door: Door, clock: Clock) -> None:
    text, _ = door.access_tokens.mint("web", REALTIME, life_s=10)
    value, _ = door.client_secrets.mint("web", REALTIME, life_s=10)
    clock.now_s += 60
    for shown, what in ((text, "token"), (value, "client secret")):
        refused = refusal(door, bearer(shown))
        assert (refused.status_code, refused.is_guess) == (401, False)
        assert str(refused) == f"The {what} was refused: it has expired. Ask for a new one."


def test_a_single_use_token_opens_one_session_and_its_errands_before(door: Door) -> None:
    text, _ = door.access_tokens.mint("web", REALTIME, life_s=60, is_single_use=True)
    assert door.admit(bearer(text), starts_session=False).is_single_use
    assert door.admit(bearer(text)).is_single_use
    for starts_session in (True, False):
        assert "used before" in str(refusal(door, bearer(text), starts_session=starts_session))


ANY_HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"authorization", b"Authorization", b"host", b"cookie"]),
        st.one_of(
            st.binary(max_size=80),
            st.binary(max_size=80).map(lambda raw: b"Bearer " + raw),
            st.binary(max_size=80).map(lambda raw: b"Basic " + base64.b64encode(raw)),
            st.from_regex(rb"Bearer (ek_)?[A-Za-z0-9_-]{0,20}(\.[A-Za-z0-9_-]{0,20}){0,3}", fullmatch=True),
        ),
    ),
    max_size=3,
)
STRANGERS_DOOR = Door(replace(SETTINGS, token=TOKEN), now=Clock())


@given(
    headers=ANY_HEADERS,
    query=st.one_of(st.text(max_size=60), st.text(max_size=60).map("token={}".format)),
    subprotocols=st.lists(st.text(max_size=40).map("openai-insecure-api-key.{}".format), max_size=2),
)
def test_whatever_a_stranger_sends_is_refused_and_nothing_else_happens(
    headers: list[Header], query: str, subprotocols: list[str]
) -> None:
    with pytest.raises(CredentialRefused) as refused:
        STRANGERS_DOOR.admit(headers, query, subprotocols)
    assert refused.value.status_code in (401, 429)


# Development


@pytest.mark.parametrize("headers", [[], *WRONG.values()], ids=["nothing", *WRONG])
def test_a_gateway_for_development_lets_everybody_in(headers: list[Header]) -> None:
    door = Door(DEV_SETTINGS, now=Clock())
    for _ in range(MOST_FAILURES + 5):
        assert door.admit([*headers, (b"host", b"localhost:8080")], address=STRANGER) == DEV
    assert DEV.scopes == ALL_SCOPES


def test_a_gateway_for_development_still_knows_its_client_secrets(clock: Clock) -> None:
    door = Door(DEV_SETTINGS, now=clock)
    value, _ = door.client_secrets.mint("dev", REALTIME, life_s=60, session={"a": 1}, max_uses=1)
    assert door.admit(bearer(value)).session == {"a": 1}
    assert "as often as it may be" in str(refusal(door, bearer(value)))
    clock.now_s += 60
    assert "expired" in str(refusal(door, bearer(value)))


@pytest.mark.parametrize("host", [b"evil.example", b"127.0.0.1.evil.example", b"[::1", b"10.0.0.1:8080", b""])
def test_a_gateway_for_development_answers_under_names_of_this_machine_only(host: bytes) -> None:
    refused = refusal(Door(DEV_SETTINGS, now=Clock()), [(b"host", host)])
    assert (refused.status_code, refused.code) == (403, "host_not_allowed")


def test_a_gateway_with_keys_is_no_gateway_for_development(tmp_path: Path, clock: Clock) -> None:
    door = door_with_keys(tmp_path, clock, insecure_dev=True, public_url="http://127.0.0.1:8080")
    assert refusal(door).reason == "no_credential"
    assert door.admit(bearer(TEXT)) == WEB


def test_where_a_credential_is_needed_development_is_no_excuse() -> None:
    door = Door(replace(DEV_SETTINGS, token=TOKEN), now=Clock())
    with pytest.raises(CredentialRefused):
        door.identify(bearer("sk-anything"))
    assert door.identify(bearer(TOKEN)).owner == "operator"
    for _ in range(MOST_FAILURES):
        with pytest.raises(CredentialRefused):
            door.identify(bearer("sk-anything"), address=STRANGER)
    with pytest.raises(CredentialRefused, match="Too many wrong credentials"):
        door.identify(bearer(TOKEN), address=STRANGER)


# Origin


def test_a_foreign_page_is_refused_on_every_road_even_with_a_key(door: Door) -> None:
    foreign: list[Header] = [*bearer(TEXT), (b"origin", b"https://evil.example")]
    for ask in (door.admit, door.identify, door.admit_signer):
        with pytest.raises(CredentialRefused) as refused:
            ask(foreign)
        assert (refused.value.status_code, refused.value.code) == (403, "origin_not_allowed")


def test_a_foreign_page_reaches_no_gateway_for_development() -> None:
    door = Door(DEV_SETTINGS, now=Clock())
    assert refusal(door, [(b"origin", b"https://evil.example")]).code == "origin_not_allowed"
    assert refusal(door, [(b"origin", b"null")]).code == "origin_not_allowed"
    assert refusal(door, [(b"origin", b"http://localhost"), (b"origin", b"x")]).code == "origin_not_allowed"
    assert door.admit([(b"origin", b"http://localhost:3000")]) == DEV


def test_a_listed_page_comes_in(tmp_path: Path, clock: Clock) -> None:
    door = door_with_keys(tmp_path, clock, realtime_origins=("https://app.example",))
    assert door.admit([*bearer(TEXT), (b"origin", b"https://app.example")]) == WEB


# Guessing


def test_after_ten_failures_a_stranger_has_to_wait_even_with_a_right_key(door: Door, clock: Clock) -> None:
    for _ in range(MOST_FAILURES):
        assert refusal(door, bearer("web:wrong"), address=STRANGER).status_code == 401
    for headers in (bearer("web:wrong"), bearer(TEXT)):
        refused = refusal(door, headers, address=STRANGER)
        assert (refused.status_code, refused.code, refused.retry_after_s) == (429, "too_many_failures", 61)
    assert door.admit(bearer(TEXT), address="8.8.4.4") == WEB
    clock.now_s += 60
    assert door.admit(bearer(TEXT), address=STRANGER) == WEB


def test_behind_an_address_that_may_be_a_proxy_a_right_key_still_comes_in(door: Door) -> None:
    for _ in range(MOST_FAILURES * CLIENTS_BEHIND_A_PROXY):
        assert refusal(door, bearer("web:wrong"), address="10.0.0.1").status_code == 401
    assert refusal(door, bearer("web:wrong"), address="10.0.0.1").status_code == 429
    assert door.admit(bearer(TEXT), address="10.0.0.1") == WEB
    assert refusal(door, [], address="10.0.0.1").status_code == 401


def test_what_is_no_guess_is_not_counted(door: Door, clock: Clock) -> None:
    text, _ = door.access_tokens.mint("web", REALTIME, life_s=10)
    clock.now_s += 60
    for _ in range(MOST_FAILURES + 1):
        assert refusal(door, bearer(text), address=STRANGER).status_code == 401
        assert refusal(door, [], address=STRANGER).status_code == 401
    assert door.admit(bearer(TEXT), address=STRANGER) == WEB


# IW1-HMAC-SHA256


def signed(parameters: str, scheme: str = "IW1-HMAC-SHA256") -> list[Header]:
    return [(b"authorization", f"{scheme} {parameters}".encode())]


def test_who_signs_is_known_by_the_key(door: Door) -> None:
    assert door.admit_signer(signed(iw1_header())) == Credential(owner="unity", scopes=REALTIME, kind=Kind.KEY)


@pytest.mark.parametrize("headers", [[], bearer(TEXT), signed(iw1_header()) * 2])
def test_without_a_signature_it_is_said_what_to_send(door: Door, headers: list[Header]) -> None:
    with pytest.raises(CredentialRefused, match="IW1-HMAC-SHA256") as refused:
        door.admit_signer(headers)
    assert refused.value.status_code == 401


def test_wrong_signatures_are_counted_with_the_other_failures(door: Door) -> None:
    for _ in range(MOST_FAILURES):
        with pytest.raises(CredentialRefused, match="invalid authorization signature"):
            door.admit_signer(signed(iw1_header(secret="wrong")), address=STRANGER)
    assert refusal(door, bearer(TEXT), address=STRANGER).status_code == 429


def test_a_gateway_for_development_takes_any_signature() -> None:
    assert Door(DEV_SETTINGS, now=Clock()).admit_signer(signed(iw1_header(key_id="any"))) == DEV
