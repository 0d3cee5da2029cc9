"""Text in pictures is seen and read, round things are no letters, and quotations that nobody could read are found."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from datagen.errors import DatagenError
from datagen.pictures.picture import Picture, prepare
from datagen.recipe import Images
from datagen.stages.checks import CHECKS, has_text, measured, vertical_text
from datagen.stages.checks.reading import ocr
from filters import load_policy
from filters.rules.quoted_text_missing import _plain
from tests.conftest import ROOT, FakeServer, MakeRecipe
from tests.without_ray import run_here, shard_digests

SIGNS = {"stop": "止まれ", "closed": "本日定休日", "careful": "足元注意", "ramen": "ラーメン 800円"}
WITHOUT = ["animal/カメ", "food/目玉焼き", "landmark/鳥居", "nature/四つ葉のクローバー", "vehicle/カヌー", "thing/鏡"]


def picture(path: Path) -> Picture:
    return prepare(path.read_bytes(), Images())


@pytest.mark.parametrize(("name", "text"), SIGNS.items())
def test_signs_are_read(name: str, text: str) -> None:
    found = has_text.check(picture(ROOT / "examples" / "recipes" / "signs" / f"{name}.png"))
    assert 0.02 < found.value < 0.6
    assert _plain(found.reason) == _plain(text)
    assert vertical_text.check(picture(ROOT / "examples" / "recipes" / "signs" / f"{name}.png")) == 0


@pytest.mark.parametrize("name", WITHOUT)
def test_round_things_and_gates_are_no_letters(name: str) -> None:
    assert has_text.check(picture(ROOT / "examples" / "pictures" / f"{name}.png")) == (0, "")


@pytest.mark.slow
def test_nothing_is_printed_of_a_picture_without_text() -> None:
    asking = """
import io
from PIL import Image
from datagen.pictures.picture import prepare
from datagen.recipe import Images
from datagen.stages.checks.reading.ocr import lines_of
file = io.BytesIO()
Image.new("RGB", (200, 200), "white").save(file, "PNG")
print(lines_of(prepare(file.getvalue(), Images())))
"""
    done = subprocess.run([sys.executable, "-c", asking], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("()\n", "")


def test_what_was_read_goes_with_the_score_and_judges_quotations() -> None:
    shown = [picture(ROOT / "examples" / "recipes" / "signs" / "stop.png")]
    (score,) = measured([("has_text", CHECKS.find("has_text", "checks"))], shown)
    policy = load_policy({"rules": [{"rule": "quoted_text_missing", "action": "drop"}]})

    def kept(answer: str) -> bool:
        sample = {"messages": [{"role": "assistant", "content": answer}], "scores": [score.model_dump()]}
        return policy.judge([sample])[0].kept

    assert score.reason == "止まれ"
    assert kept("標識には「止まれ」と書かれています。")
    assert kept("標識には「とまれ」と書かれていますが、漢字です。") is False
    assert kept("「進め」という文字が見えます。") is False
    assert kept("「急いで」と言いたげです。")


def test_only_pictures_with_text_are_asked_about(
    fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in (*(f"recipes/signs/{name}.png" for name in SIGNS), *(f"pictures/{name}.png" for name in WITHOUT[:3])):
        (folder / Path(path).name).write_bytes((ROOT / "examples" / path).read_bytes())
    policy = tmp_path / "text.yaml"
    policy.write_text(yaml.safe_dump({"name": "text", "rules": [{"score": "has_text", "at_least": 0.01}]}))
    recipe = make_recipe(folder, fake_server.endpoint, checks=["has_text"], policy=str(policy))
    manifest = run_here(recipe, tmp_path / "out")
    rows = [
        row for path in shard_digests(tmp_path / "out") for row in pq.read_table(tmp_path / "out" / path).to_pylist()
    ]
    assert manifest["counts"]["kept"] == len(SIGNS)
    assert {row["key"].removesuffix(".png") for row in rows if row["calls"]} == set(SIGNS)


def test_without_the_extra_a_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rapidocr", None)
    ocr._engine.cache_clear()
    ocr._read.cache_clear()
    shown = [picture(ROOT / "examples" / "recipes" / "signs" / "exit.png")]
    with pytest.raises(DatagenError, match=r"need the extra ocr: pip install 'datagen\[ocr\]'"):
        measured([("has_text", has_text.check)], shown)
    ocr._engine.cache_clear()
