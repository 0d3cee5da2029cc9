"""`datagen jicvqa audit` and `datagen jicvqa compare`."""

from pathlib import Path

from datagen.files.writing import json_text, write_text
from datagen.jicvqa.audit.comparison import compare
from datagen.jicvqa.audit.gates import load_gates
from datagen.jicvqa.audit.page import audit_page
from datagen.jicvqa.audit.scopes import ExtraPlayers, audit
from datagen.jicvqa.benchmark.stored import load_benchmark
from datagen.jicvqa.models import ModelServer
from datagen.jicvqa.runs.places import CONSOLE, beside, serving
from datagen.pages import write_page
from datagen.progress import counted


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
    gates = load_gates(gates_file)
    benchmark = load_benchmark(folder, classes, distractors)
    extra: ExtraPlayers = {}
    report = out or beside(folder, "-audit")
    if server.endpoints or server.model:
        from datagen.jicvqa.audit.players.text_only import ask_without_pictures

        with serving(server, report) as served:
            extra = ask_without_pictures(benchmark.questions, questions, served, counted)
    with counted("auditing", len(benchmark.subsets)) as advance:
        found = audit(benchmark, gates, extra=extra, advance=advance)
    write_text(report / "audit.json", json_text(found.document()))
    write_page(report / "audit.html", audit_page(found, gates))
    for verdict in found.verdicts:
        CONSOLE.print(f"{'pass' if verdict.passed else 'FAIL'}  {verdict.gate}: {verdict.sentence}")
    CONSOLE.print(f"The report is {report / 'audit.html'}; the figures are in audit.json beside it.")
    return found.passed


def compare_builds(first: Path, second: Path, out: Path | None) -> None:
    """Show the differences between two builds, by subset, and write all of them to a file when one is named."""
    found = compare(load_benchmark(first), load_benchmark(second))
    for name, own in found.subsets.items():
        CONSOLE.print(
            f"{name}: {own.questions:,} common questions; {own.same_options:.1%} have the same options, "
            f"{own.agreement:.1%} of the distractors agree; similarity {own.first_similarity:.4f} → "
            f"{own.second_similarity:.4f}; {len(own.changes)} classes changed"
        )
        CONSOLE.print(f"  who has both tables is right {own.joined:.1%} of the time without the pictures")
        if own.only_first or own.only_second:
            CONSOLE.print(f"  {own.only_first:,} questions are in {first} alone, {own.only_second:,} in {second}")
    CONSOLE.print(f"Similarity is measured by {found.similarity}.")
    if out:
        write_text(out, json_text(found.document()))
        CONSOLE.print(f"The differences by class are in {out}.")
