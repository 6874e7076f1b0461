from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.realtime.form_data import MOST_HEADER_BYTES, MOST_PARTS, read_form_data, read_value

BOUNDARY = "----WebKitFormBoundaryAbC123"


def form(*parts: tuple[bytes, bytes], boundary: str = BOUNDARY) -> bytes:
    """A form of these headers and contents."""
    line = b"--" + boundary.encode()
    written = [line + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n" for head, content in parts]
    return b"".join(written) + line + b"--\r\n"


def named(name: str) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"'.encode()


@pytest.mark.parametrize(
    ("header", "value", "parameters"),
    [
        ("", "", {}),
        ("Text/Plain", "text/plain", {}),
        ("text/plain; Charset=UTF-8 ;a=1", "text/plain", {"charset": "UTF-8", "a": "1"}),
        ('form-data; filename="a; name=\\"b\\""; name="c"', "form-data", {"filename": 'a; name="b"', "name": "c"}),
        ('form-data; name=""', "form-data", {"name": ""}),
        ("multipart/form-data; boundary=----x", "multipart/form-data", {"boundary": "----x"}),
        ("text/plain; ; charset; =x; a=", "text/plain", {}),
        ('text/plain; a="open', "text/plain", {}),
    ],
)
def test_a_value_is_read_with_its_parameters(header: str, value: str, parameters: dict[str, str]) -> None:
    assert read_value(header) == (value, parameters)


def test_parts_are_read_with_and_without_types_and_file_names() -> None:
    body = form(
        (named("sdp"), b"v=0\r\n"),
        (b'content-disposition:form-data;filename="offer; name=x";name=session', b"{}"),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n" + named("empty"), b""),
    )
    read = {"sdp": b"v=0\r\n", "session": b"{}", "empty": b""}
    assert read_form_data(body, BOUNDARY) == read
    assert read_form_data(b"preamble\r\n" + body + b"epilogue\r\n--" + BOUNDARY.encode(), BOUNDARY) == read
    assert read_form_data(form(), BOUNDARY) == {}


def test_only_at_the_beginning_of_a_line_a_boundary_ends_a_part() -> None:
    content = b"v=0 --" + BOUNDARY.encode() + b"\n--" + BOUNDARY.encode()
    assert read_form_data(form((named("sdp"), content)), BOUNDARY) == {"sdp": content}


def test_blanks_behind_a_boundary_are_padding() -> None:
    body = form((named("sdp"), b"v=0")).replace(BOUNDARY.encode() + b"\r\n", BOUNDARY.encode() + b" \t\r\n", 1)
    assert read_form_data(body, BOUNDARY) == {"sdp": b"v=0"}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "the boundary with two dashes behind the last"),
        (b"v=0\r\n", "the boundary with two dashes"),
        (form((named("sdp"), b"v=0")).removesuffix(b"--\r\n"), "an empty line"),
        (b"--" + BOUNDARY.encode() + b"\r\n" + named("sdp") + b"\r\n\r\nv=0", "two dashes"),
        (form((named("sdp"), b"v=0")).replace(b"\r\n\r\n", b"\r\n"), "an empty line"),
        (form((named("x" * MOST_HEADER_BYTES), b"")), "an empty line"),
        (form(*((named(str(number)), b"") for number in range(MOST_PARTS + 1))), f"at most {MOST_PARTS} parts"),
        (form((named("sdp"), b"v=0"), boundary=BOUNDARY + "X"), "nothing behind a boundary"),
        (form((b"Content-Type: text/plain", b"v=0")), "with a name in every part"),
        (form((b"", b"v=0")), "with a name in every part"),
        (form((b'Content-Disposition: attachment; name="sdp"', b"")), "with a name in every part"),
        (form((b"Content-Disposition: form-data", b"")), "with a name in every part"),
        (form((named("sdp") + b"\r\nContent-Transfer-Encoding: base64", b"")), "got one in 'base64'"),
        (form((named("sdp"), b""), (named("sdp"), b"")), "the part 'sdp' stands there twice"),
    ],
)
def test_what_is_no_form_is_refused_with_its_reason(body: bytes, complaint: str) -> None:
    with pytest.raises(ValueError) as fault:
        read_form_data(body, BOUNDARY)
    assert complaint in str(fault.value)


def test_as_many_parts_as_there_may_be_are_read() -> None:
    names = [str(number) for number in range(MOST_PARTS)]
    assert list(read_form_data(form(*((named(name), b"") for name in names)), BOUNDARY)) == names


@pytest.mark.parametrize("boundary", ["", "x" * 71, "a b ", "a\r\nb", "é", "a;b"])
def test_a_boundary_that_can_be_none_is_refused(boundary: str) -> None:
    with pytest.raises(ValueError, match="expected a boundary"):
        read_form_data(b"", boundary)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.binary(max_size=60), max_size=5))
def test_whatever_parts_hold_comes_out_as_it_went_in(parts: dict[str, bytes]) -> None:
    body = form(*((named(name), content) for name, content in parts.items()))
    assert read_form_data(body, BOUNDARY) == parts
