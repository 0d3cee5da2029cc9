"""What the commands do: one function each, from paths and plain values to files and a few lines for the reader."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from datagen.console import PlainConsole, pasteable
from datagen.errors import DatagenError
from datagen.files.writing import json_text, write_text
from datagen.jicvqa.benchmark.arrangement import FEW_BITS
from datagen.jicvqa.benchmark.build import make_questions, place_rows, refuse_existing, write_build
from datagen.jicvqa.benchmark.pictures import Gathered, LostPicture, Scratch, download, gather, reader_of
from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.benchmark.tables import ImageRow, Table, open_table, read_rows
from datagen.jicvqa.classes.lists import CHOICES, ClassLists, load_classes
from datagen.jicvqa.distractors import document as distractors_file
from datagen.jicvqa.distractors.document import Method, load_distractors
from datagen.jicvqa.distractors.ranking import RankingChoice, rank_classes
from datagen.jicvqa.evaluation.asking import Settings
from datagen.jicvqa.models import ModelServer
from datagen.pages import write_page
from datagen.progress import counted

_CONSOLE = PlainConsole(soft_wrap=True)


class Fetching(NamedTuple):
    """Whether and how pictures behind URLs are fetched."""

    wanted: bool
    cache: Path | None
    allow_private_hosts: tuple[str, ...]
    retry_dead: bool
    drop_unreached: bool


def make_distractors(
    out: Path,
    classes: Path | None,
    method: Method,
    counts: str | None,
    ranking: RankingChoice | None,
    server: ModelServer,
) -> None:
    """Rank (by names where no model is to rank), design, and write the distractors file."""
    lists = load_classes(classes)
    table_counts = _counts(counts, lists) if counts else None
    by_names = distractors_file.lexical_matrices(lists), distractors_file.lexical_ranker()
    # Also when a model is to rank: lists that have no design are found before a call is paid.
    made = distractors_file.make_distractors(lists, *by_names, method, table_counts)
    if ranking:
        with _served(server, out.parent) as served:
            ranked = rank_classes(lists, ranking, served, out.with_suffix(".answers.jsonl"), counted)
        made = distractors_file.make_distractors(lists, *ranked, method, table_counts)
    write_text(out, made.text())
    for name, part in made.subsets.items():
        _CONSOLE.print(f"{name}: {len(part.subset.classes)} classes, {len(part.option_sets)} option sets")
    _CONSOLE.print(f"Distractors ({method}, {made.ranker.kind}) are in {out}.")
    _CONSOLE.print(f"Next: datagen jicvqa build --images TABLE --distractors {pasteable(out)} --out DIR")


def build(images: str, distractors: Path, out: Path, seed: int, fetching: Fetching, overwrite: bool) -> None:
    """Read the table, bring the pictures together, balance the design, and write the build."""
    refuse_existing(out, overwrite)
    recorded = load_distractors(distractors)
    table = open_table(images)
    rows = read_rows(table, images)
    placed = place_rows(rows, recorded, images)
    ordered = [row for own in placed.values() for row in own]
    with Scratch() as scratch:
        gathered, lost = _pictures(table, ordered, Path(images).parent, fetching, scratch, out)
        if gathered is not None:
            placed = {name: [row for row in own if row.id in gathered] for name, own in placed.items()}
        questions, designs = make_questions(placed, recorded, seed, gathered)
        built = write_build(
            out,
            questions,
            designs,
            recorded,
            table=images,
            seed=seed,
            gathered=gathered,
            scratch=scratch,
            lost=lost,
            overwrite=overwrite,
        )
    for name, part in built.manifest["subsets"].items():
        share = part["distractor_similarity"] / part["nearest_similarity"] if part["nearest_similarity"] else 1.0
        _CONSOLE.print(
            f"{name}: {part['questions']:,} questions, {part['option_sets']} option sets; without the picture at most "
            f"{part['blind_ceiling']:.4f}; distractors as similar as {share:.0%} of the three nearest"
        )
        if recorded.method == "mutual" and part["questions_outside_balance"] > 3:
            _CONSOLE.print(
                f"  {part['questions_outside_balance']} questions are outside the balance of their option sets: "
                f"{_too_many(questions, name)} Drop some of its images, or add images of other classes."
            )
    if (fewest := min(part["bits_to_guess"] for part in built.manifest["subsets"].values())) < FEW_BITS:
        _CONSOLE.print(
            f"So small a table leaves only {fewest} bits of its labels open: whoever has datagen and the seed can try "
            "them all. Where that matters, build with a long random --seed, and publish neither it nor build.json."
        )
    if lost:
        _CONSOLE.print(f"{len(lost):,} pictures could not be had; {out / 'lost.jsonl'} says why.")
    without = "" if gathered else " (without pictures; --download fetches those that stand behind URLs)"
    _CONSOLE.print(f"{len(questions):,} questions are in {out}{without}.")
    _CONSOLE.print(f"Next: datagen jicvqa audit {pasteable(out)}")


def audit_benchmark(
    folder: Path,
    out: Path | None,
    gates_file: Path | None,
    classes: Path | None,
    distractors: Path | None,
    server: ModelServer,
    questions: int,
) -> bool:
    """Audit a benchmark, write the page and the JSON, and return whether every gate passed."""
    from datagen.jicvqa.audit.gates import load_gates
    from datagen.jicvqa.audit.page import audit_page
    from datagen.jicvqa.audit.scopes import ExtraPlayers, audit
    from datagen.jicvqa.benchmark.stored import load_benchmark

    gates = load_gates(gates_file)
    benchmark = load_benchmark(folder, classes, distractors)
    extra: ExtraPlayers = {}
    report = out or _beside(folder, "-audit")
    if server.endpoints or server.model:
        from datagen.jicvqa.audit.players.text_only import ask_without_pictures

        with _served(server, report) as served:
            extra = ask_without_pictures(benchmark.questions, questions, served, counted)
    with counted("auditing", len(benchmark.subsets)) as advance:
        found = audit(benchmark, gates, extra=extra, advance=advance)
    write_text(report / "audit.json", json_text(found.document()))
    write_page(report / "audit.html", audit_page(found, gates))
    for verdict in found.verdicts:
        _CONSOLE.print(f"{'pass' if verdict.passed else 'FAIL'}  {verdict.gate}: {verdict.sentence}")
    _CONSOLE.print(f"The report is {report / 'audit.html'}; the figures are in audit.json beside it.")
    return found.passed


def compare_builds(first: Path, second: Path, out: Path | None) -> None:
    """Show the differences between two builds, by subset, and write all of them to a file when one is named."""
    from datagen.jicvqa.audit.comparison import compare
    from datagen.jicvqa.benchmark.stored import load_benchmark

    found = compare(load_benchmark(first), load_benchmark(second))
    for name, own in found.subsets.items():
        _CONSOLE.print(
            f"{name}: {own.questions:,} common questions; {own.same_options:.1%} have the same options, "
            f"{own.agreement:.1%} of the distractors agree; similarity {own.first_similarity:.4f} → "
            f"{own.second_similarity:.4f}; {len(own.changes)} classes changed"
        )
        _CONSOLE.print(f"  who has both tables is right {own.joined:.1%} of the time without the pictures")
        if own.only_first or own.only_second:
            _CONSOLE.print(f"  {own.only_first:,} questions are in {first} alone, {own.only_second:,} in {second}")
    _CONSOLE.print(f"Similarity is measured by {found.similarity}.")
    if out:
        write_text(out, json_text(found.document()))
        _CONSOLE.print(f"The differences by class are in {out}.")


def evaluate_model(folder: Path, out: Path | None, settings: Settings, server: ModelServer, limit: int | None) -> bool:
    """Put a benchmark to a model, write items and results, and return whether every question was answered."""
    from datagen.jicvqa.benchmark.stored import load_benchmark
    from datagen.jicvqa.evaluation.asking import evaluate
    from datagen.jicvqa.evaluation.results import results_markdown, summarise, write_items

    benchmark = load_benchmark(folder)
    name = Path(server.model).name or "model"
    own = out or _beside(folder, f"-{name}")
    with _served(server, own) as served:
        items = evaluate(benchmark, settings, served, own, counted, limit)
    results = summarise(served.model or name, items, settings.form == "letters")
    write_items(own / "items.parquet", items)
    write_text(own / "results.json", json_text(results.document()))
    write_text(own / "results.md", results_markdown(results))
    _CONSOLE.print(results_markdown(results))
    _CONSOLE.print(
        f"The table is {own / 'results.md'}; figures by class are in results.json, answers in items.parquet."
    )
    if failed := results.micro.outcomes["failed"]:
        reason = next(item.finish_reason for item in items if item.outcome == "failed")
        _CONSOLE.print(f"{failed:,} questions failed ({reason}); run the same command again to ask them again.")
    return not failed


@contextmanager
def _served(server: ModelServer, folder: Path) -> Iterator[ModelServer]:
    """Yield the server as it is, or with the endpoint of one that is started here."""
    if server.endpoints:
        yield server
        return
    from datagen.engines.servers.vllm import local_server

    if not server.model:
        raise DatagenError("Name the model that vLLM is to load with --model, or a running server with --endpoint.")
    folder.mkdir(parents=True, exist_ok=True)
    _CONSOLE.print(f"Starting vLLM with {server.model}; its log is {folder / 'server.log'}.")
    name = Path(server.model).name
    with local_server(name, folder / "server.log", server.model) as running:
        yield server._replace(endpoints=(running.endpoint,), model=running.model)


def _pictures(
    table: Table, rows: list[ImageRow], folder: Path, fetching: Fetching, scratch: Scratch, out: Path
) -> tuple[dict[str, Gathered] | None, list[LostPicture]]:
    """Return the pictures by id, None where the table has none and none are to be fetched, and what was lost."""
    dead: dict[str, str] = {}
    cache = None
    if not table.embedded and fetching.wanted:
        cache = fetching.cache or _beside(out, "-downloads")
        urls = [row.url for row in rows if row.url and not row.path]
        with counted("downloading", len(set(urls))) as advance:
            dead, unreached = download(urls, cache, fetching.allow_private_hosts, fetching.retry_dead, advance)
        if unreached and not fetching.drop_unreached:
            url, reason = next(iter(sorted(unreached.items())))
            raise DatagenError(
                f"{len(unreached):,} pictures could not be reached just now (the first: {url}: {reason}). Run the same "
                f"command again, what was fetched is kept in {cache}; or build without them with --drop-unreached."
            )
        dead |= unreached
    elif not table.embedded and not any(row.path for row in rows):
        return None, []
    wanted = [row for row in rows if row.path or row.url not in dead]
    lost = [LostPicture(row.id, row.url, dead[row.url]) for row in rows if not row.path and row.url in dead]
    with counted("reading pictures", len(wanted)) as advance:
        gathered, unreadable = gather(wanted, reader_of(table, folder, cache), scratch, advance)
    lost += unreadable
    if not gathered:
        raise DatagenError(f"None of the {len(rows):,} pictures can be read (the first: {lost[0].reason}).")
    return gathered, lost


def _too_many(questions: list[Question], subset: str) -> str:
    """Return a sentence on the largest class of a subset."""
    counts = Counter(question.category for question in questions if question.subset == subset)
    name, count = counts.most_common(1)[0]
    if count * CHOICES > counts.total():
        return f"'{name}' has {count:,} of {counts.total():,} images, which is more than a quarter."
    return "names that may not stand together leave too few combinations for these class counts."


def _counts(table: str, lists: ClassLists) -> dict[str, Counter[str]]:
    """Count the classes of a table, by subset."""
    opened = open_table(table)
    counts: dict[str, Counter[str]] = {name: Counter() for name in lists.subsets}
    for row in read_rows(opened, table):
        subsets = [row.subset] if row.subset in counts else lists.subset_of(row.category)
        if len(subsets) != 1:
            raise DatagenError(
                f"{table}, row {row.number + 1}: the class '{row.category}' must be in exactly one class list, and it "
                f"is in {len(subsets)}."
            )
        counts[subsets[0]][row.category] += 1
    return counts


def _beside(folder: Path, ending: str) -> Path:
    """Return the path next to a folder, `build` giving `build-audit`, also for `.` and `..`."""
    path = Path(os.path.abspath(folder))  # noqa: PTH100 (resolve() would follow a link to elsewhere)
    return folder.parent / f"{path.name}{ending}" if folder.name not in ("", "..") else Path(f"{path}{ending}")
