"""redis-py's connections and clients, with our limits: no retry, no time-out of their own, a short way to begin.

The time limit of an operation is the link's (`link.py`), one for connecting, waiting and being answered. What
redis-py was doing when the limit struck is cancelled, and it closes that connection: a reply that comes late is
read by nobody.

RESP2 is spoken, because it needs no HELLO: a connection is ready after TCP, TLS and AUTH.
"""

from __future__ import annotations

import ssl
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.errors import SettingsError
from gateway.redis.address import Address

MOST_CONNECTIONS: Final = 32
"""Of one process, beside one for each subscription. At 0.1 ms an operation they are never all in use but when Redis
hangs; then they bound what is left open."""

NODE_LIMIT_S: Final = 1.0
"""Of a cluster's node, while the map of the cluster is learnt, which is no operation's limit (`cluster_map.py`)."""


class Connections:
    """Makes clients and single connections to one Redis. Owns nothing: who asked for one closes it."""

    def __init__(self, address: Address, ca: str = "") -> None:
        """`ca` is the path of a PEM file: of all authorities, then only those in it are believed.

        Raises `SettingsError` when it cannot be read.
        """
        self._address = address
        self._ca = ca
        self._tls = _tls_context(ca) if address.is_tls else None

    def client(self) -> Redis:
        pool = ConnectionPool(
            connection_class=self._kind,  # type: ignore[arg-type]  # it is called, never subclassed or asked
            max_connections=MOST_CONNECTIONS,
            **self._place(),
            **self._options(),
        )
        return Redis.from_pool(pool)

    def cluster_client(self) -> RedisCluster:
        """Every node is asked with the same credentials. redis-py believes the system's authorities there too."""
        options = self._options() | {"socket_timeout": NODE_LIMIT_S, "socket_connect_timeout": NODE_LIMIT_S}
        if self._address.is_tls:
            options |= {"ssl": True, "ssl_ca_certs": self._ca or None}
        del options["db"]
        return RedisCluster(
            host=self._address.host,
            port=self._address.port,
            # One that is being closed still counts, so there may be more than are ever in use.
            max_connections=2 * MOST_CONNECTIONS,
            # Slots move when nodes come and go; calls must not be refused meanwhile.
            require_full_coverage=False,
            **options,
        )

    def single(self, host: str = "", port: int = 0) -> AbstractConnection:
        """A connection of its own, not yet connected; with `host` and `port` to that node of a cluster."""
        place = {"host": host, "port": port} if host else self._place()
        return self._kind(**place, **self._options())

    def _kind(self, **options: Any) -> AbstractConnection:
        if self._address.path:
            return UnixDomainSocketConnection(**options)
        if self._tls is None:
            return Connection(**options)
        connection = SSLConnection(**options)
        # Its own would read the system's certificates for every connection, tens of milliseconds on the event loop.
        connection.ssl_context.context = self._tls
        return connection

    def _place(self) -> dict[str, Any]:
        if self._address.path:
            return {"path": self._address.path}
        return {"host": self._address.host, "port": self._address.port}

    def _options(self) -> dict[str, Any]:
        return {
            "db": self._address.database,
            "username": self._address.username or None,
            "password": self._address.password or None,
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": None,
            "socket_connect_timeout": None,
            "health_check_interval": 0,
            "protocol": 2,
            "driver_info": None,
        }


def _tls_context(ca: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        words = (
            error.strerror if isinstance(error, FileNotFoundError | PermissionError) else "not a PEM certificate"
        )
        raise SettingsError([f"SWITCHBOARD_REDIS_CA: {ca} cannot be read ({words}); give a PEM file"]) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
