"""The data-set card says what the shards say, in the same bytes for the same shards, whatever the names in it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from datagen.pipeline.filtering import filter_rows
from datagen.recipe import Output
from datagen.records import MESSAGES
from datagen.store.policies import read_policy

LICENCES = ("CC BY 4.0", "CC BY 4.0", "own | licence\n# heading", "CC0", None)
OFFENCE = "桜の花です。ほかに知りたいことはありますか？"


def card_of(folder: Path, policy: str = "standard") -> str:
    answers = ["桜の花です。", "梅の花です。", "桃の花です。", "菊の花です。", OFFENCE]
    rows = [
        {
            "id": str(number),
            "messages": [{"role": "user", "content": "何の花ですか？"}, {"role": "assistant", "content": answer}],
            "license": licence,
        }
        for number, (answer, licence) in enumerate(zip(answers, LICENCES, strict=True))
    ]
    schema = pa.schema([("id", pa.string()), ("messages", MESSAGES), ("license", pa.string())])
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "rows.parquet")
    filter_rows(folder / "rows.parquet", read_policy(policy), folder / "judged", Output())
    return (folder / "judged" / "README.md").read_text(encoding="utf-8")


def test_counts_hit_rates_and_licences_are_those_of_the_shards(tmp_path: Path) -> None:
    card = card_of(tmp_path / "one")
    assert "5 rows = 4 kept + 1 dropped + 0 failed" in card
    assert "| question_in_answer | drop | 1 | 20.00 % |" in card
    assert "| CC BY 4.0 | 2 |" in card
    assert "not stated" not in card  # the row without one was dropped


def test_the_head_is_what_the_hub_reads(tmp_path: Path) -> None:
    head = yaml.safe_load(card_of(tmp_path / "one").split("---")[1])
    assert head["language"] == "ja"
    assert head["license"] == ["cc-by-4.0", "cc0-1.0", "other"]
    assert [it["split"] for it in head["configs"][0]["data_files"]] == ["train", "dropped"]


def test_the_same_shards_have_the_same_card(tmp_path: Path) -> None:
    assert card_of(tmp_path / "one") == card_of(tmp_path / "other")


def test_a_name_with_marks_of_markdown_stays_in_its_cell(tmp_path: Path) -> None:
    card = card_of(tmp_path / "one")
    assert "| own \\| licence # heading | 1 |" in card
    assert "\n# heading" not in card
