"""Settings that are each fine, and do not go together."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.redis.address import read_address
from gateway.setting_declarations import Settings
from gateway.setting_values import is_loopback


def conflicts(settings: Settings) -> Iterator[tuple[set[str], str]]:
    """Faults of settings that do not go together, each with the fields concerned."""
    host_is_ours = is_loopback(settings.host)
    if not settings.public_url:
        yield (
            {"public_url", "host"},
            f"PUBLIC_URL (not set): needed because SWITCHBOARD_HOST is {settings.host}, which others can reach; "
            "set it to the https URL Twilio calls, such as https://voice.example.com",
        )
    if not settings.insecure_dev:
        # With API keys alone it serves Realtime clients, and every webhook is refused.
        if not settings.auth_token and not settings.api_keys:
            yield (
                {"auth_token", "insecure_dev", "api_keys"},
                "TWILIO_AUTH_TOKEN (not set): forged webhooks would pass for Twilio's; copy it from "
                "the Twilio Console, or try without Twilio on loopback with --insecure-dev, or set "
                "SWITCHBOARD_API_KEYS to serve Realtime clients only",
            )
    elif not host_is_ours:
        yield (
            {"insecure_dev", "host"},
            f"SWITCHBOARD_INSECURE_DEV ({settings.sources['SWITCHBOARD_INSECURE_DEV']}): webhooks would go "
            f"unchecked on {settings.host}, which others can reach; listen on 127.0.0.1 or leave it out",
        )
    elif not is_loopback(urlsplit(settings.public_url).hostname or ""):
        yield (
            {"insecure_dev", "public_url"},
            f"SWITCHBOARD_INSECURE_DEV: webhooks would go unchecked on {settings.public_url}, which others can "
            "reach; unset PUBLIC_URL or set TWILIO_AUTH_TOKEN and leave it out",
        )
    if settings.metrics_port and settings.metrics_port == settings.port:
        yield (
            {"metrics_port", "port"},
            f"SWITCHBOARD_METRICS_PORT: {settings.metrics_port} is the main port too; take another, or 0 to share",
        )
    if settings.workers > 1 and not settings.redis_url:
        yield (
            {"workers", "redis_url"},
            f"WEB_CONCURRENCY ({settings.sources.get('WEB_CONCURRENCY', 'default')}): {settings.workers} workers "
            "share calls through Redis: set REDIS_URL, or --workers 1",
        )
    if settings.redis_cluster and settings.redis_url:
        address = read_address(settings.redis_url)
        if address.path or address.database:
            yield (
                {"redis_cluster", "redis_url"},
                "SWITCHBOARD_REDIS_CLUSTER: a cluster has neither a socket of this machine nor databases; name one "
                "of its nodes in REDIS_URL",
            )
    if settings.call_webhook and not settings.webhook_secret:
        yield (
            {"call_webhook", "webhook_secret"},
            "SWITCHBOARD_CALL_WEBHOOK: records are signed; set SWITCHBOARD_WEBHOOK_SECRET to whsec_ and the output "
            "of openssl rand -base64 32",
        )
    yield from _turn(settings)
    if settings.record != "off" and not settings.recordings:
        yield (
            {"record", "recordings"},
            "SWITCHBOARD_RECORD: recordings need a place; set SWITCHBOARD_RECORDINGS to a folder or s3://BUCKET/PREFIX",
        )
    if settings.demo_page and not settings.webrtc:
        yield (
            {"demo_page", "webrtc"},
            "SWITCHBOARD_DEMO_PAGE: the page talks over WebRTC, which SWITCHBOARD_WEBRTC=0 switches off; leave one "
            "of the two out",
        )


def _turn(settings: Settings) -> Iterator[tuple[set[str], str]]:
    """W3C WebRTC, RTCConfiguration: a browser refuses a TURN server without username and credential."""
    lacking = [server for server in settings.realtime_ice_servers if server.lacks_credential]
    if lacking and not settings.turn_secret:
        yield (
            {"realtime_ice_servers", "turn_secret"},
            f"SWITCHBOARD_REALTIME_ICE_SERVERS: {lacking[0].turn_urls[0]!r} needs a username and a credential "
            "beside it, or SWITCHBOARD_TURN_SECRET to give each client its own",
        )
    if settings.turn_secret and not lacking:
        yield (
            {"realtime_ice_servers", "turn_secret"},
            "SWITCHBOARD_TURN_SECRET: there is no turn: URL it could serve; put one without username and "
            "credential into SWITCHBOARD_REALTIME_ICE_SERVERS",
        )
