"""Whatever file names, answers and errors hold: it is printed in full, and the terminal is not steered by it."""

import io
import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
import yaml
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from datagen.cli import app
from datagen.console import PlainConsole, on_one_line, shown
from datagen.errors import DatagenError
from datagen.inspection.difference_page import write_difference_page
from datagen.inspection.recutting import recut
from datagen.inspection.report_page import write_report_page
from datagen.inspection.reviews import write_sheet
from datagen.pipeline import summary
from datagen.pipeline.run import Outcome
from datagen.progress import tracked
from datagen.recipe_file import load_recipe
from datagen.store.run_directory import RunDirectory
from filters import load_policy
from tests.conftest import ROOT, called, picture
from tests.jicvqa.conftest import model_server
from tests.without_ray import run_here, without_ray

HOSTILE = "exp[old][red]\x1b]0;pwned\x07\x1b[2J\x9b1m\u202egnp\u2066\r\b\x7f"
NAME = HOSTILE.replace("[", "")
WRITTEN = r"exp[old][red]\x1b]0;pwned\x07\x1b[2J\u009b1m\u202egnp\u2066\r\x08\u007f"


def steering(text: str) -> list[str]:
    """Return the characters that a terminal or the direction of a line would be steered by."""
    kinds = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return [
        character
        for character in text
        if character != "\n"
        and (
            unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or unicodedata.bidirectional(character) in kinds
        )
    ]


