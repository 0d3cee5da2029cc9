"""The chat client and one server: what is an answer, what is tried again, and what is not."""

import asyncio
from typing import Any

import orjson
import pytest

from datagen.engine.client import ChatClient, Completion
from datagen.engine.retrying import retry_after_seconds
from datagen.failures import Failure
from prompts import Sampling
from tests.engine.chat_server import (
    KEY,
    MESSAGES,
    Clock,
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


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_cannot_pass_is_never_retried_and_never_a_result(status: int) -> None:
    failure, server = failure_of(answer(completion("a result?"), status))
    assert failure.failure_class == "http_error"
    assert failure.message.startswith(f"HTTP {status}: ")
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_and_succeeds(status: int) -> None:
    outcome, server, client = outcome_of(answer({}, status), answer({}, status), answer())
    assert isinstance(outcome, Completion)
    assert len(server.bodies) == 3
    assert client.retries == 2
    assert server.bodies[0] == server.bodies[2]


@pytest.mark.parametrize("status", [429, 500])
def test_what_stays_ends_after_six_tries(status: int) -> None:
    failure, server = failure_of(answer(completion("a result?"), status))
    assert failure.failure_class == "http_error"
    assert len(server.bodies) == 6


def test_retry_after_is_honoured(clock: Clock) -> None:
    outcome_of(answer({}, 429, {"Retry-After": "21"}), answer())
    assert len(clock.waits) == 1
    assert 21 <= clock.waits[0] < 22


def test_retry_after_in_all_its_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixed:
        @staticmethod
        def time() -> float:
            return 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT

    monkeypatch.setattr("datagen.engine.retrying.time", Fixed)
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


def test_the_client_takes_its_key_and_its_pictures_to_no_other_host() -> None:
    async def run() -> None:
        async with serving(Server()) as other:
            redirect = answer(b"", 307, {"Location": f"{other.url}/chat/completions"})
            async with serving(Server(redirect)) as first, ChatClient("m", [first.url], KEY) as client:
                with pytest.raises(Failure, match="HTTP 307"):
                    await ask(client)
            assert other.bodies == []

    asyncio.run(run())
