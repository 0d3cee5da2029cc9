"""Pictures of single rows, small enough to stand in a page, and the only ones that are ever read."""

import base64
import io
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

_SIDE = 208
_QUALITY = 62


def thumbnail(data: bytes) -> str:
    """Return a picture as a small WebP in a data URL; empty when it cannot be read."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
            image.draft("RGB", (2 * _SIDE, 2 * _SIDE))
            image.thumbnail((_SIDE, _SIDE))
            encoded = io.BytesIO()
            image.convert("RGB").save(encoded, "WEBP", quality=_QUALITY, method=6)
    except Exception:  # decoders of broken files raise anything; a card does without its picture then
        return ""
    return f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode()}"


def thumbnails(column: str, places: Iterable[tuple[Path, int]]) -> dict[tuple[Path, int], str]:
    """Return the thumbnails of rows, given by shard and number in it; one row group is in memory at a time."""
    wanted: dict[Path, list[int]] = defaultdict(list)
    for path, number in places:
        wanted[path].append(number)
    return {
        (path, number): thumbnail(data)
        for path, numbers in wanted.items()
        for number, data in _pictures(path, column, sorted(set(numbers)))
        if data
    }


def _pictures(path: Path, column: str, numbers: list[int]) -> Iterator[tuple[int, bytes | None]]:
    with pq.ParquetFile(path) as file:
        first = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            inside = [number for number in numbers if first <= number < first + rows]
            if inside:
                pictures = file.read_row_group(group, columns=[f"{column}.bytes"])[column]
                for number in inside:
                    picture = pictures[number - first].as_py()
                    yield number, picture["bytes"] if picture else None
            first += rows
