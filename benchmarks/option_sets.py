"""Thirty option sets of each ranker, to be read and graded: whether three options are mistaken for the fourth.

    python -m benchmarks.option_sets [--sets 30] [--seed 0]

By names alone and by names and groups, on the shipped lists; by the looks of pictures (colours and shapes, no model),
on the miniature in examples/jic_miniature. Sets are drawn as often as they have questions. No model is asked.
"""

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from datagen.jicvqa.benchmark.labelled import read_labelled
from datagen.jicvqa.benchmark.pictures import reader_of
from datagen.jicvqa.benchmark.placing import place_rows
from datagen.jicvqa.classes.lists import ClassLists, load_classes
from datagen.jicvqa.classes.similarity import Matrix, lexical_similarity
from datagen.jicvqa.distractors.document import Ranker, lexical_matrices, make_distractors
from datagen.jicvqa.distractors.looks import similarity_of_pictures
from datagen.progress import counted

_MINIATURE = Path(__file__).parents[1] / "examples" / "jic_miniature"


def print_sets(title: str, lists: ClassLists, matrices: Mapping[str, Matrix], count: int, seed: int) -> None:
    """Print so many option sets of a ranking, subset by subset."""
    made = make_distractors(lists, matrices, Ranker(kind="file"), "mutual")
    sets = [(name, share) for name, part in made.subsets.items() for share in part.option_sets]
    weights = np.array([sum(share.answers) for _, share in sets])
    draw = np.random.default_rng(seed)
    chosen = draw.choice(len(sets), size=min(count, len(sets)), replace=False, p=weights / weights.sum())
    print(f"\n## {title}\n")
    for number in sorted(chosen):
        name, share = sets[number]
        print(f"{name}: {' / '.join(share.classes)}")


def looks(lists: ClassLists) -> dict[str, Matrix]:
    """Return how alike the classes of the miniature look."""
    labelled = read_labelled(str(_MINIATURE / "images.csv"))
    read = reader_of(labelled, None)
    matrices = {}
    for name, rows in place_rows(labelled.rows, lists, "the miniature").rows.items():
        number_of = {own: number for number, own in enumerate(lists.subsets[name].names)}
        pictures = [(number_of[row.category], partial(read, row)) for row in rows]
        matrices[name] = similarity_of_pictures(pictures, len(number_of), None, counted)
    return matrices


def main() -> None:
    """Print all sets."""
    parser = argparse.ArgumentParser(description="Option sets to read.")
    parser.add_argument("--sets", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lists = load_classes()
    names = {name: lexical_similarity(subset.names) for name, subset in lists.subsets.items()}
    print_sets("by names alone", lists, names, options.sets, options.seed)
    print_sets("by names and groups", lists, lexical_matrices(lists), options.sets, options.seed)
    miniature = load_classes(_MINIATURE / "classes.json")
    named = {name: lexical_similarity(subset.names) for name, subset in miniature.subsets.items()}
    print_sets("the miniature, by names alone", miniature, named, options.sets, options.seed)
    print_sets("the miniature, by colours and shapes", miniature, looks(miniature), options.sets, options.seed)


if __name__ == "__main__":
    main()
