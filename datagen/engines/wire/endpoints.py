"""What an endpoint serves: asked before a run starts, and whether it answers at all when requests go wrong later."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit

import aiohttp
import orjson

from datagen.engines.wire.chat import BodyTooLongError, ServerRefusedError, read_body, request_completion
from datagen.errors import DatagenError
from datagen.failures import Failure

_MODELS_BYTES = 16 << 20
"""Lists of big gateways have thousands of models, with prices and descriptions."""

_MOST_NAMED = 20


async def served_models(endpoint: str, key: str | None = None, seconds: float = 10.0) -> list[str]:
    """Return the names of the models that an endpoint serves.

    Raises:
        DatagenError: the endpoint does not answer, redirects, or is no OpenAI-compatible server.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    limits = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, headers=headers) as session,
            session.get(f"{endpoint}/models", allow_redirects=False) as response,
        ):
            if 300 <= response.status < 400:
                raise DatagenError(_redirected(endpoint, response.status, response.headers.get("Location", "")))
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


async def serves(session: aiohttp.ClientSession, endpoint: str, model: str, seconds: float) -> bool:
    """Whether an endpoint answers a request of one token.

    Nothing less will do: gateways list models whose servers are gone, and a server may call itself healthy that refuses
    every request. A refusal of this very request shows that it reads requests, and counts as an answer.
    """
    request = {"model": model, "messages": [{"role": "user", "content": "1+1="}], "max_tokens": 1}
    try:
        await request_completion(session, endpoint, orjson.dumps(request), max_tokens=1, seconds=seconds)
    except ServerRefusedError as error:
        return error.of_the_request
    except (aiohttp.ClientError, TimeoutError, Failure):
        return False
    return True


async def check_endpoints(model: str, endpoints: Sequence[str], key: str | None = None) -> str:
    """Make sure that every endpoint serves the model, and return its name (the only one served, if `model` is empty).

    Raises:
        DatagenError: an endpoint is dead, or serves other models.
    """
    served = await asyncio.gather(*(served_models(endpoint, key) for endpoint in endpoints))
    for endpoint, names in zip(endpoints, served, strict=True):
        if not model and len(names) == 1:
            model = names[0]
        if model not in names:
            wanted = f"does not serve the model '{model}'" if model else "serves several models"
            listed = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
            raise DatagenError(f"The endpoint {endpoint} {wanted}; name one of: {listed} (--model).")
    return model


def _redirected(endpoint: str, status: int, location: str) -> str:
    """Say where an endpoint sends its requests, without what an address may hold beside its address."""
    try:
        parts = urlsplit(urljoin(f"{endpoint}/models", location))
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        address = ""
    advice = f"name {address.removesuffix('/').removesuffix('/models')} instead" if address else "name its own address"
    return (
        f"The endpoint {endpoint} redirects requests (HTTP {status}), and neither pictures nor keys are sent on "
        f"to another address; {advice}."
    )
