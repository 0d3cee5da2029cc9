"""What a survey says of the pictures of a run, as scores of its rows: duplicates, and pictures of benchmarks.

A policy bounds them like any other score, and what it drops makes no call::

    - {score: duplicate, at_most: 0}
    - {score: benchmark_overlap, at_most: 0.84}    # 10 of 64 bits and less are over it
    - {score: in_japan, at_least: 1}               # and pictures of which nothing says where they were taken
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.files.reading import open_parquet
from datagen.files.writing import appearing
from datagen.recipe import BENCHMARK_OVERLAP, DUPLICATE, IN_JAPAN, Recipe, SourceSettings
from datagen.records import SCORES, ScoreRecord
from datagen.store.index import Index
from datagen.survey.crops import find_crops, has_features
from datagen.survey.duplicates import find_duplicates
from datagen.survey.overlaps import find_overlaps, read_fingerprints
from datagen.survey.places import check_places, places_of
from datagen.survey.survey import SurveyDirectory, measure_missing
from datagen.survey.table import table_part

_BITS = 64
_Scores: TypeAlias = dict[str, dict[str, ScoreRecord]]
"""Of each row, by its id, the scores by their names."""
_FIELDS: "list[pa.Field[Any]]" = [pa.field("id", pa.string()), pa.field("scores", SCORES)]
_SCORED = pa.schema(_FIELDS)


def survey_for_run(recipe: Recipe, source: SourceSettings, index: Path, folder: Path) -> None:
    """Measure the pictures of a run that are not measured yet, and write the scores of its rows, a file a part.

    Args:
        recipe: with its survey.
        source: as the run reads it.
        index: of the run.
        folder: where the survey goes.

    Raises:
        DatagenError: a file of fingerprints is none, or the source is gone.
    """
    assert recipe.survey is not None
    if recipe.survey.places:
        check_places()
    references = read_fingerprints([Path(path) for path in recipe.survey.benchmarks])
    directory = SurveyDirectory(folder)
    measure_missing(directory, source, recipe.images, index)
    scores: _Scores = {}
    if recipe.survey.duplicates is not None:
        find_duplicates(directory.table, directory.duplicates, recipe.survey.duplicates)
        _gather(scores, _of_duplicates(directory.duplicates))
    if recipe.survey.benchmarks:
        find_overlaps(directory.table, references, directory.overlaps)
        paths = [Path(path) for path in recipe.survey.benchmarks]
        if has_features(paths):
            find_crops(directory, source, recipe.images, paths, index)
        _gather(scores, _of_overlaps(directory.overlaps))
    if recipe.survey.places:
        _gather(scores, _of_places(directory.table))
    _write(scores, recipe.survey.scores, Index(index), directory)


def read_scores(folder: Path, number: int) -> dict[str, list[ScoreRecord]]:
    """Return the scores of a part's rows, by their ids."""
    rows = pq.read_table(_scores_of(SurveyDirectory(folder), number)).to_pylist()
    return {row["id"]: [ScoreRecord(**score) for score in row["scores"]] for row in rows}


def _scores_of(directory: SurveyDirectory, number: int) -> Path:
    return directory.path / "scores" / f"part-{number:06d}.parquet"


def _gather(scores: _Scores, found: Iterator[tuple[str, ScoreRecord]]) -> None:
    """Add scores, of each name the highest one that a row has."""
    for row, score in found:
        named = scores.setdefault(row, {})
        named[score.name] = max(named.get(score.name, score), score, key=lambda each: each.value)


def _of_duplicates(path: Path) -> Iterator[tuple[str, ScoreRecord]]:
    for batch in pq.ParquetFile(path).iter_batches():
        for row in batch.to_pylist():
            how = "the same file as" if row["distance"] < 0 else f"{row['distance']} bits from"
            yield row["id"], ScoreRecord(name=DUPLICATE, value=1, reason=f"{how} {row['original']}")


def _of_overlaps(path: Path) -> Iterator[tuple[str, ScoreRecord]]:
    for batch in pq.ParquetFile(path).iter_batches():
        for row in batch.to_pylist():
            value = 1 - max(row["distance"], 0) / _BITS
            reason = f"{row['benchmark']}: {row['reference']}, by {row['by']}"
            yield row["id"], ScoreRecord(name=BENCHMARK_OVERLAP, value=value, reason=reason)


def _of_places(table: Path) -> Iterator[tuple[str, ScoreRecord]]:
    for row, place in places_of(table):
        yield (
            row,
            ScoreRecord(name=IN_JAPAN, value=float(place.country == "JP"), reason=f"{place.country}, {place.town}"),
        )


def _write(scores: _Scores, names: tuple[str, ...], index: Index, directory: SurveyDirectory) -> None:
    """Write the scores of every row, a file a part: 0 for a picture that is no duplicate, and in no benchmark."""
    folder = directory.path / "scores"
    folder.mkdir(exist_ok=True)
    for number in range(index.parts):
        with open_parquet(table_part(directory.table, number), "Delete it and run the same command again.") as file:
            measured = file.read(columns=["id", "failure"]).to_pylist()
        usable = dict.fromkeys(row["id"] for row in measured if not row["failure"])
        rows = [
            {"id": row, "scores": [score.model_dump() for score in _all(scores.get(row, {}), names)]} for row in usable
        ]
        with appearing(_scores_of(directory, number)) as unfinished, unfinished.open("wb") as file:
            pq.write_table(pa.Table.from_pylist(rows, schema=_SCORED), file, compression="zstd")


def _all(known: dict[str, ScoreRecord], names: tuple[str, ...]) -> list[ScoreRecord]:
    said = (known.get(name) or (None if name == IN_JAPAN else ScoreRecord(name=name, value=0)) for name in names)
    return [score for score in said if score is not None]
