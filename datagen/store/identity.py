"""What decides the rows of a run: a changed identity on an old directory is refused, by the names of what changed."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datagen.differences import differences
from datagen.engine_settings import EngineSettings
from datagen.recipe import Recipe, SurveySettings
from datagen.records import SCHEMA_VERSION
from datagen.store.policies import read_policy

_PLAIN = (("on_drop", "keep"), ("purpose", ""))
_UNDECIDED = ("allow_private_hosts", "slice")


def identity(recipe: Recipe) -> dict[str, Any]:
    """Return what decides the rows of a run, as plain data; a run with another identity is another run.

    The policy, unless there is a mix or answers that it would drop are asked for again, the shape of the shards, and
    where and how fast the work is done are no part of it.
    """
    document = recipe.model_dump(mode="json")
    return {
        "schema": SCHEMA_VERSION,
        "task": recipe.task,
        "seed": recipe.seed,
        "source": {key: value for key, value in document["source"].items() if key not in _UNDECIDED},
        # Runs of before, which do not say so, have perceptual hashes.
        "images": {key: value for key, value in document["images"].items() if (key, value) != ("phash", True)},
        "engines": {name: _engine(engine) for name, engine in recipe.engines.items()},
        "stages": [
            {
                **{key: value for key, value in document["stages"][number].items() if (key, value) not in _PLAIN},
                "prompt": recipe.prompt(stage).name,
                "prompt_digest": recipe.prompt(stage).digest,
                "sampling": recipe.sampling(stage).model_dump(mode="json"),
            }
            for number, stage in enumerate(recipe.stages)
        ],
        "checks": list(recipe.checks),
        "part_rows": recipe.output.part_rows,
        **({"pictures": "reference"} if recipe.output.pictures == "reference" else {}),
        # What is asked again, and how many images are taken, depends on the policy, which else decides the cut alone.
        **({"decided_by_policy": read_policy(recipe.policy).digest} if recipe.mix or _retries(recipe) else {}),
        **({"mix": document["mix"]} if recipe.mix else {}),
        **({"survey": _survey(recipe.survey)} if recipe.survey else {}),
        **({"slice": recipe.source.slice} if recipe.source.slice else {}),
    }


def _survey(survey: SurveySettings) -> dict[str, Any]:
    """Return what of a survey decides the rows, with the digests of what it compares with."""
    digests = [
        hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in survey.benchmarks if Path(path).is_file()
    ]
    return {"duplicates": survey.duplicates, "benchmarks": digests, "places": survey.places}


def _retries(recipe: Recipe) -> bool:
    return any(stage.on_drop == "retry" for stage in recipe.stages)


def _engine(engine: EngineSettings) -> dict[str, Any]:
    """Return what of an engine decides its answers, with the names that runs of before have in them."""
    decides: dict[str, Any] = {
        "model": engine.model,
        "vision": engine.vision,
        "weights": engine.weights,
        "server_args": list(engine.server.args),
        "kind": engine.answered_by,
        "request": engine.extra_body,
    }
    if engine.system != "message":
        decides["system"] = engine.system
    if not engine.structured_outputs:
        decides["structured_outputs"] = False
    return decides


def published(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity as a manifest has it: it says nothing of the machine, of paths their last part alone."""
    source = {key: value for key, value in identity["source"].items() if key != "path"}
    engines = {name: _without_folders(engine) for name, engine in identity["engines"].items()}
    return {**identity, "source": source, "engines": engines}


def _without_folders(engine: Mapping[str, Any]) -> dict[str, Any]:
    weights = engine.get("weights")
    shown = {"weights": Path(weights).name} if weights and Path(weights).is_absolute() else {}
    return {**engine, **shown}


def changes(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Name what a run that was started as `found` and is to go on as `wanted` would change; its limit may."""
    return list(differences(_unlimited(found), _unlimited(wanted)))


def _unlimited(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {**identity, "source": {name: value for name, value in identity["source"].items() if name != "limit"}}
