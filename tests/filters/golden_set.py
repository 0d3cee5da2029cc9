"""The golden sets, and how well the question rule does on them: `python tests/filters/golden_set.py`."""

import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from filters.rules.question_in_answer import QuestionInAnswer

GOLDEN = Path(__file__).parent / "golden"
REGRESSION = ["tuning", "probes", "first_held_out", "second_held_out", "third_held_out", "kinds"]
"""Sets that the rule has been mended with: they say what must not break, and nothing of what comes next."""


class Labelled(NamedTuple):
    asks: bool
    category: str
    text: str


def read(name: str) -> list[Labelled]:
    folder = GOLDEN / "regression" if name in REGRESSION else GOLDEN
    lines = (folder / f"{name}.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return [Labelled(label == "1", category, text.replace("\\n", "\n")) for label, category, text in rows]


def judge(rows: list[Labelled], rule: QuestionInAnswer | None = None) -> list[tuple[Labelled, bool]]:
    rule = rule or QuestionInAnswer()
    return [(row, bool(rule.texts(row.text))) for row in rows]


def precision_recall(judged: list[tuple[Labelled, bool]]) -> tuple[float, float]:
    hits = sum(row.asks and said for row, said in judged)
    return hits / max(1, sum(said for _, said in judged)), hits / max(1, sum(row.asks for row, _ in judged))


def main() -> None:
    show = "--errors" in sys.argv
    for name in [word for word in sys.argv[1:] if not word.startswith("-")] or [
        *REGRESSION,
        "open",
    ]:
        judged = judge(read(name))
        by_category = defaultdict(list)
        for row, said in judged:
            by_category[row.category].append((row, said))
        print(f"{name}: {len(judged)} texts")
        print(f"  {'category':<16}{'asks':>6}{'not':>6}{'missed':>8}{'wrong':>7}")
        for category, rows in sorted(by_category.items()):
            asks = sum(row.asks for row, _ in rows)
            missed = sum(row.asks and not said for row, said in rows)
            wrong = sum(said and not row.asks for row, said in rows)
            print(f"  {category:<16}{asks:>6}{len(rows) - asks:>6}{missed:>8}{wrong:>7}")
        precision, recall = precision_recall(judged)
        print(f"  precision {precision:.4f}, recall {recall:.4f}")
        if show:
            for row, said in judged:
                if row.asks != said:
                    print("   ", "missed" if row.asks else "wrong ", row.category, row.text.replace("\n", "\\n"))


if __name__ == "__main__":
    main()
