"""Offers as browsers make them, and their lines for tests to change.

Those of Chromium 156 are its own, of a page like `@openai/agents-realtime`'s: a microphone and the channel
`oai-events`, sent before a candidate was found. The others have the shape of Firefox and Safari.
"""

from __future__ import annotations

from typing import Final

CHROMIUM: Final = """\
v=0
o=- 5205466380000871248 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS 8e884a45-b910-46de-b7a7-b6355751dcce
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:fawY
a=ice-pwd:xv1MbH8WRyzUt7EiToEu4ZEX
a=ice-options:trickle
a=fingerprint:sha-256 CB:3D:42:B8:AD:8F:DB:ED:C8:A0:2C:61:BB:C3:6B:98:9B:1B:42:1B:78:B1:A3:58:7B:23:70:7C:B9:CD:15:9A
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:8e884a45-b910-46de-b7a7-b6355751dcce 89631811-8397-4d33-8951-93a1e5331940
a=rtcp-mux
a=rtcp-rsize
a=rtcp-xr:rcvr-rtt=all
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:3672733793 cname:Nva+7jYxNLfs700X
a=ssrc:3672733793 msid:8e884a45-b910-46de-b7a7-b6355751dcce 89631811-8397-4d33-8951-93a1e5331940
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:fawY
a=ice-pwd:xv1MbH8WRyzUt7EiToEu4ZEX
a=ice-options:trickle
a=fingerprint:sha-256 CB:3D:42:B8:AD:8F:DB:ED:C8:A0:2C:61:BB:C3:6B:98:9B:1B:42:1B:78:B1:A3:58:7B:23:70:7C:B9:CD:15:9A
a=setup:actpass
a=mid:1
a=sctp-port:5000
a=max-message-size:262144
"""

CHROMIUM_WITH_MDNS: Final = """\
v=0
o=- 3042201796488752848 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:3363163521 1 udp 2113937151 d27897ca-58f2-4e41-b6a2-82d8b7b7c3df.local 45613 typ host generation 0 network-cost 999
a=candidate:3473383729 1 udp 2113942271 bc459d1d-d42a-4e89-a8af-1bae96627710.local 48633 typ host generation 0 network-cost 999
a=ice-ufrag:a/1B
a=ice-pwd:+5dUmYeWKhgzKi6Cngl6v1qp
a=ice-options:trickle
a=fingerprint:sha-256 49:64:78:3D:9C:96:02:1D:3E:7B:E0:D3:00:4D:36:85:03:0B:DB:91:1E:98:14:92:9E:7C:DA:D4:B4:DB:20:98
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtcp-xr:rcvr-rtt=all
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=candidate:3363163521 1 udp 2113937151 d27897ca-58f2-4e41-b6a2-82d8b7b7c3df.local 42979 typ host generation 0 network-cost 999
a=candidate:3473383729 1 udp 2113942271 bc459d1d-d42a-4e89-a8af-1bae96627710.local 37197 typ host generation 0 network-cost 999
a=ice-ufrag:a/1B
a=ice-pwd:+5dUmYeWKhgzKi6Cngl6v1qp
a=ice-options:trickle
a=fingerprint:sha-256 49:64:78:3D:9C:96:02:1D:3E:7B:E0:D3:00:4D:36:85:03:0B:DB:91:1E:98:14:92:9E:7C:DA:D4:B4:DB:20:98
a=setup:actpass
a=mid:1
a=sctp-port:5000
a=max-message-size:262144
"""
"""Without a microphone it may not tell its addresses; each transport that it has opened lists its own ports."""

CHROMIUM_WITH_VIDEO: Final = """\
v=0
o=- 2077791740150768692 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS e49cb541-2910-4a5c-a29f-fb84c286dd52
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:ggUe
a=ice-pwd:8apG/b79BijPlnW2y99r8IEE
a=ice-options:trickle
a=fingerprint:sha-256 F9:FC:94:8C:81:EE:DD:20:AB:9E:D4:C1:C5:07:FB:9F:3F:16:87:B3:10:0D:34:18:88:30:BD:82:2C:0C:9F:63
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:e49cb541-2910-4a5c-a29f-fb84c286dd52 6dee512d-f7da-45c1-b565-0f596e09a0f7
a=rtcp-mux
a=rtcp-rsize
a=rtcp-xr:rcvr-rtt=all
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:3779618360 cname:DUc4xsRKtPLFn9we
a=ssrc:3779618360 msid:e49cb541-2910-4a5c-a29f-fb84c286dd52 6dee512d-f7da-45c1-b565-0f596e09a0f7
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:ggUe
a=ice-pwd:8apG/b79BijPlnW2y99r8IEE
a=ice-options:trickle
a=fingerprint:sha-256 F9:FC:94:8C:81:EE:DD:20:AB:9E:D4:C1:C5:07:FB:9F:3F:16:87:B3:10:0D:34:18:88:30:BD:82:2C:0C:9F:63
a=setup:actpass
a=mid:1
a=sendrecv
a=msid:- 6e3987d3-2ab6-453b-95ce-cda46f0b4271
a=rtcp-mux
a=rtcp-rsize
a=rtcp-xr:rcvr-rtt=all
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=ssrc-group:FID 3844489869 238860997
a=ssrc:3844489869 cname:DUc4xsRKtPLFn9we
a=ssrc:3844489869 msid:- 6e3987d3-2ab6-453b-95ce-cda46f0b4271
a=ssrc:238860997 cname:DUc4xsRKtPLFn9we
a=ssrc:238860997 msid:- 6e3987d3-2ab6-453b-95ce-cda46f0b4271
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:ggUe
a=ice-pwd:8apG/b79BijPlnW2y99r8IEE
a=ice-options:trickle
a=fingerprint:sha-256 F9:FC:94:8C:81:EE:DD:20:AB:9E:D4:C1:C5:07:FB:9F:3F:16:87:B3:10:0D:34:18:88:30:BD:82:2C:0C:9F:63
a=setup:actpass
a=mid:2
a=sctp-port:5000
a=max-message-size:262144
"""
"""Video between the two, of whose many codecs one is left here."""

