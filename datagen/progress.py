"""Progress of long work: a live line on a terminal, a plain line now and then elsewhere."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar
from rich.text import Text

from datagen.console import PlainConsole

Item = TypeVar("Item")
PLAIN_SECONDS = 10.0
_BAR_WIDTH = 24
_RULES_SHOWN = 2
UNNEEDED = "unneeded"
"""In the place of a state: images that no purpose of a mix has taken, for which nothing is done."""


@dataclass(frozen=True)
class Progress:
    """What a worker has done since it started.

    Attributes:
        states: rows by state.
        prompt_tokens: in all calls; `completion_tokens` likewise.
        retries: errors of servers that were met.
        reasons: failed rows by what failed them.
        rules: dropped rows by the rules that found something.
        shrunk: rows whose pictures had to be made smaller for the model's context.
    """

    states: Counter[str]
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    shrunk: int = 0


class ProgressLine:
    """Shows images done, rates, states and the time left. Use it as a context manager.

    Args:
        console: where it is shown.
        total: images of the run.
        before: how many of them each state had before this start.
    """

    def __init__(self, console: Console, total: int, before: Counter[str]) -> None:
        self._console = console
        self._total = total
        self._before = before
        self._started = time.monotonic()
        self._plain_shown = self._started
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_interactive else None

    def __enter__(self) -> "ProgressLine":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line above the progress."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def show(self, workers: Sequence[Progress]) -> None:
        """Show what the workers have done since the start."""
        now = time.monotonic()
        line = progress_text(self._total, self._before, workers, now - self._started)
        if self._live is not None:
            self._live.update(Text(line, overflow="ellipsis", no_wrap=True))
        elif now - self._plain_shown >= PLAIN_SECONDS:
            self._plain_shown = now
            self._console.print(line, highlight=False, soft_wrap=True)


def tracked(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """Yield the items, showing how many of `total` have passed and the time left, on standard error."""
    with counted(label, total) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def counted(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield what has to be told of finished steps, and show how many of `total` there are, and the time left."""
    console = PlainConsole(stderr=True)
    if console.is_interactive:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with ProgressBar(*columns, console=console, transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda steps: bar.advance(task, steps)
        return
    started = shown = time.monotonic()
    done = 0

    def advance(steps: int) -> None:
        nonlocal shown, done
        done += steps
        now = time.monotonic()
        if now - shown >= PLAIN_SECONDS:
            shown = now
            left = duration((total - done) * (now - started) / max(done, 1))
            console.print(f"{label}: {done:,}/{total:,} · {left} left", soft_wrap=True)

    yield advance


def progress_text(total: int, before: Counter[str], workers: Sequence[Progress], seconds: float) -> str:
    """Return the line for `seconds` of work.

    >>> worker = Progress(Counter(kept=40, dropped=8, failed=2), 9000, 6000, 0)
    >>> progress_text(200, Counter(kept=50), [worker], 10.0)
    '━━━━━━━━━━━━──────────── 100/200 images · 5.0 images/s · 600 tokens/s · kept 90 dropped 8 failed 2 · 0:20 left'
    >>> worker.rules.update(question_in_answer=5)
    >>> progress_text(200, Counter(kept=50), [worker], 10.0)[72:]
    'kept 90 dropped 8 (question_in_answer 5) failed 2 · 0:20 left'
    """
    new = sum((worker.states for worker in workers), Counter[str]())
    states = before + new
    done = states.total()
    rate = new.total() / max(seconds, 1e-9)
    tokens = sum(worker.completion_tokens for worker in workers) / max(seconds, 1e-9)
    retries = sum(worker.retries for worker in workers)
    shrunk = sum(worker.shrunk for worker in workers)
    hits = sum((worker.rules for worker in workers), Counter[str]()).most_common(_RULES_SHOWN)
    by_rules = f" ({', '.join(f'{rule} {count:,}' for rule, count in hits)})" if hits else ""
    filled = _BAR_WIDTH * done // max(total, 1)
    pieces = [
        f"{'━' * filled}{'─' * (_BAR_WIDTH - filled)} {done:,}/{total:,} images",
        f"{rate:,.1f} images/s",
        f"{tokens:,.0f} tokens/s",
        f"kept {states['kept']:,} dropped {states['dropped']:,}{by_rules} failed {states['failed']:,}",
        f"{duration((total - done) / rate)} left" if new else "starting",
    ]
    if retries:
        pieces.insert(3, f"{retries:,} retries")
    if shrunk:
        pieces.insert(3, f"{shrunk:,} shrunk")
    return " · ".join(pieces)


def duration(seconds: float) -> str:
    """Return seconds for a reader.

    >>> duration(3725)
    '1:02:05'
    >>> duration(75)
    '1:15'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
