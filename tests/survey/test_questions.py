"""Questions of a benchmark are found in conversations however they are dressed, and everyday ones are not."""

import json
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks.questions import ALTERATIONS, everyday_questions
from datagen.cli import app
from datagen.errors import DatagenError
from datagen.recipe import Images, SourceSettings
from datagen.survey.fingerprints import make_fingerprints
from datagen.survey.overlaps import read_fingerprints
from filters import PolicyError, load_policy
from filters.ngrams import ngrams
from filters.rules.benchmark_question import BenchmarkQuestion
from tests.survey.test_measures import noise
from tests.without_ray import without_ray

ASKED = [
    "交通誘導員はどのような指示を出していますか？",
    "野菜の天ぷらとエビの天ぷらの位置関係を教えてください。",
    "現在地からニセコまで何kmでしょうか？",
]
EVERYDAY = ["この画像には何が写っていますか？", "この写真について詳しく説明してください。", "看板は何色ですか？"]


@pytest.fixture(scope="module")
def fingerprints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heron")
    rows = [{"image": f"{number}.png", "text": text} for number, text in enumerate([*ASKED, *EVERYDAY])]
    noise(seed=1).save(folder / "0.png")
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with without_ray():
        told = CliRunner().invoke(
            app,
            ["fingerprint", str(folder / "questions.jsonl"), "--questions", "text", "--out", str(folder / "heron")],
        )
    assert "1 pictures and 6 questions in" in " ".join(told.output.split())
    return folder / "heron"


@pytest.fixture(scope="module")
def rule(fingerprints: Path) -> BenchmarkQuestion:
    return BenchmarkQuestion([str(fingerprints)])


@pytest.mark.parametrize("name", ALTERATIONS)
@pytest.mark.parametrize("asked", ASKED)
def test_a_question_of_a_benchmark_is_found_however_it_is_dressed(
    name: str, asked: str, rule: BenchmarkQuestion
) -> None:
    assert rule.texts(ALTERATIONS[name](asked))


@pytest.mark.parametrize("asked", EVERYDAY)
def test_a_question_that_every_set_asks_is_none_of_a_benchmark(asked: str, rule: BenchmarkQuestion) -> None:
    assert not rule.texts(asked)
    assert not rule.texts(f"{asked}交通誘導員がいます。")


def test_no_other_question_of_this_repository_is_found(rule: BenchmarkQuestion) -> None:
    texts = everyday_questions()
    assert len(texts) > 1000
    assert [text for text in texts if rule.texts(text)] == []


def test_what_is_found_stands_in_the_row_with_where_it_is_asked(fingerprints: Path) -> None:
    policy = load_policy(
        {"rules": [{"rule": "benchmark_question", "action": "flag", "settings": {"benchmarks": [str(fingerprints)]}}]}
    )
    question = "次の質問に答えてください。現在地から、ニセコまで何ｋｍでしょうか？"
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": "12kmです。"}]
    (verdict,) = policy.judge([{"messages": messages}])
    (finding,) = verdict.findings
    assert verdict.kept
    assert (finding.message, finding.text) == (0, "現在地から、ニセコまで何ｋｍでしょうか")
    assert finding.evidence == "100% of a question of heron: 2.png"
    assert load_policy(policy.to_dict()).digest == policy.digest


