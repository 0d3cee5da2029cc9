"""A server that answers like vLLM after a fixed time, for load and faults that a real one cannot be made to show.

    python -m benchmarks.fake_server --port 8001 --latency 0.1 [--processes 1]

It answers in the shape that the request's JSON schema asks for, with text that depends on the request's seed alone, so
that two runs of one recipe get the same answers. `GET /statistics` tells how many requests came, and how often each.
"""

import argparse
import asyncio
import hashlib
import re
from collections import Counter

import orjson
from aiohttp import web

MODEL = "fake-vlm"
_SEED = re.compile(rb'"seed":(\d+)')
_SCHEMA_KEY = re.compile(rb'"properties":\{"(\w+)"')


class FakeServer:
    """Answers and counts.

    Args:
        latency: seconds before each answer.
        question_share: the share of answers that end in a question.
    """

    def __init__(self, latency: float, question_share: float = 0.1) -> None:
        self._latency = latency
        self._question_share = question_share
        self.requests: Counter[str] = Counter()

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(client_max_size=1 << 30)
        application.router.add_post("/v1/chat/completions", self.chat)
        application.router.add_get("/v1/models", self.models)
        application.router.add_get("/statistics", self.statistics)
        return application

    async def chat(self, request: web.Request) -> web.Response:
        """Answer one chat request."""
        body = await request.read()
        seed = _last(_SEED, body)
        key = _last(_SCHEMA_KEY, body)
        self.requests[seed] += 1
        await asyncio.sleep(self._latency)
        usage = {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140}
        message = {"role": "assistant", "content": self.answer(seed, key)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        document = {"id": seed, "object": "chat.completion", "model": MODEL, "choices": [choice], "usage": usage}
        return web.Response(body=orjson.dumps(document), content_type="application/json")

    def answer(self, seed: str, key: str) -> str:
        """Return the answer's JSON; `key` is the first property of the schema that was asked for."""
        draw = int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16)
        text = f"これは{draw % 1000}番の通りにある、赤い屋根の建物の写真です。手前に木が{draw % 7 + 1}本立っています。"
        if draw % 1000 < 1000 * self._question_share:
            text += "ほかに知りたいことはありますか？"
        pair = {"question": f"{draw % 1000}番の通りには何が見えますか？", "answer": text}
        document = {"caption": {"caption": text}, "turns": {"turns": [pair] * 3}}.get(key, pair)
        return orjson.dumps(document).decode()

    async def models(self, _: web.Request) -> web.Response:
        """Name the one model."""
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def statistics(self, _: web.Request) -> web.Response:
        """Tell how many requests came, in all and by seed."""
        return web.json_response({"requests": self.requests.total(), "by_seed": self.requests})


def _last(pattern: re.Pattern[bytes], body: bytes) -> str:
    # The request's own fields stand behind the messages; looking at the tail alone skips the picture.
    found = pattern.findall(body[-4096:])
    return found[-1].decode() if found else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A server that answers like vLLM after a fixed time.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--question-share", type=float, default=0.1)
    options = parser.parse_args()
    server = FakeServer(options.latency, options.question_share)
    web.run_app(server.application(), host="127.0.0.1", port=options.port, print=None, access_log=None)
