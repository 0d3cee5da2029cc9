"""What an endpoint serves: asked before a run starts, and when an endpoint refuses requests in its middle."""

import asyncio
from collections.abc import Sequence

import aiohttp
import orjson

from datagen.errors import DatagenError


async def served_models(endpoint: str, key: str | None = None, seconds: float = 10.0) -> list[str]:
    """Return the names of the models that an endpoint serves.

    Raises:
        DatagenError: the endpoint does not answer, or is no OpenAI-compatible server.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    limits = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, headers=headers) as session,
            session.get(f"{endpoint}/models") as response,
        ):
            if response.status >= 400:
                raise DatagenError(
                    f"The endpoint {endpoint} answered HTTP {response.status} to /models; check the address "
                    "(it ends in /v1) and the API key."
                )
            document = orjson.loads(await response.read())
            return [str(entry["id"]) for entry in document["data"]]
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = str(error) or "no answer in time"
        raise DatagenError(
            f"The endpoint {endpoint} does not answer ({reason}). Start the server, or leave --endpoint out and "
            "datagen starts one."
        ) from error
    except (orjson.JSONDecodeError, LookupError, TypeError) as error:
        raise DatagenError(
            f"The endpoint {endpoint} is no OpenAI-compatible server; its address ends in /v1."
        ) from error


async def serves(endpoint: str, model: str, key: str | None = None) -> bool:
    """Whether an endpoint is up, takes the key, lists the model, and is not unhealthy by its own account.

    The last is vLLM's `/health`, which answers 503 when the engine behind the server is dead; a server that has no such
    page is not held against it.
    """
    limits = aiohttp.ClientTimeout(total=10.0)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits) as session,
            session.get(f"{endpoint.removesuffix('/v1')}/health") as response,
        ):
            healthy = response.status < 500
        return healthy and model in await served_models(endpoint, key)
    except (aiohttp.ClientError, TimeoutError, DatagenError):
        return False


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
            raise DatagenError(f"The endpoint {endpoint} {wanted}; name one of: {', '.join(names)} (--model).")
    return model
