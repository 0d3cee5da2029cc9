"""Fetching pictures from the web, safely: public addresses, http(s), and limits on size, time and redirects alone."""

import asyncio
import ipaddress
import re
import socket
from collections import defaultdict
from collections.abc import Collection

import aiohttp
import stamina
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

from datagen.failures import Failure
from datagen.retrying import retry_after_seconds
from datagen.version import VERSION

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_ENCODED = re.compile("[!-~]*")
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})

_CARRIERS = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "::/96",  # IPv4-compatible
            "::ffff:0:0/96",  # IPv4-mapped
            "::ffff:0:0:0/96",  # IPv4-translated
            "64:ff9b::/96",  # NAT64
        ),
    )
)
"""Where the last 32 bits of an address are an IPv4 address."""
_LOCAL = tuple(map(ipaddress.IPv6Network, ("64:ff9b:1::/48", "2001::/32", "fec0::/10")))
"""NAT64 of a site's own, Teredo and site-local addresses, not all of which Python counts as private."""


class _PassingError(Exception):
    """A fault that may pass, perhaps after the seconds that the server asks for."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def _retry(error: Exception) -> bool | float:
    """Say whether an error is worth another try, and after how many seconds."""
    if not isinstance(error, _PassingError):
        return False
    return True if error.retry_after is None else error.retry_after


class _PublicResolver(AbstractResolver):
    """Resolves names and refuses private addresses at the moment of connecting, so that no second look-up differs."""

    def __init__(self, allowed_hosts: Collection[str]) -> None:
        self._allowed_hosts = allowed_hosts
        self._resolver = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        results = await self._resolver.resolve(host, port, family)
        if host.lower() not in self._allowed_hosts:
            for result in results:
                _refuse_private(host, result["host"])
        return results

    async def close(self) -> None:
        await self._resolver.close()


def _reached(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return where packets to an address end: at the IPv4 address that it carries, when it carries one.

    >>> _reached("64:ff9b::7f00:1"), _reached("2002:a00:1::"), _reached("2001:db8::1")
    (IPv4Address('127.0.0.1'), IPv4Address('10.0.0.1'), IPv6Address('2001:db8::1'))
    """
    parsed = ipaddress.ip_address(address.split("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed
    if any(parsed in network for network in _CARRIERS):
        return ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
    return parsed.sixtofour or parsed


def _refuse_private(host: str, address: str) -> None:
    reached = _reached(address)
    private = not reached.is_global or reached.is_multicast
    if private or (isinstance(reached, ipaddress.IPv6Address) and any(reached in network for network in _LOCAL)):
        raise Failure(
            "unreadable",
            f"{host} is at the private address {address}; name it in source.allow_private_hosts to fetch from it",
        )


def _ends_in_number(host: str) -> bool:
    """Whether a resolver may read a host as an IPv4 address in decimal, octal or hex (the rule of the URL standard).

    >>> [_ends_in_number(host) for host in ("2130706433", "0x7f.1", "127.0.0.01.", "pictures.example")]
    [True, True, True, False]
    """
    last = host.rstrip(".").rpartition(".")[2]
    return last.isdigit() or last.lower().startswith("0x")


class Fetcher:
    """Fetches pictures by URL.

    Args:
        max_bytes: the largest body that is read.
        allow_private_hosts: host names that may resolve to loopback, link-local or private addresses.
        seconds: the time for one try, redirects included.
        tries: how often a fault that may pass is met with another try.
        connections: at once, in all.
        connections_to_host: at once, to one host. Waiting for one does not count as time of a try.
    """

    def __init__(
        self,
        max_bytes: int,
        allow_private_hosts: Collection[str] = (),
        seconds: float = 30.0,
        tries: int = 3,
        connections: int = 64,
        connections_to_host: int = 4,
    ) -> None:
        self._max_bytes = max_bytes
        self._allowed_hosts = frozenset(host.lower() for host in allow_private_hosts)
        self._seconds = seconds
        self._tries = tries
        self._connections = asyncio.Semaphore(connections)
        self._connections_to_host = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(connections_to_host))
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str) -> bytes:
        """Return the body behind a URL.

        Raises:
            Failure: `unreadable` (refused, dead, private, too slow) or `too_large`.
        """
        address = self._checked(url)
        try:
            async for attempt in stamina.retry_context(on=_retry, attempts=self._tries, timeout=None):
                with attempt:
                    async with self._connections_to_host[(address.host or "").lower()], self._connections:
                        return await self._try(address)
        except _PassingError as error:
            raise Failure("unreadable", str(error)) from error
        raise AssertionError("the retry loop neither returned nor raised")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _try(self, address: URL) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                for _ in range(_MOST_REDIRECTS + 1):
                    body, location = await self._get(address)
                    if location is None:
                        return body
                    address = self._checked(location, address)
        except TimeoutError as error:
            raise _PassingError(f"no complete answer within {self._seconds:g} s") from error
        except (aiohttp.InvalidURL, UnicodeError) as error:
            raise Failure("unreadable", f"not a URL: {str(address)[:200]!r}") from error
        except aiohttp.ClientError as error:
            raise _PassingError(f"{type(error).__name__}: {error}") from error
        raise Failure("unreadable", f"more than {_MOST_REDIRECTS} redirects")

    async def _get(self, address: URL) -> tuple[bytes, str | None]:
        """Return the body, or the URL that the server redirects to."""
        async with self._open_session().get(address, allow_redirects=False) as response:
            if response.status in _REDIRECTS and "Location" in response.headers:
                return b"", response.headers["Location"]
            if response.status in _PASSING_STATUSES:
                retry_after = retry_after_seconds(response.headers.get("Retry-After"))
                raise _PassingError(f"HTTP {response.status}", retry_after)
            if response.status != 200:
                raise Failure("unreadable", f"HTTP {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(1 << 16):
                body += chunk
                if len(body) > self._max_bytes:
                    raise Failure("too_large", f"the body is over images.max_bytes ({self._max_bytes:,})")
            return bytes(body), None

    def _checked(self, url: str, base: URL | None = None) -> URL:
        """Return a URL that may be fetched; literal addresses are checked here, names when they are resolved."""
        try:
            # What is encoded already is sent as it is (signed URLs); all else is encoded first.
            address = URL(url, encoded=bool(_ENCODED.fullmatch(url)))
            address = address if base is None else base.join(address)
            host = (address.host or "").lower()
        except ValueError as error:
            raise Failure("unreadable", f"not a URL: {url[:200]!r}") from error
        if address.raw_user is not None or address.raw_password is not None:
            raise Failure(
                "unreadable",
                f"the URL of a picture at {host!r} carries a user name or a password, which would be published with "
                "the row; take it out of the source",
            )
        if address.scheme not in ("http", "https") or not host:
            raise Failure("unreadable", f"only http and https URLs are fetched, not {url[:200]!r}")
        if host not in self._allowed_hosts:
            try:
                ipaddress.ip_address(host.split("%")[0])
            except ValueError as error:
                if _ends_in_number(host):
                    raise Failure("unreadable", f"{host!r} is neither a name nor a usual IP address") from error
            else:
                _refuse_private(host, host)
        return address

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(resolver=_PublicResolver(self._allowed_hosts), limit=0)
            agent = {"User-Agent": f"datagen/{VERSION} (builds image data sets; honours Retry-After)"}
            self._session = aiohttp.ClientSession(connector=connector, headers=agent, trust_env=False)
        return self._session
