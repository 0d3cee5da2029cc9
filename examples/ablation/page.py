"""An ablation as a table, and as a picture that any browser shows."""

import math
from collections.abc import Sequence
from pathlib import Path

import jinja2
from figures import ASKS, Found
from intervals import Estimate

from datagen.files.writing import write_text

_COLOURS = ("#c4483a", "#1f6f8b", "#7a9a3a", "#8a6bb0")
_PANEL, _HEIGHT, _MARGIN = 320, 310, 56
_STEPS, _MOST_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25), 5


def table(results: Sequence[Found]) -> str:
    """Return what students of every arm do, with 95 % intervals; behind it what filtering changes."""
    measures = list(results[0].values)
    head = ["student", "planted", "arm", "rows", "answers that ask back", *measures]
    lines = [_line(head), _line(["---", "---:", "---", "---:", "---:", *["---:"] * len(measures)])]
    for it in results:
        data = [f"{it.arm.rows:,}", f"{it.arm.asking:,} of {it.arm.answers:,}"]
        lines.append(_line([it.student, _share(it.arm.share), it.arm.name, *data, *_cells(it.values)]))
    lines += ["", _line(["student", "planted", "arm − unfiltered", *measures])]
    lines.append(_line(["---", "---:", "---", *["---:"] * len(measures)]))
    for it in results:
        if it.above_unfiltered:
            lines.append(
                _line([it.student, _share(it.arm.share), it.arm.name, *_cells(it.above_unfiltered, signed=True)])
            )
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _cells(values: dict[str, Estimate], *, signed: bool = False) -> list[str]:
    form = "+.3f" if signed else ".3f"
    return [f"{it.value:{form}} ({it.low:{form}} … {it.high:{form}})" for it in values.values()]


def write_chart(results: Sequence[Found], path: Path) -> None:
    """Write how often students ask back against the share of their data that does, a panel a student."""
    students = list(dict.fromkeys(it.student for it in results))
    arms = list(dict.fromkeys(it.arm.name for it in results))
    planted = sorted({it.arm.share or 0.0 for it in results})
    highest = max(it.values[ASKS].high for it in results)
    step = next(step for step in _STEPS if highest <= step * _MOST_STEPS)
    ticks = [number * step for number in range(max(math.ceil(highest / step), 1) + 1)]
    top = ticks[-1]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    panels = [
        {
            "student": student,
            "left": number * _PANEL,
            "lines": [
                [_at(it, planted[-1], top) for it in results if (it.student, it.arm.name) == (student, arm)]
                for arm in arms
            ],
        }
        for number, student in enumerate(students)
    ]
    text = environment.get_template("chart.svg.jinja").render(
        panels=panels,
        arms=arms,
        colours=_COLOURS,
        width=_PANEL * len(students),
        panel=_PANEL,
        height=_HEIGHT,
        margin=_MARGIN,
        across=[(_across(share, planted[-1]), f"{share:.0%}") for share in planted],
        up=[(_up(tick, top), f"{tick:.0%}") for tick in ticks],
    )
    write_text(path, text)


def _at(it: Found, most: float, top: float) -> dict[str, float]:
    asks = it.values[ASKS]
    return {
        "x": _across(it.arm.share or 0.0, most),
        "y": _up(asks.value, top),
        "low": _up(asks.low, top),
        "high": _up(asks.high, top),
    }


def _across(share: float, most: float) -> float:
    return round(_MARGIN + (_PANEL - 1.5 * _MARGIN) * (share / most if most else 0.5), 1)


def _up(value: float, top: float) -> float:
    return round(_HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * value / top, 1)
