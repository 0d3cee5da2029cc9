"""Every row of an export is read by the trainers' own loaders: text for text, picture for picture."""

from pathlib import Path

import pytest

from datagen.exporters.writing.export import export
from tests.exporters.rows import judged, wild_row
from tests.trainers.loaders import FORMATS, LOADERS, ONE_PICTURE, expected, kept_rows, read

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run with 0 to 3 pictures a row, and its export; every third row has a system message."""
    run = judged(
        [wild_row(number, (0, 1, 2 + number % 2)[number % 3], system=not number % 3) for number in range(60)],
        tmp_path_factory.mktemp("mixed") / "run",
    )
    export(run, [name for name in FORMATS if name != "energon"], run.parent / "export")
    return run, run.parent / "export"


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run with one picture a row, and its export."""
    run = judged([wild_row(number, 1) for number in range(60)], tmp_path_factory.mktemp("single") / "run")
    export(run, ["messages", "energon"], run.parent / "export")
    return run, run.parent / "export"


@pytest.mark.parametrize("name", LOADERS)
def test_the_trainers_own_loader_reads_every_row(
    name: str, mixed: tuple[Path, Path], single: tuple[Path, Path]
) -> None:
    run, exported = single if name in ONE_PICTURE else mixed
    wanted = expected(name, kept_rows(run))
    found = read(name, exported, "run")
    found = sorted(found) if LOADERS[name].format == "energon" else found
    assert len(wanted) >= 60
    assert [row.messages for row in found] == [row.messages for row in wanted]
    assert [row.pictures for row in found] == [row.pictures for row in wanted]
