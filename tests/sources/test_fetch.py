"""Fetching: private places stay closed however they are written, limits hold, and only what can pass is tried again."""

import asyncio
import gzip
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.resolver import DefaultResolver

from datagen.failures import Failure
from datagen.sources.reading.http import Fetcher, _refuse_private

PICTURE = b"picture" * 1000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits between tries are noted and not slept."""
    waits: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float, *arguments: Any) -> None:
        if seconds > 0:
            waits.append(seconds)
        await sleep(0, *arguments)

    monkeypatch.setattr(asyncio, "sleep", note)
    return waits


class Site:
    """A web server on 127.0.0.1 that notes its requests."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[str] = []
        self.port = 0
        self._handler = handler

    def url(self, path: str = "/a.jpg", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.raw_path)
        return await self._handler(request)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Site]:
    site = Site(handler)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", site.answer)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.port = runner.addresses[0][1]
    try:
        yield site
    finally:
        await runner.cleanup()


async def ok(_: web.Request) -> web.StreamResponse:
    return web.Response(body=PICTURE)


async def fetched(url: str, *, max_bytes: int = 1_000_000, **options: Any) -> bytes:
    fetcher = Fetcher(max_bytes, options.pop("allowed", ("127.0.0.1",)), **options)
    try:
        return await fetcher.fetch(url)
    finally:
        await fetcher.close()


