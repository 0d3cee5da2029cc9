"""`datagen survey`: every picture once, the same table after any stop, duplicates that do not depend on the order."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFilter
from rich.console import Console
from typer.testing import CliRunner

from datagen.cli import app
from datagen.errors import DatagenError
from datagen.recipe import Images, SourceSettings
from datagen.store.index import row_id
from datagen.survey import survey as surveying
from datagen.survey.duplicates import find_duplicates
from datagen.survey.summary import summarised
from datagen.survey.survey import SurveyDirectory, survey
from datagen.survey.table import parts_of
from tests.killing import Killed, killed_after
from tests.survey.test_measures import noise
from tests.without_ray import without_ray


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen pictures, copies of two of them, one of one colour and one that is broken."""
    folder = tmp_path_factory.mktemp("survey") / "photos"
    folder.mkdir()
    for number in range(12):
        noise(seed=number).save(folder / f"{number:02}.png")
    shutil.copy(folder / "03.png", folder / "copy of 03.png")
    noise(seed=5).resize((200, 150)).save(folder / "small 05.jpg", quality=50)
    noise(seed=5).filter(ImageFilter.GaussianBlur(1)).save(folder / "soft 05.png")
    for number in range(3):
        Image.new("RGB", (64 + number, 64), (10 * number, 80, 80)).save(folder / f"flat {number}.png")
    (folder / "broken.jpg").write_bytes((folder / "small 05.jpg").read_bytes()[:700])
    return folder


def settings(photos: Path) -> SourceSettings:
    return SourceSettings(path=str(photos))


def measured(photos: Path, out: Path, quiet: Console) -> SurveyDirectory:
    with without_ray():
        return survey(settings(photos), Images(), out, quiet)


def test_every_picture_is_a_row_and_every_failure_has_its_reason(photos: Path, tmp_path: Path, quiet: Console) -> None:
    directory = measured(photos, tmp_path / "out", quiet)
    rows = [row for path in parts_of(directory.table) for row in pq.read_table(path).to_pylist()]
    assert [row["key"] for row in rows] == sorted(path.name for path in photos.iterdir())
    assert [row["key"] for row in rows if row["failure"]] == ["broken.jpg"]
    assert all(row["id"] == row_id(row["key"]) for row in rows)


def test_duplicates_are_the_same_file_or_look_the_same_and_flat_pictures_are_none(
    photos: Path, tmp_path: Path, quiet: Console
) -> None:
    directory = measured(photos, tmp_path / "out", quiet)
    found = find_duplicates(directory.table, directory.duplicates)
    groups: dict[str, set[str]] = {}
    for row in pq.read_table(directory.duplicates).to_pylist():
        groups.setdefault(row["original"], {row["original"]}).add(row["key"])
        assert row["duplicate_of"] < row["id"] == row_id(row["key"])
    assert sorted(map(sorted, groups.values())) == [
        ["03.png", "copy of 03.png"],
        ["05.png", "small 05.jpg", "soft 05.png"],
    ]
    assert found == (1, 2)
    assert find_duplicates(directory.table, directory.duplicates, -1) == (1, 0)


def test_who_stays_depends_on_the_set_and_not_on_its_order_or_its_parts(
    photos: Path, tmp_path: Path, quiet: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = measured(photos, tmp_path / "one", quiet)
    monkeypatch.setattr(surveying, "PART_ROWS", 4)
    listed = tmp_path / "list.csv"
    keys = sorted((path.name for path in photos.iterdir()), reverse=True)
    listed.write_text("path\n" + "\n".join(str(photos / key) for key in keys), encoding="utf-8")
    other = measured(photos, tmp_path / "other", quiet)
    for directory in (one, other):
        find_duplicates(directory.table, directory.duplicates)
    assert one.duplicates.read_bytes() == other.duplicates.read_bytes()


@pytest.mark.parametrize("parts", [0, 1, 3])
def test_a_survey_goes_on_where_it_was_killed(
    parts: int, photos: Path, tmp_path: Path, quiet: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "PART_ROWS", 4)
    with pytest.raises(Killed), killed_after(parts, [surveying], "write_part"):
        measured(photos, tmp_path / "out", quiet)
    whole = measured(photos, tmp_path / "whole", quiet)
    before = {path.name: path.stat().st_mtime_ns for path in parts_of(tmp_path / "out" / "table")}
    gone_on = measured(photos, tmp_path / "out", quiet)
    assert len(before) == parts
    assert {name: (gone_on.table / name).stat().st_mtime_ns for name in before} == before
    for one, other in zip(parts_of(whole.table), parts_of(gone_on.table), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_directory_of_another_source_is_refused(photos: Path, tmp_path: Path, quiet: Console) -> None:
    measured(photos, tmp_path / "out", quiet)
    with pytest.raises(DatagenError, match="is the survey of another source"), without_ray():
        survey(SourceSettings(path=str(photos), limit=3), Images(), tmp_path / "out", quiet)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(DatagenError, match=r"holds files that are no survey \(notes.txt\)"):
        measured(photos, tmp_path / "mine", quiet)


def test_the_command_prints_and_pages_what_a_set_is_like(photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with without_ray():
        shown = CliRunner().invoke(app, ["survey", str(photos), "--out", str(tmp_path / "out"), "--html", str(page)])
    assert shown.exit_code == 0, shown.output
    told = " ".join(shown.output.split())
    assert "18 of 19 pictures can be used" in told
    assert "1 are the file of another one, 2 more look nearly like one" in told
    assert "of one colour 3" in told
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/webp") >= 8
    assert "copy of 03.png" in text


def test_the_summary_counts_what_the_table_says(photos: Path, tmp_path: Path, quiet: Console) -> None:
    directory = measured(photos, tmp_path / "out", quiet)
    summary = summarised(directory, find_duplicates(directory.table, directory.duplicates))
    assert (summary.pictures, summary.usable) == (19, 18)
    assert dict(summary.formats) == {"PNG": 17, "JPEG": 1}
    assert {kind.name: kind.pictures for kind in summary.kinds}["one_coloured"] == 3
    assert [name for name, _, _ in summary.failures] == ["corrupt_image"]
