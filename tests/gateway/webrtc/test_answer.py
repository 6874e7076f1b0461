from __future__ import annotations

import zlib
from dataclasses import replace

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import JsonRefused
from gateway.webrtc.answer import LocalSide, answer_to, setup_for
from gateway.webrtc.offer import Fingerprint, read_offer
from gateway.webrtc.payload import Codec, Payload
from tests.gateway.webrtc.offers import BROWSERS, CHROMIUM, CHROMIUM_WITH_VIDEO, FIREFOX, changed, without

pytestmark = pytest.mark.anyio

OURS = LocalSide(
    ufrag="oUrs",
    password="ourpasswordourpassword",
    fingerprints=(Fingerprint(algorithm="sha-256", value=":".join(["0F"] * 32)),),
    candidates=(
        "1 1 udp 2130706431 2001:db8::7 40000 typ host",
        "2 1 udp 2130706175 192.0.2.7 40001 typ host",
        "3 1 udp 2130705919 192.0.2.8 40002 typ host",
    ),
    setup="active",
    ssrc=4_000_000_000,
    cname="switchboard",
)

TRANSPORT = f"""\
a=candidate:1 1 udp 2130706431 2001:db8::7 40000 typ host
a=candidate:2 1 udp 2130706175 192.0.2.7 40001 typ host
a=candidate:3 1 udp 2130705919 192.0.2.8 40002 typ host
a=end-of-candidates
a=ice-ufrag:oUrs
a=ice-pwd:ourpasswordourpassword
a=fingerprint:sha-256 {OURS.fingerprints[0].value}
a=setup:active
"""


def lines_to(sdp: str, ours: LocalSide = OURS) -> list[str]:
    answer = answer_to(read_offer(sdp), ours)
    assert answer.endswith("\r\n")
    return answer.removesuffix("\r\n").split("\r\n")


def sections_of(lines: list[str]) -> list[list[str]]:
    starts = [index for index, line in enumerate(lines) if line.startswith("m=")]
    return [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]


def test_the_whole_answer_to_chromium_with_video() -> None:
    expected = f"""\
v=0
o=- {zlib.crc32(b"oUrs")} 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 2
a=msid-semantic:WMS *
m=audio 40001 UDP/TLS/RTP/SAVPF 111
c=IN IP4 192.0.2.7
a=mid:0
a=sendrecv
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1;stereo=0
a=ptime:20
a=rtcp-mux
a=ssrc:4000000000 cname:switchboard
a=msid:switchboard voice
{TRANSPORT}\
m=video 0 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=mid:1
a=inactive
m=application 40001 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 192.0.2.7
a=mid:2
a=sctp-port:5000
a=max-message-size:65536
{TRANSPORT}"""
    assert lines_to(CHROMIUM_WITH_VIDEO) == expected.removesuffix("\n").split("\n")


@pytest.mark.parametrize(
    ("offered", "answered"), [("sendrecv", "sendrecv"), ("sendonly", "recvonly"), ("recvonly", "sendonly")]
)
def test_the_direction_is_the_offers_seen_from_here(offered: str, answered: str) -> None:
    audio, channel = sections_of(lines_to(changed(CHROMIUM, ("a=sendrecv", f"a={offered}"))))
    assert f"a={answered}" in audio
    assert ("a=msid:switchboard voice" in audio) == (answered != "recvonly")
    assert not {f"a={word}" for word in ("sendrecv", "sendonly", "recvonly", "inactive")} & {*channel}


@pytest.mark.parametrize(("number", "name"), [(0, "PCMU/8000"), (8, "PCMA/8000")])
def test_g711_is_answered_with_its_rate_and_nothing_of_opus(number: int, name: str) -> None:
    line = "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126"
    audio, _ = sections_of(lines_to(changed(CHROMIUM, (line, f"m=audio 9 UDP/TLS/RTP/SAVPF {number}"))))
    assert audio[0] == f"m=audio 40001 UDP/TLS/RTP/SAVPF {number}"
    assert [one for one in audio if one.startswith(("a=rtpmap", "a=fmtp"))] == [f"a=rtpmap:{number} {name}"]


