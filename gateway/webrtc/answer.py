"""What we answer: SDP that takes the audio and the channel of an offer and declines all other sections.

It holds all candidates we have, so nothing follows it. It takes up no header extension and no feedback: what an
answer does not repeat is not used.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from gateway.webrtc.offer import CHANNEL_FORMAT, DEFAULT_MESSAGE_BYTES, Audio, Fingerprint, Offer, Section
from gateway.webrtc.payload import FRAME_MS, Codec, Payload

SCTP_PORT: Final = 5000
"""Ours. It names nothing outside of the DTLS connection."""

NO_PORT: Final = 9
NO_ADDRESS: Final = "0.0.0.0"
"""Said where no candidate of ours has IPv4, as by those that have none yet (RFC 9429, section 5.2.1)."""

OPUS_WORDS: Final = "minptime=10;useinbandfec=1;stereo=0"
"""What we like to receive: mono, with what a lost packet needs to be heard again (RFC 7587, section 6.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSide:
    """Our end of a connection, after its candidates were gathered."""

    ufrag: str
    password: str
    fingerprints: tuple[Fingerprint, ...]
    candidates: tuple[str, ...]
    """Values of a=candidate, without the word."""
    setup: Literal["active", "passive"]
    ssrc: int
    cname: str
    most_bytes: int = DEFAULT_MESSAGE_BYTES
    """The longest message we take on a data channel."""


def setup_for(offer: Offer) -> Literal["active", "passive"]:
    """Who opens DTLS: we, whenever we may, which saves a round trip (RFC 8842, section 5.3)."""
    return "passive" if offer.setup == "active" else "active"


def answer_to(offer: Offer, ours: LocalSide) -> str:
    """The whole answer, lines ending in CR LF."""
    lines = [*_session(offer, ours)]
    for section in offer.sections:
        if section.mid == offer.audio.mid:
            lines += _audio(section, offer.audio, ours)
        elif offer.channel is not None and section.mid == offer.channel.mid:
            lines += _channel(section, ours)
        else:
            lines += _declined(section)
    return "".join(f"{line}\r\n" for line in lines)


def _session(offer: Offer, ours: LocalSide) -> Iterator[str]:
    yield "v=0"
    # An id that two answers hardly share, made without a clock: each has its own ufrag. Zero is for no session.
    yield f"o=- {zlib.crc32(ours.ufrag.encode()) or 1} 1 IN IP4 {NO_ADDRESS}"
    yield "s=-"
    yield "t=0 0"
    if offer.bundled:
        yield f"a=group:BUNDLE {' '.join(offer.bundled)}"
    yield "a=msid-semantic:WMS *"


def _audio(section: Section, audio: Audio, ours: LocalSide) -> Iterator[str]:
    yield from _opening(section, str(audio.payload.number), ours)
    yield f"a={_direction(audio)}"
    yield from _coding(audio.payload)
    yield "a=rtcp-mux"
    yield f"a=ssrc:{ours.ssrc} cname:{ours.cname}"
    if audio.speaks:
        yield "a=msid:switchboard voice"
    yield from _transport(ours)


def _channel(section: Section, ours: LocalSide) -> Iterator[str]:
    yield from _opening(section, CHANNEL_FORMAT, ours)
    yield f"a=sctp-port:{SCTP_PORT}"
    yield f"a=max-message-size:{ours.most_bytes}"
    yield from _transport(ours)


def _declined(section: Section) -> Iterator[str]:
    """ "To reject an offered stream, the port number in the corresponding stream in the answer MUST be set to
    zero" (RFC 3264, section 6)."""
    yield f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}"
    yield f"c=IN IP4 {NO_ADDRESS}"
    yield f"a=mid:{section.mid}"
    yield "a=inactive"


def _opening(section: Section, format_word: str, ours: LocalSide) -> Iterator[str]:
    address, port = _default_destination(ours.candidates)
    yield f"m={section.kind} {port} {section.protocol} {format_word}"
    yield f"c=IN IP4 {address}"
    yield f"a=mid:{section.mid}"


def _default_destination(candidates: tuple[str, ...]) -> tuple[str, str]:
    """Address and port of the first candidate with IPv4: foundation, component, transport, priority, these two."""
    for candidate in candidates:
        _, _, _, _, address, port, *_ = candidate.split(" ")
        if ":" not in address:
            return address, port
    return NO_ADDRESS, str(NO_PORT)


def _direction(audio: Audio) -> str:
    match audio.hears, audio.speaks:
        case True, True:
            return "sendrecv"
        case True, False:
            return "recvonly"
        case _:
            return "sendonly"


def _coding(payload: Payload) -> Iterator[str]:
    if payload.codec is Codec.OPUS:
        # "The RTP clock rate in a=rtpmap MUST be 48000, and the number of channels MUST be 2" (RFC 7587,
        # section 7), though both ways carry one.
        yield f"a=rtpmap:{payload.number} opus/48000/2"
        yield f"a=fmtp:{payload.number} {OPUS_WORDS}"
    else:
        yield f"a=rtpmap:{payload.number} {payload.codec.value}/{payload.codec.clock_hz}"
    yield f"a=ptime:{FRAME_MS}"


def _transport(ours: LocalSide) -> Iterator[str]:
    """In every section we take: peers that bundle read it in the first, some in each."""
    for candidate in ours.candidates:
        yield f"a=candidate:{candidate}"
    yield "a=end-of-candidates"
    yield f"a=ice-ufrag:{ours.ufrag}"
    yield f"a=ice-pwd:{ours.password}"
    for fingerprint in ours.fingerprints:
        yield f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}"
    yield f"a=setup:{ours.setup}"
