"""The strongest blind player at hand: a model that weighs the hints of all the others.

A conditional logit over the four options (McFadden, 1974), fitted by cross-validation. What it learns about classes,
sets and positions comes, for every question it is fitted on, from folds that hold neither that question nor the ones it
is judged by.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax

from datagen.jicvqa.audit.players.fixed import fixed_players
from datagen.jicvqa.audit.players.learning import learned
from datagen.jicvqa.audit.players.whole_table import whole_table_players
from datagen.jicvqa.audit.table import FOLDS, Scores, Table
from datagen.jicvqa.classes.lists import CHOICES
from datagen.jicvqa.classes.similarity import Matrix

_PENALTY = 1.0


def combined_player(table: Table, similarities: Mapping[str, Matrix]) -> Scores:
    """Return the scores of the combined player, every question judged by a model that was fitted without its fold.

    Args:
        table: the questions of one subset.
        similarities: by a name for it, (n, n) over `table.names`.
    """
    untold = fixed_players(table, similarities) | whole_table_players(table)
    fixed = [_comparable(scores) for scores in untold.values()]
    positions = [np.broadcast_to(row, (len(table.answers), CHOICES)) for row in np.eye(CHOICES)[:-1]]
    scores = np.zeros((len(table.answers), CHOICES))
    for fold in range(FOLDS):
        asked = table.folds == fold
        features = np.stack([*fixed, *positions, *_hints(table, fold)], axis=2)
        weights = _fitted(features[~asked], table.answers[~asked])
        scores[asked] = features[asked] @ weights
    return scores


def _hints(table: Table, fold: int) -> list[Scores]:
    """Return what was learned without the fold; for a question of another fold, without that one too."""
    hints: dict[str, Scores] = {}
    for own in range(FOLDS):
        rows = table.folds == own
        known = ~rows & (table.folds != fold)
        for name, scores in learned(table, known).items():
            hints.setdefault(name, np.zeros((len(table.answers), CHOICES)))[rows] = np.log(scores[rows] + 0.25)
    return [_comparable(scores) for scores in hints.values()]


def _comparable(scores: Scores) -> Scores:
    """Centre the scores of each question and scale them all to unit spread."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    spread = float(centred.std())
    return centred / spread if spread > 1e-9 else np.zeros_like(centred)


def _fitted(features: npt.NDArray[np.float64], answers: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the weights that make the answers likeliest, with a small penalty on their squares."""
    rows = np.arange(len(answers))
    chosen = features[rows, answers]

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        likelihoods = log_softmax(features @ weights, axis=1)
        expected = np.einsum("rc,rcf->rf", np.exp(likelihoods), features)
        value = -likelihoods[rows, answers].sum() + _PENALTY / 2 * weights @ weights
        return float(value), (expected - chosen).sum(axis=0) + _PENALTY * weights

    result = minimize(loss, np.zeros(features.shape[2]), jac=True, method="L-BFGS-B")
    return np.asarray(result.x)
