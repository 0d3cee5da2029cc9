"""A stage of the recipe, ready to be put: with its prompt, its sampling, and the reader of its answers."""

from dataclasses import dataclass

from datagen.engines import engine_class
from datagen.errors import DatagenError
from datagen.recipe import Recipe, Stage
from datagen.records import ASKED_AGAIN, SHRUNK
from datagen.stages.checks import CHECKS
from datagen.stages.readers import Reader, reader
from filters import Policy
from filters.errors import nearest
from filters.registry import RegistryError
from prompts import Prompt, Sampling


@dataclass(frozen=True)
class Step:
    """One stage.

    Attributes:
        number: in the recipe, from 0.
        stage: as the recipe has it.
        prompt: what it asks.
        sampling: of the prompt, with the stage's overrides.
        reader: what reads its answers.
    """

    number: int
    stage: Stage
    prompt: Prompt
    sampling: Sampling
    reader: Reader


def steps(recipe: Recipe) -> list[Step]:
    """Return the steps of a recipe, in order."""
    return [
        Step(number, stage, recipe.prompt(stage), recipe.sampling(stage), reader(recipe.prompt(stage).answer.reads_as))
        for number, stage in enumerate(recipe.stages)
    ]


def check_names(recipe: Recipe, policy: Policy) -> None:
    """Make sure that every name in a recipe and its policy stands for something, before anything is paid for.

    Raises:
        DatagenError: a check, an engine or a reader is unknown, the stages make no turn, or the policy asks for a score
            that nothing makes.
    """
    try:
        for name in recipe.checks:
            CHECKS.find(name, "checks")
        for name, engine in recipe.engines.items():
            engine_class(engine.answered_by, f"engines.{name}.{'stand_in' if engine.stand_in else 'kind'}")
        made = steps(recipe)
    except RegistryError as error:
        raise DatagenError(str(error)) from error
    if recipe.source.kind != "conversations" and not any(step.reader.makes_turns(step.stage.as_turn) for step in made):
        raise DatagenError(
            "stages make no turn of dialogue; add a question-answer stage, or set as_turn: true on the caption stage"
        )
    surveyed = recipe.survey.scores if recipe.survey else ()
    scores = {
        *recipe.checks,
        *surveyed,
        ASKED_AGAIN,
        SHRUNK,
        *(step.prompt.name for step in made if step.reader.makes_scores),
    }
    if missing := [score for score in policy.scores if score not in scores]:
        raise DatagenError(
            f"The policy {policy.name} asks for the score {missing[0]}, which nothing in the recipe makes: "
            f"{nearest(missing[0], scores or CHECKS.names())}. Add a check (checks: [{missing[0]}]) or a stage with a "
            "judge's prompt of that name, or take the entry out of the policy."
        )
