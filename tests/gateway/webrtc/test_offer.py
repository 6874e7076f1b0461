from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import JsonRefused
from gateway.webrtc.offer import (
    DEFAULT_MESSAGE_BYTES,
    MOST_CANDIDATE_CHARACTERS,
    MOST_CANDIDATES,
    RTP_PROTOCOLS,
    Audio,
    Channel,
    Fingerprint,
    Offer,
    Section,
    read_offer,
)
from gateway.webrtc.payload import Codec, Payload
from tests.gateway.webrtc.offers import (
    BROWSERS,
    CHROMIUM,
    CHROMIUM_WITH_MDNS,
    CHROMIUM_WITH_VIDEO,
    FIREFOX,
    SAFARI,
    changed,
    without,
)

FINGERPRINT = "CB:3D:42:B8:AD:8F:DB:ED:C8:A0:2C:61:BB:C3:6B:98:9B:1B:42:1B:78:B1:A3:58:7B:23:70:7C:B9:CD:15:9A"
AUDIO_LINE = "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126"
CHANNEL_LINE = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"
AUDIO_ONLY = changed(CHROMIUM.partition("m=application")[0], ("BUNDLE 0 1", "BUNDLE 0"))


def refusal(sdp: str) -> str:
    with pytest.raises(JsonRefused) as caught:
        read_offer(sdp)
    assert (caught.value.status_code, caught.value.reason, caught.value.param) == (400, "invalid_offer", "sdp")
    return str(caught.value)


def audio_of(*lines: str) -> Audio:
    """What is taken of an audio section with these lines, the first being its m= line."""
    head = without(AUDIO_ONLY.partition("m=audio")[0], "a=group")
    return read_offer(head + "\n".join((*lines, *TRANSPORT, ""))).audio


TRANSPORT = (
    "a=rtcp-mux",
    "a=ice-ufrag:fawY",
    "a=ice-pwd:xv1MbH8WRyzUt7EiToEu4ZEX",
    f"a=fingerprint:sha-256 {FINGERPRINT}",
)


def test_all_of_chromiums_offer_is_read() -> None:
    assert read_offer(CHROMIUM) == Offer(
        audio=Audio(mid="0", payload=Payload(Codec.OPUS, 111), hears=True, speaks=True),
        channel=Channel(mid="1", sctp_port=5000, most_bytes=262_144),
        ufrag="fawY",
        password="xv1MbH8WRyzUt7EiToEu4ZEX",
        is_lite=False,
        fingerprints=(Fingerprint(algorithm="sha-256", value=FINGERPRINT),),
        setup="actpass",
        candidates=(),
        sections=(
            Section(
                kind="audio",
                mid="0",
                protocol="UDP/TLS/RTP/SAVPF",
                formats=("111", "63", "9", "0", "8", "13", "110", "126"),
            ),
            Section(kind="application", mid="1", protocol="UDP/DTLS/SCTP", formats=("webrtc-datachannel",)),
        ),
        bundled=("0", "1"),
    )


def test_line_ends_make_no_difference() -> None:
    assert read_offer(CHROMIUM.replace("\n", "\r\n")) == read_offer(CHROMIUM)


def test_firefox_says_its_fingerprint_once_and_its_port_not_at_all() -> None:
    offer = read_offer(FIREFOX)
    assert offer.audio == Audio(mid="0", payload=Payload(Codec.OPUS, 109), hears=True, speaks=True)
    assert offer.channel == Channel(mid="1", sctp_port=5000, most_bytes=1_073_741_823)
    assert [fingerprint.value[:5] for fingerprint in offer.fingerprints] == ["5D:96"]
    assert offer.bundled == ("0", "1")


def test_safaris_candidates_are_kept_as_they_were_written() -> None:
    assert read_offer(SAFARI).candidates == (
        "842163049 1 udp 1677729535 198.51.100.23 53417 typ srflx raddr 0.0.0.0 rport 0 generation 0 "
        "network-cost 999",
        "1876313031 1 udp 2113937151 4e0f5b3d-3a9d-4a52-b6d9-5d0d0f2f7d2c.local 53417 typ host generation 0 "
        "network-cost 999",
    )


def test_candidates_are_those_of_the_transport_that_is_kept() -> None:
    ports = [candidate.split()[5] for candidate in read_offer(CHROMIUM_WITH_MDNS).candidates]
    assert ports == ["45613", "48633"]
    channel_first = changed(CHROMIUM_WITH_MDNS, ("BUNDLE 0 1", "BUNDLE 1 0"))
    ports = [candidate.split()[5] for candidate in read_offer(channel_first).candidates]
    assert ports == ["42979", "37197"]


