"""Wrong input at the command line: one sentence that says what to do, a non-zero exit code, no traceback."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from benchmarks.stored_runs import write_run
from datagen import cli
from tests.conftest import ROOT, FakeServer, called, free_port, picture

RECIPE = """
source: {path: pictures}
engines: {vlm: {model: fake-vlm, endpoints: [ENDPOINT], patience: 2}}
stages:
  - {prompt: caption, engine: vlm}
  - {prompt: question_answer, engine: vlm}
output: {part_rows: 8}
"""


def datagen(*args: str | Path, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "datagen", *map(str, args)]
    return subprocess.run(command, cwd=cwd or ROOT, capture_output=True, text=True, check=False, timeout=120)


def write_recipe(folder: Path, endpoint: str = "http://127.0.0.1:9/v1", **replaced: str) -> Path:
    text = RECIPE.replace("ENDPOINT", endpoint)
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "pictures").mkdir(exist_ok=True)
    (folder / "pictures" / "0.jpg").write_bytes(picture(0))
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def assert_refused(result: "subprocess.CompletedProcess[str]", *words: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    assert len(result.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in result.stderr


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    result = datagen("run", recipe, "--out", tmp_path / "out", "--images", tmp_path / "nowhere")
    assert_refused(result, "there is no folder or file", "nowhere")


@pytest.mark.slow
def test_an_empty_folder_is_refused(tmp_path: Path, fake_server: FakeServer) -> None:
    (tmp_path / "empty").mkdir()
    recipe = write_recipe(tmp_path, fake_server.endpoint)
    result = datagen("run", recipe, "--out", tmp_path / "out", "--images", tmp_path / "empty")
    assert_refused(result, "holds no images", "--images")
    assert not (tmp_path / "out" / "index.parquet").exists()


@pytest.mark.slow
def test_a_misspelt_key_names_the_nearest(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, prompt="promt")
    assert_refused(datagen("run", recipe, "--out", tmp_path / "out"), "promt", "did you mean 'prompt'?")


@pytest.mark.slow
def test_an_unknown_prompt_lists_the_shipped_ones(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, question_answer="question_anser")
    assert_refused(datagen("run", recipe, "--out", tmp_path / "out"), "did you mean 'question_answer'?")


@pytest.mark.slow
def test_a_dead_endpoint_is_found_before_work_starts(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, f"http://127.0.0.1:{free_port()}/v1")
    assert_refused(datagen("run", recipe, "--out", tmp_path / "out"), "does not answer", "Start the server")


@pytest.mark.slow
def test_a_model_that_is_not_served_lists_those_that_are(tmp_path: Path, fake_server: FakeServer) -> None:
    recipe = write_recipe(tmp_path, fake_server.endpoint)
    result = datagen("run", recipe, "--out", tmp_path / "out", "--model", "other")
    assert_refused(result, "does not serve the model 'other'", "fake-vlm")


@pytest.mark.slow
def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "file").write_text("")
    assert_refused(datagen("run", recipe, "--out", tmp_path / "file" / "out"), "cannot be written", "--out")


@pytest.mark.slow
def test_an_output_with_other_files_is_not_touched(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    assert_refused(datagen("run", recipe, "--out", tmp_path / "out"), "no datagen run")
    assert_refused(datagen("run", recipe, "--out", tmp_path / "out", "--fresh"), "--fresh deletes only runs")
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"


def test_a_policy_with_an_unknown_rule_names_the_nearest(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    policy = tmp_path / "policy.yaml"
    policy.write_text("name: mine\npurpose: Mine.\nrules:\n- {rule: question_in_anser, action: drop}\n")
    result = datagen("run", recipe, "--out", tmp_path / "out", "--set", f"policy={policy}")
    assert_refused(result, "question_in_anser", "question_in_answer")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["report", "explain"])
def test_inspecting_what_is_no_run_is_refused(tmp_path: Path, name: str) -> None:
    assert_refused(datagen(name, tmp_path, *(["x"] if name == "explain" else [])), "manifest.json")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, and all that can be given in place of one, of a policy, a page and a sheet."""
    folder = tmp_path_factory.mktemp("inputs")
    write_run(folder / "run", 40, failed=0.1)
    (folder / "empty").mkdir()
    (folder / "folder.yaml").mkdir()
    (folder / "folder.csv").mkdir()
    (folder / "file").write_text("text")
    (folder / "binary").write_bytes(bytes(range(256)))
    for name, text in POLICIES.items():
        (folder / f"{name}.yaml").write_text(text)
    for name, text in SHEETS.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


