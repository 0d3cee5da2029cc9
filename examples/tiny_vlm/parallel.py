"""Data-parallel training by single-threaded processes on one machine.

One process with two threads waits at every operation for the slower core; on a machine that does anything else beside,
that made steps ten times slower. Processes wait once a step, when gradients are averaged.
"""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn


def _work(rank: int, workers: int, meeting: str, task: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=workers)
    task(*arguments)
    distributed.destroy_process_group()


def launch(workers: int, task: Callable[..., None], *arguments: Any) -> None:
    """Run `task(*arguments)` in as many processes as given and wait for all."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = str(Path(folder) / "meeting")
        spawn(_work, (workers, meeting, task, arguments), nprocs=workers)


def rank() -> int:
    """Number of this process, 0 for the one that prints and saves."""
    return distributed.get_rank()


def workers() -> int:
    """How many processes train together."""
    return distributed.get_world_size()


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= workers()
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()
