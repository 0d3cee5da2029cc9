"""What an endpoint serves: asked before a run starts, and whether it answers at all when requests go wrong later."""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urljoin, urlsplit

import aiohttp
import orjson

from datagen.engines.wire.chat import BodyTooLongError, ServerRefusedError, read_body, request_completion
from datagen.errors import DatagenError
from datagen.failures import Failure

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_MODELS_BYTES = 16 << 20
"""Lists of big gateways have thousands of models, with prices and descriptions."""

_MOST_NAMED = 20


async def served_models(endpoint: str, headers: Mapping[str, str], seconds: float = 10.0) -> list[str]:
    """Return the names of the models that an endpoint serves.

    Raises:
        DatagenError: the endpoint does not answer, redirects, or is no OpenAI-compatible server.
    """
    limits = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, headers=headers) as session,
            session.get(f"{endpoint}/models", allow_redirects=False) as response,
        ):
            if 300 <= response.status < 400:
                raise DatagenError(
                    _redirected(endpoint, "models", response.status, response.headers.get("Location", ""))
                )
            if response.status >= 400:
                raise DatagenError(
                    f"The endpoint {endpoint} answered HTTP {response.status} to /models; check the address "
                    "(it ends in /v1) and the API key."
                )
            document = orjson.loads(await read_body(response, _MODELS_BYTES))
            return [str(entry["id"]) for entry in document["data"]]
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = str(error) or "no answer in time"
        raise DatagenError(
            f"The endpoint {endpoint} does not answer ({reason}). Start the server, or leave --endpoint out and "
            "datagen starts one."
        ) from error
    except (orjson.JSONDecodeError, LookupError, TypeError, BodyTooLongError) as error:
        raise DatagenError(
            f"The endpoint {endpoint} is no OpenAI-compatible server; its address ends in /v1."
        ) from error


async def answers_like(session: aiohttp.ClientSession, endpoint: str, payload: bytes, max_tokens: int) -> bool:
    """Whether an endpoint answers a request that is like those which it is asked for.

    Nothing less will do: gateways list models whose servers are gone, and a server may call itself healthy, and answer
    one token about a text, that answers nothing about a picture. A refusal of this very request shows that it reads
    requests, and counts as an answer.
    """
    try:
        await request_completion(session, endpoint, payload, max_tokens=max_tokens)
    except ServerRefusedError as error:
        return error.of_the_request
    except (aiohttp.ClientError, TimeoutError, Failure):
        return False
    return True


async def takes_names(session: aiohttp.ClientSession, endpoint: str, seconds: float = 5.0) -> bool:
    """Whether an endpoint takes pictures by their names: whether it is vLLM, which says so of the models it lists."""
    limits = aiohttp.ClientTimeout(total=seconds)
    try:
        async with session.get(f"{endpoint}/models", allow_redirects=False, timeout=limits) as response:
            listed = orjson.loads(await read_body(response, _MODELS_BYTES))["data"]
            return bool(listed) and all(entry.get("owned_by") == "vllm" for entry in listed)
    except (aiohttp.ClientError, TimeoutError, BodyTooLongError, ValueError, LookupError, TypeError, AttributeError):
        return False


async def check_chat(
    model: str, endpoints: Sequence[str], key: str | None = None, headers: Mapping[str, str] = NO_HEADERS
) -> str:
    """Make sure that every endpoint serves the model and has a chat API, and return the model's name.

    Raises:
        DatagenError: see `check_endpoints`; or an endpoint redirects chat requests, does not take the key, or has no
            chat API.
    """
    found = await check_endpoints(model, endpoints, key, headers)
    await asyncio.gather(*(_check_chat(endpoint, _sent(key, headers)) for endpoint in endpoints))
    return found


async def _check_chat(endpoint: str, headers: Mapping[str, str], seconds: float = 10.0) -> None:
    """Make sure that chat requests reach an endpoint, by one without messages, which costs nothing.

    What it says about the request itself does not matter, and whether it is well is asked of every request.

    Raises:
        DatagenError: it redirects requests, does not take the key, or has no chat.
    """
    limits = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, headers=headers) as session,
            session.post(f"{endpoint}/chat/completions", json={}, allow_redirects=False) as response,
        ):
            status, location = response.status, response.headers.get("Location", "")
    except (aiohttp.ClientError, TimeoutError):
        return
    if 300 <= status < 400:
        raise DatagenError(_redirected(endpoint, "chat/completions", status, location))
    if status in (401, 403):
        raise DatagenError(
            f"The endpoint {endpoint} lists its models, but takes no chat requests with this key (HTTP {status}); set "
            "api_key_env, or headers, to what it asks for."
        )
    if status in (404, 405):
        raise DatagenError(
            f"The endpoint {endpoint} has no chat API (HTTP {status} at /chat/completions); name the address of a "
            "server that has one (it ends in /v1)."
        )


async def check_endpoints(
    model: str, endpoints: Sequence[str], key: str | None = None, headers: Mapping[str, str] = NO_HEADERS
) -> str:
    """Make sure that every endpoint serves the model, and return its name (the only one served, if `model` is empty).

    Raises:
        DatagenError: an endpoint is dead, redirects requests, refuses the key, or serves other models.
    """
    served = await asyncio.gather(*(served_models(endpoint, _sent(key, headers)) for endpoint in endpoints))
    for endpoint, names in zip(endpoints, served, strict=True):
        if not model and len(names) == 1:
            model = names[0]
        if model not in names:
            wanted = f"does not serve the model '{model}'" if model else "serves several models"
            listed = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
            raise DatagenError(f"The endpoint {endpoint} {wanted}; name one of: {listed} (--model).")
    return model


def _sent(key: str | None, headers: Mapping[str, str]) -> dict[str, str]:
    return {**headers, **({"Authorization": f"Bearer {key}"} if key else {})}


def _redirected(endpoint: str, called: str, status: int, location: str) -> str:
    """Say where an endpoint sends its requests, without what an address may hold beside its address."""
    try:
        parts = urlsplit(urljoin(f"{endpoint}/{called}", location))
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        address = ""
    advice = (
        f"name {address.removesuffix('/').removesuffix(f'/{called}')} instead" if address else "name its own address"
    )
    return (
        f"The endpoint {endpoint} redirects requests (HTTP {status}), and neither pictures nor keys are sent on "
        f"to another address; {advice}."
    )