FIREFOX: Final = """\
v=0
o=mozilla...THIS_IS_SDPARTA-99.0 5347921093117219422 0 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 5D:96:CF:08:41:7A:B3:EC:25:5E:97:D0:09:42:7B:B4:ED:26:5F:98:D1:0A:43:7C:B5:EE:27:60:99:D2:0B:44
a=group:BUNDLE 0 1
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 0.0.0.0
a=sendrecv
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:8dbd4a1fcb3d4f2e8fd4e0bba2a4a5a0
a=ice-ufrag:3c2f11b7
a=mid:0
a=msid:{1f0f6b0c-5f4d-4f0e-8d7c-6d2c6f0c8c11} {b5b7c1de-1e6c-4c8f-9d28-0d0a2b3f7a42}
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000/1
a=setup:actpass
a=ssrc:2871905513 cname:{0b5f7a36-4d61-4f58-a1a8-9a3ad2b8a0c4}
m=application 0 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=bundle-only
a=sendrecv
a=ice-pwd:8dbd4a1fcb3d4f2e8fd4e0bba2a4a5a0
a=ice-ufrag:3c2f11b7
a=mid:1
a=setup:actpass
a=sctp-port:5000
a=max-message-size:1073741823
"""

SAFARI: Final = """\
v=0
o=- 7120485033214190125 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS 5c7d4b60-7f1e-4b7e-9f06-6f8f1d0a9b2c
m=audio 53417 UDP/TLS/RTP/SAVPF 111 63 103 104 9 102 0 8 106 105 13 110 112 113 126
c=IN IP4 198.51.100.23
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:842163049 1 udp 1677729535 198.51.100.23 53417 typ srflx raddr 0.0.0.0 rport 0 generation 0 network-cost 999
a=candidate:1876313031 1 udp 2113937151 4e0f5b3d-3a9d-4a52-b6d9-5d0d0f2f7d2c.local 53417 typ host generation 0 network-cost 999
a=ice-ufrag:Zk1P
a=ice-pwd:bWQ9rTq0x8HcmK2sJ4fLvY7n
a=ice-options:trickle
a=fingerprint:sha-256 D9:12:4B:84:BD:F6:2F:68:A1:DA:13:4C:85:BE:F7:30:69:A2:DB:14:4D:86:BF:F8:31:6A:A3:DC:15:4E:87:C0
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=sendrecv
a=msid:5c7d4b60-7f1e-4b7e-9f06-6f8f1d0a9b2c 0d1b7d7a-92a8-4b1c-8b86-8f9d6a3e5c10
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:103 ISAC/16000
a=rtpmap:104 ISAC/32000
a=rtpmap:9 G722/8000
a=rtpmap:102 ILBC/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:106 CN/32000
a=rtpmap:105 CN/16000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:112 telephone-event/32000
a=rtpmap:113 telephone-event/16000
a=rtpmap:126 telephone-event/8000
a=ssrc:1190285447 cname:mZ3u8KfJd0aVtQw1
a=ssrc:1190285447 msid:5c7d4b60-7f1e-4b7e-9f06-6f8f1d0a9b2c 0d1b7d7a-92a8-4b1c-8b86-8f9d6a3e5c10
m=application 53417 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 198.51.100.23
a=ice-ufrag:Zk1P
a=ice-pwd:bWQ9rTq0x8HcmK2sJ4fLvY7n
a=ice-options:trickle
a=fingerprint:sha-256 D9:12:4B:84:BD:F6:2F:68:A1:DA:13:4C:85:BE:F7:30:69:A2:DB:14:4D:86:BF:F8:31:6A:A3:DC:15:4E:87:C0
a=setup:actpass
a=mid:1
a=sctp-port:5000
a=max-message-size:262144
"""

BROWSERS: Final = {
    "chromium": CHROMIUM,
    "chromium with mDNS": CHROMIUM_WITH_MDNS,
    "chromium with video": CHROMIUM_WITH_VIDEO,
    "firefox": FIREFOX,
    "safari": SAFARI,
}


def changed(sdp: str, *changes: tuple[str, str]) -> str:
    """The offer with each first text, which stands in it, put in place of by the second, everywhere."""
    for old, new in changes:
        assert old in sdp, f"the offer has no {old!r}"
        sdp = sdp.replace(old, new)
    return sdp


def without(sdp: str, start: str) -> str:
    """The offer without the lines that start so."""
    left = [line for line in sdp.splitlines(keepends=True) if not line.startswith(start)]
    assert "".join(left) != sdp, f"the offer has no line {start!r}"
    return "".join(left)
