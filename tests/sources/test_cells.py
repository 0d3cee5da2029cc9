"""Parquet columns as people have them: what is read as a picture, and which sentence refuses the rest at the start."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web

from datagen.sources.table import TableSource
from tests.conftest import picture
from tests.jicvqa.conftest import serving
from tests.sources.listing import IMAGE, failure_of, listed, opened, pictures, read, sentence_of

ONE, TWO = picture(1, (24, 24)), picture(2, (24, 24))
IMAGES: list[dict[str, Any]] = [{"bytes": ONE, "path": "1.jpg"}, {"bytes": TWO, "path": None}]


def octets(data: bytes, data_type: type = np.uint8) -> list[int]:
    return [int(value) for value in np.frombuffer(data, dtype=data_type)]


def in_lists(*items: Any) -> list[list[Any]]:
    return [[item] for item in items]


def text(form: str) -> list[str]:
    encoded = [base64.b64encode(data).decode() for data in (ONE, TWO)]
    if form == "data URL":
        return [f"data:image/jpeg;base64,{data}" for data in encoded]
    return ["\n".join(data[at : at + 76] for at in range(0, len(data), 76)) for data in encoded] if form else encoded


LONGER = max(len(ONE), len(TWO))
PADDED = [data.ljust(LONGER, b"\0") for data in (ONE, TWO)]
VIEWS = pa.struct([("bytes", pa.binary_view()), ("path", pa.string_view())])
LARGE = pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())])
BYTES_ALONE = pa.struct([("bytes", pa.binary())])
OF_OCTETS = pa.struct([("bytes", pa.list_(pa.uint8())), ("path", pa.string())])

READ: dict[str, Callable[[], Any]] = {
    "struct<bytes, path>": lambda: pa.array(IMAGES, IMAGE),
    "struct<large_binary, large_string>": lambda: pa.array(IMAGES, LARGE),
    "struct<binary_view, string_view>": lambda: pa.array(IMAGES, VIEWS),
    "struct<bytes>": lambda: pa.array([{"bytes": ONE}, {"bytes": TWO}], BYTES_ALONE),
    "struct<list<uint8>, path>": lambda: pa.array(
        [{"bytes": octets(data), "path": None} for data in (ONE, TWO)], OF_OCTETS
    ),
    "binary": lambda: pa.array([ONE, TWO], pa.binary()),
    "large_binary": lambda: pa.array([ONE, TWO], pa.large_binary()),
    "binary_view": lambda: pa.array([ONE, TWO], pa.binary_view()),
    "fixed_size_binary": lambda: pa.array(PADDED, pa.binary(LONGER)),
    "dictionary<binary>": lambda: pa.array([ONE, TWO], pa.binary()).dictionary_encode(),
    "list<struct> of one": lambda: pa.array(in_lists(*IMAGES), pa.list_(IMAGE)),
    "large_list<struct> of one": lambda: pa.array(in_lists(*IMAGES), pa.large_list(IMAGE)),
    "list<binary> of one": lambda: pa.array(in_lists(ONE, TWO), pa.list_(pa.binary())),
    "list<uint8>": lambda: pa.array([octets(ONE), octets(TWO)], pa.list_(pa.uint8())),
    "list<int8>": lambda: pa.array([octets(ONE, np.int8), octets(TWO, np.int8)], pa.list_(pa.int8())),
    "large_list<uint8>": lambda: pa.array([octets(ONE), octets(TWO)], pa.large_list(pa.uint8())),
    "list_view<uint8>": lambda: pa.array([octets(ONE), octets(TWO)], pa.list_view(pa.uint8())),
    "fixed_size_list<uint8>": lambda: pa.array([octets(data) for data in PADDED], pa.list_(pa.uint8(), LONGER)),
    "string with base64": lambda: pa.array(text("")),
    "string with base64 in lines": lambda: pa.array(text("lines")),
    "string with data: URLs": lambda: pa.array(text("data URL")),
    "large_string with base64": lambda: pa.array(text(""), pa.large_string()),
    "string_view with base64": lambda: pa.array(text(""), pa.string_view()),
    "dictionary<string> with base64": lambda: pa.array(text("")).dictionary_encode(),
}


@pytest.mark.parametrize("column", READ.values(), ids=READ)
@pytest.mark.parametrize("named", [None, "image"])
def test_a_column_that_holds_pictures_is_read(tmp_path: Path, column: Callable[[], Any], named: str | None) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "image": column()}), path)
    entries = listed(path, column=named)
    assert [entry.key for entry in entries] == ["x.parquet#0", "x.parquet#1"]
    source = opened(path, column=named)
    assert [read(source, entry).rstrip(b"\0") for entry in entries] == [ONE, TWO]


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "int64": (lambda: pa.array([1, 2]), "int64"),
    "double": (lambda: pa.array([1.5, 2.5]), "double"),
    "bool": (lambda: pa.array([True, False]), "bool"),
    "timestamp": (lambda: pa.array([0, 1], pa.timestamp("us")), "timestamp[us]"),
    "null": (lambda: pa.nulls(2), "null"),
    "list<float>": (lambda: pa.array([[0.5], [0.5]]), "list<element: double>"),
    "list<int64>": (lambda: pa.array([[1], [2]]), "list<element: int64>"),
    "list<list<uint8>>": (
        lambda: pa.array([[[1]], [[2]]], pa.list_(pa.list_(pa.uint8()))),
        "list<element: list<element: uint8>>",
    ),
    "list<string>": (lambda: pa.array([["a.jpg"], ["b.jpg"]]), "list<element: string>"),
    "map": (
        lambda: pa.array([[("a", ONE)], []], pa.map_(pa.string(), pa.binary())),
        "map<string, binary ('image')>",
    ),
    "struct of other things": (lambda: pa.array([{"width": 1}, {"width": 2}]), "struct<width: int64>"),
    "struct<bytes: string>": (lambda: pa.array([{"bytes": "x"}, {"bytes": "y"}]), "struct<bytes: string>"),
}


@pytest.mark.parametrize(("column", "shown"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("options", [{}, {"column": "image"}, {"column": "image", "kind": "table"}])
def test_a_column_of_another_type_is_refused_in_one_line_at_the_start(
    tmp_path: Path, column: Callable[[], Any], shown: str, options: dict[str, Any]
) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "image": column()}), path)
    message = sentence_of(path, **options)
    assert message.startswith(f"source.column 'image' of {path} is of the type {shown}, which holds no pictures")
    assert "list of uint8, or text with paths, URLs or base64" in message
    assert message.endswith("Name another with source.column (id, image).")
    assert "\n" not in message


@pytest.mark.parametrize("data_type", [pa.string(), pa.large_string(), pa.string_view()])
def test_text_without_base64_is_a_table_of_paths(tmp_path: Path, data_type: Any) -> None:
    (tmp_path / "a.jpg").write_bytes(ONE)
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": pa.array(["a.jpg", None, "gone.jpg"], data_type)}), path)
    source = opened(path)
    assert isinstance(source, TableSource)
    first, empty, gone = listed(path)
    assert (first.key, read(source, first)) == ("a.jpg", ONE)
    assert {failure_of(source, entry).failure_class for entry in (empty, gone)} == {"unreadable"}


def test_lists_and_octets_are_no_pictures_unless_their_column_says_so(tmp_path: Path) -> None:
    """A list of uint8 may be tokens, a fixed-size binary a digest."""
    columns = {
        "tokens": pa.array([[1, 2]], pa.list_(pa.uint8())),
        "digest": pa.array([b"\1" * 16], pa.binary(16)),
        "picture": pa.array([ONE], pa.binary()),
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    (entry,) = listed(tmp_path / "x.parquet")
    assert read(opened(tmp_path / "x.parquet"), entry) == ONE
    (entry,) = listed(tmp_path / "x.parquet", column="tokens")
    assert read(opened(tmp_path / "x.parquet", column="tokens"), entry) == b"\1\2"


def test_a_row_of_several_pictures_gives_all_and_one_of_none_fails_and_says_so(tmp_path: Path) -> None:
    rows = [IMAGES, [], None, [None], [IMAGES[0], None]]
    pq.write_table(pa.table({"images": pa.array(rows, pa.list_(IMAGE))}), tmp_path / "x.parquet")
    source = opened(tmp_path / "x.parquet")
    several, *others = listed(tmp_path / "x.parquet")
    assert pictures(source, several) == (ONE, TWO)
    failures = [failure_of(source, entry) for entry in others]
    assert {failure.failure_class for failure in failures} == {"unreadable"}
    assert [failure.message for failure in failures] == [*["the row has no picture"] * 3, "its picture 1 is empty"]


def test_an_image_without_bytes_is_read_from_its_path_as_tables_are(tmp_path: Path) -> None:
    (tmp_path / "data" / "絵").mkdir(parents=True)
    (tmp_path / "data" / "絵" / "1.jpg").write_bytes(ONE)
    (tmp_path / "2.jpg").write_bytes(TWO)
    paths = ["絵/1.jpg", "../2.jpg", str(tmp_path / "2.jpg"), f"file://{tmp_path}/2.jpg", "gone.jpg", "/dev/zero"]
    paths += ["s3://bucket/a.jpg", "", "/etc"]
    rows = [{"bytes": b"" if number % 2 else None, "path": path} for number, path in enumerate(paths)]
    pq.write_table(pa.table({"image": pa.array(rows, IMAGE)}), tmp_path / "data" / "x.parquet")
    source = opened(tmp_path / "data")
    entries = listed(tmp_path / "data")
    assert [read(source, entry) for entry in entries[:4]] == [ONE, TWO, TWO, TWO]
    failures = [failure_of(source, entry) for entry in entries[4:]]
    assert {failure.failure_class for failure in failures} == {"unreadable"}
    assert "not a regular file" in failures[1].message
    assert "is of the scheme s3, which is not read" in failures[2].message


def test_images_of_which_none_has_bytes_are_read_from_their_paths(tmp_path: Path) -> None:
    """Arrow then makes a column of nulls of `bytes`."""
    (tmp_path / "1.jpg").write_bytes(ONE)
    pq.write_table(pa.Table.from_pylist([{"image": {"bytes": None, "path": "1.jpg"}}]), tmp_path / "x.parquet")
    (entry,) = listed(tmp_path / "x.parquet")
    assert read(opened(tmp_path / "x.parquet"), entry) == ONE


def test_an_image_with_a_url_alone_is_fetched_from_where_the_recipe_allows(tmp_path: Path) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=ONE)

    application = web.Application()
    application.router.add_get("/1.jpg", answer)
    with serving(application, []) as served:
        rows = [{"bytes": None, "path": f"{served.address}/1.jpg"}]
        pq.write_table(pa.table({"image": pa.array(rows, IMAGE)}), tmp_path / "x.parquet")
        (entry,) = listed(tmp_path / "x.parquet")
        assert "private address" in failure_of(opened(tmp_path / "x.parquet"), entry).message
        assert read(opened(tmp_path / "x.parquet", allow_private_hosts=("127.0.0.1",)), entry) == ONE