async def failure_of(url: str, **options: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        await fetched(url, **options)
    return caught.value


def with_site(handler: Handler, test: Callable[[Site], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serving(handler) as site:
            await test(site)

    asyncio.run(run())


def resolve_to(monkeypatch: pytest.MonkeyPatch, **addresses: str) -> None:
    """Let names resolve as a hostile name server would have it."""

    async def resolve(_: Any, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[dict[str, Any]]:
        name = host.lower().partition(".")[0]
        if name not in addresses:
            raise OSError(None, "no such name")
        address = addresses[name]
        return [{"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}]

    monkeypatch.setattr(DefaultResolver, "resolve", resolve)


# Private places

PRIVATE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.8", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.8]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[ff02::1]",
    "[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::a00:8]", "[64:ff9b:1::a00:8]", "[64:ff9b:1::808:808]",
    "[2002:7f00:1::]", "[2002:a00:8::1]", "[2002:a9fe:a9fe::1]", "[2001:0:a00:8::1]", "[2001:0:1::f5ff:fff7]",
    "[::127.0.0.1]", "[::10.0.0.8]", "[::169.254.169.254]", "[::ffff:0:10.0.0.8]", "[fec0::1]",
]  # fmt: skip
ODDLY_WRITTEN = [
    "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1", "0", "127.0.0.1.",
    "１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1", "0X7F.1",
]  # fmt: skip


@pytest.mark.parametrize("host", [*PRIVATE, *ODDLY_WRITTEN])
def test_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    async def test(site: Site) -> None:
        failure = await failure_of(site.url(host=host), allowed=())
        assert failure.failure_class == "unreadable"
        assert "private address" in failure.message or "usual IP address" in failure.message
        assert site.requests == []

    with_site(ok, test)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
        "fe80::1%1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:a00:1::1",
        "2001:0:1::1",
        "::10.1.2.3",
    ],
)
def test_names_that_resolve_to_private_addresses_are_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolve_to(monkeypatch, pictures=address)

    async def test(site: Site) -> None:
        failure = await failure_of(site.url(host="pictures.example"), allowed=())
        assert failure.failure_class == "unreadable"
        assert f"pictures.example is at the private address {address}" in failure.message
        assert "source.allow_private_hosts" in failure.message
        assert site.requests == []

    with_site(ok, test)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8", "::8.8.8.8"]
)
def test_public_addresses_are_public_in_every_form(address: str) -> None:
    _refuse_private("pictures.example", address)


@pytest.mark.parametrize(
    "url", ["http://user:pa55@127.0.0.1:{port}/a.jpg", "http://pa55@127.0.0.1:{port}/a.jpg", "ftp://u:pa55@host/a.jpg"]
)
def test_a_password_in_a_url_is_refused_and_not_shown(url: str) -> None:
    """Or it would stand in the published row."""

    async def test(site: Site) -> None:
        failure = await failure_of(url.format(port=site.port))
        assert failure.failure_class == "unreadable"
        assert "carries a user name or a password" in failure.message
        assert "pa55" not in failure.message
        assert site.requests == []

    with_site(ok, test)


def test_localhost_is_private_like_any_name() -> None:
    async def test(site: Site) -> None:
        assert "private address" in (await failure_of(site.url(host="localhost"), allowed=())).message
        assert site.requests == []

    with_site(ok, test)


@pytest.mark.parametrize("allowed", ["pictures.example", "Pictures.Example"])
def test_a_private_host_that_is_allowed_by_name_is_fetched_from(monkeypatch: pytest.MonkeyPatch, allowed: str) -> None:
    resolve_to(monkeypatch, pictures="127.0.0.1", others="127.0.0.1")

    async def test(site: Site) -> None:
        assert await fetched(site.url(host="PICTURES.example"), allowed=(allowed,)) == PICTURE
        assert "private" in (await failure_of(site.url(host="others.example"), allowed=(allowed,))).message

    with_site(ok, test)


def redirecting(location: str, status: int = 302) -> Handler:
    async def redirect(request: web.Request) -> web.StreamResponse:
        if request.path == "/end.jpg":
            return web.Response(body=PICTURE)
        return web.Response(status=status, headers={"Location": location})

    return redirect


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/end.jpg", "end.jpg", "//127.0.0.1:{port}/end.jpg"])
def test_redirects_are_followed(status: int, location: str) -> None:
    async def run() -> None:
        async with serving(ok) as end:
            where = location.format(port=end.port)
            async with serving(redirecting(where, status)) as site:
                assert await fetched(site.url()) == PICTURE

    asyncio.run(run())


@pytest.mark.parametrize(
    "location",
    [
        "http://localhost:{port}/end.jpg",
        "http://[::1]:{port}/end.jpg",
        "http://2130706433:{port}/end.jpg",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "ftp://127.0.0.1/end.jpg",
        "data:image/png;base64,AAAA",
        "http://[::1",
        "http://a..b/",
        "",
    ],
)
def test_redirects_to_private_places_and_other_schemes_are_refused(location: str) -> None:
    async def run() -> None:
        async with serving(ok) as end, serving(redirecting(location.format(port=end.port))) as site:
            failure = await failure_of(site.url())
            assert failure.failure_class == "unreadable"
            assert end.requests == []

    asyncio.run(run())


def test_redirects_in_a_circle_end() -> None:
    async def test(site: Site) -> None:
        failure = await failure_of(site.url("/circle"))
        assert (failure.failure_class, failure.message) == ("unreadable", "more than 5 redirects")
        assert len(site.requests) == 6

    with_site(redirecting("/circle"), test)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://127.0.0.1/a.jpg", "data:image/png;base64,AAAA", "gopher://127.0.0.1/", "a.jpg", "",
        "http://", "http:///a.jpg", "https://", "//127.0.0.1/a.jpg", "http://[::1/", "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/", "http://a..b/", f"http://{'a' * 64}.example/", f"http://{'a.' * 200}example/",
        "http://exa mple/", "http://\0/", "http://\udcff/", "http://xn--/", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_what_is_no_url_of_the_web_is_a_failure(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr("datagen.sources.reading.http._MOST_REDIRECTS", 0)
    failure = asyncio.run(failure_of(url, allowed=(), tries=1))
    assert failure.failure_class == "unreadable"
    assert failure.message.encode("utf-8")


def test_a_url_is_sent_as_it_is_encoded(slept: list[float]) -> None:
    async def test(site: Site) -> None:
        for path in ("/a.jpg?x=1&y=%2F", "/%E6%A1%9C.jpg"):
            assert await fetched(site.url(path)) == PICTURE
        assert await fetched(site.url("/桜.jpg")) == PICTURE
        assert site.requests[0] == "/a.jpg?x=1&y=%2F"
        assert site.requests[1] == site.requests[2]

    with_site(ok, test)


# Limits


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_given_up_on_the_way(declared: bool) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Length": str(10**9)} if declared else {})
        await response.prepare(request)
        for _ in range(10_000):
            await response.write(bytes(100_000))
            sent += 100_000
        return response

    async def test(site: Site) -> None:
        failure = await failure_of(site.url(), max_bytes=500_000)
        assert failure.failure_class == "too_large"
        assert "images.max_bytes (500,000)" in failure.message
        assert len(site.requests) == 1

    with_site(endless, test)
    assert sent < 100_000_000


def test_a_body_at_the_limit_is_read_and_one_byte_more_is_not() -> None:
    async def test(site: Site) -> None:
        assert await fetched(site.url(), max_bytes=len(PICTURE)) == PICTURE
        assert (await failure_of(site.url(), max_bytes=len(PICTURE) - 1)).failure_class == "too_large"

    with_site(ok, test)


@pytest.mark.slow
def test_a_compressed_body_is_read_and_a_bomb_is_not_blown_up() -> None:
    bomb = gzip.compress(bytes(300_000_000), 9)

    async def compressed(request: web.Request) -> web.StreamResponse:
        body = bomb if request.path == "/bomb" else gzip.compress(PICTURE)
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async def test(site: Site) -> None:
        assert await fetched(site.url("/picture")) == PICTURE
        tracemalloc.start()
        failure = await failure_of(site.url("/bomb"), max_bytes=500_000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert failure.failure_class == "too_large"
        assert peak < 100_000_000

    with_site(compressed, test)


def test_a_server_that_hangs_is_left_after_the_time_limit() -> None:
    released = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"beginning")
        await released.wait()
        return response

    async def test(site: Site) -> None:
        failure = await failure_of(site.url(), seconds=0.05, tries=2)
        released.set()
        assert (failure.failure_class, failure.message) == ("unreadable", "no complete answer within 0.05 s")
        assert len(site.requests) == 2

    with_site(hang, test)


@pytest.mark.slow
def test_waiting_for_a_place_does_not_count_against_the_time_limit() -> None:
    at_once, most = 0, 0

    async def slow(_: web.Request) -> web.StreamResponse:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.15)
        at_once -= 1
        return web.Response(body=PICTURE)

    async def test(site: Site) -> None:
        fetcher = Fetcher(1_000_000, ("127.0.0.1",), seconds=2, tries=1, connections_to_host=2)
        try:
            bodies = await asyncio.gather(*(fetcher.fetch(site.url(f"/{number}")) for number in range(40)))
        finally:
            await fetcher.close()
        assert bodies == [PICTURE] * 40
        assert most <= 2

    with_site(slow, test)


# Trying again


def failing_first(times: int, status: int, headers: dict[str, str] | None = None) -> Handler:
    answered = 0

    async def handler(_: web.Request) -> web.StreamResponse:
        nonlocal answered
        answered += 1
        return web.Response(status=status, headers=headers) if answered <= times else web.Response(body=PICTURE)

    return handler


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204, 304, 418])
def test_what_cannot_pass_is_asked_for_once(status: int) -> None:
    async def test(site: Site) -> None:
        failure = await failure_of(site.url())
        assert (failure.failure_class, failure.message) == ("unreadable", f"HTTP {status}")
        assert len(site.requests) == 1

    with_site(failing_first(9, status), test)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_three_times_in_all(status: int) -> None:
    async def passes(site: Site) -> None:
        assert await fetched(site.url()) == PICTURE
        assert len(site.requests) == 3

    async def stays(site: Site) -> None:
        failure = await failure_of(site.url())
        assert (failure.failure_class, failure.message) == ("unreadable", f"HTTP {status}")
        assert len(site.requests) == 3

    with_site(failing_first(2, status), passes)
    with_site(failing_first(9, status), stays)


