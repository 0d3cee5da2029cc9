"""Coordinates beside pictures are listed with them, whatever else stands in their columns."""

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.sources import Entry
from datagen.sources.reading.facts import coordinates
from datagen.store.index import Index, write_index
from tests.conftest import picture
from tests.sources.listing import image_dataset, image_table, listed, opened, write_table
from tests.sources.test_webdataset import write_archive

NARA = (34.685, 135.805)
WRONG: list[tuple[Any, Any]] = [("", ""), ("35.6", ""), ("nan", "139.7"), ("inf", "0"), ("91", "0"), ("0", "180.5"),
                                ("0", "0.0"), ("35°N", "139°E"), ("35,66", "139,75"), ("１", "二")]  # fmt: skip
TEXTS = [tuple(map(str, NARA)), *WRONG]


def places(entries: list[Entry]) -> list[tuple[float | None, float | None]]:
    return [(entry.latitude, entry.longitude) for entry in entries]


@pytest.mark.parametrize("name", ["list.csv", "list.tsv", "list.jsonl", "list.json", "list.parquet"])
def test_a_table_says_where_pictures_were_taken_and_nothing_else_is_a_place(tmp_path: Path, name: str) -> None:
    rows = [{"path": f"{n}.jpg", "latitude": north, "longitude": east} for n, (north, east) in enumerate(TEXTS)]
    entries = listed(write_table(tmp_path / name, rows))
    assert places(entries) == [NARA, *[(None, None)] * len(WRONG)]
    write_index(opened(tmp_path / name), tmp_path / "index.parquet", 4)
    index = Index(tmp_path / "index.parquet")
    assert [each.entry for part in range(index.parts) for each in index.part(part)] == entries


@pytest.mark.parametrize("name", ["list.jsonl", "list.parquet"])
def test_numbers_are_coordinates_as_texts_are(tmp_path: Path, name: str) -> None:
    rows = [{"path": "1.jpg", "latitude": NARA[0], "longitude": NARA[1]}, {"path": "2.jpg", "latitude": None}]
    assert places(listed(write_table(tmp_path / name, rows))) == [NARA, (None, None)]


def test_parquet_data_sets_and_archives_say_it_too(tmp_path: Path) -> None:
    images = [{"bytes": picture(number), "path": None} for number in range(3)]
    north, east = [NARA[0], float("nan"), None], [NARA[1], 5.0, 6.0]
    pq.write_table(image_table(images, latitude=north, longitude=east), tmp_path / "x.parquet")
    expected = [NARA, (None, None), (None, None)]
    assert places(listed(tmp_path / "x.parquet")) == expected
    saved = image_dataset().add_column("latitude", north).add_column("longitude", east)
    saved.save_to_disk(tmp_path / "saved")
    assert places(listed(tmp_path / "saved")) == expected
    said = [{"latitude": NARA[0], "longitude": NARA[1]}, {"latitude": [1], "longitude": {}}, {}]
    members = [(f"{n}{end}", data) for n, each in enumerate(said) for end, data in
               ((".jpg", picture(n)), (".json", orjson.dumps(each)))]  # fmt: skip
    assert places(listed(write_archive(tmp_path / "x.tar", members))) == expected


def test_columns_of_another_kind_are_passed_over(tmp_path: Path) -> None:
    table = image_table([{"bytes": picture(1), "path": None}], latitude=[[1.0]], longitude=[{"a": 1}])
    pq.write_table(table, tmp_path / "x.parquet")
    assert places(listed(tmp_path / "x.parquet")) == [(None, None)]
    pq.write_table(pa.table({"path": ["1.jpg"], "latitude": [b"\xff"], "longitude": [True]}), tmp_path / "y.parquet")
    assert places(listed(tmp_path / "y.parquet")) == [(None, None)]


values = st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.booleans(), st.binary(), st.lists(st.none()))


@given(values, values)
def test_any_values_are_a_place_on_earth_or_none(latitude: Any, longitude: Any) -> None:
    found = coordinates({"latitude": latitude, "longitude": longitude})
    if found:
        assert -90 <= found["latitude"] <= 90
        assert -180 <= found["longitude"] <= 180
        assert any(found.values())


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_any_place_is_read_from_text(latitude: float, longitude: float) -> None:
    expected = {} if latitude == longitude == 0 else {"latitude": latitude, "longitude": longitude}
    assert coordinates({"latitude": repr(latitude), "longitude": repr(longitude)}) == expected
