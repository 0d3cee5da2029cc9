"""The chat client and one server: what is an answer, what is tried again, and what is not."""

import asyncio
import tracemalloc
import zlib
from typing import Any

import orjson
import pytest
from aiohttp import web

from datagen.engines.openai import ChatClient
from datagen.engines.wire.chat import Completion
from datagen.failures import Failure
from datagen.retrying import retry_after_seconds
from prompts import Sampling
from tests.engines.chat_server import (
    KEY,
    MESSAGES,
    Clock,
    Handler,
    Server,
    answer,
    ask,
    completion,
    failure_of,
    outcome_of,
    serving,
)

pytestmark = pytest.mark.usefixtures("clock")


def test_an_answer_is_read_and_the_request_holds_what_was_asked() -> None:
    async def run() -> None:
        async with serving(Server()) as server, ChatClient("m", [server.url], KEY) as client:
            first = await ask(client, schema={"type": "object"})
            await ask(client, choices=["桜", "梅"])
            assert first == Completion("桜です。", "stop", 12, 3)
            assert client.retries == 0
            body, choice = server.bodies
            assert {name: body[name] for name in ("model", "messages", "seed")} == {
                "model": "m", "messages": MESSAGES, "seed": 7,
            }  # fmt: skip
            assert {name: body[name] for name in Sampling.model_fields} == Sampling().model_dump()
            assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
            assert choice["structured_outputs"] == {"choice": ["桜", "梅"]}
            assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
            assert server.headers[0]["Content-Type"] == "application/json"

    asyncio.run(run())


# Statuses


@pytest.mark.parametrize("status", [400, 413, 414, 422, 431])
def test_what_speaks_of_the_request_is_never_retried_and_never_a_result(status: int) -> None:
    failure, server = failure_of(answer(completion("a result?"), status))
    assert failure.failure_class == "http_error"
    assert failure.message.startswith(f"HTTP {status}: ")
    assert len(server.bodies) == 1
    assert not server.short_requests


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 451])
def test_what_may_be_about_the_endpoint_is_tried_once_more_and_never_a_result(status: int) -> None:
    failure, server = failure_of(answer(completion("a result?"), status))
    assert failure.failure_class == "http_error"
    assert failure.message.startswith(f"HTTP {status}: ")
    assert len(server.bodies) == 2
    assert server.short_requests == 2


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_and_succeeds(status: int) -> None:
    outcome, server, client = outcome_of(answer({}, status), answer({}, status), answer())
    assert isinstance(outcome, Completion)
    assert len(server.bodies) == 3
    assert client.retries == 2
    assert server.bodies[0] == server.bodies[2]


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 504])
def test_what_stays_while_the_endpoint_answers_others_ends_after_six_tries(status: int) -> None:
    failure, server = failure_of(answer(completion("a result?"), status))
    assert failure.failure_class == "http_error"
    assert len(server.bodies) == 6


@pytest.mark.parametrize("status", [429, 503])
def test_a_request_that_alone_is_put_off_for_ever_fails_when_patience_is_over(status: int, clock: Clock) -> None:
    began = clock.now
    failure, _ = failure_of(answer({}, status), patience=30)
    assert failure.failure_class == "http_error"
    assert failure.message.startswith(f"HTTP {status}")
    assert 30 <= clock.now - began < 60


def test_retry_after_is_honoured(clock: Clock) -> None:
    outcome_of(answer({}, 429, {"Retry-After": "21"}), answer())
    assert len(clock.waits) == 1
    assert 21 <= clock.waits[0] < 22


def test_retry_after_in_all_its_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixed:
        @staticmethod
        def time() -> float:
            return 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT

    monkeypatch.setattr("datagen.retrying.time", Fixed)
    wanted = {
        "Sun, 06 Nov 1994 08:49:47 GMT": 10.0, "Sun, 06 Nov 1994 08:00:00 GMT": 0.0,
        "Fri, 31 Dec 9999 23:59:59 GMT": 60.0, "0": 0.0, " 5 ": 5.0, "9" * 400: 60.0,
        "": None, "nan": None, "inf": None, "-1": None, "soon": None, "５": None,
    }  # fmt: skip
    assert {header: retry_after_seconds(header) for header in wanted} == wanted
    assert retry_after_seconds(None) is None


def test_the_key_is_shown_in_no_error() -> None:
    long = b" " * 20 + b"x" * (300 - 8) + KEY.encode() * 3  # an excerpt that would be cut in the middle of the key
    for status in (400, 500):
        for body in (f"invalid key {KEY}!".encode(), long, orjson.dumps({"error": {"message": KEY}})):
            failure, _ = failure_of(answer(body, status))
            for part in (KEY, KEY[:8], KEY[4:12]):
                assert part not in failure.message
            assert failure.message.startswith(f"HTTP {status}")


# Responses


