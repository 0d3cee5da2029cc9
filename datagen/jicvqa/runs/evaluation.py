"""`datagen jicvqa evaluate`, `datagen jicvqa compare-models` and `datagen jicvqa ambiguity`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from datagen.console import pasteable
from datagen.errors import DatagenError
from datagen.files.writing import json_text, write_text
from datagen.jicvqa.benchmark.ambiguity import write_scores
from datagen.jicvqa.benchmark.stored import load_benchmark
from datagen.jicvqa.evaluation.ambiguity import score_options
from datagen.jicvqa.evaluation.asking import Settings, evaluate
from datagen.jicvqa.evaluation.items import read_items, write_items
from datagen.jicvqa.evaluation.judge import judged
from datagen.jicvqa.evaluation.models_compared import Evaluated, compare_models
from datagen.jicvqa.evaluation.models_page import models_page
from datagen.jicvqa.evaluation.results import MANY_UNANSWERED, models_markdown, results_markdown, summarise
from datagen.jicvqa.models import ModelServer
from datagen.jicvqa.runs.places import CONSOLE, beside, serving
from datagen.pages import write_page
from datagen.progress import counted
from filters.errors import sentence


def evaluate_model(
    folder: Path,
    out: Path | None,
    settings: Settings,
    server: ModelServer,
    limit: int | None,
    judge: ModelServer | None,
) -> bool:
    """Put a benchmark to a model, write items and results, and return whether (nearly) every question was answered."""
    benchmark = load_benchmark(folder)
    name = Path(server.model).name or "model"
    own = out or beside(folder, f"-{name}")
    with serving(server, own) as served:
        items = evaluate(benchmark, settings, served, own, counted, limit)
    if judge:
        items = judged(items, judge, own / "judge.jsonl", counted)
    results = summarise(served.model or name, items, settings.form == "letters", len(benchmark.questions))
    write_items(own / "items.parquet", items)
    write_text(own / "results.json", json_text(results.document()))
    write_text(own / "results.md", results_markdown(results))
    CONSOLE.print(results_markdown(results))
    CONSOLE.print(f"The table is {own / 'results.md'}; figures by class are in results.json, answers in items.parquet.")
    outcomes = results.micro.outcomes
    if failed := outcomes["failed"]:
        reason = next(item.finish_reason for item in items if item.outcome == "failed")
        CONSOLE.print(f"{failed:,} questions failed ({reason}); run the same command again to ask them again.")
    many = results.micro.unanswered > MANY_UNANSWERED
    if many and outcomes["cut"] + outcomes["empty"]:
        CONSOLE.print(
            f"{outcomes['cut'] + outcomes['empty']:,} answers are broken off or empty at {settings.max_tokens} tokens; "
            "run the same command with a larger --max-tokens, it asks these again."
        )
    if many and outcomes["refused"]:
        CONSOLE.print(f"{outcomes['refused']:,} answers are refusals.")
    CONSOLE.print(f"Next: datagen jicvqa compare-models {pasteable(own)} ANOTHER_EVALUATION")
    return not failed and not many


def compare_evaluations(folders: Sequence[Path], out: Path | None, build: Path | None) -> None:
    """Compare the models of several evaluations of one benchmark, and write a page, a table and JSON."""
    settings = [_settings_of(folder) for folder in folders]
    if len({own.questions_digest for own in settings}) > 1:
        raise DatagenError(
            f"{' and '.join(map(str, folders))} are evaluations of different questions, which cannot be compared."
        )
    names = _distinct([own.model for own in settings], folders)
    evaluated = [
        Evaluated(name, read_items(folder / "items.parquet")) for name, folder in zip(names, folders, strict=True)
    ]
    compared = compare_models(evaluated)
    benchmark = build or Path(settings[0].benchmark)
    pictures = load_benchmark(benchmark).pictures if (benchmark / "jic_vqa.parquet").exists() else None
    own = out or beside(folders[0], "-compared")
    write_text(own / "models.json", json_text(compared.document()))
    write_text(own / "models.md", models_markdown(compared))
    write_page(own / "models.html", models_page(compared, evaluated, pictures))
    CONSOLE.print(models_markdown(compared))
    if pictures is None:
        CONSOLE.print(f"The benchmark is not at {benchmark}, so that no pictures are shown; name it with --build.")
    CONSOLE.print(f"The page is {own / 'models.html'}; figures by question and option set are in models.json.")


class _Settings(BaseModel):
    """What an evaluation's `evaluation.json` says that a comparison needs."""

    model_config = ConfigDict(extra="ignore")

    model: str
    questions_digest: str
    form: str
    benchmark: str = ""


def _settings_of(folder: Path) -> _Settings:
    path = folder / "evaluation.json"
    try:
        return _Settings.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatagenError(
            f"{folder} holds no evaluation ({path.name}: {error.strerror}); give folders that `datagen jicvqa "
            "evaluate` made."
        ) from error
    except ValidationError as error:
        raise DatagenError(f"{path}: {sentence(error, _Settings)}") from error
    except ValueError as error:
        raise DatagenError(f"{path} is damaged ({error}); evaluate again.") from error


def _distinct(models: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """Return the models' names, with the folder where one name stands for several evaluations."""
    counts = Counter(models)
    return [
        model if counts[model] == 1 else f"{model} ({folder.name})"
        for model, folder in zip(models, folders, strict=True)
    ]


def check_ambiguity(folder: Path, out: Path | None, server: ModelServer, from_score: int) -> bool:
    """Ask a model which wrong options are true of the pictures, and return whether all of it was answered."""
    benchmark = load_benchmark(folder)
    own = out or beside(folder, "-ambiguity")
    with serving(server, own) as served:
        found = score_options(benchmark, served, own / "journal.jsonl", counted)
    path = own / "ambiguity.parquet"
    write_scores(path, found.scores)
    high = [score for score in found.scores if score.score >= from_score]
    CONSOLE.print(
        f"{len({score.id for score in high}):,} of {len(benchmark.questions):,} questions have a wrong option that is "
        f"true too (scored {from_score} or more); asking took {found.spent}."
    )
    for (answer, option), count in Counter((score.category, score.option) for score in high).most_common(8):
        CONSOLE.print(f"  {answer}: {option} is true as well, {count:,} times")
    if found.unanswered:
        CONSOLE.print(f"{found.unanswered:,} options got no score; run the same command again to ask for them.")
    CONSOLE.print(f"The scores are in {path}.")
    CONSOLE.print(f"Next: datagen jicvqa build --ambiguity {pasteable(path)}, with what this build was made from")
    return not found.unanswered