@pytest.mark.parametrize("candidates", [(), ("1 1 udp 2130706431 2001:db8::7 40000 typ host",)])
def test_without_an_ipv4_candidate_there_is_no_default_destination(candidates: tuple[str, ...]) -> None:
    audio, channel = sections_of(lines_to(CHROMIUM, replace(OURS, candidates=candidates)))
    assert audio[:2] == ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0"]
    assert channel[:2] == ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0"]
    assert [line for line in audio if line.startswith("a=candidate")] == [
        f"a=candidate:{one}" for one in candidates
    ]


def test_only_taken_sections_are_bundled_in_the_order_of_the_offer() -> None:
    assert "a=group:BUNDLE 1 0" in lines_to(changed(CHROMIUM, ("BUNDLE 0 1", "BUNDLE x 1 0")))


def test_an_offer_without_a_bundle_is_answered_without_one() -> None:
    audio_only = without(CHROMIUM.partition("m=application")[0], "a=group")
    assert not [line for line in lines_to(audio_only) if line.startswith("a=group")]


def test_every_declined_section_is_answered_in_its_place() -> None:
    more = """\
m=audio 9 RTP/AVP 0 8
a=mid:second
m=application 9 TCP/DTLS/SCTP webrtc-datachannel
m=text 9 RTP/SAVPF t140
"""
    assert [section for section in sections_of(lines_to(CHROMIUM + more)) if section[0].split()[1] == "0"] == [
        ["m=audio 0 RTP/AVP 0 8", "c=IN IP4 0.0.0.0", "a=mid:second", "a=inactive"],
        ["m=application 0 TCP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:3", "a=inactive"],
        ["m=text 0 RTP/SAVPF t140", "c=IN IP4 0.0.0.0", "a=mid:4", "a=inactive"],
    ]


