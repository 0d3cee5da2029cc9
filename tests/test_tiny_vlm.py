"""The embedded model and its pictures: sizes, licences, sentences, prompts, and answers through a real server."""

import asyncio
import csv
import json
import random
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES / "tiny_vlm"))

from concepts import SUBSETS, load_concepts  # noqa: E402
from conversations import hold_conversation, prompt, render  # noqa: E402
from sentences import TOPICS, topic_of, write_caption, write_four_choice, write_turn  # noqa: E402

MODEL = EXAMPLES / "tiny_vlm" / "model"
MIB = 1024 * 1024
OPEN_LICENSES = {"CC-BY-4.0", "Apache-2.0"}
CONCEPTS = load_concepts()
BY_NAME = {concept.name: concept for concept in CONCEPTS}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_weights_stay_small() -> None:
    assert (MODEL / "model.safetensors").stat().st_size <= 12 * MIB
    added = sum(
        path.stat().st_size
        for folder in ("tiny_vlm", "pictures", "jic_miniature")
        for path in (EXAMPLES / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    assert added <= 20 * MIB


def test_every_example_picture_has_an_open_licence_and_an_opaque_ground() -> None:
    rows = rows_of(EXAMPLES / "pictures" / "SOURCES.csv")
    files = {path.relative_to(EXAMPLES / "pictures").as_posix() for path in (EXAMPLES / "pictures").glob("*/*.png")}
    assert {row["path"] for row in rows} == files
    assert 100 <= len(files) <= 200
    assert {row["license"] for row in rows} <= OPEN_LICENSES
    for name in files:
        with Image.open(EXAMPLES / "pictures" / name) as picture:
            assert picture.mode == "RGB"
            assert 96 <= min(picture.size) <= max(picture.size) <= 256
        assert Path(name).stem in BY_NAME


def test_the_jic_miniature_has_enough_classes_and_pictures() -> None:
    classes = json.loads((EXAMPLES / "jic_miniature" / "classes.json").read_text(encoding="utf-8"))
    rows = rows_of(EXAMPLES / "jic_miniature" / "images.csv")
    assert set(classes) == {"flower", "food", "landmark", "facility"}
    assert len({row["path"] for row in rows}) == len(rows)
    for subset, names in classes.items():
        assert len(names) >= 8
        for name in names:
            pictures = [row["path"] for row in rows if row["category"] == name and row["subset"] == subset]
            assert 2 <= len(pictures) <= 4
            assert all((EXAMPLES / "jic_miniature" / url).is_file() for url in pictures)
    assert {row["license"] for row in rows} <= OPEN_LICENSES


def test_every_focus_of_the_prompt_has_a_topic() -> None:
    assert {topic_of(focus) for focus in prompt("question_answer")["focuses"]} == set(TOPICS)
    with pytest.raises(ValueError, match="何枚か"):
        topic_of("何枚か")


@pytest.mark.parametrize("topic", TOPICS)
def test_sentences_are_complete_for_every_concept(topic: str) -> None:
    draws = random.Random(0)
    for concept in CONCEPTS:
        turn = write_turn(concept, ("赤", "白"), topic, draws)
        assert not re.search(r"[{}]", turn.question + turn.answer)
        assert turn.question.endswith("？")
        asks_back = turn.manner in ("appended", "leaked")
        assert turn.answer.endswith("？" if asks_back else "。"), turn
        assert ("「" in turn.answer and "？」" in turn.answer) == (turn.manner == "quoted")
        assert concept.name in write_caption(concept, ("赤",), draws)


def test_the_share_of_faulty_answers_is_what_the_model_card_says() -> None:
    draws = random.Random(1)
    manners = [write_turn(draws.choice(CONCEPTS), ("赤",), draws.choice(TOPICS), draws).manner for _ in range(40_000)]
    share = {manner: manners.count(manner) / len(manners) for manner in set(manners)}
    assert share["appended"] == pytest.approx(0.047, abs=0.006)
    assert share["leaked"] == pytest.approx(0.047, abs=0.006)
    assert share["quoted"] == pytest.approx(0.06, abs=0.012)


def test_four_choice_questions_have_the_published_form() -> None:
    draws = random.Random(2)
    station = BY_NAME["駅"]
    choice = write_four_choice(station, CONCEPTS, draws)
    head, _, listed = choice.question.partition(": ")
    assert head == "この画像にはどの施設が映っていますか？次の四つの選択肢から正しいものを選んでください"
    options = listed.strip("[]").replace("'", "").split(", ")
    assert choice.answer == "駅"
    assert choice.answer in options
    assert all(BY_NAME[option].subset == "施設" for option in options)
    lettered = write_four_choice(station, CONCEPTS, draws, letters=True)
    assert f"{lettered.answer}. 駅\n" in lettered.question + "\n"
    assert all(sum(concept.subset == subset for concept in CONCEPTS) >= 8 for subset in SUBSETS)


@pytest.mark.slow
def test_the_tokenizer_gives_prompts_and_conversations_back() -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(MODEL)
    draws = random.Random(3)
    texts = [render("caption", 1, ""), prompt("caption")["system"], "知らない文字：𠮷野家 ☃ abc 123"]
    for focus in prompt("question_answer")["focuses"]:
        texts += [render("question_answer", turn, focus) for turn in (1, 2)]
    for _ in range(50):
        texts += [m.text for m in hold_conversation(draws.choice(CONCEPTS), CONCEPTS, ("青",), draws)]
    for text in texts:
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    assert len(tokenizer.encode(render("question_answer", 1, "何の仲間か"), add_special_tokens=False)) < 60


def test_the_configuration_ties_the_embeddings_where_the_server_looks() -> None:
    config = json.loads((MODEL / "config.json").read_text(encoding="utf-8"))
    assert config["tie_word_embeddings"] is True
    assert config["text_config"]["tie_word_embeddings"] is True


def test_it_names_pictures_writes_json_and_chooses_through_the_server(tiny_server: Any) -> None:
    import server
    from evaluate import Score, Shot, ask_four_choice, ask_plain_questions, ask_toolkit_prompts

    rows = random.Random(4).sample(rows_of(EXAMPLES / "pictures" / "SOURCES.csv"), 40)
    score = Score()

    async def ask() -> None:
        async with server.Client(tiny_server.url, tiny_server.model) as client:
            for index, row in enumerate(rows):
                path = EXAMPLES / "pictures" / row["path"]
                shot = Shot("seen", BY_NAME[path.stem], (), Image.open(path).convert("RGB"))
                await ask_toolkit_prompts(client, shot, score, free=False)
                await ask_plain_questions(client, shot, score)
                await ask_four_choice(client, shot, score, random.Random(index))

    asyncio.run(ask())
    assert score.share("JSON") >= 0.98
    assert score.share("caption name") >= 0.9
    assert score.share("VQA name") >= 0.9
    assert score.share("VQA kind") >= 0.9
    assert score.share("four-choice") >= 0.9
