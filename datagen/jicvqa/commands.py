"""The commands `datagen jicvqa …`; what they do is in the modules beside this one."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

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


Endpoint = Annotated[
    list[str] | None, typer.Option(help="Base URL of an OpenAI-compatible server; may be given several times.")
]
Model = Annotated[str, typer.Option(help="The model's name at the endpoint, or what a local vLLM is to load.")]
KeyEnvironment = Annotated[str, typer.Option(help="The environment variable with the endpoint's API key.")]
InFlight = Annotated[int, typer.Option(min=1, help="Requests at once.")]


@app.command()
def distractors(
    out: Annotated[Path, typer.Option(help="The distractors file to write (JSON).")],
    classes: Annotated[Path | None, typer.Option(help="Class lists (JSON); by default those of JIC-VQA.")] = None,
    method: Annotated[MethodName, typer.Option(help="mutual holds blind players at chance.")] = MethodName.mutual,
    ranker: Annotated[RankerName, typer.Option(help="llm needs an endpoint.")] = RankerName.lexical,
    counts: Annotated[
        str | None, typer.Option(help="A table with a category a row, to design for its class counts.")
    ] = None,
    orders: Annotated[int, typer.Option(min=1, help="Shuffled candidate orders a class (llm).")] = 3,
    picks: Annotated[int, typer.Option(min=3, help="Neighbours named in each order (llm).")] = 8,
    seed: Annotated[int, typer.Option(help="Of the candidate orders and of sampling (llm).")] = 0,
    endpoint: Endpoint = None,
    model: Model = "",
    api_key_env: KeyEnvironment = "",
    in_flight: InFlight = 32,
) -> None:
    """Rank similar classes and design the option sets."""
    from datagen.jicvqa import runs

    runs.make_distractors(
        out,
        classes,
        method.value,
        counts,
        runs.RankingChoice(ranker.value, orders, picks, seed),
        runs.Server(tuple(endpoint or ()), model, api_key_env, in_flight),
    )


@app.command()
def build(
    images: Annotated[str, typer.Option(help="CSV or Parquet table, or a data set on the hub.")],
    distractors: Annotated[Path, typer.Option(help="The distractors file.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    seed: Annotated[int, typer.Option(help="Of the assignment of option sets and of the order of options.")] = 0,
    download: Annotated[bool, typer.Option("--download", help="Fetch pictures that stand behind URLs.")] = False,
    cache: Annotated[Path | None, typer.Option(help="Where fetched pictures are kept; by default beside OUT.")] = None,
    allow_private_host: Annotated[
        list[str] | None, typer.Option(help="A host whose pictures may be fetched from a private address.")
    ] = None,
    retry_dead: Annotated[bool, typer.Option("--retry-dead", help="Ask links again that were found dead.")] = False,
    drop_unreached: Annotated[
        bool, typer.Option("--drop-unreached", help="Build without pictures that cannot be reached just now.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier build.")] = False,
) -> None:
    """Build the question table in all its editions."""
    from datagen.jicvqa import runs

    fetching = runs.Fetching(download, cache, tuple(allow_private_host or ()), retry_dead, drop_unreached)
    runs.build(images, distractors, out, seed, fetching, overwrite)
