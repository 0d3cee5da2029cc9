"""Start a vLLM server with the tiny model on the CPU, and ask it."""

import asyncio
import base64
import contextlib
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import aiohttp
from PIL import Image

from datagen.engines.servers.process import local_server

MODEL = Path(__file__).with_name("model")
NAME = "tiny-vlm"


@contextlib.contextmanager
def running(model: Path = MODEL) -> Iterator[str]:
    """Run a server as long as the block lasts, and yield its base URL, ending in `/v1`."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with local_server(NAME, log, str(model), ("--max-model-len", "2048", "--max-num-seqs", "64")) as server:
            yield server.endpoint


def data_url(picture: Image.Image) -> str:
    """Encode a picture as PNG in a data URL."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


class Client:
    """Asks a server, with many requests in flight.

    Attributes:
        requests: How many answers came.
    """

    def __init__(self, url: str, model: str = NAME, in_flight: int = 32) -> None:
        self._url = url.rstrip("/")
        self._model = model
        self._gate = asyncio.Semaphore(in_flight)
        self._session: aiohttp.ClientSession | None = None
        self.requests = 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        messages: list[dict[str, Any]],
        *,
        schema: dict[str, Any] | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> str:
        """Ask for the next message.

        Args:
            messages: Conversation as the OpenAI chat API takes it.
            schema: JSON schema that the server holds the reply to, or None.
            temperature: 0 for the likeliest reply.
            top_p: Share of the probability that is drawn from.
            seed: Seed of the draw.
        """
        assert self._session is not None, "use the client in an `async with` block"
        body: dict[str, Any] = {
            "model": self._model,
            "messages": messages,
            "temperature": temperature,
            "top_p": top_p,
            "seed": seed,
            "max_tokens": 128,
        }
        if schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
        async with self._gate, self._session.post(f"{self._url}/chat/completions", json=body) as response:
            text = await response.text()
            if response.status != 200:
                raise RuntimeError(f"the server answered {response.status}: {text[:500]}")
        self.requests += 1
        content: str = json.loads(text)["choices"][0]["message"]["content"]
        return content
