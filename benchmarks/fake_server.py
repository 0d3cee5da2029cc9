"""A server that answers like vLLM after a fixed time, for load and faults that a real one cannot be made to show.

    python -m benchmarks.fake_server --port 8001 --latency 0.1 [--log requests.log]

It answers in the shape that the request's JSON schema asks for, with text that depends on the request's seed alone, so
that two runs of one recipe get the same answers. `GET /statistics` tells how many requests came, and how often each;
with a log the counts outlive the server. `POST /faults` takes a JSON list of `Fault`s, which take the place of those
before; the first that fits a request is what happens to it. A request without a seed, by which a client finds out
whether the server answers at all, is not counted, and befallen only by what befalls every request.
"""

import argparse
import asyncio
import hashlib
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import orjson
from aiohttp import web

MODEL = "fake-vlm"
SEED = re.compile(rb'"seed": ?(\d+)')
_SCHEMA_KEY = re.compile(rb'"properties":\{"(\w+)"')


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and how often.

    Attributes:
        kind: an HTTP status; the same for everything, the list of models too; a connection that is reset; no answer for
            an hour; JSON that breaks off, has the wrong shape or no choices, or is 10 MB long; or a completion whose
            text is not what the schema asks for.
        status: for `status` and `closed`; `retry_after` is sent with it when it is not empty.
        share: the share of the requests' seeds that it befalls.
        times: only the first so many requests of each of these seeds since the faults were set; 0 means every one.
    """

    kind: Literal["status", "closed", "reset", "hang", "truncated", "wrong_shape", "no_choices", "long", "off_schema"]
    status: int = 500
    retry_after: str = ""
    share: float = 1.0
    times: int = 0

    def befalls(self, seed: str, request: int) -> bool:
        """Whether the fault befalls the `request`th request of a seed."""
        if not seed:
            return self.share == 1 and not self.times
        draw = int(hashlib.sha256(f"{self.kind} {self.status} {seed}".encode()).hexdigest()[:8], 16) / 2**32
        return draw < self.share and (not self.times or request <= self.times)


class FakeServer:
    """Answers, counts, and fails where it is told to.

    Args:
        latency: seconds before each answer.
        question_share: the share of answers that end in a question.
        log: a file that takes a line with the time and the seed of each request, and is counted from the start.
        model: the name of the one model.
    """

    def __init__(
        self, latency: float, question_share: float = 0.1, log: Path | None = None, model: str = MODEL
    ) -> None:
        self._latency = latency
        self._question_share = question_share
        self._model = model
        self._faults: list[Fault] = []
        self._requests_with_faults: Counter[str] = Counter()
        self._log: BinaryIO | None = None
        self.requests: Counter[str] = Counter()
        if log is not None:
            self.requests.update(seed for _, seed in logged_requests(log))
            self._log = log.open("ab", buffering=0)

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(client_max_size=1 << 30)
        application.router.add_post("/v1/chat/completions", self.chat)
        application.router.add_get("/v1/models", self.models)
        application.router.add_get("/health", self.health)
        application.router.add_get("/statistics", self.statistics)
        application.router.add_post("/faults", self.set_faults)
        return application

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Answer one chat request, or fail."""
        body = await request.read()
        seed = last(SEED, body)
        key = _schema_key(body)
        if seed:
            self.requests[seed] += 1
            self._requests_with_faults[seed] += 1
        if seed and self._log is not None:
            self._log.write(f"{time.time():.3f} {seed}\n".encode())
        await asyncio.sleep(self._latency)
        usage = {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140}
        message = {"role": "assistant", "content": self.answer(seed, key)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        document: dict[str, object] = {
            "id": seed,
            "object": "chat.completion",
            "model": self._model,
            "choices": [choice],
            "usage": usage,
        }
        for fault in self._faults:
            if fault.befalls(seed, self._requests_with_faults[seed]):
                return await _fail(fault, request, document)
        return web.Response(body=orjson.dumps(document), content_type="application/json")

    def answer(self, seed: str, key: str) -> str:
        """Return the answer's JSON; `key` is the first property of the schema that was asked for."""
        draw = int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16)
        text = f"これは{draw % 1000}番の通りにある、赤い屋根の建物の写真です。手前に木が{draw % 7 + 1}本立っています。"
        if draw % 1000 < 1000 * self._question_share:
            text += "ほかに知りたいことはありますか？"
        pair = {"question": f"{draw % 1000}番の通りには何が見えますか？", "answer": text}
        score = {"score": draw % 100 / 100, "reason": "画像と照らし合わせました。"}
        documents = {"caption": {"caption": text}, "turns": {"turns": [pair] * 3}, "score": score}
        document = documents.get(key, pair)
        return orjson.dumps(document).decode()

    async def models(self, _: web.Request) -> web.Response:
        """Name the one model."""
        for fault in self._faults:
            if fault.kind == "closed":
                return web.json_response({"error": {"message": "made to fail"}}, status=fault.status)
        return web.json_response({"object": "list", "data": [{"id": self._model, "object": "model"}]})

    async def health(self, _: web.Request) -> web.Response:
        """Say that the server is up."""
        return web.Response()

    async def statistics(self, _: web.Request) -> web.Response:
        """Tell how many requests came, in all and by seed."""
        return web.json_response({"requests": self.requests.total(), "by_seed": self.requests})

    async def set_faults(self, request: web.Request) -> web.Response:
        """Take the faults from now on."""
        self._requests_with_faults.clear()
        self._faults = [Fault(**fault) for fault in await request.json()]
        return web.Response()


async def _fail(fault: Fault, request: web.Request, document: dict[str, object]) -> web.StreamResponse:
    if fault.kind in ("status", "closed"):
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        return web.json_response({"error": {"message": "made to fail"}}, status=fault.status, headers=headers)
    if fault.kind == "reset":
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
    if fault.kind == "hang":
        await asyncio.sleep(3600)
    if fault.kind == "truncated":
        return web.Response(body=orjson.dumps(document)[:-60], content_type="application/json")
    if fault.kind == "long":
        return web.json_response(document | {"padding": "x" * 10**7})
    if fault.kind == "no_choices":
        return web.json_response(document | {"choices": []})
    if fault.kind == "off_schema":
        message = {"role": "assistant", "content": '{"weather": "晴れ"}'}
        return web.json_response(document | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    return web.json_response({"object": "list", "data": []})


def logged_requests(log: Path) -> list[tuple[float, str]]:
    """Return the times and seeds of the requests in a log, in order."""
    lines = log.read_text(encoding="ascii").splitlines() if log.exists() else []
    return [(float(moment), seed) for moment, _, seed in (line.partition(" ") for line in lines)]


def last(pattern: re.Pattern[bytes], body: bytes) -> str:
    """Return what a pattern finds last at the end of a request."""
    # The request's own fields stand behind the messages; looking at the tail alone skips the picture.
    found = pattern.findall(body[-4096:])
    return found[-1].decode() if found else ""


def _schema_key(body: bytes) -> str:
    """Return the first property of the schema that is asked for."""
    _, asked, schema = body[-4096:].rpartition(b'"response_format"')
    found = _SCHEMA_KEY.search(schema)
    return found[1].decode() if asked and found else ""


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description="A server that answers like vLLM after a fixed time.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--question-share", type=float, default=0.1)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--served-model-name", default=MODEL)
    options, _ = parser.parse_known_args()
    server = FakeServer(options.latency, options.question_share, options.log, options.served_model_name)
    web.run_app(server.application(), host="127.0.0.1", port=options.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
