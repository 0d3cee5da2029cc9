"""One schema for rows from several files: every column of any of them, in a type that holds them all.

Only footers are read. What Hugging Face `datasets` knows of a column (ClassLabel, Image, Audio, Translation, …) goes
with it. Dictionaries and views, which are ways to store a type, become that type; ids become text.
"""

import io
from collections.abc import Container, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from datagen.errors import DatagenError
from datagen.records import IMAGE, with_features
from datagen.sources.reading.stored_conversations import FAULT

_LOOKED_AT = 16
_NO_COMMON_TYPE = (pa.ArrowTypeError, pa.ArrowInvalid)


def merged_schema(files: Sequence[Path], verdict: pa.Schema) -> pa.Schema:
    """Return the schema of the rows of all files, with the features of `datasets` in its metadata.

    Args:
        files: Parquet files.
        verdict: columns that come at the end, in the place of those with the same names.

    Raises:
        DatagenError: a column has types that no type holds, or class names that differ.
    """
    import datasets  # slow to import; from here on its types for arrays are known, by which they are read

    assert datasets
    schemas = {path: pq.read_schema(path) for path in files}
    plain = [_plain_schema(schema, {*verdict.names, FAULT}) for schema in schemas.values()]
    try:
        merged = _unified(plain)
    except _NO_COMMON_TYPE as error:
        raise DatagenError(_clash(files, plain)) from error
    features = _features(schemas, plain, merged)
    for field in merged:
        if field.type == IMAGE and field.name not in features and _holds_pictures(files, field.name):
            features[field.name] = {"_type": "Image"}
    return with_features(pa.schema([*merged, *verdict]), features)


def as_merged(rows: pa.Table, schema: pa.Schema, path: Path, verdict: pa.Table) -> list["pa.ChunkedArray[Any]"]:
    """Return the columns of rows of a file in the types of a merged schema; those that it lacks are empty.

    Args:
        rows: from the file.
        schema: see `merged_schema`.
        path: of the file, for messages.
        verdict: the columns of the same rows that come in the place of the file's.

    Raises:
        DatagenError: a value does not fit the type, such as an integer of 60 bits among floating-point numbers.
    """
    return [
        verdict.column(field.name) if field.name in verdict.column_names else _column(rows, field, path)
        for field in schema
    ]


def _column(rows: pa.Table, field: "pa.Field[Any]", path: Path) -> "pa.ChunkedArray[Any]":
    if field.name not in rows.column_names:
        return pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
    column = rows.column(field.name)
    if field.name == "id" and not _casts_to_text(column.type):
        values = [None if value is None else str(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(values, pa.string())])
    if "list_view" in str(column.type):  # Arrow casts those that end with a null to invalid lists
        return pa.chunked_array([pa.array(column.to_pylist(), field.type)])
    try:
        return column.cast(field.type)
    except pa.ArrowException as error:
        raise DatagenError(
            f"{path}: column '{field.name}' is {column.type} and cannot be written as {field.type}, which all files "
            f"together need ({error}); write the files with one type."
        ) from error


def _casts_to_text(kind: pa.DataType) -> bool:
    kind = _plain(kind)
    return any(check(kind) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer))


def _plain_schema(schema: pa.Schema, left_out: Container[str]) -> pa.Schema:
    fields = [field for field in schema if field.name not in left_out]
    return pa.schema([(field.name, pa.string() if field.name == "id" else _plain(field.type)) for field in fields])


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return a type without dictionaries and views, at any depth."""
    if isinstance(kind, pa.DictionaryType):
        return _plain(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if isinstance(kind, pa.StructType):
        return pa.struct([field.with_type(_plain(field.type)) for field in kind])
    if isinstance(kind, pa.LargeListType | pa.LargeListViewType):
        return pa.large_list(kind.value_field.with_type(_plain(kind.value_type)))
    if isinstance(kind, pa.ListType | pa.ListViewType):
        return pa.list_(kind.value_field.with_type(_plain(kind.value_type)))
    return kind


def _unified(schemas: Sequence[pa.Schema]) -> pa.Schema:
    return pa.unify_schemas(list(schemas), promote_options="permissive")


def _clash(files: Sequence[Path], schemas: Sequence[pa.Schema]) -> str:
    """Say which column of which two files has types that do not go together."""
    held: dict[str, tuple[pa.Schema, Path]] = {}
    for path, schema in zip(files, schemas, strict=True):
        for field in schema:
            before, first = held.get(field.name, (pa.schema([field.with_type(pa.null())]), path))
            try:
                held[field.name] = (_unified([before, pa.schema([field])]), path if _is_empty(before) else first)
            except _NO_COMMON_TYPE:
                return (
                    f"Column '{field.name}' is {before.field(0).type} in {first} and {field.type} in {path}, which no "
                    "type holds together; write the files with one type, or filter them one by one."
                )
    raise AssertionError("of schemas that cannot be unified two do not go together")


def _is_empty(schema: pa.Schema) -> bool:
    return bool(pa.types.is_null(schema.field(0).type))


def _features(
    schemas: Mapping[Path, pa.Schema], plain: Sequence[pa.Schema], merged: pa.Schema
) -> dict[str, dict[str, Any]]:
    """Return what the files' metadata say of columns that keep their type, as `datasets` writes it.

    Raises:
        DatagenError: files give classes other names, so that a number means one thing here and another there.
    """
    found: dict[str, tuple[Any, Path]] = {}
    for (path, schema), kept in zip(schemas.items(), plain, strict=True):
        for name, feature in _stored_features(schema).items():
            if name not in kept.names or kept.field(name).type != merged.field(name).type:
                continue
            before, first = found.setdefault(name, (feature, path))
            if before != feature and "ClassLabel" in str(before) + str(feature):
                raise DatagenError(
                    f"Column '{name}' has other class names in {first} than in {path}, so that its numbers mean "
                    "different things; filter the files one by one."
                )
    return {name: feature for name, (feature, _) in found.items()}


def _stored_features(schema: pa.Schema) -> dict[str, Any]:
    try:
        document: Any = orjson.loads((schema.metadata or {})[b"huggingface"])
        return dict(document["info"]["features"])
    except (KeyError, TypeError, ValueError):  # none, or none that can be read: the types alone count
        return {}


def _holds_pictures(files: Sequence[Path], name: str) -> bool:
    """Whether the first value of a column that has bytes is a picture; sounds and films are stored alike."""
    for path in files:
        with pq.ParquetFile(path) as file:
            if name in file.schema_arrow.names:
                for batch in islice(file.iter_batches(batch_size=1, columns=[name]), _LOOKED_AT):
                    (value,) = batch.column(0).to_pylist()
                    if value and value["bytes"]:
                        return _is_picture(value["bytes"])
    return False


def _is_picture(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data)):
            return True
    except Exception:  # decoders of broken files raise anything
        return False
