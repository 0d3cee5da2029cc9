"""How rows and tables show themselves in a notebook: HTML without a script, and with nothing from elsewhere."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from datagen.pictures.thumbnails import stored_bytes, thumbnail

_COLOURS = {"kept": "#2a7f3f", "dropped": "#a86a00", "failed": "#b00020"}
_MARKS = {"user": "問", "assistant": "答", "system": "指示"}


class ShownRow(dict[str, Any]):
    """A row as a mapping, which shows itself with its pictures in a notebook.

    Its columns are those of docs/data.md; `images` holds the encoded bytes of each picture.
    """

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return a row with all columns that are shown; those that another tool did not write are empty."""
        lists: dict[str, list[Any]] = {name: [] for name in ("images", "messages", "findings", "scores")}
        known = {name: value for name, value in row.items() if value is not None}
        return cls({"key": row.get("id", ""), "caption": "", "error": None, **lists, **known})

    def __repr__(self) -> str:
        """Return the row as a mapping, with the size of a picture in the place of its bytes."""
        sizes = [f"<{len(stored_bytes(image)):,} bytes>" for image in self["images"]]
        return repr({**self, "images": sizes})

    def _repr_html_(self) -> str:
        """Return the pictures, the conversation, and what became of it."""
        pictures = "".join(
            f'<img src="{thumbnail(stored_bytes(image))}" style="max-height:160px;margin:0 8px 4px 0">'
            for image in self["images"]
        )
        lines = [f'<b style="color:{_COLOURS[self["state"]]}">{self["state"]}</b> {_escaped(self["key"])}']
        lines += [_escaped(self["caption"])] if self["caption"] else []
        lines += [f"{_MARKS.get(said['role'], '')} {_escaped(said['content'])}" for said in self["messages"]]
        for finding in self["findings"]:
            quoted = f"「{finding['text']}」" if finding["text"] else ""
            lines.append(_escaped(f"→ {finding['rule']} {quoted} {finding['evidence']}"))
        lines += [_escaped(f"{score['name']} {score['value']:g} {score['reason']}") for score in self["scores"]]
        if self["error"]:
            lines.append(_escaped(f"→ {self['error']['class']}: {self['error']['message']}"))
        return f"<div>{pictures}<div>{'<br>'.join(lines)}</div></div>"


class ShownRows(list[ShownRow]):
    """Rows that show themselves one below the other in a notebook."""

    note: str = ""

    def _repr_html_(self) -> str:
        """Return the rows for a notebook."""
        return "<hr>".join([*(row._repr_html_() for row in self), *([_escaped(self.note)] if self.note else [])])


def told(title: str, *lines: str) -> str:
    """Return a title with lines under it."""
    return "<br>".join([f"<b>{_escaped(title)}</b>", *map(_escaped, lines)])


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; numbers stand to the right.

    >>> table(["rule", "hits"], [["refusal", 1200]])
    '<table><tr><th>rule</th><th>hits</th></tr><tr><td>refusal</td><td style="text-align:right">1,200</td></tr></table>'
    """
    head = "".join(f"<th>{_escaped(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        shown = f"{value:,}" if isinstance(value, int) else f"{value:.1%}"
        return f'<td style="text-align:right">{shown}</td>'
    return f"<td>{_escaped(value)}</td>"


def _escaped(text: object) -> str:
    return html.escape(str(text))
