"""Ranking by a language model: for every class, which others it is most easily taken for.

For each class the candidates are put to the model in several shuffled orders, since models favour some positions. In
each order it picks the most similar one, again and again from what is left (guided choice from the closed list). The
similarity of a class to another is the mean of its points over the orders: 1 for the first pick, falling evenly to 0
for what was not picked. Of the nearest it is then asked which can be right for the same picture; those never share a
question (`both_true`).
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datagen.engines.openai import ChatClient
from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.jicvqa.choosing import Chooser, OutsideTheListError
from datagen.jicvqa.classes.lists import ClassLists, Subset
from datagen.jicvqa.classes.similarity import Matrix, order_of
from datagen.jicvqa.distractors.document import Ranker
from datagen.jicvqa.models import AnswerJournal, ModelServer, ShowProgress, checked, request_key, run_all
from datagen.jicvqa.templates import load_template

_ORDERS_TRIED = 3  # of the same candidates, when an answer is outside the list
_MOST_BOTH_TRUE = 6
_NONE = "なし"
_KEPT_UNDER = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 32}
"""The sampling that earlier versions kept answers under; theirs are not paid for again."""


class RankingChoice(NamedTuple):
    """How a model is asked.

    Attributes:
        orders: in how many shuffled orders the candidates are put.
        picks: how many neighbours are picked in each.
        seed: of the orders.
        both_true: whether it is asked which classes can be right for one picture.
    """

    orders: int = 3
    picks: int = 12
    seed: int = 0
    both_true: bool = True


class Ranking(NamedTuple):
    """What a model said.

    Attributes:
        matrices: by subset, the (n, n) similarity.
        ranker: who said it, and how it was asked.
        both_true: by subset, the pairs of names that can be right for one picture.
        outside: by "subset/class", how many orders ended in an answer outside the list.
        spent: calls and tokens, as a clause.
    """

    matrices: dict[str, Matrix]
    ranker: Ranker
    both_true: dict[str, tuple[tuple[str, str], ...]]
    outside: dict[str, int]
    spent: str


class _Asked(NamedTuple):
    subset_name: str
    subset: Subset
    own: int
    order: int

    def __hash__(self) -> int:
        return hash((self.subset_name, self.own, self.order))

    @property
    def name(self) -> str:
        return self.subset.names[self.own]


def calls_of(lists: ClassLists, choice: RankingChoice) -> int:
    """Return how many calls the picks take at most; those about `both_true` are few a class."""
    return sum(
        len(subset.classes) * choice.orders * min(choice.picks, len(subset.classes) - 2)
        for subset in lists.subsets.values()
    )


def rank_classes(
    lists: ClassLists,
    choice: RankingChoice,
    server: ModelServer,
    journal_path: Path,
    show: ShowProgress,
    say: Callable[[str], None] = lambda _: None,
) -> Ranking:
    """Have a model rank the classes of every subset.

    The calls are classes × orders × picks, whatever the number of pictures. An answer outside the list is asked for
    again with the candidates in other orders; if none helps, the picks so far count and the class goes on without.

    Args:
        lists: the class lists.
        choice: how often and how deep it is asked.
        server: the model.
        journal_path: where answers are kept; what stands there is not asked again.
        show: shows progress.
        say: takes what it will cost.

    Raises:
        DatagenError: the server fails, or answers outside the list more often than not.
    """
    server = checked(server)
    asked = [
        _Asked(name, subset, own, order)
        for name, subset in lists.subsets.items()
        for own in range(len(subset.classes))
        for order in range(choice.orders)
    ]
    picked: dict[_Asked, list[str]] = {}
    outside: Counter[str] = Counter()
    template = load_template("rank")
    chooser = Chooser()
    with AnswerJournal(journal_path) as journal:
        say(_estimate(lists, choice, server.model))
        said = _Answers(journal, chooser, server.model, choice.seed)

        async def rank(client: ChatClient, item: _Asked) -> None:
            left = _candidates(item, choice.seed)
            picks = picked[item] = []
            for _ in range(min(choice.picks, len(left))):
                pick = await said.pick(
                    client,
                    lambda names: template.render(name=item.name, word=item.subset.word, candidates=names),
                    left,
                    item.name,
                )
                if pick is None:
                    outside[f"{item.subset_name}/{item.name}"] += 1
                    return
                picks.append(pick)
                left = [name for name in left if name != pick]

        with show("ranking classes", len(asked)) as advance:
            run_all(server, lambda client: (rank(client, item) for item in asked), advance)
        if 2 * outside.total() > len(asked):
            raise DatagenError(
                f"{server.model} answered with names outside the list in {outside.total():,} of {len(asked):,} orders "
                f"(last '{said.last_outside[:40]}'). Serve it with vLLM, which holds answers to the list (structured "
                "outputs), or take another model; the answers so far are kept."
            )
        matrices = {name: _merged(subset, name, picked, choice) for name, subset in lists.subsets.items()}
        both_true = _both_true(lists, matrices, choice, server, said, show) if choice.both_true else {}
    ranker = Ranker(
        kind="llm",
        model=server.model,
        prompt=template.name,
        prompt_digest=template.digest,
        seed=choice.seed,
        orders=choice.orders,
        picks=choice.picks,
    )
    return Ranking(matrices, ranker, both_true, dict(outside), chooser.spent())


class _Answers:
    """Picks by a model, kept in a journal."""

    def __init__(self, journal: AnswerJournal, chooser: Chooser, model: str, seed: int) -> None:
        self._journal = journal
        self._chooser = chooser
        self._model = model
        self._seed = seed
        self.last_outside = ""

    async def pick(
        self, client: ChatClient, text_of: Callable[[list[str]], str], names: list[str], about: str, *more: str
    ) -> str | None:
        """Return one of the names or of `more`, or None when the model keeps to answers outside the list.

        Args:
            client: of the model.
            text_of: the request for candidates in an order.
            names: the candidates.
            about: the class it is about, for messages.
            more: answers that are allowed and are no candidates.
        """
        if len(names) == 1 and not more:
            return names[0]
        allowed = [*names, *more]
        key = request_key(self._model, text_of(names), _KEPT_UNDER, self._seed)
        if (known := self._journal.answers.get(key)) in allowed:
            return str(known)
        order = list(names)
        for attempt in range(_ORDERS_TRIED):
            try:
                pick = await self._chooser.choose(client, text_of(order), [*order, *more], self._seed)
            except OutsideTheListError as error:
                self.last_outside = error.answer
                random.Random(f"{key}\x1f{attempt}").shuffle(order)
                continue
            except Failure as failure:
                raise DatagenError(
                    f"The model {client.model} could not be asked about '{about}' ({failure.message}). Run the same "
                    "command again: the answers so far are kept."
                ) from failure
            self._journal.add(key, pick)
            return pick
        return None


def _both_true(
    lists: ClassLists,
    matrices: Mapping[str, Matrix],
    choice: RankingChoice,
    server: ModelServer,
    said: _Answers,
    show: ShowProgress,
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Ask of every class which of its neighbours can be right for the same picture; both have to say so.

    A neighbour that did not have the class among its own neighbours has no say.
    """
    template = load_template("both_true")
    near: dict[str, dict[str, list[str]]] = {
        name: {
            own: [subset.names[other] for other in order_of(matrices[name], number)[: choice.picks]]
            for number, own in enumerate(subset.names)
        }
        for name, subset in lists.subsets.items()
    }
    named: dict[str, dict[str, list[str]]] = defaultdict(dict)
    classes = [(name, subset, own) for name, subset in lists.subsets.items() for own in subset.names]

    async def ask(client: ChatClient, name: str, subset: Subset, own: str) -> None:
        left = list(near[name][own])
        found = named[name][own] = []
        while left and len(found) < _MOST_BOTH_TRUE:
            pick = await said.pick(
                client,
                lambda names: template.render(name=own, word=subset.word, candidates=names, none=_NONE),
                left,
                own,
                _NONE,
            )
            if pick is None or pick == _NONE:
                return
            found.append(pick)
            left.remove(pick)

    with show("asking what can be right at once", len(classes)) as advance:
        run_all(server, lambda client: (ask(client, *item) for item in classes), advance)
    return {name: _agreed(named[name], near[name]) for name in lists.subsets}


def _agreed(named: Mapping[str, Sequence[str]], near: Mapping[str, Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """Return the pairs that both say, or the one says when it alone was asked."""
    pairs = {
        (min(own, other), max(own, other))
        for own, others in named.items()
        for other in others
        if own in named.get(other, ()) or own not in near[other]
    }
    return tuple(sorted(pairs))


def _estimate(lists: ClassLists, choice: RankingChoice, model: str) -> str:
    calls = calls_of(lists, choice)
    characters = sum(
        len(subset.classes) * choice.orders * min(choice.picks, len(subset.classes)) * sum(map(len, subset.names))
        for subset in lists.subsets.values()
    )
    return (
        f"{model} is asked at most {calls:,} times, about {calls * 120 + characters:,} characters of prompts in all; "
        "answers that are kept are not asked for again."
    )


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
    return matrix