def test_video_is_remembered_to_be_declined() -> None:
    offer = read_offer(CHROMIUM_WITH_VIDEO)
    assert [section.kind for section in offer.sections] == ["audio", "video", "application"]
    assert offer.sections[1].formats == ("96", "97")
    assert offer.bundled == ("0", "2")
    assert offer.channel is not None and offer.channel.mid == "2"


def test_a_second_audio_section_and_a_second_channel_are_not_taken() -> None:
    audio, channel = CHROMIUM.partition("m=audio")[2].split("m=application")
    more = changed(f"m=audio{audio}m=application{channel}", ("a=mid:0", "a=mid:2"), ("a=mid:1", "a=mid:3"))
    offer = read_offer(CHROMIUM + more)
    assert offer.audio.mid == "0"
    assert offer.channel is not None and offer.channel.mid == "1"
    assert [section.mid for section in offer.sections] == ["0", "1", "2", "3"]
    assert offer.bundled == ("0", "1")


def test_audio_alone_needs_no_bundle() -> None:
    assert read_offer(AUDIO_ONLY).bundled == ("0",)
    offer = read_offer(without(AUDIO_ONLY, "a=group"))
    assert (offer.channel, offer.bundled) == (None, ())
    assert offer.ufrag == "fawY"


def test_a_bundle_of_other_sections_says_nothing_of_ours() -> None:
    assert read_offer(changed(AUDIO_ONLY, ("BUNDLE 0", "BUNDLE 7 8"))).bundled == ()
    assert read_offer(changed(CHROMIUM, ("a=group:", "a=group:LS 0 1\na=group:BUNDLE 7\na=group:"))).bundled == (
        "0",
        "1",
    )


def test_a_bundle_that_names_a_section_twice_names_it_once() -> None:
    assert read_offer(changed(CHROMIUM, ("BUNDLE 0 1", "BUNDLE 1 0 1"))).bundled == ("1", "0")


@pytest.mark.parametrize("group", ["BUNDLE 0", "BUNDLE 1", "BUNDLE", "LS 0 1", "BUNDLE 0\na=group:BUNDLE 1"])
def test_audio_and_channel_on_two_transports_are_refused(group: str) -> None:
    assert "a=group:BUNDLE 0 1." in refusal(changed(CHROMIUM, ("BUNDLE 0 1", group)))


def test_the_first_section_of_the_bundle_says_how_to_reach_the_peer() -> None:
    audio, channel = CHROMIUM.split("m=application")
    other = changed(
        channel,
        ("fawY", "other"),
        ("xv1MbH8WRyzUt7EiToEu4ZEX", "x" * 22),
        (FINGERPRINT, FINGERPRINT.replace("CB:", "00:")),
        ("actpass", "passive"),
    )
    offer = read_offer(f"{audio}m=application{other}")
    assert (offer.ufrag, offer.setup, offer.fingerprints[0].value) == ("fawY", "actpass", FINGERPRINT)
    offer = read_offer(changed(f"{audio}m=application{other}", ("BUNDLE 0 1", "BUNDLE 1 0")))
    assert (offer.ufrag, offer.password, offer.setup) == ("other", "x" * 22, "passive")
    assert offer.fingerprints[0].value.startswith("00:")


def test_what_no_section_says_the_session_says() -> None:
    lines = ("a=ice-ufrag:sess", f"a=ice-pwd:{'s' * 22}", f"a=fingerprint:sha-256 {FINGERPRINT}", "a=setup:active")
    bare = CHROMIUM
    for line in ("a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"):
        bare = without(bare, line)
    offer = read_offer(changed(bare, ("t=0 0\n", "\n".join(("t=0 0", *lines, "")))))
    assert (offer.ufrag, offer.password, offer.setup) == ("sess", "s" * 22, "active")
    assert offer.fingerprints == (Fingerprint(algorithm="sha-256", value=FINGERPRINT),)


def test_a_lite_peer_says_so_for_the_session() -> None:
    assert read_offer(changed(CHROMIUM, ("t=0 0", "t=0 0\na=ice-lite"))).is_lite


