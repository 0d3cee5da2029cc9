"""How well questions of a benchmark are found in a set, by alteration, and how seldom others are.

    python -m benchmarks.questions [--benchmark TABLE --column COLUMN]

Without a table the benchmark is every second question of this repository: those of the recipes and of the golden sets,
and the texts of all others are what is not in it. With one, a copy of a benchmark, none of the repository's is in it.
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.recipe import Images, SourceSettings
from datagen.sources import open_source, settled
from datagen.survey.fingerprints import make_fingerprints
from datagen.survey.questions import asked_of_rows
from filters.rules.benchmark_question import BenchmarkQuestion

ROOT = Path(__file__).parent.parent
_MEDIUM = re.compile("写真|イラスト|絵画|映像")
_ENDING = re.compile("(?:です|でしょう)か[？?]?$")
_KATAKANA = "アイウエオカキクコシスセテトナニマラリルレロンー", "ｱｲｳｴｵｶｷｸｺｼｽｾﾃﾄﾅﾆﾏﾗﾘﾙﾚﾛﾝｰ"
_HALF_WIDTH = str.maketrans(*_KATAKANA)

ALTERATIONS: dict[str, Callable[[str], str]] = {
    "the same": lambda text: text,
    "no punctuation, spaces between": lambda text: " ".join(re.findall(r"\w+", text)),
    "half-width kana, full-width letters": lambda text: re.sub(
        "[!-~]", lambda letter: chr(ord(letter[0]) + 0xFEE0), text.translate(_HALF_WIDTH)
    ),
    "画像 for 写真": lambda text: _MEDIUM.sub("画像", text),
    "another ending": lambda text: _ENDING.sub("なのでしょうか？", text),
    "an instruction before": lambda text: f"次の画像を見て、質問に答えてください。\n{text}",
    "an instruction behind": lambda text: f"{text}一文で簡潔に答えてください。",
    "a letter left out": lambda text: text[: len(text) // 2] + text[len(text) // 2 + 1 :],
}


def everyday_questions() -> list[str]:
    """Return the texts of the recipes and of the golden sets of this repository, each once."""
    recipes = ROOT / "examples" / "recipes"
    texts = list(json.loads((recipes / "phrases.json").read_text(encoding="utf-8")).values())
    signs = json.loads((recipes / "signs.json").read_text(encoding="utf-8")).values()
    texts += [turn["question"] for turns in signs for turn in turns]
    for path in sorted((ROOT / "tests" / "filters" / "golden").rglob("*.tsv")):
        texts += [line.split("\t")[2] for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return list(dict.fromkeys(texts))


def questions_of(table: Path, column: str) -> list[str]:
    """Return the questions of a benchmark's table, each once."""
    settings = settled(SourceSettings(path=str(table.absolute())), Images().max_bytes)
    rows = asked_of_rows(open_source(settings, Images().max_bytes), settings, [column])
    return list(dict.fromkeys(text for texts in rows for text in texts))


def rule_of(asked: list[str], **settings: int) -> BenchmarkQuestion:
    """Return the rule that looks for questions."""
    with tempfile.TemporaryDirectory() as folder:
        table, file = Path(folder) / "asked.parquet", Path(folder) / "asked.fingerprints"
        pq.write_table(pa.table({"path": [f"{number}.png" for number in range(len(asked))], "question": asked}), table)
        make_fingerprints(SourceSettings(path=str(table)), Images(), "asked", file, questions=["question"])
        return BenchmarkQuestion([str(file)], **settings)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", type=Path)
    parser.add_argument("--column", default="question")
    arguments = parser.parse_args()
    others = everyday_questions()
    if arguments.benchmark:
        inside = questions_of(arguments.benchmark, arguments.column)
    else:
        asking = [text for text in others if text.endswith(("？", "?", "か", "か。", "ください。"))]
        inside = asking[::2]
        others = [text for text in others if text not in {*inside}]
    rule, everyday = rule_of(inside), rule_of(inside, specific=0)
    own = [text for text in inside if rule.texts(text)]
    print(f"{len(inside):,} questions in the benchmark, of which {len(own):,} say something of their own\n")
    print("| copy | found, of those |\n| --- | ---: |")
    for name, altered in ALTERATIONS.items():
        print(f"| {name} | {sum(bool(rule.texts(altered(text))) for text in own) / len(own):.2f} |")
    started = time.monotonic()
    alarms = [text for text in others if rule.texts(text)]
    rate = len(others) / (time.monotonic() - started)
    all_alarms = sum(bool(everyday.texts(text)) for text in others)
    print(f"\nOf {len(others):,} texts that are not in it {len(alarms)} are found, {all_alarms} with specific: 0")
    for text in alarms:
        print(f"  {text}")
    print(f"{rate:,.0f} questions/s on one core")


if __name__ == "__main__":
    main()
