"""One request of the chat API: a body that is read up to a limit, and a completion or the reason why there is none."""

from typing import Any, NamedTuple

import aiohttp
import orjson

from datagen.failures import Failure
from datagen.retrying import retry_after_seconds

REQUESTS_OWN_STATUSES = frozenset({400, 413, 414, 422, 431})
"""Refusals that speak of the request itself; the endpoint is well that gives one."""
_BUSY_STATUSES = frozenset({429, 503})
_PASSING_STATUSES = frozenset({408, 409, 425, 429})

# The longest entries of usual vocabularies are runs of 128–256 spaces; 1 KiB a token leaves room for JSON's escapes and
# for a server that repeats the answer. The frame, with usage and fingerprints, takes a few KiB of its MiB.
_BYTES_A_TOKEN = 1 << 10
_FRAME_BYTES = 1 << 20
_MOST_BYTES = 64 << 20
_ERROR_BYTES = 1 << 16
_EXCERPT = 300
_MOST_TOKENS = 2**31 - 1


class Completion(NamedTuple):
    """One answer.

    Attributes:
        text: what the model said; empty when it said nothing.
        finish_reason: why it stopped; empty when the server does not say.
        prompt_tokens: 0 when the server reports none; `completion_tokens` likewise.
        only_thought: whether there is no text because the model spent its tokens on thinking.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    only_thought: bool = False


class BodyTooLongError(Exception):
    """A response goes on beyond the limit of its body."""


class ServerRefusedError(Exception):
    """A response with a status other than 2xx, or with an error instead of a completion."""

    def __init__(self, status: int, excerpt: str, retry_after: float | None = None) -> None:
        super().__init__(f"HTTP {status}: {excerpt}")
        self.status = status
        self.retry_after = retry_after

    @property
    def of_the_request(self) -> bool:
        """Whether the endpoint has nothing to do with it."""
        return self.status in REQUESTS_OWN_STATUSES

    @property
    def busy(self) -> bool:
        """Whether the endpoint takes no requests just now, of whatever kind."""
        return self.status in _BUSY_STATUSES

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in _PASSING_STATUSES or self.status >= 500


async def request_completion(
    session: aiohttp.ClientSession,
    endpoint: str,
    payload: bytes,
    *,
    max_tokens: int,
    key: str | None = None,
    seconds: float | None = None,
) -> Completion:
    """Ask an endpoint once.

    Args:
        session: carries the headers and the time limit.
        endpoint: the base URL.
        payload: the request's JSON.
        max_tokens: what the request asks for; the limit of the response in bytes follows from it.
        key: is taken out of error messages.
        seconds: a time limit other than the session's.

    Raises:
        ServerRefusedError: the server says no.
        Failure: `bad_response`, what came is no chat completion.
        aiohttp.ClientError, TimeoutError: nothing came.
    """
    limits = session.timeout if seconds is None else aiohttp.ClientTimeout(total=seconds)
    async with session.post(
        f"{endpoint}/chat/completions", data=payload, allow_redirects=False, timeout=limits
    ) as response:
        if not 200 <= response.status < 300:
            body = await _beginning(response, _ERROR_BYTES)
            text = f"redirects to {response.headers['Location']}" if "Location" in response.headers else _text(body)
            retry_after = retry_after_seconds(response.headers.get("Retry-After"))
            raise ServerRefusedError(response.status, _excerpt(text, key), retry_after)
        most = min(_FRAME_BYTES + max_tokens * _BYTES_A_TOKEN, _MOST_BYTES)
        try:
            body = await read_body(response, most)
        except BodyTooLongError as error:
            raise Failure(
                "bad_response", f"the response is over {most:,} bytes, which no answer of {max_tokens:,} tokens needs"
            ) from error
        return _completion(body, key)


async def read_body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return a response's body, unpacked.

    Raises:
        BodyTooLongError: it is longer than `most` bytes; no more than that is read or unpacked.
    """
    body = await _beginning(response, most + 1)
    if len(body) > most:
        raise BodyTooLongError(f"over {most:,} bytes")
    return body


async def _beginning(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return at most so many bytes; a connection with more in it is closed and not used again."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) >= most:
            response.close()
            break
    return bytes(body[:most])


def _completion(body: bytes, key: str | None) -> Completion:
    try:
        document = orjson.loads(body)
        _raise_reported_error(document, key)
        choice = document["choices"][0]
        message, finish_reason = choice["message"], choice.get("finish_reason") or ""
        thought = bool(message.get("reasoning_content") or message.get("reasoning"))
        text = _text_of(message.get("content") if thought else message["content"])
        usage = document.get("usage") or {}
        prompt_tokens, completion_tokens = (
            int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")
        )
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Failure("bad_response", f"the response is not a chat completion ({type(error).__name__})") from error
    if not isinstance(text, str) or not isinstance(finish_reason, str):
        raise Failure("bad_response", "the response is not a chat completion (its answer is no text)")
    if not 0 <= prompt_tokens <= _MOST_TOKENS or not 0 <= completion_tokens <= _MOST_TOKENS:
        raise Failure("bad_response", "the response is not a chat completion (its token counts are impossible)")
    return Completion(text, finish_reason, prompt_tokens, completion_tokens, thought and not text)


def _text_of(content: Any) -> Any:
    """Return the text of a message; of one in parts, the texts of its parts, without those of its thinking."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") in ("text", "output_text"))
    return content or ""


def _raise_reported_error(document: Any, key: str | None) -> None:
    """Raise what a server says under the status 200: `{"error": …}`, or vLLM's older `{"object": "error", …}`."""
    error = document.get("error") or (document if document.get("object") == "error" else None)
    if not error or document.get("choices"):
        return
    message, code = (error.get("message"), error.get("code")) if isinstance(error, dict) else (error, None)
    excerpt = _excerpt(str(message), key)
    if isinstance(code, int) and 400 <= code < 600:
        raise ServerRefusedError(code, f"{excerpt} (in a response with the status 200)")
    raise Failure("bad_response", f"the response is not a chat completion but an error: {excerpt}")


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _excerpt(text: str, key: str | None) -> str:
    """Return the beginning of a text on one line, without the key and what a terminal would obey."""
    text = text.replace(key, "***") if key else text
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:_EXCERPT]