def test_an_offer_of_a_channel_alone_is_refused() -> None:
    channel = "m=application" + CHROMIUM.partition("m=application")[2]
    words = refusal(CHROMIUM.partition("m=audio")[0] + channel)
    assert "a Realtime session over WebRTC needs one audio section" in words


def test_an_audio_section_that_is_off_is_none() -> None:
    off = changed(CHROMIUM, (AUDIO_LINE, AUDIO_LINE.replace(" 9 ", " 0 ", 1)))
    assert "needs one audio section" in refusal(off)
    assert read_offer(changed(off, ("a=mid:0", "a=mid:0\na=bundle-only"))).audio.mid == "0"


@pytest.mark.parametrize("protocol", RTP_PROTOCOLS)
def test_audio_is_taken_over_every_name_of_dtls_srtp(protocol: str) -> None:
    offer = read_offer(changed(CHROMIUM, ("UDP/TLS/RTP/SAVPF", protocol)))
    assert offer.sections[0].protocol == protocol


@pytest.mark.parametrize("protocol", ["RTP/AVP", "TCP/DTLS/RTP/SAVPF", "UDP/TLS/RTP/SAVPFX"])
def test_audio_over_anything_else_is_refused_if_there_is_no_other(protocol: str) -> None:
    assert f"got '{protocol}'" in refusal(changed(CHROMIUM, ("UDP/TLS/RTP/SAVPF", protocol)))
    section = f"m=audio 9 {protocol} 0\na=mid:other\n"
    offer = read_offer(changed(CHROMIUM, ("m=audio", f"{section}m=audio")))
    assert (offer.audio.mid, offer.sections[0].mid) == ("0", "other")


@pytest.mark.parametrize(
    "line",
    [
        "m=application 9 TCP/DTLS/SCTP webrtc-datachannel",
        "m=application 9 DTLS/SCTP 5000",
        "m=application 9 UDP/DTLS/SCTP 5000",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        "m=text 9 UDP/DTLS/SCTP webrtc-datachannel",
    ],
)
def test_a_channel_of_another_kind_is_not_taken(line: str) -> None:
    offer = read_offer(changed(CHROMIUM, (CHANNEL_LINE, line)))
    assert (offer.channel, offer.bundled, len(offer.sections)) == (None, ("0",), 2)


@pytest.mark.parametrize(
    ("formats", "lines", "payload"),
    [
        ("0 111", ("a=rtpmap:111 opus/48000/2",), Payload(Codec.OPUS, 111)),
        ("8 109 111", ("a=rtpmap:111 opus/48000/2", "a=rtpmap:109 OPUS/48000/2"), Payload(Codec.OPUS, 109)),
        ("8 0", (), Payload(Codec.PCMU, 0)),
        ("9 8 13", (), Payload(Codec.PCMA, 8)),
        ("97 8", ("a=rtpmap:97 pcmu/8000/1",), Payload(Codec.PCMU, 97)),
        ("97", ("a=rtpmap:97 PCMA/8000",), Payload(Codec.PCMA, 97)),
        ("98", ("a=rtpmap:98  pcma/8000/1",), Payload(Codec.PCMA, 98)),
        ("0 8", ("a=rtpmap:0 L16/8000",), Payload(Codec.PCMA, 8)),
        ("97", ("a=rtpmap:97 PCMU/8000", "a=rtpmap:97 opus/48000/2"), Payload(Codec.PCMU, 97)),
        ("0 111", ("a=rtpmap:111 opus/48000",), Payload(Codec.PCMU, 0)),
        ("0", ("a=rtpmap:111 opus/48000/2", "a=rtpmap:x opus/48000/2", "a=rtpmap"), Payload(Codec.PCMU, 0)),
        ("64 0", ("a=rtpmap:64 opus/48000/2",), Payload(Codec.PCMU, 0)),
        ("96", ("a=rtpmap:096 opus/48000/2",), Payload(Codec.OPUS, 96)),
    ],
)
def test_opus_is_preferred_then_pcmu_then_pcma(formats: str, lines: tuple[str, ...], payload: Payload) -> None:
    assert audio_of(f"m=audio 9 UDP/TLS/RTP/SAVPF {formats}", *lines).payload == payload


def test_without_a_codec_of_ours_what_was_offered_is_named() -> None:
    sdp = changed(
        CHROMIUM,
        (AUDIO_LINE, "m=audio 9 UDP/TLS/RTP/SAVPF 9 96"),
        ("rtpmap:111 opus/48000/2", "rtpmap:96 L16/44100"),
    )
    assert "got 'G722/8000, L16/44100'" in refusal(sdp)
    assert "got '9, 96'" in refusal(without(sdp, "a=rtpmap"))


