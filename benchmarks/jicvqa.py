"""What blind players earn on JIC-VQA by the paper's rule and by the balanced design, and what a build costs.

    python -m benchmarks.jicvqa [--pictures 7654] [--seed 0]

The table has the real shape: 7,654 rows, the real subsets and classes, class counts drawn unevenly. No language model
is at hand here, so that three rankings stand in: the names themselves, and two simulated models that pick neighbours
by random vectors, without and with clusters, and err now and then. Nothing is downloaded.
"""

import argparse
import asyncio
import io
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from aiohttp import web
from PIL import Image

from datagen.jicvqa.audit.gates import Gates
from datagen.jicvqa.audit.scopes import CHANCE, OVERALL, Scope, audit
from datagen.jicvqa.benchmark.build import make_questions
from datagen.jicvqa.benchmark.labelled import ImageRow
from datagen.jicvqa.benchmark.placing import place_rows
from datagen.jicvqa.benchmark.stored import Benchmark
from datagen.jicvqa.classes.lists import ClassLists, load_classes, shipped_images_per_subset
from datagen.jicvqa.classes.similarity import Matrix, forbidden_pairs
from datagen.jicvqa.distractors.design import Design, mutual_design, nearest_design
from datagen.jicvqa.distractors.document import (
    Distractors,
    Method,
    Ranker,
    counts_of,
    lexical_matrices,
    lexical_ranker,
    make_distractors,
)
from datagen.jicvqa.distractors.ranking import RankingChoice, rank_classes
from datagen.jicvqa.models import ModelServer
from datagen.jicvqa.runs.build import BuildChoice, build

Counts = Mapping[str, Mapping[str, int]]


def uneven_counts(lists: ClassLists, draw: np.random.Generator) -> dict[str, dict[str, int]]:
    """Return class counts that add up to the real subset counts; drawn again while a class has over a quarter."""
    counts = {}
    for name, total in shipped_images_per_subset().items():
        names = lists.subsets[name].names
        own = np.array([total])
        while 4 * own.max() > total:
            ends = np.round(draw.dirichlet(np.full(len(names), 6.0)).cumsum() * total).astype(int)
            own = np.diff(ends, prepend=0)
        counts[name] = dict(zip(names, own.tolist(), strict=True))
    return counts