def test_a_channel_that_is_not_taken_is_declined() -> None:
    offer = changed(CHROMIUM, ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP"))
    _, channel = sections_of(lines_to(offer))
    assert channel[0] == "m=application 0 TCP/DTLS/SCTP webrtc-datachannel"


def test_the_session_id_follows_from_the_ufrag_and_is_never_zero() -> None:
    nothing = replace(OURS, ufrag="")
    assert zlib.crc32(b"") == 0
    assert lines_to(CHROMIUM, nothing)[1] == "o=- 1 1 IN IP4 0.0.0.0"
    assert lines_to(CHROMIUM)[1] != lines_to(CHROMIUM, replace(OURS, ufrag="oUrt"))[1]
    assert lines_to(CHROMIUM)[1] == lines_to(FIREFOX)[1]


def test_no_extension_no_feedback_and_no_trickle_is_answered() -> None:
    for offer in BROWSERS.values():
        answer = answer_to(read_offer(offer), OURS)
        assert "extmap" not in answer and "rtcp-fb" not in answer
        assert "ice-options" not in answer and "ice-lite" not in answer


@pytest.mark.parametrize(("offered", "ours"), [("actpass", "active"), ("passive", "active"), ("active", "passive")])
def test_we_open_dtls_unless_the_peer_does(offered: str, ours: str) -> None:
    assert setup_for(read_offer(changed(CHROMIUM, ("a=setup:actpass", f"a=setup:{offered}")))) == ours


def test_our_part_of_dtls_is_in_every_taken_section() -> None:
    for section in sections_of(lines_to(CHROMIUM, replace(OURS, setup="passive"))):
        assert "a=setup:passive" in section


@pytest.mark.parametrize("name", BROWSERS)
def test_every_browsers_offer_is_answered_with_what_another_reader_understands(name: str) -> None:
    offer = read_offer(BROWSERS[name])
    answer = SessionDescription.parse(answer_to(offer, OURS))
    assert [(media.kind, media.rtp.muxId) for media in answer.media] == [
        (section.kind, section.mid) for section in offer.sections
    ]
    taken = {media.rtp.muxId: media for media in answer.media if media.port}
    assert [(group.semantic, tuple(group.items)) for group in answer.group] == [("BUNDLE", offer.bundled)]
    assert {*taken} == {*offer.bundled}
    for media in taken.values():
        assert media.ice is not None and media.ice.usernameFragment == OURS.ufrag
        assert media.ice.password == OURS.password
        assert media.dtls is not None and media.dtls.role == "client"
        assert [one.value for one in media.dtls.fingerprints] == [OURS.fingerprints[0].value]
        assert [(one.ip, one.port) for one in media.ice_candidates] == [
            ("2001:db8::7", 40_000),
            ("192.0.2.7", 40_001),
            ("192.0.2.8", 40_002),
        ]
        assert media.ice_candidates_complete
    audio = taken[offer.audio.mid]
    assert [(codec.mimeType, codec.payloadType, codec.channels) for codec in audio.rtp.codecs] == [
        ("audio/opus", offer.audio.payload.number, 2)
    ]
    assert audio.rtcp_mux and audio.ssrc[0].ssrc == OURS.ssrc
    assert offer.channel is not None and taken[offer.channel.mid].sctp_port == 5000


def client(
    *, direction: str | None = "sendrecv", channel: bool = True, codec: str | None = None
) -> RTCPeerConnection:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    if direction is not None:
        transceiver = peer.addTransceiver(AudioStreamTrack(), direction)
        if codec is not None:
            known = RTCRtpSender.getCapabilities("audio").codecs
            transceiver.setCodecPreferences([one for one in known if one.mimeType == codec])
    if channel:
        peer.createDataChannel("oai-events")
    return peer


@pytest.mark.parametrize("gathered", [False, True])
@pytest.mark.parametrize("channel", [False, True])
@pytest.mark.parametrize("direction", ["sendrecv", "sendonly", "recvonly"])
@pytest.mark.parametrize(
    ("codec", "payload"),
    [
        (None, Payload(Codec.OPUS, 96)),
        ("audio/PCMU", Payload(Codec.PCMU, 0)),
        ("audio/PCMA", Payload(Codec.PCMA, 8)),
    ],
)
async def test_a_live_client_takes_the_answer_to_its_offer(
    gathered: bool, channel: bool, direction: str, codec: str | None, payload: Payload
) -> None:
    peer = client(direction=direction, channel=channel, codec=codec)
    try:
        made = await peer.createOffer()
        await peer.setLocalDescription(made)
        offer = read_offer(peer.localDescription.sdp if gathered else made.sdp)
        assert offer.audio.payload == payload
        assert offer.audio.hears == (direction != "recvonly")
        assert offer.audio.speaks == (direction != "sendonly")
        assert (offer.channel is not None) == channel
        assert [one.algorithm for one in offer.fingerprints] == ["sha-256", "sha-384", "sha-512"]
        answer = answer_to(offer, replace(OURS, setup=setup_for(offer), candidates=()))
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        assert peer.signalingState == "stable"
        assert peer.getTransceivers()[0].currentDirection == direction
    finally:
        await peer.close()


async def test_a_live_client_without_audio_is_refused() -> None:
    peer = client(direction=None)
    try:
        made = await peer.createOffer()
        with pytest.raises(JsonRefused, match="needs one audio section"):
            read_offer(made.sdp)
    finally:
        await peer.close()


ALL_LINES = sorted({line for sdp in BROWSERS.values() for line in sdp.splitlines()})


@st.composite
def mutated_offers(draw: st.DrawFn) -> str:
    """A browser's offer with some lines lost, moved, replaced by other lines, or scratched."""
    lines = draw(st.sampled_from([*BROWSERS.values()])).splitlines()
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["lose", "repeat", "move", "insert", "scratch"])):
            case "lose":
                del lines[place]
            case "repeat":
                lines.insert(draw(st.integers(0, len(lines))), lines[place])
            case "move":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(place))
            case "insert":
                lines.insert(place, draw(st.sampled_from(ALL_LINES)))
            case "scratch":
                at = draw(st.integers(0, len(lines[place])))
                end = draw(st.integers(at, min(at + 3, len(lines[place]))))
                lines[place] = lines[place][:at] + draw(st.text(max_size=3)) + lines[place][end:]
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


@settings(max_examples=300, deadline=None)
@given(mutated_offers())
def test_a_damaged_offer_is_refused_or_answered_section_by_section(sdp: str) -> None:
    try:
        offer = read_offer(sdp)
    except JsonRefused:
        return
    answer = SessionDescription.parse(answer_to(offer, OURS))
    assert [(media.kind, media.rtp.muxId, media.profile) for media in answer.media] == [
        (section.kind, section.mid, section.protocol) for section in offer.sections
    ]
    assert sum(media.port != 0 for media in answer.media) == (1 if offer.channel is None else 2)