@pytest.mark.parametrize(
    ("lines", "hears", "speaks"),
    [
        (("a=sendrecv",), True, True),
        (("a=sendonly",), True, False),
        (("a=recvonly",), False, True),
        ((), True, True),
        (("a=recvonly", "a=inactive"), False, True),
    ],
)
def test_what_the_peer_sends_we_hear(lines: tuple[str, ...], hears: bool, speaks: bool) -> None:
    audio = audio_of("m=audio 9 UDP/TLS/RTP/SAVPF 0", *lines)
    assert (audio.hears, audio.speaks) == (hears, speaks)


def test_the_sessions_direction_holds_where_the_section_has_none() -> None:
    sdp = changed(CHROMIUM, ("t=0 0", "t=0 0\na=sendonly"))
    assert read_offer(sdp).audio.speaks
    assert not read_offer(without(sdp, "a=sendrecv")).audio.speaks


def test_an_inactive_section_is_refused() -> None:
    assert "inactive" in refusal(changed(CHROMIUM, ("a=sendrecv", "a=inactive")))


def test_rtcp_on_a_port_of_its_own_is_refused() -> None:
    assert "lacks a=rtcp-mux" in refusal(without(CHROMIUM, "a=rtcp-mux"))


@pytest.mark.parametrize(
    ("name", "value", "least"), [("ice-ufrag", "fawY", 4), ("ice-pwd", "xv1MbH8WRyzUt7EiToEu4ZEX", 22)]
)
def test_ice_credentials_have_a_form_and_a_length(name: str, value: str, least: int) -> None:
    for length in (least, 256):
        good = ("aZ09+/" * 50)[:length]
        assert good in repr(read_offer(changed(CHROMIUM, (value, good))))
    for length in (least - 1, 257):
        words = refusal(changed(CHROMIUM, (value, "a" * length)))
        assert f"expected {least} to 256 letters" in words and f"got {length} characters" in words
    for bad in ("-", "=", " ", "\u00e9", "\r"):
        words = refusal(changed(CHROMIUM, (value, f"secret{bad}secretsecretsecret")))
        assert f"a={name}" in words and "secret" not in words
    assert f"lacks a={name}" in refusal(without(CHROMIUM, f"a={name}"))


def pairs(count: int) -> str:
    return ":".join(["aB"] * count)


@pytest.mark.parametrize(("algorithm", "count"), [("sha-256", 32), ("SHA-384", 48), ("sha-512", 64)])
def test_a_fingerprint_has_as_many_pairs_as_its_hash(algorithm: str, count: int) -> None:
    offer = read_offer(changed(CHROMIUM, (f"sha-256 {FINGERPRINT}", f"{algorithm} {pairs(count)}")))
    value = ":".join(["AB"] * count)
    assert offer.fingerprints == (Fingerprint(algorithm=algorithm.lower(), value=value),)
    for wrong in (count - 1, count + 1):
        sdp = changed(CHROMIUM, (f"sha-256 {FINGERPRINT}", f"{algorithm} {pairs(wrong)}"))
        assert f"expected {count} pairs" in refusal(sdp)


@pytest.mark.parametrize(
    "value", ["", "00" * 32, pairs(31) + ":G0", pairs(31) + ":0", pairs(31) + ":000", pairs(31) + ":\u0661\u0661"]
)
def test_a_fingerprint_of_another_form_is_refused(value: str) -> None:
    assert "expected 32 pairs of hex digits" in refusal(changed(CHROMIUM, (FINGERPRINT, value)))


def test_every_strong_fingerprint_counts_and_weak_ones_are_passed_over() -> None:
    lines = f"sha-1 {pairs(20)}\na=fingerprint:sha-512 {pairs(64)}\na=fingerprint:sha-256 {FINGERPRINT}"
    offer = read_offer(changed(CHROMIUM, (f"sha-256 {FINGERPRINT}", lines)))
    assert [fingerprint.algorithm for fingerprint in offer.fingerprints] == ["sha-512", "sha-256"]


def test_without_a_strong_fingerprint_an_offer_is_refused() -> None:
    assert "lacks an a=fingerprint" in refusal(without(CHROMIUM, "a=fingerprint"))
    assert "lacks an a=fingerprint" in refusal(changed(CHROMIUM, (f"sha-256 {FINGERPRINT}", f"sha-1 {pairs(20)}")))


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
def test_the_peer_says_who_may_open_dtls(setup: str) -> None:
    assert read_offer(changed(CHROMIUM, ("a=setup:actpass", f"a=setup:{setup}"))).setup == setup


