"""Every file of a run's directory, damaged in every way, and every command: one line that destroys nothing."""

import errno
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock, patch

import orjson
import pytest
import yaml

from datagen.cli import main
from datagen.store.reopening import reopen_failed
from tests.conftest import FakeServer, picture, started_fake_server
from tests.without_ray import states, without_ray

pytestmark = pytest.mark.slow

RECIPE = {
    "engines": {"vlm": {"model": "fake-vlm"}},
    "stages": [{"prompt": "question_answer", "engine": "vlm"}],
    "workers": 1,
    "output": {"part_rows": 2},
}
Damage = Callable[[Path], object]
DAMAGES: dict[str, Damage] = {
    "absent": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "empty": lambda path: path.write_bytes(b""),
    "no text": lambda path: path.write_bytes(b"\xff\x00PAR1\n\xfe" * 50),
    "null": lambda path: path.write_bytes(b"null"),
    "a list": lambda path: path.write_bytes(b"[]"),
    "an object": lambda path: path.write_bytes(b"{}"),
}
READERS = {
    **dict.fromkeys(("run.json", "index.parquet", "parts/part-000000.parquet"), ("run", "recut", "filter")),
    "parts/part-000000.tar": ("run", "recut", "filter"),
    "manifest.json": ("run", "report", "explain", "recut", "filter"),
    "recipe.yaml": ("run", "explain"),
    "parts": ("run", "filter"),
    "train": ("run", "report"),
    "train/train-00000-of-00001.parquet": ("report", "explain", "recut"),
    "failed/failed-00000-of-00001.parquet": ("report", "explain"),
    "reviews/sheet.csv": ("report",),
    **dict.fromkeys(("run.lock", "run.log.jsonl", "README.md"), ("run",)),
    **dict.fromkeys(("parts/uncut", "parts/part-000001.jsonl"), ("run",)),
}
"""Which commands read or write which file."""


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with started_fake_server() as started:
        yield started


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, server: FakeServer) -> Path:
    """A folder with a finished run of three pictures and a broken one, whose second part is under way again."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "pictures").mkdir()
    for number in range(3):
        (folder / "pictures" / f"{number}.jpg").write_bytes(picture(number))
    (folder / "pictures" / "broken.jpg").write_bytes(b"no picture")
    recipe = {**RECIPE, "source": {"path": str(folder / "pictures")}}
    recipe["engines"] = {"vlm": {"model": "fake-vlm", "endpoints": [server.endpoint]}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    assert exit_code(folder, "run") == 0
    shutil.copytree(folder / "run", folder / "finished")
    assert reopen_failed(folder / "run" / "parts", 1) == 1
    (folder / "run" / "parts" / "uncut").touch()
    (folder / "finished" / "reviews").mkdir()
    (folder / "finished" / "reviews" / "sheet.csv").write_text("id,rule,mark\n", encoding="utf-8")
    return folder


def exit_code(folder: Path, command: str) -> int:
    """Run a command on the run in a folder."""
    run = str(folder / "run")
    arguments = {
        "run": ["run", str(folder / "recipe.yaml"), "--out", run],
        "report": ["report", run, "--json"],
        "explain": ["explain", run, "1.jpg"],
        "recut": ["recut", run, "--policy", "strict", "--json", "--out", str(folder / "recut")],
        "filter": ["filter", run, "--policy", "strict", "--out", str(folder / "filtered")],
    }[command]
    with patch.object(sys, "argv", ["datagen", *arguments]), without_ray(), pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def assert_line(code: int, errors: str, place: str) -> None:
    """A command that does not do its work says so in one line, which names no more to delete than is damaged."""
    assert code in (0, 1, 2), place
    if code == 0:
        return
    assert re.fullmatch(r"datagen: [^\n]+\n", errors), f"{place}: {errors}"
    assert "--fresh" not in errors, f"{place}: {errors}"
    damaged = place.split(": ")[0]
    if "delete part-000000.parquet" in errors:
        assert damaged.startswith("parts/part-000000"), f"{place}: {errors}"
        assert not place.endswith("a folder"), f"{place}: {errors}"


@pytest.mark.parametrize(("file", "commands"), READERS.items())
def test_a_damaged_file_is_one_line_and_advice_that_destroys_nothing(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, commands: tuple[str, ...]
) -> None:
    answers = sorted(path.name for path in (made / "run" / "parts").glob("*.parquet"))
    documents = file.endswith((".json", ".jsonl", ".yaml"))
    for name, damage in list(DAMAGES.items())[: None if documents else 5]:
        for command in commands:
            folder = tmp_path / name / command
            folder.mkdir(parents=True)
            shutil.copytree(made / ("run" if command == "run" else "finished"), folder / "run")
            shutil.copy(made / "recipe.yaml", folder)
            path = folder / "run" / file
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            damage(path)
            code = exit_code(folder, command)
            assert_line(code, capsys.readouterr().err, f"{file}: {command}: {name}")
            if file != "parts" and not file.startswith("parts/part"):
                assert sorted(path.name for path in (folder / "run" / "parts").glob("*.parquet")) == answers
            shutil.rmtree(folder)


def repaired(made: Path, folder: Path, server: FakeServer) -> int:
    """Run again, check that all rows are there, and return how many calls that took."""
    before = server.statistics()["requests"]
    assert exit_code(folder, "run") == 0
    assert sorted(states(folder / "run")) == sorted(states(made / "run"))
    return int(server.statistics()["requests"]) - before


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "run", tmp_path / "run")
    shutil.copy(made / "recipe.yaml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("file", ["index.parquet", "run.json", "manifest.json", "parts/uncut"])
def test_deleting_the_damaged_file_alone_costs_no_call(
    made: Path, copied: Path, server: FakeServer, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    path = copied / "run" / file
    path.unlink()
    path.write_bytes(b"[]")
    if file in ("index.parquet", "run.json"):
        assert exit_code(copied, "run") == 2
        assert re.search(r"[Dd]elete (index\.parquet|it) and nothing else", capsys.readouterr().err)
    path.unlink()
    assert repaired(made, copied, server) == 0


def test_deleting_the_damaged_line_of_a_journal_alone_costs_the_calls_of_its_image(
    made: Path, copied: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = copied / "run" / "parts" / "part-000001.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(b"{\n" + whole)
    assert exit_code(copied, "run") == 2
    assert "line 1 is damaged; delete that line alone" in capsys.readouterr().err
    journal.write_bytes(whole)
    assert repaired(made, copied, server) == 0
    (copied / "run" / "parts" / "part-000001.parquet").unlink()
    journal.write_bytes(b"")
    assert repaired(made, copied, server) == 1


def test_a_lost_identity_is_taken_from_the_recipe_beside_it_and_from_no_other(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "run" / "run.json").unlink()
    recipe = (copied / "recipe.yaml").read_text(encoding="utf-8")
    (copied / "recipe.yaml").write_text(f"{recipe}seed: 5\n", encoding="utf-8")
    assert exit_code(copied, "run") == 2
    assert "was made with another recipe: seed was 0, now 5" in capsys.readouterr().err


@pytest.mark.parametrize("field", ["datagen", "task", "policy", "counts", "failures", "shards"])
def test_a_manifest_without_a_field_is_named_with_the_field(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str
) -> None:
    shutil.copytree(made / "finished", tmp_path / "run")
    path = tmp_path / "run" / "manifest.json"
    manifest = orjson.loads(path.read_bytes())
    del manifest[field]
    path.write_bytes(orjson.dumps(manifest))
    for command in ("report", "explain", "recut"):
        assert exit_code(tmp_path, command) == 2
        assert f"manifest.json is damaged ({field}: Field required). Delete it" in capsys.readouterr().err


def test_an_error_of_the_system_that_nobody_expected_is_one_line(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, told in (
        (OSError(errno.EMFILE, "", "/tmp/x"), "/tmp/x cannot be used (Too many open files). Allow more open files"),
        (ConnectionResetError(errno.ECONNRESET, ""), "A file or connection cannot be used (Connection reset by peer)"),
    ):
        monkeypatch.setattr("datagen.inspection.report.report_of", Mock(side_effect=error))
        assert exit_code(made, "report") == 2
        assert capsys.readouterr().err.startswith(f"datagen: {told}")