POLICIES = {
    "list": "[]",
    "null": "null",
    "torn": "{",
    "key": "? [a]\n: b",
    "date": "a: 2020-13-45",
    "deep": "[" * 3000,
    "cycle": "rules: &a [*a]",
    "half": 'name: "\\uD800"\nrules: [too_long]',
    "number": "rules: [3]",
    "action": "rules: [{rule: too_long, action: 3}]",
    "settings": "rules: [{rule: too_long, settings: {a: b}}]",
    "words": "rules: [{rule: harmful_words, settings: {path: missing}}]",
    "module": "rules: ['no_such_module:Rule']",
}
SHEETS = {
    "nothing": "",
    "columns": "a,b\n1,2\n",
    "short": "id,rule,mark\n1\n",
    "mark": "id,rule,mark\n1,x,perhaps\n",
}
NO_RUNS = ["empty", "file", "binary", "missing", ".", "", "a" * 300]
NO_POLICIES = [f"{name}.yaml" for name in (*POLICIES, "folder", "missing")]
NO_POLICIES += ["file", "binary", "lihgt", "a" * 300]
NO_PAGES = ["empty", "file/page.html", ".", "", "/", "a" * 300]
RECUT = ("recut", "run", "--policy", "light")
WRONG: list[tuple[str, ...]] = [
    *[("report", name) for name in NO_RUNS],
    *[("recut", name, "--policy", "light") for name in NO_RUNS],
    *[("compare", name, "run") for name in NO_RUNS],
    *[("compare", "run", name) for name in NO_RUNS],
    *[("review", name) for name in NO_RUNS],
    *[("explain", name, "x") for name in NO_RUNS],
    *[("recut", "run", "--policy", name) for name in NO_POLICIES],
    *[("filter", "run", "--out", "out", "--policy", name) for name in NO_POLICIES],
    *[(*command, "--html", name) for command in (("report", "run"), ("compare", "run", "run")) for name in NO_PAGES],
    *[("review", "run", "--read", f"{name}.csv") for name in (*SHEETS, "folder", "missing")],
    *[("review", "run", "--read", name) for name in ("file", "binary", "empty", "")],
    *[("explain", "run", name) for name in ("x", "", "%", "a" * 5000, "日本")],
    *[("review", "run", "--rule", name) for name in ("x", "", "question_in_anser")],
    ("report", "run", "--seed", "x"),
    ("review", "run", "-n", "0"),
    ("report",),
    ("report", "run", "--htlm", "page.html"),
    ("repotr", "run"),
]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", WRONG, ids=lambda arguments: " ".join(arguments)[:60])
def test_wrong_input_is_told_in_one_line(
    inputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(inputs)
    code, error = called(monkeypatch, capsys, *arguments)
    assert code == 2
    assert error.startswith("datagen: ")
    assert len(error.splitlines()) == 1
    assert len(error) < 8000


CHANGES = ["x", "=", "a=b", "stages.9.prompt=x", "stages.x=1", "task.x=1", "engines=3", "stages={", "stages.0.prompt=3"]
CHANGES += ["source=2020-13-45", 'task="\\uD800"', "images.max_pixels=-1", "seed=nan", "..=1", "=1", "source.path=[1]"]


@pytest.mark.parametrize("change", CHANGES)
def test_odd_changes_of_the_recipe_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    recipe = write_recipe(tmp_path)
    code, error = called(monkeypatch, capsys, "run", recipe, "--out", tmp_path / "out", "--set", change)
    assert code == 2
    assert error.startswith("datagen: ")
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [["-m", "datagen"], ["-c", "from datagen.cli import main; main()"]])
def test_the_version_is_printed(command: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, *command, "--version"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{version('datagen')}\n", "")


@pytest.mark.parametrize(
    ("command", "module"),
    [
        (("report", "RUN"), "datagen.inspection.report.report_of"),
        (("recut", "RUN", "--policy", "light"), "datagen.inspection.recutting.recut"),
        (("compare", "RUN", "OTHER"), "datagen.inspection.recutting.compare_runs"),
        (("review", "RUN"), "datagen.inspection.report.report_of"),
        (("explain", "RUN", "row"), "datagen.inspection.explain.find_row"),
        (("jicvqa", "audit", "FILE"), "datagen.jicvqa.runs.audit.audit_benchmark"),
    ],
)
def test_ctrl_c_is_told_in_one_line(
    command: tuple[str, ...], module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, interrupted)
    monkeypatch.setattr("sys.argv", ["datagen", *command])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 130
    told = f"datagen: Stopped before datagen {command[0]} had finished; run the same command again."
    assert capsys.readouterr().err.strip() == told
