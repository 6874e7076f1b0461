from __future__ import annotations

import pytest

from gateway.errors import JsonRefused
from gateway.webrtc.description import (
    MOST_BYTES,
    MOST_LINE_CHARACTERS,
    MOST_LINES,
    MOST_SECTIONS,
    Attributes,
    Media,
    read_description,
    whole,
)

AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111 0"
CHANNEL = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"


def text(*lines: str) -> str:
    return "\n".join(("v=0", *lines, ""))


def refusal(sdp: str) -> str:
    with pytest.raises(JsonRefused) as caught:
        read_description(sdp)
    assert (caught.value.status_code, caught.value.reason, caught.value.param) == (400, "invalid_offer", "sdp")
    return str(caught.value)


def medias_of(*lines: str) -> tuple[Media, ...]:
    return read_description(text(*lines))[1]


def filled(size: int, letter: str = "x") -> str:
    """A description of `size` characters, in lines that are neither too long nor too many."""
    sdp = "v=0\n"
    while len(sdp) < size:
        sdp += letter * min(900, size - len(sdp) - 1) + "\n"
    assert len(sdp) == size
    return sdp


def test_attributes_belong_to_the_session_or_to_the_section_above_them() -> None:
    session, medias = read_description(
        text("o=- 1 1 IN IP4 0.0.0.0", "a=ice-lite", "a=group:BUNDLE a b", AUDIO, "a=mid:a", CHANNEL, "a=mid:b")
    )
    assert session == Attributes(by_name={"ice-lite": [""], "group": ["BUNDLE a b"]})
    assert medias == (
        Media(
            kind="audio",
            mid="a",
            protocol="UDP/TLS/RTP/SAVPF",
            formats=("111", "0"),
            is_off=False,
            attributes=Attributes(by_name={"mid": ["a"]}),
        ),
        Media(
            kind="application",
            mid="b",
            protocol="UDP/DTLS/SCTP",
            formats=("webrtc-datachannel",),
            is_off=False,
            attributes=Attributes(by_name={"mid": ["b"]}),
        ),
    )


def test_lines_end_in_lf_or_in_cr_lf_and_the_last_needs_no_end() -> None:
    lines = ("v=0", AUDIO, "a=mid:a", "a=rtcp-mux")
    read = read_description("\n".join(lines))
    assert read_description("\r\n".join(lines)) == read
    assert read_description("\r\n".join((*lines, ""))) == read
    assert read[1][0].attributes.first("rtcp-mux") == ""


def test_of_an_attribute_given_twice_the_first_counts_and_all_are_kept() -> None:
    (media,) = medias_of(AUDIO, "a=setup:active", "a=setup: passive ", "a=tool:x:y")
    assert media.attributes.first("setup") == "active"
    assert media.attributes.all("setup") == ["active", "passive"]
    assert media.attributes.all("tool") == ["x:y"]
    assert media.attributes.first("mid") is None
    assert media.attributes.all("mid") == ()


def test_a_section_without_a_mid_goes_by_its_index() -> None:
    assert [media.mid for media in medias_of(AUDIO, CHANNEL, "a=mid:data", CHANNEL, "a=mid:")] == ["0", "data", "2"]


def test_two_sections_may_not_have_the_same_mid() -> None:
    assert "two sections have the a=mid '1'" in refusal(text(AUDIO, "a=mid:1", CHANNEL))


def test_port_zero_turns_a_section_off_unless_it_is_to_be_bundled() -> None:
    off = AUDIO.replace(" 9 ", " 0 ")
    assert [media.is_off for media in medias_of(off, off, "a=bundle-only", AUDIO)] == [True, False, False]


def test_payload_numbers_that_look_like_rtcp_are_left_out() -> None:
    (media,) = medias_of("m=video 9 RTP/SAVPF 63 64 72 95 96 007")
    assert media.formats == ("63", "96", "7")


