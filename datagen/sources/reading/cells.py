"""The cells of a column of pictures: which types of column hold them, and the picture of one cell."""

from collections.abc import Callable
from typing import Any, Literal

import pyarrow as pa

from datagen.failures import Failure
from datagen.sources.reading.locations import decoded, holds_picture

Holds = Literal["pictures", "octets", "text", "nothing"]
ALLOWED = (
    "an image (a struct with bytes or path), binary, a list of one of them, a list of uint8, or text with paths, URLs "
    "or base64"
)
_INTEGERS = frozenset({pa.uint8(), pa.int8()})
_BINARIES: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
)
_LISTS: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)


def holds(data_type: Any) -> Holds:
    """Return what a column of this Arrow type can hold.

    Returns:
        `pictures`; `octets`, which may be pictures when the column's name says so; `text`: paths, URLs or base64; or
        `nothing` of use.
    """
    if pa.types.is_dictionary(data_type):
        return holds(data_type.value_type)
    if any(is_list(data_type) for is_list in _LISTS):
        inner = data_type.value_type
        return "octets" if inner in _INTEGERS else "pictures" if holds(inner) == "pictures" else "nothing"
    if pa.types.is_struct(data_type):
        parts = {field.name: holds(field.type) for field in data_type.fields}
        empty = {field.name for field in data_type.fields if pa.types.is_null(field.type)}
        without_bytes = "bytes" not in parts or "bytes" in empty
        picture = parts.get("bytes") in ("pictures", "octets") or (without_bytes and parts.get("path") == "text")
        return "pictures" if picture else "nothing"
    if any(is_binary(data_type) for is_binary in _BINARIES):
        return "pictures"
    if pa.types.is_fixed_size_binary(data_type):
        return "octets"
    is_text = pa.types.is_string(data_type) or pa.types.is_large_string(data_type) or pa.types.is_string_view(data_type)
    return "text" if is_text else "nothing"


def pictures_in(cell: "pa.Scalar[Any]") -> tuple[bytes | str, ...]:
    """Return the bytes of each picture of a cell, or its location where the cell has no bytes.

    Raises:
        Failure: `unreadable`, when the cell is empty.
    """
    items = cell.values if _is_list_of_pictures(cell) else [cell]  # type: ignore[attr-defined]  # of lists alone
    found = tuple(_picture_in(item) for item in items)
    if not found or not all(found):
        number = f"its picture {found.index(None)} is empty" if len(found) > 1 and None in found else ""
        raise Failure("unreadable", number or "the row has no picture")
    return tuple(picture for picture in found if picture)


def _is_list_of_pictures(cell: Any) -> bool:
    data_type = cell.type
    return cell.is_valid and any(is_list(data_type) for is_list in _LISTS) and data_type.value_type not in _INTEGERS


def _picture_in(cell: Any) -> bytes | str | None:
    if not cell.is_valid:
        return None
    data_type = cell.type
    if pa.types.is_dictionary(data_type):
        return _picture_in(cell.value)
    if any(is_list(data_type) for is_list in _LISTS):
        items = cell.values
        if data_type.value_type in _INTEGERS:
            if items.null_count:
                raise Failure("unreadable", "the row's bytes have gaps")
            return bytes(items.to_numpy().tobytes())
        return _picture_in(items[0]) if len(items) else None
    if pa.types.is_struct(data_type):
        names = [field.name for field in data_type.fields]
        data = _picture_in(cell["bytes"]) if "bytes" in names else None
        return data or (_picture_in(cell["path"]) if "path" in names and holds(cell["path"].type) == "text" else None)
    value: bytes | str = cell.as_py()
    return decoded(value) if isinstance(value, str) and holds_picture(value) else value