def vector_matrices(lists: ClassLists, draw: np.random.Generator, clusters: bool) -> dict[str, Matrix]:
    """Return the similarity of random unit vectors in eight dimensions, from 0 to 1."""
    matrices = {}
    for name, subset in lists.subsets.items():
        size = len(subset.names)
        vectors = draw.normal(size=(size, 8))
        if clusters:
            centres = draw.normal(size=(max(size // 6, 2), 8))
            vectors = 0.6 * vectors + 2 * centres[draw.integers(len(centres), size=size)]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        matrix = (vectors @ vectors.T + 1) / 2
        np.fill_diagonal(matrix, 0.0)
        matrices[name] = matrix.clip(0, 1)
    return matrices


def picked(matrices: Mapping[str, Matrix], choice: RankingChoice, draw: np.random.Generator) -> dict[str, Matrix]:
    """Return what `distractors.ranking` would make of a model that picks by these similarities, with some noise."""
    merged = {}
    for name, matrix in matrices.items():
        rows = np.arange(len(matrix))
        merged[name] = np.zeros_like(matrix)
        for _ in range(choice.orders):
            noisy = matrix + draw.normal(scale=0.05, size=matrix.shape)
            np.fill_diagonal(noisy, -np.inf)
            order = np.argsort(-noisy, axis=1)
            for rank in range(min(choice.picks, len(matrix) - 1)):
                merged[name][rows, order[:, rank]] += (choice.picks - rank) / (choice.picks * choice.orders)
    return merged


def rows_of(counts: Counts, draw: np.random.Generator) -> list[ImageRow]:
    """Return a table without pictures, in random order."""
    categories = [name for own in counts.values() for name, count in own.items() for _ in range(count)]
    draw.shuffle(categories)
    return [ImageRow(number=n, id=str(10**10 + 7 * n), category=name) for n, name in enumerate(categories)]


def print_players(
    rows: list[ImageRow],
    rankings: Mapping[str, tuple[dict[str, Matrix], Ranker]],
    others: Mapping[str, Mapping[str, Matrix]],
) -> None:
    """Print, by ranking and method, what the best players earn."""
    lists = load_classes()
    for ranking, (matrices, ranker) in rankings.items():
        for method in ("nearest", "mutual"):
            distractors = make_distractors(lists, matrices, ranker, method)
            started = time.perf_counter()
            questions, designs = make_questions(
                place_rows(rows, distractors.lists, "the table").rows, distractors, seed=0
            )
            seconds = time.perf_counter() - started
            found = audit(Benchmark(Path("table"), questions, distractors, None), Gates(), others)
            print(f"\n## {method}, ranked by {ranking} ({seconds:.1f} s to design and to write the questions)\n")
            _print_scopes(found.scopes, distractors, designs, method)
            print(f"\noption pairs with nested or like names: {sum(pair.questions for pair in found.names)}")


def _print_scopes(
    scopes: Mapping[str, Scope], distractors: Distractors, designs: Mapping[str, Design], method: Method
) -> None:
    players = list(scopes[OVERALL].players)
    print(f"| player | {' | '.join(scopes)} |\n| --- |{' ---: |' * len(scopes)}")
    for player in players:
        shares = [scope.players[player] for scope in scopes.values()]
        cells = [f"{share.value:.3f}{'' if share.low <= CHANCE <= share.high else ' *'}" for share in shares]
        print(f"| {player} | {' | '.join(cells)} |")
    print(f"| ceiling of all players | {' | '.join(f'{scope.ceiling:.4f}' for scope in scopes.values())} |")
    print(f"| position χ² p | {' | '.join(f'{scope.position_p:.3f}' for scope in scopes.values())} |")
    print(f"| option sets | {' | '.join(str(scope.option_sets) for scope in scopes.values())} |")
    if method == "mutual":
        for player in scopes[OVERALL].told:
            print(f"| {player} | {' | '.join(f'{scope.told[player]:.3f}' for scope in scopes.values())} |")
        shares_kept, total, best = [], 0.0, 0.0
        for name, design in designs.items():
            part = distractors.subsets[name]
            counts = design_counts(design, len(part.subset.names))
            own, nearest = design.similarity(part.matrix), nearest_design(part.matrix, counts).similarity(part.matrix)
            shares_kept.append(f"{own / nearest:.3f}")
            total, best = total + own * design.questions, best + nearest * design.questions
        print(f"| similarity, of what `nearest` has | {total / best:.3f} | {' | '.join(shares_kept)} |")
        print(
            f"| questions outside the balance | {sum(d.surplus for d in designs.values()):.0f} | "
            f"{' | '.join(f'{d.surplus:.0f}' for d in designs.values())} |"
        )
    print("\n`*`: the 95 % interval does not hold 0.25")


def design_counts(design: Design, classes: int) -> npt.NDArray[np.int64]:
    """Return how many questions each class has."""
    return np.bincount(design.members.ravel(), weights=design.answers.ravel(), minlength=classes).astype(np.int64)


def print_solving(counts: Counts, rankings: Mapping[str, tuple[dict[str, Matrix], Ranker]]) -> None:
    """Print how long the programmes take."""
    lists = load_classes()
    print("\n## CPU seconds to solve the balanced design\n")
    print(f"| ranking | {' | '.join(lists.subsets)} |\n| --- |{' ---: |' * len(lists.subsets)}")
    for ranking, (matrices, _) in rankings.items():
        cells = []
        for name, subset in lists.subsets.items():
            started = time.process_time()
            mutual_design(matrices[name], forbidden_pairs(subset), counts_of(subset, counts[name]))
            cells.append(f"{time.process_time() - started:.2f}")
        print(f"| {ranking} | {' | '.join(cells)} |")


def print_lopsided(counts: Counts, matrices: Mapping[str, Matrix]) -> None:
    """Print what happens when a class has more than a quarter of its subset."""
    lists = load_classes()
    print("\n## One class with too many pictures (jalandmark10, ranked by names)\n")
    print("| its share | questions outside the balance | ceiling of all players |\n| ---: | ---: | ---: |")
    subset, own = lists.subsets["jalandmark10"], dict(counts["jalandmark10"])
    others = sum(own.values()) - own["浅草寺"]
    for share in (0.2, 0.25, 0.3, 0.4):
        own["浅草寺"] = round(others * share / (1 - share))
        design = mutual_design(matrices["jalandmark10"], forbidden_pairs(subset), counts_of(subset, own))
        print(f"| {share:.0%} | {design.surplus:.0f} | {design.ceiling:.4f} |")


def print_build(rows: list[ImageRow], pictures: int, draw: np.random.Generator) -> None:
    """Print how long a build with pictures takes."""
    lists = load_classes()
    with tempfile.TemporaryDirectory() as folder:
        table, distractors = Path(folder) / "images.parquet", Path(folder) / "distractors.json"
        made = make_distractors(lists, lexical_matrices(lists), lexical_ranker(), "mutual")
        distractors.write_text(made.text(), encoding="utf-8")
        records = [
            {
                "id": int(row.id),
                "category": row.category,
                "url": f"https://example.org/{row.id}.jpg",
                "license": "CC BY 4.0",
                "image": {"bytes": _picture(draw), "path": None},
            }
            for row in rows[:pictures]
        ]
        pq.write_table(pa.Table.from_pylist(records), table, row_group_size=256)
        size = table.stat().st_size / len(records)
        started, worked = time.perf_counter(), time.process_time()
        with redirect_stdout(io.StringIO()):
            build(str(table), distractors, Path(folder) / "build", BuildChoice())
        seconds, worked = time.perf_counter() - started, time.process_time() - worked
        print(
            f"\n## Build\n\n{len(records):,} questions with pictures of 320×240 ({size / 1000:.0f} kB each), all "
            f"editions: {seconds:.1f} s, "
            f"{worked:.1f} s of CPU"
        )


def _picture(draw: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(draw.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize((320, 240)).save(buffer, "JPEG")
    return buffer.getvalue()


def print_calls(choice: RankingChoice) -> None:
    """Print how many calls a ranking by a language model takes, counted by a server that picks the first candidate."""
    lists = load_classes()
    with tempfile.TemporaryDirectory() as folder, counting_server() as (endpoint, requests):
        journal = Path(folder) / "answers.jsonl"
        server = ModelServer((endpoint,), "first-pick", None, 64)
        started = time.perf_counter()
        rank_classes(lists, choice, server, journal, _quiet)
        seconds = time.perf_counter() - started
        first = len(requests)
        rank_classes(lists, choice, server, journal, _quiet)
        classes = sum(len(subset.names) for subset in lists.subsets.values())
        print(
            f"\n## Calls of a ranking by a language model\n\n{classes} classes × {choice.orders} orders × "
            f"{choice.picks} picks: {first:,} calls in {seconds:.1f} s (the server answers at once), "
            f"{first / classes:.0f} a class, whatever the number of pictures; the same command again: "
            f"{len(requests) - first} calls"
        )


@contextmanager
def counting_server() -> Iterator[tuple[str, list[int]]]:
    """Serve, in a thread, a model that names the first of the choices; yields its address and a list of requests."""
    requests: list[int] = []

    async def chat(request: web.Request) -> web.Response:
        document = orjson.loads(await request.read())
        choices = document.get("structured_outputs", {"choice": [""]})["choice"]
        if document["max_tokens"] > 1:  # one token asks only whether the key is taken
            requests.append(1)
        message = {"role": "assistant", "content": "なし" if "なし" in choices else choices[0]}
        return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "first-pick", "object": "model"}]})

    application = web.Application()
    application.add_routes([web.post("/v1/chat/completions", chat), web.get("/v1/models", models)])
    loop, ready, port = asyncio.new_event_loop(), threading.Event(), [0]

    async def serve() -> web.AppRunner:
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port[0] = runner.addresses[0][1]
        ready.set()
        return runner

    def run() -> None:
        runner = loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield f"http://127.0.0.1:{port[0]}/v1", requests
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@contextmanager
def _quiet(_title: str, _total: int) -> Iterator[Callable[[int], None]]:
    yield lambda _steps: None


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description="Blind players and costs of JIC-VQA.")
    parser.add_argument("--pictures", type=int, default=7654)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = np.random.default_rng(options.seed)
    lists = load_classes()
    counts = uneven_counts(lists, draw)
    print("# JIC-VQA on a table of the real shape\n\n| subset | classes | rows | fewest a class | most a class |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, own in counts.items():
        print(f"| {name} | {len(own)} | {sum(own.values()):,} | {min(own.values())} | {max(own.values())} |")
    choice = RankingChoice()
    vectors = {"vector": vector_matrices(lists, draw, clusters=False)}
    vectors["clustered vector"] = vector_matrices(lists, draw, clusters=True)
    simulated = Ranker(kind="llm", model="simulated", orders=choice.orders, picks=choice.picks)
    rankings = {
        "names": (lexical_matrices(lists), lexical_ranker()),
        "a simulated model": (picked(vectors["vector"], choice, draw), simulated),
        "a simulated model with clusters": (picked(vectors["clustered vector"], choice, draw), simulated),
    }
    rows = rows_of(counts, draw)
    print_solving(counts, rankings)
    print_players(rows, rankings, vectors)
    print_lopsided(counts, rankings["names"][0])
    print_build(rows, options.pictures, draw)
    print_calls(choice)


if __name__ == "__main__":
    main()
