"""A survey for a person: in one screen, and as a page with the pictures at the ends of each scale."""

from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from datagen.console import on_one_line, styled
from datagen.event_loops import run_to_end
from datagen.failures import Failure
from datagen.inspection.labels import Words
from datagen.inspection.page import PAGES
from datagen.pages import write_page
from datagen.pictures.thumbnails import thumbnail
from datagen.recipe import SourceSettings
from datagen.sources import Source, open_source
from datagen.store.index import Index, IndexEntry
from datagen.survey.summary import Summary, duplicate_groups
from datagen.survey.survey import SurveyDirectory

_GROUPS = 24
_FEW_PLACES = ("short_side", "aspect", "bytes")
KINDS: dict[str, Words] = {
    "small": Words("小さい（短辺 150 px 未満）", "small (a side under 150 px)"),
    "narrow": Words("細長い（縦横比 3 超）", "narrow (over 1:3)"),
    "blurred": Words("ぼけている", "blurred"),
    "dark": Words("暗い", "dark"),
    "bright": Words("白とび", "very bright"),
    "one_coloured": Words("ほぼ一色", "of one colour"),
    "few_colours": Words("色が 32 未満", "fewer than 32 colours"),
    "bordered": Words("枠がある", "with a border"),
    "screenshot_like": Words("画面や図のよう", "like a screenshot or a drawing"),
}
SCALES: dict[str, Words] = {
    "short_side": Words("短辺（px）", "shorter side (px)"),
    "aspect": Words("縦横比", "aspect"),
    "bytes": Words("バイト", "bytes"),
    "sharpness": Words("鮮明さ", "sharpness"),
    "brightness": Words("明るさ", "brightness"),
    "contrast": Words("コントラスト", "contrast"),
    "colours": Words("色の数", "colours"),
    "plain": Words("最も多い色の割合", "commonest colour"),
    "border": Words("枠の割合", "border"),
    "repeated": Words("隣と同じ画素", "repeated pixels"),
}


class Shown(NamedTuple):
    """A picture on the page."""

    key: str
    told: str
    picture: str


def print_survey(summary: Summary, directory: SurveyDirectory, console: Console) -> None:
    """Print what a set is like."""
    usable = f"{summary.usable:,} of {summary.pictures:,} pictures can be used"
    console.print(styled((usable, "bold"), f", {summary.bytes / 1e9:,.2f} GB"))
    for failure, count, told in summary.failures:
        console.print(
            styled((f"  {failure}", "red"), f" {count:,}  ", (on_one_line(told[:100]), "dim")), soft_wrap=True
        )
    formats = ", ".join(f"{name} {count:,}" for name, count in summary.formats)
    console.print(f"Formats: {formats or 'none'}; {summary.moving:,} move, {summary.alpha:,} may be transparent")
    console.print(
        f"Duplicates: {summary.duplicates.files:,} are the file of another one, {summary.duplicates.near:,} more look "
        "nearly like one"
    )
    console.print(f"{summary.taken:,} say when they were taken, {summary.placed:,} where")
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("measure", no_wrap=True)
    for name in ("least", "1 %", "5 %", "median", "95 %", "99 %", "most"):
        table.add_column(name, justify="right", no_wrap=True)
    for scale in summary.scales:
        if scale.quantiles:
            places = (0, 1, 2, 4, 6, 7, 8)
            table.add_row(scale.name, *(_shown(scale.quantiles[place]) for place in places))
    console.print(table)
    found = ", ".join(f"{KINDS[kind.name].en} {kind.pictures:,}" for kind in summary.kinds if kind.pictures)
    console.print(f"To look at: {found or 'nothing'}", soft_wrap=True)
    console.print(
        f"The table is in {directory.table} (Parquet, one row a picture), the duplicates beside it.", soft_wrap=True
    )


def write_survey_page(
    summary: Summary, directory: SurveyDirectory, source: SourceSettings, max_bytes: int, page: Path
) -> None:
    """Write the page: the measures, and thumbnails of the pictures that a person should look at.

    Raises:
        DatagenError: it cannot be written, or the source is gone.
    """
    groups = duplicate_groups(directory, _GROUPS)
    positions = {position for kind in summary.kinds for position, *_ in kind.shown}
    keys = {key for group in groups for _, key, _ in group}
    pictures = run_to_end(_pictures(open_source(source, max_bytes), Index(directory.index), positions, keys))
    kinds = {
        kind.name: [
            Shown(key, _shown(value), pictures.get((key, number), "")) for _, _, key, number, value in kind.shown
        ]
        for kind in summary.kinds
        if kind.pictures
    }
    shown_groups = [
        [Shown(key, "" if place == 0 else "=" if distance < 0 else f"{distance}", pictures.get((key, 0), ""))
         for place, (_, key, distance) in enumerate(group)]
        for group in groups
    ]  # fmt: skip
    text = PAGES.render(
        "survey.html.jinja",
        ("common.js",),
        summary=summary,
        source=source.path,
        kinds=kinds,
        counts={kind.name: kind.pictures for kind in summary.kinds},
        groups=shown_groups,
        kind_words=KINDS,
        scale_words=SCALES,
        shown_number=_shown,
    )
    write_page(page, text)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:,.3g}"


async def _pictures(source: Source, index: Index, positions: set[int], keys: set[str]) -> dict[tuple[str, int], str]:
    """Read pictures again and return them small, by key and number in the row; what cannot be read is left out."""
    found: dict[tuple[str, int], str] = {}
    try:
        for number in range(index.parts):
            for listed in index.part(number):
                if listed.position in positions or listed.entry.key in keys:
                    found |= await _of_entry(source, listed)
    finally:
        await source.close()
    return found


async def _of_entry(source: Source, listed: IndexEntry) -> dict[tuple[str, int], str]:
    try:
        loaded = await source.read(listed.entry)
    except Failure:
        return {}
    return {(listed.entry.key, number): thumbnail(data) for number, data in enumerate(loaded.pictures)}
