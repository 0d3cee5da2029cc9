"""Signals by which schedulers end a job: they stop a command as Ctrl-C does, in good time before the job is killed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGUSR1)
"""Of Slurm, PBS and Kubernetes; Slurm sends the second one where a job asks for it (`--signal=USR1@300`)."""
_met: list[signal.Signals] = []


def stop_on_signals() -> None:
    """Let the signals of schedulers do what Ctrl-C does; a program that starts others in the background has none."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for kind in ENDING:
        signal.signal(kind, _stop)


def exit_code(usual: int) -> int:
    """Return the exit code of a command that was interrupted: 128 and the number of the signal that did it."""
    return 128 + _met[0] if _met else usual


@contextmanager
def kept() -> Iterator[None]:
    """Keep the handler of SIGTERM, in whose place Ray puts its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _stop(number: int, _: FrameType | None) -> None:
    _met.append(signal.Signals(number))
    signal.raise_signal(signal.SIGINT)  # so that whoever awaits Ctrl-C, asyncio for one, gets it
