"""Promise: classes may be ranked by names and groups, by pictures, or by similarities of the user's own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from datagen.jicvqa.classes.lists import load_classes
from datagen.jicvqa.classes.similarity import similarity_of_names
from datagen.jicvqa.distractors.document import load_distractors
from tests.jicvqa.conftest import command, serving

REDS, GREENS = ["苺", "林檎", "唐辛子", "薔薇"], ["胡瓜", "松葉", "抹茶", "苔"]


@pytest.fixture
def coloured(tmp_path: Path) -> Path:
    """Pictures of eight classes by folder: four are red, four are green, each with a shade of its own."""
    draw = np.random.default_rng(0)
    for names, channel in ((REDS, 0), (GREENS, 1)):
        for shade, name in enumerate(names):
            (tmp_path / "s" / name).mkdir(parents=True)
            for number in range(4):
                pixels = draw.integers(0, 60, (48, 64, 3), dtype=np.uint8)
                pixels[..., channel] += np.uint8(120 + 20 * shade)
                Image.fromarray(pixels).save(tmp_path / "s" / name / f"{number}.png")
    return tmp_path / "s"


def test_classes_that_look_alike_share_questions_without_a_model(coloured: Path, tmp_path: Path) -> None:
    out = tmp_path / "d.json"
    arguments = ("--classes-from", coloured, "--word", "もの", "--ranker", "images", "--out", out)
    outcome = command("distractors", *arguments)
    assert outcome.code == 0, outcome.error
    made = load_distractors(out)
    assert (made.ranker.kind, made.ranker.model) == ("images", "colours and shapes")
    part = made.subsets["s"]
    assert part.subset.word == "もの"
    assert {frozenset(option_set.classes) for option_set in part.option_sets} == {frozenset(REDS), frozenset(GREENS)}
    first = out.read_bytes()
    assert command("distractors", *arguments).code == 0
    assert out.read_bytes() == first
    build = ("build", "--images", coloured, "--distractors", out, "--out", tmp_path / "b")
    assert command(*build).code == 0


def test_an_endpoints_embeddings_rank_the_pictures(coloured: Path, tmp_path: Path) -> None:
    requests: list[Any] = []

    async def embeddings(request: web.Request) -> web.Response:
        document = await request.json()
        requests.append(document)
        sent = document["messages"][0]["content"][0]["image_url"]["url"]
        vector = [1.0, float(len(sent) % 7), 0.5]
        return web.json_response({"data": [{"embedding": vector}]})

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "clip"}]})

    application = web.Application(client_max_size=1 << 24)
    application.add_routes([web.post("/v1/embeddings", embeddings), web.get("/v1/models", models)])
    with serving(application, requests) as served:
        arguments = ("--classes-from", coloured, "--ranker", "images", "--out", tmp_path / "d.json")
        outcome = command("distractors", *arguments, "--endpoint", served.endpoint, "--model", "clip")
        assert outcome.code == 0, outcome.error
        assert len(requests) == 32
    assert load_distractors(tmp_path / "d.json").ranker.model == "clip"


def test_an_endpoint_without_embeddings_is_a_sentence(coloured: Path, tmp_path: Path) -> None:
    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "chat"}]})

    application = web.Application()
    application.add_routes([web.get("/v1/models", models)])
    with serving(application, []) as served:
        arguments = ("--classes-from", coloured, "--ranker", "images", "--out", tmp_path / "d.json")
        outcome = command("distractors", *arguments, "--endpoint", served.endpoint, "--model", "chat")
    assert (outcome.code, "gives no embeddings of pictures (HTTP 404" in outcome.error) == (2, True)


@pytest.fixture
def eight(tmp_path: Path) -> Path:
    path = tmp_path / "classes.txt"
    path.write_text("# 色\n" + "\n".join(REDS + GREENS) + "\n", encoding="utf-8")
    return path


def square() -> np.ndarray:
    matrix = np.zeros((8, 8))
    matrix[:4, :4] = matrix[4:, 4:] = 5.0
    return matrix


@pytest.mark.parametrize("form", ["square", "pairs", "npy"])
def test_similarities_of_the_users_own_are_read_in_three_forms(eight: Path, tmp_path: Path, form: str) -> None:
    names = REDS + GREENS
    path = tmp_path / ("s.npy" if form == "npy" else "s.csv")
    if form == "npy":
        np.save(path, square())
    elif form == "square":
        lines = [
            ",".join(["", *names]),
            *(",".join([n, *map(str, row)]) for n, row in zip(names, square(), strict=True)),
        ]
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        pairs = [f"{a},{b},{square()[i, j]}" for i, a in enumerate(names) for j, b in enumerate(names)]
        path.write_text("first,second,similarity\n" + "\n".join(pairs), encoding="utf-8")
    out = tmp_path / "d.json"
    outcome = command("distractors", "--classes", eight, "--similarity", path, "--out", out)
    assert outcome.code == 0, outcome.error
    made = load_distractors(out)
    assert (made.ranker.kind, made.ranker.model) == ("file", path.name)
    sets = {frozenset(option_set.classes) for option_set in made.subsets["classes"].option_sets}
    assert sets == {frozenset(REDS), frozenset(GREENS)}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("first,second,similarity\n苺,林檎,x\n", "not of a form that is read"),
        ("first,second,similarity\n苺,林檎,1\n", "says nothing of 6 classes, the first '唐辛子'"),
        (",苺,林檎\n苺,1\n", "has 2 fields and the first has 3"),
        ("first,second,similarity\n" + "\n".join(f"{a},{b},1" for a in REDS for b in GREENS), None),
        ("first,second,similarity\n" + "\n".join(f"{a},{b},nan" for a in REDS for b in GREENS), "no numbers"),
    ],
)
def test_a_wrong_file_of_similarities_is_a_sentence(
    eight: Path, tmp_path: Path, content: str, says: str | None
) -> None:
    (tmp_path / "s.csv").write_text(content, encoding="utf-8")
    outcome = command("distractors", "--classes", eight, "--similarity", tmp_path / "s.csv", "--out", tmp_path / "d")
    if says is None:
        assert outcome.code == 0, outcome.error
    else:
        assert (outcome.code, says in outcome.error) == (2, True), outcome.error


@pytest.mark.parametrize("form", ["txt", "yaml", "json list", "yaml subsets"])
def test_class_lists_are_read_in_every_usual_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"花.{form.split()[0]}"
    names = ["桜", "梅", "桃", "菊", "藤"]
    texts = {
        "txt": "\n".join(names),
        "yaml": "\n".join(f"- {name}" for name in names),
        "json list": json.dumps(names, ensure_ascii=False),
        "yaml subsets": "花:\n  word: 花\n  classes: [桜, 梅, 桃, 菊, {name: 藤, aliases: [フジ]}]\n",
    }
    path.write_text(texts[form], encoding="utf-8")
    subset = load_classes(path).subsets["花"]
    assert list(subset.names) == names


def test_groups_bring_together_what_letters_do_not() -> None:
    subset = load_classes().subsets["jafood101"]
    similarity = similarity_of_names(subset)
    index_of = {name: number for number, name in enumerate(subset.names)}

    def alike(first: str, second: str) -> float:
        return float(similarity[index_of[first], index_of[second]])

    assert alike("グラタン", "ドリア") > alike("グラタン", "みかん")
    assert alike("ステーキ", "ハンバーグ") > alike("ステーキ", "ショートケーキ")
    assert alike("そば", "うどん") > alike("そば", "おでん")