def test_other_questions_are_another_policy(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    policy = {"rules": [{"rule": "benchmark_question", "settings": {"benchmarks": [str(path)]}}]}
    digests = set()
    for asked in ASKED[:2]:
        pq.write_table(pa.table({"image": ["none.png"], "question": [asked]}), tmp_path / "mine.parquet")
        source = SourceSettings(path=str(tmp_path / "mine.parquet"))
        make_fingerprints(source, Images(), "mine", path, questions=["question"])
        digests.add(load_policy(policy).digest)
    assert len(digests) == 2


def test_no_question_and_no_order_of_its_pieces_stands_in_the_file(fingerprints: Path) -> None:
    rows = pq.read_table(fingerprints).to_pylist()
    assert rows[0].keys() >= {"benchmark", "key", "questions"}
    assert "text" not in rows[0]
    assert all(hashes == sorted(hashes) for row in rows for hashes in row["questions"])
    assert not any(asked[:4].encode() in fingerprints.read_bytes() for asked in ASKED)
    assert [name for _, name in read_fingerprints([fingerprints]).names] == ["0.png"]  # a question alone is no picture


def test_questions_in_lists_and_in_conversations_are_read(tmp_path: Path) -> None:
    rows = {"image": ["none.png"], "qas": [[{"question": ASKED[0]}, {"question": ASKED[1]}, {"question": None}]]}
    pq.write_table(pa.table(rows), tmp_path / "nested.parquet")
    nested = tmp_path / "nested.fingerprints"
    made = make_fingerprints(
        SourceSettings(path=str(tmp_path / "nested.parquet")), Images(), "nested", nested, questions=["qas.question"]
    )
    assert made == (0, 2)
    said = [{"from": "human", "value": ASKED[2]}, {"from": "gpt", "value": "12kmです。"}]
    (tmp_path / "said.json").write_text(json.dumps([{"id": "1", "conversations": said}]), encoding="utf-8")
    source = SourceSettings(path=str(tmp_path / "said.json"), kind="conversations")
    assert make_fingerprints(source, Images(), "said", tmp_path / "said.fingerprints") == (0, 1)
    both = BenchmarkQuestion([str(nested), str(tmp_path / "said.fingerprints")])
    assert all(both.texts(asked) for asked in ASKED)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no file"),
        (b"text", "holds no fingerprints of questions"),
        ({"question": ["a"]}, "holds no fingerprints of questions"),
        ({"benchmark": ["a"], "key": ["b"], "questions": ["何色？"]}, "holds no fingerprints of questions"),
        (
            {"benchmark": ["a"], "key": ["b"], "questions": pa.array([[]], pa.list_(pa.list_(pa.int64())))},
            "no questions",
        ),
    ],
)
def test_a_file_without_questions_is_refused_in_one_line(tmp_path: Path, content: object, told: str) -> None:
    path = tmp_path / "other"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        pq.write_table(pa.table(content), path)
    with pytest.raises(PolicyError, match=told) as error:
        load_policy({"rules": [{"rule": "benchmark_question", "settings": {"benchmarks": [str(path)]}}]})
    assert "\n" not in str(error.value)
    assert "datagen fingerprint --questions" in str(error.value)


def test_a_column_that_is_not_there_or_has_no_text_is_named(tmp_path: Path) -> None:
    noise(seed=1).save(tmp_path / "1.png")
    (tmp_path / "rows.csv").write_text("path,question\n1.png,\n", encoding="utf-8")
    for kind, path, column, told in (
        ("table", tmp_path / "rows.csv", "questoin", "did you mean 'question'"),
        ("table", tmp_path / "rows.csv", "question", "no row of"),
        ("folder", tmp_path, "question", "has no columns"),
    ):
        source = SourceSettings(path=str(path), kind=kind)
        with pytest.raises(DatagenError, match=told):
            make_fingerprints(source, Images(), "mine", tmp_path / "out", questions=[column])


@given(st.text(st.characters(codec="shift_jis_2004")))
def test_forms_of_one_text_have_the_same_ngrams_wherever_they_stand(text: str) -> None:
    hashes = [gram.hash for gram in ngrams(unicodedata.normalize("NFC", text))]
    assert [gram.hash for gram in ngrams(unicodedata.normalize("NFD", text))] == hashes
    assert [gram.hash for gram in ngrams(f"「{unicodedata.normalize('NFC', text)}」。")] == hashes
    assert all(0 <= gram.start < gram.end <= len(text) for gram in ngrams(text))


@given(st.text())
def test_any_text_can_be_asked(rule: BenchmarkQuestion, text: str) -> None:
    assert all(found in text for found in rule.texts(text))