def test_retry_after_is_honoured_and_capped(slept: list[float]) -> None:
    async def test(site: Site) -> None:
        assert await fetched(site.url()) == PICTURE

    with_site(failing_first(1, 503, {"Retry-After": "17"}), test)
    assert slept == [17.0]
    slept.clear()
    with_site(failing_first(1, 429, {"Retry-After": "86400"}), test)
    assert slept == [60.0]
    slept.clear()
    with_site(failing_first(1, 429, {"Retry-After": "nan"}), test)
    assert len(slept) == 1
    assert 0 < slept[0] < 10


def test_connections_that_break_are_tried_again_and_then_a_failure() -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"only this")
        assert request.transport is not None
        request.transport.close()
        return response

    async def test(site: Site) -> None:
        failure = await failure_of(site.url())
        assert failure.failure_class == "unreadable"
        assert len(site.requests) == 3

    with_site(break_off, test)


def test_a_closed_port_is_a_failure() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert asyncio.run(failure_of(f"http://127.0.0.1:{port}/a.jpg")).failure_class == "unreadable"


def test_environment_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def test(site: Site) -> None:
        assert await fetched(site.url()) == PICTURE

    with_site(ok, test)


def test_the_agent_says_who_asks() -> None:
    agents = []

    async def note(request: web.Request) -> web.StreamResponse:
        agents.append(request.headers["User-Agent"])
        return await ok(request)

    async def test(site: Site) -> None:
        await fetched(site.url())

    with_site(note, test)
    assert agents[0].startswith("datagen/")
    assert aiohttp.__name__ not in agents[0]
