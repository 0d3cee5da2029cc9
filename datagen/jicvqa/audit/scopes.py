"""The audit of a benchmark: what a player can earn without seeing, what is uneven, and what could be scored wrongly.

Gates turn the figures into a verdict; they are settings of the user's, read from YAML.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from datagen.jicvqa.audit.collisions import NamePair, Twin, name_pairs, substring_collisions, twins
from datagen.jicvqa.audit.gates import GateResult, Gates
from datagen.jicvqa.audit.players.combined import combined_player
from datagen.jicvqa.audit.players.fixed import fixed_players
from datagen.jicvqa.audit.players.learning import learning_players
from datagen.jicvqa.audit.players.told import told_players
from datagen.jicvqa.audit.players.whole_table import whole_table_players
from datagen.jicvqa.audit.table import Scores, Table, ceiling, credit, table_of
from datagen.jicvqa.benchmark.arrangement import secrecy
from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.benchmark.stored import Benchmark
from datagen.jicvqa.classes.lists import CHOICES, load_classes
from datagen.jicvqa.classes.similarity import Matrix, lexical_similarity
from datagen.jicvqa.shares import Share, share_of
from datagen.statistics import evenness

CHANCE = 1 / CHOICES
OVERALL = "overall"


class Scope(NamedTuple):
    """The figures of one subset, or of all questions.

    Attributes:
        questions: how many.
        positions: how often the answer is the first, second, third and fourth option, and the test's p value.
        players: by name, what each blind player earns.
        ceiling: what the best player could earn who knows the answer frequencies of every option set.
        told: what players earn who were told true answers of this very table; see `players.told`.
        secrecy: bits of the labels that the table leaves open, in the subset that has the fewest; see
            `arrangement.secrecy`.
        option_sets: different sets of options; `one_answer_sets` of them always have the same answer.
        never_answer: options that are never the answer; `always_answer` are never a distractor.
        substring_collisions: questions in which `ref in pred` takes a wrong option for the right one.
        ambiguous: questions with a wrong option that a model who saw the picture takes for true as well.
    """

    questions: int
    positions: tuple[int, ...]
    position_p: float
    players: dict[str, Share]
    ceiling: float
    told: dict[str, float]
    secrecy: float
    option_sets: int
    one_answer_sets: int
    never_answer: tuple[str, ...]
    always_answer: tuple[str, ...]
    substring_collisions: int
    ambiguous: int


class Audit(NamedTuple):
    """All that an audit found."""

    folder: str
    scopes: dict[str, Scope]
    names: list[NamePair]
    twins: list[Twin]
    hashed: int
    verdicts: list[GateResult]

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all(verdict.passed for verdict in self.verdicts)

    def document(self) -> dict[str, Any]:
        """Return the audit as JSON takes it."""
        scopes = {
            name: scope._asdict() | {"players": {player: share._asdict() for player, share in scope.players.items()}}
            for name, scope in self.scopes.items()
        }
        return {
            "folder": self.folder,
            "passed": self.passed,
            "gates": [verdict._asdict() for verdict in self.verdicts],
            "scopes": scopes,
            "conflicting_names": [pair._asdict() for pair in self.names],
            "pictures_hashed": self.hashed,
            "twins": [twin._asdict() for twin in self.twins],
        }


ExtraPlayers = Mapping[str, Mapping[str, tuple[float, int]]]
"""Players that were run elsewhere: by name and subset, the points earned and the questions asked."""


def audit(
    benchmark: Benchmark,
    gates: Gates,
    similarities: Mapping[str, Mapping[str, Matrix]] | None = None,
    extra: ExtraPlayers | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Audit:
    """Audit a benchmark.

    Args:
        benchmark: the questions.
        gates: what must be found to pass.
        similarities: by name and subset, further (n, n) similarities over the class list of the benchmark's
            distractors file.
        extra: players that were run elsewhere.
        advance: told of finished subsets.
    """
    scopes: dict[str, Scope] = {}
    points: dict[str, dict[str, tuple[float, int]]] = {}
    for subset in benchmark.subsets:
        own = [question for question in benchmark.questions if question.subset == subset]
        table = table_of(own)
        known = _similarities(benchmark, subset, table, similarities or {})
        earned = {name: (credit(scores, table.answers), len(own)) for name, scores in _players(table, known).items()}
        points[subset] = earned | {name: by[subset] for name, by in (extra or {}).items() if subset in by}
        scopes[subset] = _scope(own, table, points[subset], gates.confidence)
        advance(1)
    scopes = {OVERALL: _overall(scopes, points, gates.confidence), **scopes}
    names = name_pairs(benchmark.questions, _kept_apart(benchmark))
    found = twins(benchmark.questions, gates.twin_bits)
    hashed = sum(bool(question.phash) for question in benchmark.questions)
    return Audit(benchmark.folder.name, scopes, names, found, hashed, _verdicts(scopes, names, found, gates))


def _kept_apart(benchmark: Benchmark) -> dict[str, dict[frozenset[str], str]]:
    """Return the pairs that the distractors file keeps apart, or the shipped lists when there is none, by subset."""
    if benchmark.distractors:
        return {name: part.kept_apart() for name, part in benchmark.distractors.subsets.items()}
    shipped = load_classes().subsets
    return {
        name: {frozenset((first, second)): kind for first, second, kind in shipped[name].conflicts()}
        for name in benchmark.subsets
        if name in shipped
    }


def _players(table: Table, similarities: Mapping[str, Matrix]) -> dict[str, Scores]:
    return {
        **fixed_players(table, similarities),
        **whole_table_players(table),
        **learning_players(table),
        "all hints combined": combined_player(table, similarities),
    }


def _similarities(
    benchmark: Benchmark, subset: str, table: Table, further: Mapping[str, Mapping[str, Matrix]]
) -> dict[str, Matrix]:
    """Return the similarities at hand, in the order of the table's names."""
    found = {"lexical": lexical_similarity(table.names)}
    part = benchmark.distractors.subsets.get(subset) if benchmark.distractors else None
    if benchmark.distractors is None or part is None or not set(table.names) <= set(part.subset.names):
        return found
    index_of = {name: number for number, name in enumerate(part.subset.names)}
    own = np.array([index_of[name] for name in table.names])
    if benchmark.distractors.ranker.kind != "lexical":
        found["ranker's"] = part.matrix[np.ix_(own, own)]
    return found | {name: by[subset][np.ix_(own, own)] for name, by in further.items() if subset in by}