def test_a_peer_that_says_nothing_of_dtls_takes_either_part() -> None:
    assert read_offer(without(CHROMIUM, "a=setup")).setup == "actpass"


@pytest.mark.parametrize("setup", ["holdconn", "ACTIVE", ""])
def test_another_setup_is_refused(setup: str) -> None:
    assert f"got '{setup}'" in refusal(changed(CHROMIUM, ("a=setup:actpass", f"a=setup:{setup}")))


def test_a_transport_has_so_many_candidates_and_no_more() -> None:
    line = "a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\n"
    most = changed(CHROMIUM, ("a=mid:0\n", "a=mid:0\n" + line * MOST_CANDIDATES))
    assert len(read_offer(most).candidates) == MOST_CANDIDATES
    assert f"at most {MOST_CANDIDATES} lines a=candidate" in refusal(
        changed(most, ("a=mid:0\n", f"a=mid:0\n{line}"))
    )
    # The channel's own are not used, so they are not counted.
    assert len(read_offer(changed(most, ("a=mid:1\n", f"a=mid:1\n{line}"))).candidates) == MOST_CANDIDATES


def test_where_the_first_section_has_no_candidates_the_others_count() -> None:
    sdp = changed(CHROMIUM, ("a=mid:1\n", "a=mid:1\na=candidate:none of ours\n"))
    assert read_offer(sdp).candidates == ("none of ours",)


def test_a_candidate_has_so_many_characters_and_no_more() -> None:
    most = "1" * MOST_CANDIDATE_CHARACTERS
    assert read_offer(changed(CHROMIUM, ("a=mid:0\n", f"a=mid:0\na=candidate:{most}\n"))).candidates == (most,)
    words = refusal(changed(CHROMIUM, ("a=mid:0\n", f"a=mid:0\na=candidate:{most}1\n")))
    assert f"at most {MOST_CANDIDATE_CHARACTERS} characters" in words


@pytest.mark.parametrize(("port", "read"), [("1", 1), ("5000", 5000), ("65535", 65_535)])
def test_the_sctp_port_is_a_port(port: str, read: int) -> None:
    channel = read_offer(changed(CHROMIUM, ("sctp-port:5000", f"sctp-port:{port}"))).channel
    assert channel is not None and channel.sctp_port == read


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", ""])
def test_an_sctp_port_that_is_none_is_refused(port: str) -> None:
    words = refusal(changed(CHROMIUM, ("sctp-port:5000", f"sctp-port:{port}")))
    assert "a=sctp-port from 1 to 65535" in words and f"got '{port}'" in words


def test_a_channel_that_says_nothing_has_the_usual_port_and_length() -> None:
    bare = without(without(CHROMIUM, "a=sctp-port"), "a=max-message-size")
    assert read_offer(bare).channel == Channel(mid="1", sctp_port=5000, most_bytes=DEFAULT_MESSAGE_BYTES)
    assert read_offer(changed(bare, ("a=mid:1", "a=mid:1\na=sctpmap:5000 webrtc-datachannel 1024"))).channel


@pytest.mark.parametrize(("written", "read"), [("0", 65_536), ("1", 1), ("18446744073709551615", 2**64 - 1)])
def test_the_longest_message_is_the_peers_word(written: str, read: int) -> None:
    channel = read_offer(changed(CHROMIUM, ("max-message-size:262144", f"max-message-size:{written}"))).channel
    assert channel is not None and channel.most_bytes == read


@pytest.mark.parametrize("written", ["", "-1", "64k", "1" * 21])
def test_a_message_size_that_is_no_number_is_refused(written: str) -> None:
    words = refusal(changed(CHROMIUM, ("max-message-size:262144", f"max-message-size:{written}")))
    assert "expected a number of bytes as a=max-message-size" in words


@settings(max_examples=300, deadline=None)
@given(st.text(), st.sampled_from(["", "v=0\n", "v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 0\n", *BROWSERS.values()]))
def test_arbitrary_text_is_read_or_refused(text: str, before: str) -> None:
    try:
        read_offer(before + text)
    except JsonRefused as refused:
        assert refused.param == "sdp"
        assert str(refused).isascii()