@pytest.mark.parametrize(
    "document",
    [
        b"", b"not json", b"<html>busy</html>", b'{"choices": [{"message": {"content": "cut', b"null", b"[]", b"5",
        b"\xff\xfe", {}, {"choices": []}, {"choices": None}, {"choices": [{}]}, {"choices": [{"message": None}]},
        {"choices": [{"text": "x"}]}, completion(["a", "list"]), completion(5), completion({"a": 1}),
        completion(usage=[1]), completion(usage={"prompt_tokens": "many"}), completion(usage={"prompt_tokens": 10**12}),
        completion(usage={"completion_tokens": -1}), {"error": {"message": "in a 200"}},
        {"choices": [{"message": {"content": "x"}, "finish_reason": 5}]}, {"choices": {"0": 1}}, {"choices": "x"},
        {"choices": [{"message": {}}]}, {"error": "in a 200"}, {"error": {"code": "200"}}, {"error": [1]},
        {"object": "error", "message": "m", "code": 40}, b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_chat_completion_is_asked_for_once_more_and_then_a_failure(document: Any) -> None:
    failure, server = failure_of(answer(document))
    assert failure.failure_class == "bad_response"
    assert "not a chat completion" in failure.message
    assert len(server.bodies) == 2
    outcome, _, _ = outcome_of(answer(document), answer())
    assert isinstance(outcome, Completion)


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        (completion(None), Completion("", "stop", 12, 3)),
        (completion("x", usage=None), Completion("x", "stop", 0, 0)),
        ({"choices": [{"message": {"content": "x"}}]}, Completion("x", "", 0, 0)),
        (completion("x", usage={"prompt_tokens": None}), Completion("x", "stop", 0, 0)),
    ],
)
def test_what_may_be_missing_is_empty(document: Any, wanted: Completion) -> None:
    outcome, server, _ = outcome_of(answer(document))
    assert outcome == wanted
    assert len(server.bodies) == 1


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_model_that_only_thought_is_told_from_one_that_said_nothing(name: str) -> None:
    def said(**message: Any) -> Completion:
        choice = {"message": {"role": "assistant", **message}, "finish_reason": "stop"}
        outcome, _, _ = outcome_of(answer({"choices": [choice]}))
        assert isinstance(outcome, Completion)
        return outcome

    assert said(content=None, **{name: "考え中"}).only_thought
    assert said(**{name: "考え中"}).only_thought
    assert not said(content="桜です。", **{name: "考え中"}).only_thought
    assert not said(content=None, **{name: None}).only_thought


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"message": f"no room for {KEY}", "type": "BadRequestError", "code": 400}},
        {"object": "error", "message": f"no room for {KEY}", "type": "BadRequestError", "code": 400},
    ],
)
def test_an_error_under_the_status_200_is_a_refusal_in_the_words_of_the_server(document: Any) -> None:
    failure, server = failure_of(answer(document))
    assert failure.failure_class == "http_error"
    assert failure.message == "HTTP 400: no room for *** (in a response with the status 200)"
    assert len(server.bodies) == 1
    del (document.get("error") or document)["code"]
    failure, server = failure_of(answer(document))
    assert failure.failure_class == "bad_response"
    assert failure.message.endswith("but an error: no room for ***")


# Sizes


def endless(chunk: bytes, status: int = 200, headers: dict[str, str] | None = None) -> tuple[Handler, list[int]]:
    """A handler whose body has no end, and the number of bytes that it got rid of."""
    written = [0]

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        try:
            while written[0] < 1 << 30:
                await response.write(chunk)
                written[0] += len(chunk)
        except ConnectionError:
            pass
        return response

    return handler, written


@pytest.mark.parametrize("opening", [b" ", b'{"choices": [{"message": {"content": "'])
def test_a_body_without_end_is_left_at_the_limit_of_its_tokens(opening: bytes) -> None:
    handler, written = endless(opening + b"x" * (1 << 16))
    failure, server = failure_of(handler)
    assert failure.failure_class == "bad_response"
    assert failure.message == "the response is over 1,572,864 bytes, which no answer of 512 tokens needs"
    assert len(server.bodies) == 2
    assert written[0] < 64 << 20


@pytest.mark.slow
def test_a_body_that_unpacks_without_end_is_left_likewise() -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = packer.compress(b"\0" * (1 << 28)) + packer.flush()
    tracemalloc.start()
    failure, _ = failure_of(answer(bomb, headers={"Content-Encoding": "gzip"}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert failure.failure_class == "bad_response"
    assert "over 1,572,864 bytes" in failure.message
    assert peak < 1 << 26


def test_a_long_answer_within_its_tokens_is_read() -> None:
    outcome, _, _ = outcome_of(answer(completion("桜" * 400_000)))
    assert isinstance(outcome, Completion)
    assert len(outcome.text) == 400_000


@pytest.mark.parametrize("status", [400, 500])
def test_an_error_page_without_end_is_cut(status: int) -> None:
    handler, written = endless(b"error " * 10_000, status)
    failure, _ = failure_of(handler)
    assert failure.message.startswith(f"HTTP {status}: error error")
    assert len(failure.message) < 400
    assert written[0] < 64 << 20


def test_an_answer_of_any_content_type_is_read() -> None:
    outcome, _, _ = outcome_of(answer(headers={"Content-Type": "text/html; charset=nonsense"}))
    assert isinstance(outcome, Completion)


def test_the_client_takes_its_key_and_its_pictures_to_no_other_host() -> None:
    async def run() -> None:
        async with serving(Server()) as other:
            redirect = answer(b"", 307, {"Location": f"{other.url}/chat/completions"})
            async with serving(Server(redirect)) as first, ChatClient("m", [first.url], KEY) as client:
                with pytest.raises(Failure, match="HTTP 307"):
                    await ask(client)
            assert other.bodies == []

    asyncio.run(run())
