"""Ranking by a language model: for every class, which others it is most easily taken for.

For each class the candidates are put to the model in several shuffled orders, since models favour some positions. In
each order it picks the most similar one, again and again from what is left (guided choice from the closed list). The
similarity of a class to another is the mean of its points over the orders: 1 for the first pick, falling evenly to 0
for what was not picked.
"""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datagen.engines.openai import ChatClient
from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.jicvqa.classes.lists import CHOICES, ClassLists, Subset
from datagen.jicvqa.classes.similarity import Matrix
from datagen.jicvqa.distractors.document import Ranker
from datagen.jicvqa.models import (
    AnswerJournal,
    ModelServer,
    OutsideTheListError,
    ShowProgress,
    checked,
    choose,
    request_key,
    run_all,
)
from datagen.jicvqa.templates import load_template
from prompts import Sampling

_SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_tokens=32)


class RankingChoice(NamedTuple):
    """In how many shuffled orders the candidates are put, how many neighbours are picked in each, and the seed."""

    orders: int = 3
    picks: int = 12
    seed: int = 0


class _Asked(NamedTuple):
    subset_name: str
    subset: Subset
    own: int
    order: int


def rank_classes(
    lists: ClassLists, choice: RankingChoice, server: ModelServer, journal_path: Path, show: ShowProgress
) -> tuple[dict[str, Matrix], Ranker]:
    """Have a model rank the classes of every subset.

    Args:
        lists: the class lists.
        choice: how often and how deep it is asked.
        server: the model.
        journal_path: where answers are kept; what stands there is not asked again.
        show: shows progress.

    Returns:
        By subset the (n, n) similarity, and the description of the ranker. The calls are
        classes × orders × picks, whatever the number of pictures.

    Raises:
        DatagenError: the server fails, or keeps answering with names outside the list.
    """
    server = checked(server)
    template = load_template("rank")
    asked = [
        _Asked(name, subset, own, order)
        for name, subset in lists.subsets.items()
        for own in range(len(subset.classes))
        for order in range(choice.orders)
    ]
    picked: dict[_Asked, list[str]] = {}
    with AnswerJournal(journal_path) as journal, show("ranking classes", len(asked)) as advance:

        async def rank(client: ChatClient, item: _Asked) -> None:
            names = item.subset.names
            left = _candidates(item, choice.seed)
            picks: list[str] = []
            for _ in range(min(choice.picks, len(left))):
                text = template.render(name=names[item.own], word=item.subset.word, candidates=left)
                key = request_key(server.model, text, _SAMPLING.model_dump(), choice.seed)
                if (pick := journal.answers.get(key)) not in left:
                    pick = await _pick(client, text, left, choice.seed, names[item.own])
                    journal.add(key, pick)
                picks.append(pick)
                left = [name for name in left if name != pick]
            picked[item] = picks

        run_all(server, lambda client: (rank(client, item) for item in asked), advance)
    matrices = {name: _merged(subset, name, picked, choice) for name, subset in lists.subsets.items()}
    ranker = Ranker(
        kind="llm",
        model=server.model,
        prompt=template.name,
        prompt_digest=template.digest,
        seed=choice.seed,
        orders=choice.orders,
        picks=choice.picks,
    )
    return matrices, ranker


async def _pick(client: ChatClient, text: str, names: list[str], seed: int, name: str) -> str:
    if len(names) == 1:
        return names[0]
    try:
        return await choose(client, text, names, _SAMPLING, seed)
    except OutsideTheListError as error:
        raise DatagenError(
            f"Asked for the class most similar to '{name}', the model {client.model} answered '{error.answer[:40]}', "
            "which is not in the list, several times. Serve it with vLLM, which holds answers to the list (structured "
            "outputs), or take another model; the answers so far are kept."
        ) from error
    except Failure as failure:
        raise DatagenError(
            f"The model {client.model} could not be asked about '{name}' ({failure.message}). Run the same command "
            "again: the answers so far are kept."
        ) from failure


def _candidates(item: _Asked, seed: int) -> list[str]:
    names = [name for number, name in enumerate(item.subset.names) if number != item.own]
    random.Random(f"{seed}\x1f{item.subset_name}\x1f{item.own}\x1f{item.order}").shuffle(names)
    return names


def _merged(subset: Subset, subset_name: str, picked: Mapping[_Asked, list[str]], choice: RankingChoice) -> Matrix:
    """Return the mean points of every pair over the orders (a Borda count)."""
    index_of = {name: number for number, name in enumerate(subset.names)}
    matrix = np.zeros((len(index_of), len(index_of)))
    for item, picks in picked.items():
        if item.subset_name == subset_name:
            for rank, name in enumerate(picks):
                matrix[item.own, index_of[name]] += (choice.picks - rank) / (choice.picks * choice.orders)
    assert len(index_of) >= CHOICES
    return matrix