def _scope(
    questions: Sequence[Question], table: Table, points: Mapping[str, tuple[float, int]], confidence: float
) -> Scope:
    pairs = np.unique(np.column_stack([table.sets, table.answer_classes]), axis=0)
    answers_per_set = np.bincount(pairs[:, 0])
    answers = {question.category for question in questions}
    wrong = {choice for question in questions for choice in question.choices if choice != question.category}
    positions = tuple(np.bincount(table.answers, minlength=CHOICES).tolist())
    return Scope(
        questions=len(questions),
        positions=positions,
        position_p=evenness(positions),
        players={name: share_of(earned, asked, confidence) for name, (earned, asked) in points.items()},
        ceiling=ceiling(table) / len(questions),
        told=told_players(table),
        secrecy=secrecy((question.choices, question.category) for question in questions),
        option_sets=len(answers_per_set),
        one_answer_sets=int((answers_per_set == 1).sum()),
        never_answer=tuple(sorted(wrong - answers)),
        always_answer=tuple(sorted(answers - wrong)),
        substring_collisions=substring_collisions(questions),
        ambiguous=sum(bool(question.ambiguous) for question in questions),
    )


def _overall(
    scopes: Mapping[str, Scope], points: Mapping[str, Mapping[str, tuple[float, int]]], confidence: float
) -> Scope:
    """Add the subsets up, question by question."""
    questions = sum(scope.questions for scope in scopes.values())
    positions = tuple(sum(column) for column in zip(*(scope.positions for scope in scopes.values()), strict=True))
    totals: dict[str, tuple[float, int]] = {}
    for own in points.values():
        for name, (earned, asked) in own.items():
            before = totals.get(name, (0.0, 0))
            totals[name] = before[0] + earned, before[1] + asked
    return Scope(
        questions=questions,
        positions=positions,
        position_p=evenness(positions),
        players={name: share_of(earned, asked, confidence) for name, (earned, asked) in totals.items()},
        ceiling=sum(scope.ceiling * scope.questions for scope in scopes.values()) / questions,
        told={
            name: sum(scope.told[name] * scope.questions for scope in scopes.values()) / questions
            for name in next(iter(scopes.values())).told
            if all(name in scope.told for scope in scopes.values())
        },
        secrecy=min(scope.secrecy for scope in scopes.values()),
        option_sets=sum(scope.option_sets for scope in scopes.values()),
        one_answer_sets=sum(scope.one_answer_sets for scope in scopes.values()),
        never_answer=tuple(name for scope in scopes.values() for name in scope.never_answer),
        always_answer=tuple(name for scope in scopes.values() for name in scope.always_answer),
        substring_collisions=sum(scope.substring_collisions for scope in scopes.values()),
        ambiguous=sum(scope.ambiguous for scope in scopes.values()),
    )


