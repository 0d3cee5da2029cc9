"""A curve of the loss, as a picture that any browser shows."""

from collections.abc import Sequence
from pathlib import Path

WIDTH, HEIGHT, MARGIN = 560, 280, 44


def write_curve(losses: Sequence[dict[str, float]], path: Path) -> None:
    """Write step against loss as SVG."""
    steps, values = [it["step"] for it in losses], [it["loss"] for it in losses]
    top, last = max(values), max(steps)

    def at(step: float, value: float) -> str:
        x = MARGIN + (WIDTH - 2 * MARGIN) * step / last
        return f"{x:.1f},{HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * value / top:.1f}"

    line = " ".join(at(step, value) for step, value in zip(steps, values, strict=True))
    ticks = "".join(
        f'<text x="{MARGIN - 6}" y="{HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share + 4:.1f}" text-anchor="end">'
        f"{top * share:.2f}</text>"
        for share in (0, 0.5, 1)
    )
    ticks += "".join(
        f'<text x="{MARGIN + (WIDTH - 2 * MARGIN) * share:.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">'
        f"{last * share:.0f}</text>"
        for share in (0, 0.5, 1)
    )
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#333">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<path d="M{MARGIN},{MARGIN} V{HEIGHT - MARGIN} H{WIDTH - MARGIN}" fill="none" stroke="#999"/>'
        f'<polyline points="{line}" fill="none" stroke="#1f6f8b" stroke-width="2"/>{ticks}'
        f'<text x="{MARGIN}" y="{MARGIN - 14}">loss 損失</text>'
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 8}" text-anchor="end">step ステップ</text></svg>\n',
        encoding="utf-8",
    )
