from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from simulator.signature import sign

TOKEN = "0123456789abcdef0123456789abcdef"
FORMS = st.dictionaries(st.text(min_size=1, max_size=12), st.text(max_size=20), max_size=6)


@given(FORMS)
def test_a_signed_form_is_accepted_by_the_twilio_package(form: dict[str, str]) -> None:
    url = "https://voice.example.com/twilio/voice?line=main"
    assert RequestValidator(TOKEN).validate(url, form, sign(TOKEN, url, form))


def test_a_socket_handshake_is_signed_over_the_address_as_written() -> None:
    url = "wss://voice.example.com/twilio/media/t0"
    assert RequestValidator(TOKEN).validate(url, {}, sign(TOKEN, url))


def test_another_token_another_path_and_another_field_are_told_apart() -> None:
    url, form = "https://voice.example.com/voice", {"To": "+15550001111"}
    right = sign(TOKEN, url, form)
    assert right not in {sign("x", url, form), sign(TOKEN, url + "/", form), sign(TOKEN, url, {"To": "+1"})}
