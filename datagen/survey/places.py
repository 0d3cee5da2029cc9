"""The country in which a picture was taken, from coordinates of the source or the camera; nothing is fetched.

The nearest town of GeoNames (in the package `reverse_geocode`, extra `places`) says it, so that a picture from the sea
counts for the nearest coast, and one from a border may count for the other side.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from datagen.errors import DatagenError
from datagen.survey.table import batches

_AT_ONCE = 4096


class Place(NamedTuple):
    """Where a picture was taken: the ISO 3166 code of the country, and the nearest town."""

    country: str
    town: str


def check_places() -> None:
    """Make sure that places can be looked up.

    Raises:
        DatagenError: the extra `places` is not installed.
    """
    _search([(35.66, 139.75)])


def places_of(table: Path) -> Iterator[tuple[str, Place]]:
    """Yield id and place of the pictures of a survey's table that say where they were taken.

    Raises:
        DatagenError: the extra `places` is not installed.
    """
    for batch in batches(table, ("id", "latitude", "longitude")):
        rows = [row for row in batch.to_pylist() if row["latitude"] is not None and row["longitude"] is not None]
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            found = _search([(row["latitude"], row["longitude"]) for row in some])
            yield from zip((row["id"] for row in some), found, strict=True)


def _search(coordinates: Sequence[tuple[float, float]]) -> list[Place]:
    try:
        import reverse_geocode
    except ImportError as error:
        raise DatagenError("survey.places needs the extra places: pip install 'datagen[places]'.") from error
    return [Place(found["country_code"], found["city"]) for found in reverse_geocode.search(list(coordinates))]
