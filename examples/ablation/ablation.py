"""What the filter buys: students trained on answers a share of which ask back, filtered and not.

    python examples/ablation/ablation.py examples/ablation/miniature.yaml --out runs/ablation

makes the data with `datagen run`, cuts and exports them for every arm, trains the students, asks them, and writes a
table with intervals and a picture. The same command goes on where it was stopped, also with more seeds or shares. Needs
`pip install trl`.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1]
sys.path += [str(EXAMPLES / "tiny_vlm"), str(EXAMPLES / "train_with_trl"), str(EXAMPLES.parent)]

import datasets  # noqa: E402 (behind the folders of the other examples)
from arms import Arm, make_arms  # noqa: E402
from figures import Found, asking, found, rises  # noqa: E402
from page import table, write_chart  # noqa: E402
from served import CrossCheck, cross_check  # noqa: E402
from settings import UNFILTERED, Settings, load_settings  # noqa: E402
from students import Answers, Training, asked_of, read_answers, start, teach_and_ask  # noqa: E402

from datagen.errors import DatagenError  # noqa: E402
from datagen.executors import mapped, using  # noqa: E402
from datagen.files.writing import json_text, write_text  # noqa: E402

_MAY_GROW = {"seeds", "shares", "where", "served"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", type=Path, help="a YAML file, such as miniature.yaml")
    parser.add_argument("--out", type=Path, required=True, help="the folder")
    parser.add_argument("--seeds", type=int, help="in place of those of the file")
    options = parser.parse_args()
    try:
        settings = load_settings(options.settings)
        if options.seeds is not None:
            settings = Settings.model_validate({**settings.model_dump(), "seeds": options.seeds})
        with using(settings.where):
            ablate(settings, options.out)
    except DatagenError as error:
        sys.exit(f"ablation: {error}")
    except KeyboardInterrupt:
        sys.exit(f"ablation: stopped. What is done is kept in {options.out}; the same command goes on.")


def ablate(settings: Settings, out: Path) -> list[Found]:
    """Do what is missing, write `table.md`, `figures.json` and `ablation.svg`, and return what was found."""
    datasets.disable_progress_bars()
    _keep(settings, out)
    arms = make_arms(settings, out)
    pictures, benchmark = out / "pictures", _benchmark(settings, out)
    clean = next((arm.export for arm in arms if arm.share == 0 and arm.name == UNFILTERED), None)
    early = {name: out / "early" / name for name in settings.students}
    starts = [(student, clean, settings, early[name]) for name, student in settings.students.items()]
    for _ in mapped(start, starts, "early weights"):
        pass
    results = out / "results"
    results.mkdir(parents=True, exist_ok=True)
    trainings = _trainings(settings, arms, early, out)
    missing = [it for it in trainings.values() if not (results / f"{it.name}.json").exists() or it.must_be_kept]
    for _ in mapped(teach_and_ask, [(it, settings, pictures, benchmark, results) for it in missing], "students"):
        pass
    asked = asked_of(settings.own, pictures, benchmark)
    said = {key: read_answers(results / f"{it.name}.json") for key, it in trainings.items()}
    figures = list(found(asked, arms, said))
    checks = {}
    for key, training in trainings.items():
        if training.keep is not None:
            checks[key[0]] = cross_check(training.keep, asked, said[key], settings.temperature, training.seed)
    _write(figures, checks, out)
    for line in _left(figures, said):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"table.md, figures.json and ablation.svg: {out}\n")
    return figures


def _keep(settings: Settings, out: Path) -> None:
    """Keep the settings that results depend on, and refuse a folder with results of others."""
    text = settings.model_dump_json(exclude=_MAY_GROW, indent=1) + "\n"
    path = out / "settings.json"
    out.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise DatagenError(f"{out} has results of other settings ({path}); give another --out.")
    write_text(path, text)


def _benchmark(settings: Settings, out: Path) -> Path:
    """Return the build of JIC-VQA that students are asked; the miniature is built where there is none."""
    if settings.benchmark is not None:
        return settings.benchmark
    build, miniature = out / "jic_miniature", EXAMPLES / "jic_miniature"
    if not (build / "build.json").exists():
        chosen = out / "distractors.json"
        _datagen("distractors", "--classes", miniature / "classes.json", "--out", chosen)
        _datagen("build", "--images", miniature / "images.csv", "--distractors", chosen, "--out", build, "--overwrite")
    return build


def _datagen(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "datagen", "jicvqa", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DatagenError(done.stderr.strip().removeprefix("datagen: "))


def _trainings(
    settings: Settings, arms: list[Arm], early: dict[str, Path], out: Path
) -> dict[tuple[str, str, int], Training]:
    """Return all trainings by size, digest of the data and seed; arms with the same rows share theirs."""
    served = max((arm for arm in arms if arm.name == UNFILTERED), key=lambda arm: arm.share or 0.0)
    trainings: dict[tuple[str, str, int], Training] = {}
    for seed in range(settings.seeds):
        for name in settings.students:
            for arm in arms:
                keep = out / "served" / name if settings.served and arm is served and seed == 0 else None
                label = f"{name}-{arm.digest[:16]}-{seed}"
                trainings.setdefault((name, arm.digest, seed), Training(label, early[name], arm.export, seed, keep))
    return trainings


def _write(figures: list[Found], checks: dict[str, CrossCheck], out: Path) -> None:
    text = table(figures)
    write_text(out / "table.md", text)
    write_chart(figures, out / "ablation.svg")
    document = {
        "found": [
            {
                "student": it.student,
                "share": it.arm.share,
                "arm": it.arm.name,
                "rows": it.arm.rows,
                "values": {name: value._asdict() for name, value in it.values.items()},
                "above_unfiltered": {name: value._asdict() for name, value in it.above_unfiltered.items()},
            }
            for it in figures
        ],
        "served": {name: check._asdict() for name, check in checks.items()},
    }
    write_text(out / "figures.json", json_text(document))
    sys.stdout.write(f"\n{text}\n")
    several = len({it.arm.share for it in figures}) > 1
    for student in dict.fromkeys(it.student for it in figures if several):
        rising = "yes" if rises(figures, student) else "no"
        sys.stdout.write(f"{student}: unfiltered students ask back the more, the more of their data does: {rising}\n")
    for name, check in checks.items():
        sys.stdout.write(
            f"{name} through vLLM: {check.same:.3f} of {check.questions:,} likeliest answers are the same; "
            f"{check.asks_served:.3f} of the drawn ones ask back ({check.asks_in_training:.3f} in training)\n"
        )


def _left(figures: list[Found], said: dict[tuple[str, str, int], Answers]) -> Iterator[str]:
    """Yield of every arm of the largest share which planted sentences its students say most."""
    most = max(it.arm.share or 0.0 for it in figures)
    for it in figures:
        if (it.arm.share or 0.0) == most:
            counts = asking(it.arm, it.student, said)
            told = ", ".join(f"{count} {tail or 'others'}" for tail, count in counts.most_common(3))
            yield f"{it.student}, {it.arm.name}, {most:.0%}: {counts.total():,} drawn answers ask back ({told})"


if __name__ == "__main__":
    main()
