"""Ranking by the pictures: classes are alike whose pictures are, by an embedding of them.

The embedding is a model's, asked at an endpoint (vLLM's `/v1/embeddings` with messages), or, without one, colours and
shapes that need no model.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence

import aiohttp
import numpy as np
import numpy.typing as npt
import orjson
from PIL import Image

from datagen.engines.wire.chat import read_body
from datagen.errors import DatagenError
from datagen.event_loops import run_to_end
from datagen.failures import Failure
from datagen.jicvqa.classes.similarity import Matrix
from datagen.jicvqa.models import ModelServer, ShowProgress
from datagen.pictures.picture import Picture, prepare
from datagen.recipe import Images

Vector = npt.NDArray[np.float64]
ReadPicture = Callable[[], Awaitable[bytes]]

COLOURS_AND_SHAPES = "colours and shapes"
_SIDE, _CELLS, _BINS = 64, 4, 8
_LIMITS = Images()
_MOST_BYTES = 16 << 20


def similarity_of_pictures(
    pictures: Sequence[tuple[int, ReadPicture]], classes: int, server: ModelServer | None, show: ShowProgress
) -> Matrix:
    """Return how alike the classes look: the cosine of the mean embeddings of their pictures, from 0 to 1.

    What all classes have in common is taken off before. A class without a picture that can be read is alike to none.

    Args:
        pictures: class numbers, and what reads a picture.
        classes: how many there are.
        server: whose embeddings are taken; none means colours and shapes.
        show: shows progress.

    Raises:
        DatagenError: the server gives no embeddings, or no picture can be read.
    """
    found: list[tuple[int, Vector]] = []

    async def run(advance: Callable[[int], None]) -> None:
        headers = {"Authorization": f"Bearer {server.key}"} if server and server.key else {}
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=180)) as session:
            waiting = iter(pictures)

            async def work() -> None:
                for own, read in waiting:
                    try:
                        picture = await asyncio.to_thread(prepare, await read(), _LIMITS)
                    except Failure:
                        advance(1)
                        continue
                    if server:
                        found.append((own, await _embedded(session, server, picture)))
                    else:
                        found.append((own, await asyncio.to_thread(colours_and_shapes, picture.data)))
                    advance(1)

            await asyncio.gather(*(work() for _ in range(server.in_flight if server else 8)))

    with show("looking at pictures", len(pictures)) as advance:
        run_to_end(run(advance))
    if not found:
        raise DatagenError("None of the pictures can be read, so that they cannot be compared.")
    means = np.zeros((classes, len(found[0][1])))
    for own in range(classes):
        if vectors := [vector for number, vector in found if number == own]:
            means[own] = np.mean(vectors, axis=0)
    seen = np.isin(np.arange(classes), [number for number, _ in found])
    means[seen] -= means[seen].mean(axis=0)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    means /= np.where(lengths > 0, lengths, 1.0)
    matrix = np.where(np.outer(seen, seen), (means @ means.T + 1) / 2, 0.0)
    np.fill_diagonal(matrix, 0.0)
    return np.asarray(matrix.clip(0, 1))


def colours_and_shapes(data: bytes) -> Vector:
    """Return an embedding that needs no model: the mean colours of 4 × 4 cells, and the directions of their edges.

    Histograms of oriented gradients (Dalal and Triggs, 2005) on a picture of 64 × 64, 8 directions a cell, each cell's
    at unit length; colours in hue, saturation and value.

    Returns:
        (176,) values.
    """
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (_SIDE, _SIDE))
        small = image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    colours = np.asarray(small.resize((_CELLS, _CELLS), Image.Resampling.BOX).convert("HSV"), dtype=np.float64) / 255
    hue = 2 * np.pi * colours[..., 0]
    painted = np.stack([colours[..., 1] * np.cos(hue), colours[..., 1] * np.sin(hue), colours[..., 2] - 0.5], axis=-1)
    grey = np.asarray(small.convert("L"), dtype=np.float64) / 255
    down, across = np.gradient(grey)
    strength = np.hypot(down, across)
    direction = np.mod(np.arctan2(down, across), np.pi) / np.pi * _BINS
    cell = np.arange(_SIDE) // (_SIDE // _CELLS)
    place = (cell[:, None] * _CELLS + cell[None, :]) * _BINS + np.minimum(direction.astype(np.int64), _BINS - 1)
    edges = np.bincount(place.ravel(), weights=strength.ravel(), minlength=_CELLS**2 * _BINS).reshape(-1, _BINS)
    directions = edges / np.maximum(np.linalg.norm(edges, axis=1, keepdims=True), 1e-6)
    return np.concatenate([2 * painted.ravel(), directions.ravel() / _CELLS])


async def _embedded(session: aiohttp.ClientSession, server: ModelServer, picture: Picture) -> Vector:
    """Ask an endpoint for the embedding of a picture.

    Raises:
        DatagenError: it gives none.
    """
    content = [{"type": "image_url", "image_url": {"url": picture.data_url}}]
    body: Mapping[str, object] = {
        **server.request,
        "model": server.model,
        "messages": [{"role": "user", "content": content}],
        "encoding_format": "float",
    }
    endpoint = server.endpoints[0]
    try:
        async with session.post(
            f"{endpoint}/embeddings", data=orjson.dumps(body), headers={"Content-Type": "application/json"}
        ) as response:
            answer = await read_body(response, _MOST_BYTES)
            if response.status != 200:
                raise DatagenError(
                    f"The endpoint {endpoint} gives no embeddings of pictures (HTTP {response.status}: "
                    f"{answer[:200].decode('utf-8', 'replace')}). Serve an embedding model (vllm serve --runner "
                    "pooling), or leave --endpoint out and compare colours and shapes."
                )
            vector = np.asarray(orjson.loads(answer)["data"][0]["embedding"], dtype=np.float64)
    except (aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError) as error:
        raise DatagenError(f"The endpoint {endpoint} gives no embeddings of pictures ({error}).") from error
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))
