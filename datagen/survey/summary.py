"""What a survey says of a set: counts, sizes, and the pictures at the ends of each scale."""

from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from datagen.files.plain_names import plain_names
from datagen.survey.duplicates import Found
from datagen.survey.survey import SurveyDirectory
from datagen.survey.table import parts_of

EXTREMES = 12
"""Pictures that are shown of each kind."""
_COUNTS = """
SELECT count(*), count(*) FILTER (WHERE failure = ''), coalesce(sum(bytes), 0)::BIGINT,
    count(*) FILTER (WHERE taken <> ''), count(*) FILTER (WHERE latitude IS NOT NULL),
    count(*) FILTER (WHERE frames > 1), count(*) FILTER (WHERE alpha)
FROM pictures
"""
_FAILURES = "SELECT failure, count(*) AS n, min(told) FROM pictures WHERE failure <> '' GROUP BY ALL ORDER BY n DESC, 1"
_FORMATS = "SELECT format, count(*) AS n FROM pictures WHERE failure = '' GROUP BY ALL ORDER BY n DESC, 1"
_QUANTILES = """
SELECT quantile_disc({value}, [0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0]) FROM pictures
WHERE failure = '' AND {value} IS NOT NULL
"""
_EXTREME = """
SELECT position, id, key, picture, {value} AS value FROM pictures
WHERE failure = '' AND ({where}) ORDER BY {value} {order}, id LIMIT $most
"""
SCALES = {
    "short_side": "least(width, height)",
    "aspect": "greatest(width, height) / least(width, height)",
    "bytes": "bytes",
    "sharpness": "sharpness",
    "brightness": "brightness",
    "contrast": "contrast",
    "colours": "colours",
    "plain": "plain",
    "border": "border",
    "repeated": "repeated",
}
"""What is measured on a scale, by name, and how it is had from the table."""
KINDS: dict[str, tuple[str, str, str]] = {
    "small": ("short_side", "least(width, height) < 150", "ASC"),
    "narrow": ("aspect", "greatest(width, height) > 3 * least(width, height)", "DESC"),
    "blurred": ("sharpness", "sharpness < 20 AND plain < 0.95", "ASC"),
    "dark": ("brightness", "brightness < 30", "ASC"),
    "bright": ("brightness", "brightness > 235", "DESC"),
    "one_coloured": ("plain", "plain >= 0.95", "DESC"),
    "few_colours": ("colours", "colours < 32", "ASC"),
    "bordered": ("border", "border > 0.2", "DESC"),
    "screenshot_like": ("repeated", "repeated > 0.6", "DESC"),
}
"""Kinds of pictures that a person should look at: the scale, the condition, and which end comes first."""


class Scale(NamedTuple):
    """A measure at nine quantiles: the least, 1, 5, 25, 50, 75, 95 and 99 in a hundred, and the greatest."""

    name: str
    quantiles: tuple[float, ...]


class Kind(NamedTuple):
    """Pictures of one kind.

    Attributes:
        name: one of `KINDS`.
        pictures: how many there are.
        shown: position, id, key, number in its row and value of the first ones.
    """

    name: str
    pictures: int
    shown: tuple[tuple[int, str, str, int, float], ...]


class Summary(NamedTuple):
    """What a set is like.

    Attributes:
        pictures: in all; `usable` those that can be used, `bytes` of all files.
        taken: pictures that say when they were taken; `placed` where.
        moving: pictures with several frames; `alpha` those that may be transparent.
        failures: class, pictures, and what is said of one.
        formats: the usable ones by format.
        scales: the measures.
        kinds: those that a person should look at.
        duplicates: pictures that are there more than once.
    """

    pictures: int
    usable: int
    bytes: int
    taken: int
    placed: int
    moving: int
    alpha: int
    failures: tuple[tuple[str, int, str], ...]
    formats: tuple[tuple[str, int], ...]
    scales: tuple[Scale, ...]
    kinds: tuple[Kind, ...]
    duplicates: Found


def summarised(directory: SurveyDirectory, duplicates: Found) -> Summary:
    """Return what the table of a survey says."""
    with plain_names(*parts_of(directory.table)) as names, duckdb.connect() as connection:
        connection.read_parquet(names, hive_partitioning=False).create_view("pictures")

        def ask(query: str, **parameters: Any) -> list[tuple[Any, ...]]:
            return connection.execute(query, parameters or None).fetchall()

        scales = [Scale(name, tuple(ask(_QUANTILES.format(value=value))[0][0] or ())) for name, value in SCALES.items()]
        kinds = []
        for name, (scale, where, order) in KINDS.items():
            ((count,),) = ask(f"SELECT count(*) FROM pictures WHERE failure = '' AND ({where})")  # noqa: S608
            query = _EXTREME.format(value=SCALES[scale], where=where, order=order)
            kinds.append(Kind(name, count, tuple(ask(query, most=EXTREMES)) if count else ()))
        pictures, usable, size, taken, placed, moving, alpha = ask(_COUNTS)[0]
        return Summary(
            pictures=pictures,
            usable=usable,
            bytes=size,
            taken=taken,
            placed=placed,
            moving=moving,
            alpha=alpha,
            failures=tuple(ask(_FAILURES)),
            formats=tuple(ask(_FORMATS)),
            scales=tuple(scales),
            kinds=tuple(kinds),
            duplicates=duplicates,
        )


def duplicate_groups(directory: SurveyDirectory, most: int) -> list[list[tuple[str, str, int]]]:
    """Return the largest groups of duplicates, each with id, key and distance; the picture that stays comes first."""
    with plain_names(Path(directory.duplicates)) as (name,), duckdb.connect() as connection:
        connection.read_parquet([name], hive_partitioning=False).create_view("duplicates")
        groups = connection.execute(
            "SELECT duplicate_of, any_value(original), list((id, key, distance) ORDER BY distance, id) AS members "
            "FROM duplicates GROUP BY duplicate_of ORDER BY len(members) DESC, duplicate_of LIMIT $most",
            {"most": most},
        ).fetchall()
    return [[(owner, key, 0), *members[:EXTREMES]] for owner, key, members in groups]
