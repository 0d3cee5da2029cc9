"""What a large class list and a large table take, from names to the audit.

    python -m benchmarks.jicvqa_size [--classes 1000] [--questions 100000]

Names are random; no pictures are read and no model is asked.
"""

import argparse
import random
import resource
import time
from pathlib import Path

import numpy as np

from benchmarks.jicvqa import rows_of
from datagen.jicvqa.audit.gates import Gates
from datagen.jicvqa.audit.scopes import audit
from datagen.jicvqa.benchmark.build import make_questions
from datagen.jicvqa.benchmark.placing import place_rows
from datagen.jicvqa.benchmark.stored import Benchmark
from datagen.jicvqa.classes.lists import parse_classes
from datagen.jicvqa.distractors.document import lexical_matrices, lexical_ranker, make_distractors


def print_size(classes: int, questions: int) -> None:
    """Print what a large list and a large table take, from names to the audit."""
    draw = random.Random(0)
    syllables = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロ"
    names: dict[str, None] = {}
    while len(names) < classes:
        names["".join(draw.choices(syllables, k=5))] = None
    ends = np.round(np.random.default_rng(0).dirichlet(np.full(classes, 6.0)).cumsum() * questions).astype(int)
    counts = {"large": dict(zip(names, np.diff(ends, prepend=0).tolist(), strict=True))}
    rows = rows_of(counts, np.random.default_rng(0))
    lists = parse_classes({"large": list(names)}, "the list")
    print(f"\n## {classes:,} classes and {questions:,} questions\n\n| step | seconds | most memory, GB |")
    print("| --- | ---: | ---: |")
    started = time.perf_counter()

    def told(step: str) -> None:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"| {step} | {time.perf_counter() - started:.1f} | {memory:.2f} |", flush=True)

    distractors = make_distractors(lists, lexical_matrices(lists), lexical_ranker(), "mutual")
    told("names compared, option sets designed")
    made, designs = make_questions(place_rows(rows, lists, "the table").rows, distractors, seed=0)
    told(f"questions, {designs['large'].surplus:.0f} outside the balance")
    audit(Benchmark(Path("table"), made, distractors, None), Gates())
    told("audit")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description="JIC-VQA at size.")
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--questions", type=int, default=100_000)
    options = parser.parse_args()
    print_size(options.classes, options.questions)


if __name__ == "__main__":
    main()