@pytest.mark.parametrize(
    "line",
    [
        "m=",
        "m=audio",
        "m=audio 9 RTP/SAVPF",
        "m=audio 9 RTP/SAVPF ",
        "m=audio  9 RTP/SAVPF 0",
        "m=Audio 9 RTP/SAVPF 0",
        "m=audio -1 RTP/SAVPF 0",
        "m=audio 9/2 RTP/SAVPF 0",
        "m=audio 65536 RTP/SAVPF 0",
        "m=audio \u0669 RTP/SAVPF 0",
        "m=audio 9 rtp/savpf 0",
        "m=audio 9 RTP/SAVPF 0\t8",
        "m=audio 9 RTP/SAVPF 0\r8",
        "m=application 9 UDP/DTLS/SCTP data\u2028channel",
    ],
)
def test_a_media_line_of_another_form_is_refused_and_shown(line: str) -> None:
    words = refusal(text(line))
    assert "expected m=<kind> <port> <protocol> <formats>" in words
    assert ascii(line) in words


@pytest.mark.parametrize("port", ["0", "65535"])
def test_every_port_is_read(port: str) -> None:
    assert medias_of(f"m=audio {port} RTP/SAVPF 0")


@pytest.mark.parametrize("mid", ["a b", "a\rb", "a\x85b", "\u00e9"])
def test_a_mid_that_an_answer_cannot_repeat_is_refused(mid: str) -> None:
    assert f"with {ascii(mid)}" in refusal(text(AUDIO, f"a=mid:{mid}"))


@pytest.mark.parametrize("formats", ["x", "128", "96 -1", "64", "72 95"])
def test_an_audio_section_needs_payload_numbers_that_work(formats: str) -> None:
    assert "expected payload numbers from 0 to 127" in refusal(text(f"m=audio 9 RTP/SAVPF {formats}"))


def test_a_text_may_have_so_many_bytes_and_no_more() -> None:
    assert read_description(filled(MOST_BYTES)) == (Attributes(by_name={}), ())
    assert f"at most {MOST_BYTES} bytes" in refusal(filled(MOST_BYTES + 1))


def test_bytes_are_counted_not_characters() -> None:
    lines = filled(MOST_BYTES // 2, "\u00e9")
    room = MOST_BYTES - len(lines.encode())
    assert read_description(lines + "x" * room)
    assert f"at most {MOST_BYTES} bytes" in refusal(lines + "x" * (room + 1))


def test_a_text_may_have_so_many_lines_and_no_more() -> None:
    most = "v=0" + "\na=x" * (MOST_LINES - 1)
    for sdp in (most, most + "\n"):
        assert len(read_description(sdp)[0].all("x")) == MOST_LINES - 1
    assert f"at most {MOST_LINES} lines" in refusal(most + "\na=x")
    assert f"at most {MOST_LINES} lines" in refusal(most + "\n\n")


def test_a_line_may_have_so_many_characters_and_no_more() -> None:
    line = "a=" + "x" * (MOST_LINE_CHARACTERS - 2)
    assert list(read_description(f"v=0\r\n{line}\r\n")[0].by_name) == [line[2:]]
    assert f"at most {MOST_LINE_CHARACTERS} characters a line, line 2" in refusal(f"v=0\r\n{line}x\r\n")


def test_a_text_may_have_so_many_sections_and_no_more() -> None:
    assert len(medias_of(*[CHANNEL] * MOST_SECTIONS)) == MOST_SECTIONS
    assert f"more than {MOST_SECTIONS} m= sections" in refusal(text(*[CHANNEL] * (MOST_SECTIONS + 1)))


@pytest.mark.parametrize("sdp", ["", "\n", "{}", "\ufeffv=0\n", "\nv=0\n", "v=1\n", "v=0 \n", "V=0\n"])
def test_what_does_not_begin_as_sdp_is_refused(sdp: str) -> None:
    assert "expected SDP, whose first line is v=0" in refusal(sdp)


def test_a_nul_is_refused() -> None:
    assert "NUL" in refusal(text("a=x\0"))


def test_half_of_a_surrogate_pair_is_refused() -> None:
    assert "surrogate" in refusal(text("a=x\ud800"))


@pytest.mark.parametrize(
    ("written", "most", "number"),
    [
        ("0", None, 0),
        ("007", None, 7),
        ("9" * 20, None, 99_999_999_999_999_999_999),
        ("9" * 21, None, None),
        ("8", 8, 8),
        ("9", 8, None),
        ("", None, None),
        ("+1", None, None),
        ("1_0", None, None),
        (" 1", None, None),
        ("\u0661", None, None),
        ("\u00b2", None, None),
    ],
)
def test_a_whole_number_is_ascii_digits_only(written: str, most: int | None, number: int | None) -> None:
    assert whole(written, most=most) == number