def _verdicts(
    scopes: Mapping[str, Scope], names: Sequence[NamePair], found: Sequence[Twin], gates: Gates
) -> list[GateResult]:
    verdicts = []
    if gates.blind_excess is not None:
        verdicts.append(_blind_verdict(scopes, gates.blind_excess, gates.confidence))
    if gates.ceiling_excess is not None:
        scope = max(scopes, key=lambda name: scopes[name].ceiling)
        ceiling = scopes[scope].ceiling
        sentence = f"knowing every option set's answers by heart would earn {ceiling:.2%} at most ({scope})"
        verdicts.append(GateResult("ceiling_excess", ceiling <= CHANCE + gates.ceiling_excess, sentence))
    if gates.position_p is not None:
        scope = min(scopes, key=lambda name: scopes[name].position_p)
        sentence = f"the positions of the answers have p = {scopes[scope].position_p:.3g} ({scope})"
        verdicts.append(GateResult("position_p", scopes[scope].position_p >= gates.position_p, sentence))
    if gates.conflicting_names is not None:
        count = sum(pair.questions for pair in names)
        shown = ", ".join(f"{pair.first}/{pair.second}" for pair in names[:5])
        sentence = f"{count:,} option pairs contain or spell one another{f' ({shown})' if shown else ''}"
        verdicts.append(GateResult("conflicting_names", count <= gates.conflicting_names, sentence))
    if gates.ambiguous is not None:
        count = scopes[OVERALL].ambiguous
        sentence = f"{count:,} questions have a second option that is true of the picture"
        verdicts.append(GateResult("ambiguous", count <= gates.ambiguous, sentence))
    if gates.twins is not None:
        sentence = f"{len(found):,} pairs of pictures of different classes look alike"
        verdicts.append(GateResult("twins", len(found) <= gates.twins, sentence))
    return verdicts


def _blind_verdict(scopes: Mapping[str, Scope], excess: float, confidence: float) -> GateResult:
    """Judge the best player of all scopes, by an interval that allows for their number (Bonferroni).

    Among a hundred players who guess, some are lucky.
    """
    played = [(scope, player, share) for scope, own in scopes.items() for player, share in own.players.items()]
    allowing = 1 - (1 - confidence) / len(played)
    scope, player, share = max(
        (
            (scope, player, share_of(share.value * share.questions, share.questions, allowing))
            for scope, player, share in played
        ),
        key=lambda item: item[2].low,
    )
    sentence = (
        f"the best of {len(played)} blind players ({player}, {scope}) earns {share.value:.1%} "
        f"({share.low:.1%} to {share.high:.1%}, allowing for their number); chance is {CHANCE:.0%}"
    )
    return GateResult("blind_excess", share.low <= CHANCE + excess, sentence)
