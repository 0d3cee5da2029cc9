"""The commands `datagen jicvqa …`; what they do is in the modules beside this one."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datagen import access
from datagen.errors import DatagenError

if TYPE_CHECKING:
    from datagen.jicvqa.models import ModelServer

app = typer.Typer(
    help="Make, audit, compare and evaluate JIC-VQA: four-choice questions over labelled Japanese pictures.",
    no_args_is_help=True,
)


class MethodName(StrEnum):
    """How option sets are chosen."""

    mutual = "mutual"
    nearest = "nearest"


class RankerName(StrEnum):
    """Who says how alike the classes are."""

    lexical = "lexical"
    llm = "llm"
    images = "images"
    file = "file"


class FormName(StrEnum):
    """How options are put."""

    list = "list"
    letters = "letters"


Endpoint = Annotated[
    list[str] | None, typer.Option(help="Base URL of an OpenAI-compatible server; may be given several times.")
]
Model = Annotated[str, typer.Option(help="The model's name at the endpoint, or what a local vLLM is to load.")]
KeyEnvironment = Annotated[str, typer.Option(help="The environment variable with the endpoint's API key.")]
InFlight = Annotated[int, typer.Option(min=1, help="Requests at once.")]
ExtraBody = Annotated[str, typer.Option(help="Further fields of every request, as a JSON object.")]


@app.command()
def distractors(
    out: Annotated[Path, typer.Option(help="The distractors file to write (JSON).")],
    classes: Annotated[
        Path | None, typer.Option(help="Class lists (JSON, YAML, a name a line); by default those of JIC-VQA.")
    ] = None,
    classes_from: Annotated[str | None, typer.Option(help="A table whose labels are the classes.")] = None,
    word: Annotated[str, typer.Option(help="What the questions ask for, 花 or 食べ物; with --classes-from.")] = "",
    method: Annotated[MethodName, typer.Option(help="mutual holds blind players at chance.")] = MethodName.mutual,
    ranker: Annotated[
        RankerName | None, typer.Option(help="By default llm when an endpoint or model is given, else lexical.")
    ] = None,
    images: Annotated[str | None, typer.Option(help="The table whose pictures are compared (images).")] = None,
    similarity: Annotated[
        Path | None, typer.Option(help="Similarities of your own: CSV (square, or first,second,similarity) or .npy.")
    ] = None,
    counts: Annotated[
        str | None, typer.Option(help="A table with a category a row, to design for its class counts.")
    ] = None,
    orders: Annotated[int, typer.Option(min=1, help="Shuffled candidate orders a class (llm).")] = 3,
    picks: Annotated[int, typer.Option(min=3, help="Neighbours named in each order (llm).")] = 12,
    both_true: Annotated[
        bool, typer.Option(help="Ask which classes can be right for one picture, and keep them apart (llm).")
    ] = True,
    seed: Annotated[int, typer.Option(help="Of the candidate orders and of sampling (llm).")] = 0,
    endpoint: Endpoint = None,
    model: Model = "",
    api_key_env: KeyEnvironment = "",
    in_flight: InFlight = 32,
    extra_body: ExtraBody = "",
) -> None:
    """Rank similar classes and design the option sets."""
    from datagen.jicvqa.distractors.ranking import RankingChoice
    from datagen.jicvqa.runs.distractors import DistractorsChoice, make_distractors

    if ranker is None:
        by_model = RankerName.llm if endpoint or model else RankerName.lexical
        ranker = RankerName.file if similarity else by_model
    choice = DistractorsChoice(
        method.value,
        ranker.value,
        classes,
        classes_from,
        word,
        counts,
        RankingChoice(orders, picks, seed, both_true),
        images,
        similarity,
    )
    make_distractors(out, choice, _server(endpoint, model, api_key_env, in_flight, extra_body))


@app.command()
def build(
    images: Annotated[
        str, typer.Option(help="A table (CSV, TSV, JSON lines, Parquet), a folder of pictures by class, or a data set.")
    ],
    distractors: Annotated[Path, typer.Option(help="The distractors file.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    seed: Annotated[int, typer.Option(help="Of the assignment of option sets and of the order of options.")] = 0,
    split: Annotated[str, typer.Option(help="Which split of the data set, or all.")] = "",
    label_names: Annotated[
        Path | None, typer.Option(help="Names of numbered labels: a JSON list, or one a line.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="The column with the labels; category, label and class are found.")
    ] = None,
    image_column: Annotated[
        str | None, typer.Option(help="The column with the pictures, paths or URLs, when it is not found.")
    ] = None,
    new_ids: Annotated[
        bool, typer.Option("--new-ids", help="Name pictures by their bytes; for ids that follow the classes.")
    ] = False,
    without_pictures: Annotated[bool, typer.Option("--without-pictures", help="Build the questions alone.")] = False,
    download: Annotated[bool, typer.Option("--download", help="Fetch pictures that stand behind URLs.")] = False,
    cache: Annotated[Path | None, typer.Option(help="Where fetched pictures are kept; by default beside OUT.")] = None,
    allow_private_host: Annotated[
        list[str] | None, typer.Option(help="A host whose pictures may be fetched from a private address.")
    ] = None,
    retry_dead: Annotated[bool, typer.Option("--retry-dead", help="Ask links again that were found dead.")] = False,
    drop_unreached: Annotated[
        bool, typer.Option("--drop-unreached", help="Build without pictures that cannot be reached just now.")
    ] = False,
    ambiguity: Annotated[
        Path | None, typer.Option(help="Scores by `datagen jicvqa ambiguity`, to keep second right options out.")
    ] = None,
    ambiguous_from: Annotated[int, typer.Option(min=2, max=5, help="The score from which an option is true.")] = 4,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier build.")] = False,
) -> None:
    """Build the question table in all its editions."""
    from datagen.jicvqa.benchmark.ambiguity import read_ambiguous
    from datagen.jicvqa.benchmark.labelled import read_label_names
    from datagen.jicvqa.benchmark.splits import Labels
    from datagen.jicvqa.runs.build import BuildChoice, Fetching
    from datagen.jicvqa.runs.build import build as build_benchmark

    fetching = Fetching(download, cache, tuple(allow_private_host or ()), retry_dead, drop_unreached)
    choice = BuildChoice(
        seed,
        Labels(split, read_label_names(label_names) if label_names else (), label_column, image_column),
        fetching,
        without_pictures,
        new_ids,
        overwrite,
        read_ambiguous(ambiguity, ambiguous_from) if ambiguity else None,
    )
    build_benchmark(images, distractors, out, choice)


@app.command()
def ambiguity(
    folder: Annotated[Path, typer.Argument(help="A build with pictures.")],
    model: Model,
    endpoint: Endpoint = None,
    out: Annotated[Path | None, typer.Option(help="The folder of the check; by default FOLDER-ambiguity.")] = None,
    ambiguous_from: Annotated[int, typer.Option(min=2, max=5, help="The score from which an option is true.")] = 4,
    api_key_env: KeyEnvironment = "",
    in_flight: InFlight = 64,
    extra_body: ExtraBody = "",
) -> None:
    """Ask a vision-language model which wrong options are true of their picture as well (1 to 5)."""
    from datagen.jicvqa.runs.evaluation import check_ambiguity

    server = _server(endpoint, model, api_key_env, in_flight, extra_body)
    if not check_ambiguity(folder, out, server, ambiguous_from):
        raise typer.Exit(1)


@app.command()
def audit(
    folder: Annotated[Path, typer.Argument(help="A build, or a folder with the published CSVs.")],
    out: Annotated[Path | None, typer.Option(help="Where the report goes; by default OUT is FOLDER-audit.")] = None,
    gates: Annotated[Path | None, typer.Option(help="The gates (YAML).")] = None,
    classes: Annotated[Path | None, typer.Option(help="Class lists, for CSVs of other subsets.")] = None,
    distractors: Annotated[Path | None, typer.Option(help="Whose ranking blind players use.")] = None,
    endpoint: Endpoint = None,
    model: Model = "",
    api_key_env: KeyEnvironment = "",
    in_flight: InFlight = 32,
    questions: Annotated[int, typer.Option(min=1, help="Questions a subset for the text-only model.")] = 200,
    extra_body: ExtraBody = "",
) -> None:
    """Look for leaks, uneven positions, confusable names and duplicates; exits with 1 when a gate fails."""
    from datagen.jicvqa.runs.audit import audit_benchmark

    server = _server(endpoint, model, api_key_env, in_flight, extra_body)
    if not audit_benchmark(folder, out, gates, classes, distractors, server, questions):
        raise typer.Exit(1)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A build, or a folder with the published CSVs.")],
    second: Annotated[Path, typer.Argument(help="Another one of the same pictures.")],
    out: Annotated[Path | None, typer.Option(help="A JSON file for all differences.")] = None,
) -> None:
    """Show which distractors differ between two builds."""
    from datagen.jicvqa.runs.audit import compare_builds

    compare_builds(first, second, out)


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(help="A build with pictures.")],
    model: Model,
    endpoint: Endpoint = None,
    out: Annotated[Path | None, typer.Option(help="The folder of the evaluation; by default FOLDER-MODEL.")] = None,
    form: Annotated[FormName, typer.Option(help="list as published, or letters.")] = FormName.list,
    circular: Annotated[bool, typer.Option("--circular", help="Ask with the options in all four rotations.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N questions of each subset.")] = None,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens an answer may have; models that think first need thousands.")
    ] = 256,
    seed: Annotated[int, typer.Option(help="Of sampling.")] = 0,
    api_key_env: KeyEnvironment = "",
    in_flight: InFlight = 64,
    judge_endpoint: Annotated[
        str, typer.Option(help="A language model that reads answers which name no option to the rules, or several.")
    ] = "",
    judge_model: Annotated[str, typer.Option(help="Its name.")] = "",
    judge_key_env: Annotated[str, typer.Option(help="The environment variable with its API key.")] = "",
    extra_body: ExtraBody = "",
) -> None:
    """Put the questions to a model and score its answers; without --endpoint vLLM serves the model here."""
    from datagen.jicvqa.evaluation.asking import Settings
    from datagen.jicvqa.runs.evaluation import evaluate_model

    settings = Settings(form.value, circular, max_tokens, seed)
    server = _server(endpoint, model, api_key_env, in_flight, extra_body)
    judge = _server([judge_endpoint], judge_model, judge_key_env, in_flight) if judge_endpoint else None
    if not evaluate_model(folder, out, settings, server, limit, judge):
        raise typer.Exit(1)


@app.command(name="compare-models")
def compare_models(
    folders: Annotated[list[Path], typer.Argument(help="Folders of evaluations of one benchmark, two or more.")],
    out: Annotated[Path | None, typer.Option(help="Where the page goes; by default FOLDER-compared.")] = None,
    build: Annotated[Path | None, typer.Option(help="The benchmark, for its pictures, when it has moved.")] = None,
) -> None:
    """Compare models on the same questions: differences with intervals, confusions, what tells models apart."""
    from datagen.jicvqa.runs.evaluation import compare_evaluations

    compare_evaluations(folders, out, build)


def _server(
    endpoints: list[str] | None, model: str, key_environment: str, in_flight: int, extra_body: str = ""
) -> "ModelServer":
    """Return where to ask; the API key is read from the environment.

    Raises:
        DatagenError: the variable is not set, or holds more than a key; or the further fields are no JSON object.
    """
    from datagen.jicvqa.models import ModelServer

    key = access.api_key(key_environment, "--api-key-env") if key_environment else None
    try:
        request = json.loads(extra_body or "{}")
    except ValueError as error:
        raise DatagenError(f"--extra-body is no JSON: {error}. Write it as '{{\"top_k\": 1}}'.") from error
    if not isinstance(request, dict):
        raise DatagenError(f"--extra-body must be a JSON object, not {extra_body}.")
    return ModelServer(tuple(endpoints or ()), model, key, in_flight, request, key_environment)
