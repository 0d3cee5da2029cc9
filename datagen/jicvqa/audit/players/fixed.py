"""Players who look at one question at a time and learn nothing: hubs, outliers, the longest option."""

from collections.abc import Mapping

import numpy as np

from datagen.jicvqa.audit.table import Scores, Table
from datagen.jicvqa.classes.lists import CHOICES
from datagen.jicvqa.classes.names import reading_of
from datagen.jicvqa.classes.similarity import Matrix


def fixed_players(table: Table, similarities: Mapping[str, Matrix]) -> dict[str, Scores]:
    """Return what the players think of every option; of each trait both the most and the least.

    Args:
        table: the questions.
        similarities: by a name for it, (n, n) over `table.names`.
    """
    players: dict[str, Scores] = {}
    for name, similarity in similarities.items():
        players[f"medoid, {name} similarity"] = medoid(table, similarity)
        players[f"outlier, {name} similarity"] = -medoid(table, similarity)
        players[f"neighbourhood, {name} ranking"] = neighbourhood(table, similarity)
        if not np.allclose(similarity, similarity.T):
            players[f"reciprocity, {name} ranking"] = reciprocity(table, similarity)
    players["longest option"] = lengths(table)
    players["shortest option"] = -lengths(table)
    return players


def medoid(table: Table, similarity: Matrix) -> Scores:
    """Score an option by its similarity to the other three: under the rule of the paper the answer is their hub."""
    return np.asarray(
        sum(similarity[table.options, np.roll(table.options, step, axis=1)] for step in range(1, CHOICES))
    )


def neighbourhood(table: Table, similarity: Matrix) -> Scores:
    """Score an option by how high the other three stand in its own ranking (the sum of their ranks, negative)."""
    order = np.argsort(-similarity, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(order))[None, :].repeat(len(order), axis=0), axis=1)
    return -medoid(table, ranks.astype(np.float64))


def reciprocity(table: Table, similarity: Matrix) -> Scores:
    """Score an option by how much nearer it finds the others than they find it; only a one-way ranking tells that."""
    return medoid(table, similarity) - medoid(table, np.ascontiguousarray(similarity.T))


def lengths(table: Table) -> Scores:
    """Return the length of every option's reading, in characters."""
    sizes = np.array([len(reading_of(name)) + len(name) / 100 for name in table.names])
    return np.asarray(sizes[table.options])