def answered(request: dict[str, Any]) -> str:
    """Return a caption, or a pair that asks back, full of what steers."""
    if "caption" in str(request.get("response_format", request)):
        return orjson.dumps({"caption": f"[/]{HOSTILE}の写真です。"}).decode()
    pair = {"question": f"[/]{HOSTILE}は何ですか？", "answer": f"[/]{HOSTILE}です。\x1b[31mほかに何を知りたいですか？"}
    return orjson.dumps(pair).decode()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with model_server(answered) as served:
        yield served.endpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Path:
    """A folder with a recipe, and a run under hostile names."""
    folder = tmp_path_factory.mktemp("printing") / NAME
    pictures = folder / HOSTILE
    pictures.mkdir(parents=True)
    (pictures / f"good {HOSTILE}.jpg").write_bytes(picture(0))
    (pictures / f"broken {HOSTILE}.jpg").write_bytes(b"no picture")
    (folder / f"{HOSTILE}.yaml").write_text("rules: [question_in_answer, too_long]\n", encoding="utf-8")
    recipe = {
        "task": HOSTILE,
        "source": {"path": str(pictures)},
        "engines": {"vlm": {"model": "told", "endpoints": [endpoint]}},
        "stages": [{"prompt": "caption", "engine": "vlm"}, {"prompt": "question_answer", "engine": "vlm"}],
        "policy": str(folder / f"{HOSTILE}.yaml"),
        "workers": 1,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    run_here(load_recipe(folder / "recipe.yaml"), folder / "run")
    return folder


@pytest.fixture(autouse=True)
def _without_ray() -> Iterator[None]:
    with without_ray():
        yield


def printed(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None, result.exception
    assert steering(result.output) == []
    return result.output


def test_the_end_of_a_run_names_all_in_full(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = RunDirectory(folder / "run")
    manifest = orjson.loads(directory.manifest.read_bytes())
    assert manifest["counts"] == {"inputs": 2, "kept": 0, "dropped": 1, "failed": 1}
    summary.print_summary(Outcome(directory, manifest, 1.0))
    output = capsys.readouterr().out
    assert steering(output) == []
    assert f"dropped good {WRITTEN}.jpg" in output
    assert f"failed broken {WRITTEN}.jpg" in output
    assert f"[/]{WRITTEN}です" in output
    assert f"shards, 0.0 MB, in {on_one_line(str(folder))}/run" in output


def test_the_commands_that_it_recommends_can_be_pasted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = RunDirectory(folder / "run")
    summary.print_summary(Outcome(directory, orjson.loads(directory.manifest.read_bytes()), 1.0))
    lines = capsys.readouterr().out.splitlines()
    command, python = (next(line for line in lines if name in line) for name in ("datagen report", "load_dataset"))
    pasted = command.split("datagen report ")[1].split(" --html")[0]
    told = subprocess.run(["bash", "-c", f"printf %s {pasted}"], capture_output=True, check=True).stdout
    assert told.decode() == str(folder / "run")
    assert eval(python.split("load_dataset(")[1].split(")[")[0]) == str(folder / "run")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("report", "run"), WRITTEN),
        (("report", "run", "--html", f"{HOSTILE}.html"), f"Page: {WRITTEN}.html"),
        (("recut", "run", "--policy", "light"), WRITTEN),
        (("compare", "run", "run"), "run → run"),
        (("review", "run", "--out", f"{HOSTILE} sheets"), f"{WRITTEN} sheets/question_in_answer"),
        (("explain", "run", f"good {HOSTILE}.jpg"), f"[/]{WRITTEN}です"),
        (("explain", "run", f"broken {HOSTILE}.jpg"), f"broken {WRITTEN}.jpg"),
        (("preview", "recipe.yaml"), f"[/]{WRITTEN}です"),
        (("run", "recipe.yaml", "--out", f"{NAME} again"), f"good {WRITTEN}.jpg"),
        (("filter", "run", "--out", f"{NAME} judged"), "judged (manifest.json lists them)"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_commands_print_text_as_text(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(folder)
    assert told in printed(*arguments)


def test_json_for_machines_stays_the_same_json(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    report = orjson.loads(printed("report", "run", "--json"))
    assert report["task"] == HOSTILE
    difference = orjson.loads(printed("recut", "run", "--policy", "light", "--json"))
    assert difference["before"] == HOSTILE


def test_pages_turn_no_line_around(folder: Path, tmp_path: Path) -> None:
    write_report_page(folder / "run", tmp_path / "report.html")
    difference, _ = recut(folder / "run", load_policy({"name": HOSTILE, "rules": ["too_short"]}), None)
    write_difference_page(difference, tmp_path / "difference.html", folder / "run", folder / "run")
    sheet = write_sheet(folder / "run", "question_in_answer", 5, 0, tmp_path)
    for page in (tmp_path / "report.html", tmp_path / "difference.html", sheet.page):
        text = page.read_text(encoding="utf-8")
        assert steering(text) == []
        assert WRITTEN in text


def test_a_console_shows_every_kind_of_thing_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = PlainConsole()
    console.file = io.StringIO()
    table = Table(HOSTILE)
    table.add_row(HOSTILE, style="red")
    for thing in (HOSTILE, ":smile: [/]", Text(HOSTILE), table, Rule(HOSTILE)):
        console.print(thing, soft_wrap=True)
    with console.status("waiting"):
        pass
    output = console.file.getvalue()
    assert ":smile: [/]" in output
    assert WRITTEN in output
    assert "\x1b[31m" in output  # the style of the row
    for harm in ("\x1b]", "\x1b[2J", "\x9b", "\u202e", "\u2066", "\x07", "\r\b"):
        assert harm not in output


def test_all_printing_goes_to_the_console_that_takes_text_as_text() -> None:
    steered = ("rich.markup", "[/]", "[/red]", "[bold]", "typer.secho", "rich import print")
    for path in (ROOT / "datagen").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not [word for word in steered if word in text], path
        assert "Console(" not in text.replace("PlainConsole(", "") or path.name == "console.py", path


def test_progress_names_its_label_as_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datagen.progress.PLAIN_SECONDS", 0.0)
    assert list(tracked([1], 1, HOSTILE)) == [1]
    assert f"{WRITTEN}: 1/1" in capsys.readouterr().err


def test_japanese_and_emoji_are_left_alone() -> None:
    text = "桜🌸が\u3000咲く。\n\t👩\u200d🔬 한국어 العربية"
    assert shown(text) == text


def datagen(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "datagen", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment, **options)


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", HOSTILE),
        ("filter", f"{HOSTILE}.jsonl", "--out", "out"),
        ("run", f"{HOSTILE}.yaml", "--out", "out"),
        (f"--{HOSTILE}",),
        ("explain", HOSTILE, f"[/]{HOSTILE}"),
        ("jicvqa", "audit", HOSTILE),
        ("jicvqa", "build", "--images", f"{HOSTILE}.csv", "--distractors", f"{HOSTILE}.json", "--out", HOSTILE),
        ("recut", HOSTILE, "--policy", f"{HOSTILE}\nsecond line"),
    ],
    ids=lambda value: "-".join(value)[:12].encode("unicode_escape").decode(),
)
def test_errors_are_one_line_that_names_all_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, error = called(monkeypatch, capsys, *arguments)
    assert code == 2
    assert len(error.splitlines()) == 1
    assert steering(error) == []
    assert WRITTEN[:32] in error  # Typer itself writes some of the rest out in a way of its own


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_a_terminal_without_japanese_gets_it_written_out(folder: Path, environment: dict[str, str]) -> None:
    [row] = pq.read_table(folder / "run" / "dropped", columns=["id"]).to_pylist()
    result = datagen("explain", "run", row["id"], cwd=folder, env=environment)
    assert result.returncode == 0, result.stderr
    assert result.stdout.isascii()
    assert "\\u306e\\u5199\\u771f" in result.stdout  # の写真


def test_arguments_in_another_encoding_are_refused(tmp_path: Path) -> None:
    command = [sys.executable.encode(), b"-m", b"datagen", b"run", b"recipe.yaml", b"--out", b"\xa4\xa2"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 2
    assert result.stderr.startswith(r"datagen: '\udca4\udca2' is no text in utf-8; rename it")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        'task: "\\uDCFF"\nsource: {path: a}\nengines: {vlm: {model: m}}\n'
        "stages: [{prompt: caption, engine: vlm}, {prompt: question_answer, engine: vlm}]\n"
    )
    with pytest.raises(DatagenError, match="text that is not Unicode"):
        load_recipe(recipe)


@pytest.mark.slow
def test_whoever_stops_reading_hears_no_complaint(folder: Path) -> None:
    command = f"{sys.executable} -m datagen report run | true; echo ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert (result.stdout, result.stderr) == ("0\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_files(folder: Path, tmp_path: Path, closed: str) -> None:
    page = tmp_path / "page.html"
    command = f"{sys.executable} -m datagen report run --html {page} {closed}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, check=False)
    assert result.returncode == 0
    assert page.read_text(encoding="utf-8").endswith("</html>")
