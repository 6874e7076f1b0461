"""The settings of what Realtime clients meet: who comes in, how much each may have, and WebRTC.

Each is a declaration, of which `setting_declarations.py` makes a field of `Settings`. Which of them go together,
`setting_conflicts.py` knows.
"""

from __future__ import annotations

from typing import Final

from gateway.credentials.origins import read_origins
from gateway.credentials.signing_keys import read_signing_keys
from gateway.realtime.ice_servers import read_ice_servers
from gateway.setting import declared
from gateway.setting_values import any_text, secret, switch, whole_number
from gateway.webrtc.addresses import read_addresses

API_KEYS: Final = declared(
    "SWITCHBOARD_API_KEYS",
    "",
    any_text,
    "A TOML file of API keys, made with `switchboard key new`; read when the gateway starts. "
    "Empty: no API keys, only SWITCHBOARD_TOKEN.",
)
JWT_KEYS: Final = declared(
    "SWITCHBOARD_JWT_KEYS",
    (),
    read_signing_keys,
    "The keys that JWTs are signed with: kid:secret[,kid:secret], each secret of 32 bytes or more. The first "
    "signs, all verify, so that keys can be changed while tokens are about. Empty: a key drawn at the start, "
    "whose tokens no other process and no later start accepts.",
    is_secret=True,
)
JWT_MAX_S: Final = declared(
    "SWITCHBOARD_JWT_MAX_S",
    3600,
    whole_number(60, 7200),
    "The longest life, in seconds, of a JWT that is minted or accepted.",
)
ORIGINS: Final = declared(
    "SWITCHBOARD_REALTIME_ORIGINS",
    (),
    read_origins,
    "The web pages that may speak to this gateway, by Origin, with commas between: https://app.example.com. "
    "Empty: pages of PUBLIC_URL and of the visitor's own machine. *: all. Programs send no Origin and may.",
)
BETA: Final = declared(
    "SWITCHBOARD_REALTIME_BETA",
    True,
    switch,
    "Whether clients of the Realtime beta (OpenAI-Beta: realtime=v1) are served.",
)
SESSION_S: Final = declared(
    "SWITCHBOARD_REALTIME_SESSION_S",
    3600,
    whole_number(1, 86_400),
    "The longest life, in seconds, of a Realtime session.",
)
SESSIONS_PER_KEY: Final = declared(
    "SWITCHBOARD_REALTIME_SESSIONS_PER_KEY",
    100,
    whole_number(0, 100_000),
    "Realtime sessions at a time of one API key, with all that was minted from it. 0: no limit.",
)
EVENTS_PER_S: Final = declared(
    "SWITCHBOARD_REALTIME_EVENTS_PER_S",
    200,
    whole_number(0, 100_000),
    "Events a second that one Realtime client may send; twice as many in a burst. 0: no limit.",
)
RESPONSES_PER_MIN: Final = declared(
    "SWITCHBOARD_REALTIME_RESPONSES_PER_MIN",
    600,
    whole_number(0, 1_000_000),
    "Responses a minute of all Realtime sessions of one API key. 0: no limit.",
)
MAX_EVENT_MIB: Final = declared(
    "SWITCHBOARD_REALTIME_MAX_EVENT_MIB",
    24,
    whole_number(1, 64),
    "The largest event, in MiB, that a Realtime client may send; a larger one closes the connection. "
    "15 MiB of sound, the most the protocol allows, need 20 in base64.",
)
ICE_SERVERS: Final = declared(
    "SWITCHBOARD_REALTIME_ICE_SERVERS",
    (),
    read_ice_servers,
    'STUN and TURN servers for browsers, as JSON: [{"urls": "turn:turn.example.com", "username": "u", '
    '"credential": "c"}].',
    is_secret=True,
)
TURN_SECRET: Final = declared(
    "SWITCHBOARD_TURN_SECRET",
    "",
    secret,
    "The secret shared with the TURN server (coturn's static-auth-secret). With it, the turn: URLs of "
    "SWITCHBOARD_REALTIME_ICE_SERVERS need no username and credential: each client gets its own, which live "
    "SWITCHBOARD_TURN_TTL_S.",
    is_secret=True,
)
TURN_TTL_S: Final = declared(
    "SWITCHBOARD_TURN_TTL_S",
    3600,
    whole_number(60, 86_400),
    "How long, in seconds, a client may open connections with the TURN credential it was given.",
)
WEBRTC: Final = declared(
    "SWITCHBOARD_WEBRTC",
    True,
    switch,
    "Whether WebRTC is served; needs the extra `webrtc`.",
)
WEBRTC_ADDRESSES: Final = declared(
    "SWITCHBOARD_WEBRTC_ADDRESSES",
    (),
    read_addresses,
    "The addresses that WebRTC candidates are offered on, commas between; local=public behind a one-to-one NAT. "
    "Empty: the address of SWITCHBOARD_HOST, or the machine's own if that is 0.0.0.0.",
)
KEPT_SESSIONS: Final = declared(
    "SWITCHBOARD_KEPT_SESSIONS",
    "",
    any_text,
    "A folder where Realtime sessions that were cut off are kept for ten minutes, so that their clients can go on "
    "with them here or in another process. Empty: in this process's memory only.",
)
DEMO_PAGE: Final = declared(
    "SWITCHBOARD_DEMO_PAGE",
    False,
    switch,
    "1 serves /demo, a page to talk to the agent from a browser, and runs the agent's tools in sessions that are "
    "begun with ?agent=1, as the page's are.",
)
