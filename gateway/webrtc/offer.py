"""What a peer offers: its SDP read once, down to what a session needs of it.

Takes one audio section and one data channel, both over one transport, and remembers every other section only to
decline it. Whatever else stands in the text (header extensions, feedback, bandwidth) is passed over. What is
wrong is refused with words that name it and say what to send instead.
Knows nothing of addresses: candidates are kept as they were written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from gateway.webrtc.description import Attributes, Media, read_description, refused, whole
from gateway.webrtc.payload import Codec, Payload
from twiml.errors import shorten

MOST_CANDIDATES: Final = 20
"""Of the transport that is kept. Chromium has two for each address of its machine: one over UDP, one over TCP."""

MOST_CANDIDATE_CHARACTERS: Final = 256
"""Chromium's with an mDNS name has 115."""

DEFAULT_SCTP_PORT: Final = 5000
DEFAULT_MESSAGE_BYTES: Final = 65_536
"""Where a=max-message-size is missing (RFC 8841, section 6.1), or zero, which stands for any length."""

RTP_PROTOCOLS: Final = ("UDP/TLS/RTP/SAVPF", "RTP/SAVPF", "UDP/TLS/RTP/SAVP")
"""Clients write one for the other and mean DTLS-SRTP by each (RFC 9429, section 5.1.2)."""

CHANNEL_PROTOCOL: Final = "UDP/DTLS/SCTP"
CHANNEL_FORMAT: Final = "webrtc-datachannel"

CODECS: Final[Mapping[str, Codec]] = {
    "opus/48000/2": Codec.OPUS,
    "pcmu/8000": Codec.PCMU,
    "pcmu/8000/1": Codec.PCMU,
    "pcma/8000": Codec.PCMA,
    "pcma/8000/1": Codec.PCMA,
}
"""By a=rtpmap in lower case: the case of these names says nothing (RFC 4855, section 3)."""

STATIC_CODECS: Final[Mapping[int, str]] = {0: "PCMU/8000", 8: "PCMA/8000"}
"""Need no a=rtpmap (RFC 3551, section 6)."""

