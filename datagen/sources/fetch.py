"""Fetching pictures from the web, safely: public addresses, http(s), and limits on size, time and redirects alone."""

import asyncio
import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urljoin, urlsplit

import aiohttp
import stamina
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

from datagen import __version__
from datagen.failures import Failure

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class _PassingError(Exception):
    """A fault that may pass."""


class _PublicResolver(AbstractResolver):
    """Resolves names and refuses private addresses at the moment of connecting, so that no second look-up differs."""

    def __init__(self, allowed_hosts: Collection[str]) -> None:
        self._allowed_hosts = allowed_hosts
        self._resolver = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        results = await self._resolver.resolve(host, port, family)
        if host not in self._allowed_hosts:
            for result in results:
                _refuse_private(host, result["host"])
        return results

    async def close(self) -> None:
        await self._resolver.close()


def _refuse_private(host: str, address: str) -> None:
    parsed = ipaddress.ip_address(address.split("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    if not mapped.is_global or mapped.is_multicast:
        raise Failure(
            "unreadable",
            f"{host} is at the private address {address}; name it in source.allow_private_hosts to fetch from it",
        )


class Fetcher:
    """Fetches pictures by URL.

    Args:
        max_bytes: the largest body that is read.
        allow_private_hosts: host names that may resolve to loopback, link-local or private addresses.
        seconds: the time for one try, redirects included.
        tries: how often a fault that may pass is met with another try.
        connections: at once, in all; at most four to one host.
    """

    def __init__(
        self,
        max_bytes: int,
        allow_private_hosts: Collection[str] = (),
        seconds: float = 30.0,
        tries: int = 3,
        connections: int = 64,
    ) -> None:
        self._max_bytes = max_bytes
        self._allowed_hosts = frozenset(allow_private_hosts)
        self._seconds = seconds
        self._tries = tries
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str) -> bytes:
        """Return the body behind a URL.

        Raises:
            Failure: `unreadable` (refused, dead, private, too slow) or `too_large`.
        """
        try:
            async for attempt in stamina.retry_context(on=_PassingError, attempts=self._tries, timeout=None):
                with attempt:
                    return await self._try(url)
        except _PassingError as error:
            raise Failure("unreadable", str(error)) from error
        raise AssertionError("the retry loop neither returned nor raised")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _try(self, url: str) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                for _ in range(_MOST_REDIRECTS + 1):
                    body, location = await self._get(url)
                    if location is None:
                        return body
                    url = urljoin(url, location)
        except TimeoutError as error:
            raise _PassingError(f"no complete answer within {self._seconds:g} s") from error
        except aiohttp.InvalidURL as error:
            raise Failure("unreadable", f"not a URL: {url[:200]!r}") from error
        except aiohttp.ClientError as error:
            raise _PassingError(f"{type(error).__name__}: {error}") from error
        raise Failure("unreadable", f"more than {_MOST_REDIRECTS} redirects")

    async def _get(self, url: str) -> tuple[bytes, str | None]:
        """Return the body, or the place that the server redirects to."""
        self._check(url)
        async with self._open_session().get(url, allow_redirects=False) as response:
            if response.status in _REDIRECTS and "Location" in response.headers:
                return b"", response.headers["Location"]
            if response.status in _PASSING_STATUSES:
                raise _PassingError(f"HTTP {response.status}")
            if response.status != 200:
                raise Failure("unreadable", f"HTTP {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(1 << 16):
                body += chunk
                if len(body) > self._max_bytes:
                    raise Failure("too_large", f"the body is over images.max_bytes ({self._max_bytes:,})")
            return bytes(body), None

    def _check(self, url: str) -> None:
        """Refuse other schemes and literal private addresses; names are checked when they are resolved."""
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError as error:
            raise Failure("unreadable", f"not a URL: {url[:200]!r}") from error
        if parts.scheme not in ("http", "https") or not host:
            raise Failure("unreadable", f"only http and https URLs are fetched, not {url[:200]!r}")
        if host not in self._allowed_hosts:
            try:
                ipaddress.ip_address(host)
            except ValueError:
                return
            _refuse_private(host, host)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=_PublicResolver(self._allowed_hosts), limit=self._connections, limit_per_host=4
            )
            agent = {"User-Agent": f"datagen/{__version__} (builds image data sets; honours Retry-After)"}
            self._session = aiohttp.ClientSession(connector=connector, headers=agent, trust_env=False)
        return self._session