FINGERPRINT_PAIRS: Final[Mapping[str, int]] = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Hex pairs in each. Older hashes can be forged, so they prove nothing."""

DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")

UFRAG: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
PASSWORD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")
HEX_PAIR: Final = re.compile(r"[0-9A-Fa-f]{2}")

Setup: TypeAlias = Literal["active", "passive", "actpass"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Of the certificate that a side shows in the DTLS handshake (RFC 8122, section 5)."""

    algorithm: str
    """`sha-256`, `sha-384` or `sha-512`"""
    value: str
    """`AB:CD:...`, in capitals"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio:
    """The one audio section we take, seen from our side."""

    mid: str
    payload: Payload
    hears: bool
    """Whether the peer sends sound."""
    speaks: bool
    """Whether the peer wants ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """The section that data channels go over."""

    mid: str
    sctp_port: int
    most_bytes: int
    """The longest message the peer takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """An m= line as it was offered; the answer has one for each, in the same order (RFC 3264, section 6)."""

    kind: str
    mid: str
    protocol: str
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """All that a link, a session and the answer need of an offer."""

    audio: Audio
    channel: Channel | None
    ufrag: str
    password: str
    is_lite: bool
    fingerprints: tuple[Fingerprint, ...]
    setup: Setup
    candidates: tuple[str, ...]
    """Values of a=candidate without the word, unchecked but for their length, of the transport that is kept."""
    sections: tuple[Section, ...]
    bundled: tuple[str, ...]
    """The mids we take that share a transport, in the order of a=group:BUNDLE; empty without such a group."""


def read_offer(sdp: str) -> Offer:
    """What the text offers. Raises `JsonRefused` (400, `invalid_offer`, param `sdp`) with what to mend."""
    session, medias = read_description(sdp)
    audio = _audio_of(medias)
    channel = next((media for media in medias if _is_channel(media)), None)
    taken = [audio] if channel is None else [audio, channel]
    bundled = _bundled(session, [media.mid for media in taken])
    # The first section of the group lends its transport to all (RFC 9143, section 7). Browsers list candidates
    # of the others too, on ports that they close when our answer comes.
    of_transport = sorted(taken, key=lambda media: bundled.index(media.mid)) if bundled else taken
    places = [*(media.attributes for media in of_transport), session]
    return Offer(
        audio=_audio(audio, session),
        channel=None if channel is None else _channel(channel),
        ufrag=_credential("ice-ufrag", UFRAG, "4 to 256", places),
        password=_credential("ice-pwd", PASSWORD, "22 to 256", places),
        is_lite=session.first("ice-lite") is not None,
        fingerprints=_fingerprints(_nearest("fingerprint", places)),
        setup=_setup(places),
        candidates=_candidates(_nearest("candidate", places)),
        sections=tuple(
            Section(kind=media.kind, mid=media.mid, protocol=media.protocol, formats=media.formats)
            for media in medias
        ),
        bundled=bundled,
    )


def _audio_of(medias: Sequence[Media]) -> Media:
    offered = [media for media in medias if media.kind == "audio" and not media.is_off]
    if not offered:
        raise refused(
            "a Realtime session over WebRTC needs one audio section. "
            "Add a microphone track or an audio transceiver before createOffer()."
        )
    for media in offered:
        if media.protocol in RTP_PROTOCOLS:
            return media
    raise refused(f"expected audio over {' or '.join(RTP_PROTOCOLS)}, got {shorten(offered[0].protocol)}.")


def _is_channel(media: Media) -> bool:
    return (
        media.kind == "application"
        and media.protocol == CHANNEL_PROTOCOL
        and CHANNEL_FORMAT in media.formats
        and not media.is_off
    )


def _bundled(session: Attributes, mids: Sequence[str]) -> tuple[str, ...]:
    for group in session.all("group"):
        meaning, *members = group.split(" ")
        if meaning == "BUNDLE" and set(mids) <= set(members):
            return tuple(dict.fromkeys(mid for mid in members if mid in mids))
    if len(mids) > 1:
        raise refused(
            "its audio and its data channel share no transport, and we open only one. "
            f"Name both in one line: a=group:BUNDLE {' '.join(mids)}."
        )
    return ()


def _audio(media: Media, session: Attributes) -> Audio:
    if media.attributes.first("rtcp-mux") is None:
        raise refused("its audio section lacks a=rtcp-mux, and we open one port only. Add it.")
    words = [*media.attributes.by_name, *session.by_name]
    direction = next((word for word in words if word in DIRECTIONS), "sendrecv")
    if direction == "inactive":
        raise refused("its audio section is inactive. Offer sendrecv, or one of sendonly and recvonly.")
    return Audio(
        mid=media.mid,
        payload=_payload(media),
        hears=direction in ("sendrecv", "sendonly"),
        speaks=direction in ("sendrecv", "recvonly"),
    )


def _payload(media: Media) -> Payload:
    """Opus wherever it is offered, else PCMU, else PCMA; of one codec the number that the peer likes best."""
    names = dict(STATIC_CODECS) | _names(media)
    offered: dict[Codec, Payload] = {}
    for number in map(int, media.formats):
        codec = CODECS.get(names.get(number, "").lower())
        if codec is not None:
            offered.setdefault(codec, Payload(codec, number))
    for codec in (Codec.OPUS, Codec.PCMU, Codec.PCMA):
        if codec in offered:
            return offered[codec]
    came = ", ".join(names.get(int(number), number) for number in media.formats)
    raise refused(f"expected opus/48000/2, PCMU/8000 or PCMA/8000 among its codecs, got {shorten(came, 200)}.")


def _names(media: Media) -> dict[int, str]:
    """What a=rtpmap calls each payload number: `<name>/<rate>` or `<name>/<rate>/<channels>`."""
    names: dict[int, str] = {}
    for mapping in media.attributes.all("rtpmap"):
        written, _, name = mapping.partition(" ")
        number = whole(written)
        if number is not None:
            names.setdefault(number, name.strip(" "))
    return names


def _channel(media: Media) -> Channel:
    port = media.attributes.first("sctp-port")
    sctp_port = DEFAULT_SCTP_PORT if port is None else whole(port, most=65_535)
    if not sctp_port:
        raise refused(f"expected an a=sctp-port from 1 to 65535, got {shorten(port or '')}.")
    length = media.attributes.first("max-message-size")
    most_bytes = 0 if length is None else whole(length)
    if most_bytes is None:
        raise refused(f"expected a number of bytes as a=max-message-size, got {shorten(length or '')}.")
    return Channel(mid=media.mid, sctp_port=sctp_port, most_bytes=most_bytes or DEFAULT_MESSAGE_BYTES)


def _nearest(name: str, places: Sequence[Attributes]) -> Sequence[str]:
    """The values from the first place that has any: a section's stand instead of the session's."""
    return next((values for place in places if (values := place.all(name))), ())


def _credential(name: str, form: re.Pattern[str], length: str, places: Sequence[Attributes]) -> str:
    """By RFC 8839, section 5.4. What came is not told: the password is a secret."""
    values = _nearest(name, places)
    if not values:
        raise refused(f"it lacks a={name}. Send the sdp of createOffer() as it is.")
    if not form.fullmatch(values[0]):
        raise refused(f"expected {length} letters, digits, + and / as a={name}, got {len(values[0])} characters.")
    return values[0]


def _fingerprints(values: Sequence[str]) -> tuple[Fingerprint, ...]:
    found: list[Fingerprint] = []
    for value in values:
        algorithm, _, digest = value.partition(" ")
        count = FINGERPRINT_PAIRS.get(algorithm.lower())
        if count is None:
            continue
        pairs = digest.strip(" ").split(":")
        if len(pairs) != count or not all(map(HEX_PAIR.fullmatch, pairs)):
            raise refused(f"expected {count} pairs of hex digits in a=fingerprint, got {shorten(value)}.")
        found.append(Fingerprint(algorithm=algorithm.lower(), value=":".join(pairs).upper()))
    if not found:
        raise refused(f"it lacks an a=fingerprint by {', '.join(FINGERPRINT_PAIRS)}. Offer DTLS with one of them.")
    return tuple(found)


def _setup(places: Sequence[Attributes]) -> Setup:
    values = _nearest("setup", places)
    match values[0] if values else "actpass":
        case "actpass":
            return "actpass"
        case "active":
            return "active"
        case "passive":
            return "passive"
        case other:
            raise refused(f"expected a=setup:actpass, active or passive, got {shorten(other)}.")


def _candidates(values: Sequence[str]) -> tuple[str, ...]:
    if len(values) > MOST_CANDIDATES:
        raise refused(
            f"expected at most {MOST_CANDIDATES} lines a=candidate for one transport, got {len(values)}. "
            "Send fewer, or none: we find the peer by its checks."
        )
    for value in values:
        if len(value) > MOST_CANDIDATE_CHARACTERS:
            raise refused(
                f"expected at most {MOST_CANDIDATE_CHARACTERS} characters as a=candidate, got {len(value)}. "
                "Leave that candidate out."
            )
    return tuple(values)
