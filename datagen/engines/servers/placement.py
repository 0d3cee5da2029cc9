"""Where the replicas of each engine go: as many as fit, on however many machines, the GPUs shared by their numbers.

A replica is on one machine, since its tensors are split over its GPUs. An engine that says how many replicas it wants
gets them first; the others take turns, the one with the fewest GPUs first, for as long as one more fits.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from datagen.errors import DatagenError


class Machine(NamedTuple):
    """A machine of the cluster.

    Attributes:
        id: by which Ray knows it.
        gpus: that are free.
    """

    id: str
    gpus: int


class Demand(NamedTuple):
    """What an engine asks for.

    Attributes:
        gpus: of one replica; 0 is the CPU.
        replicas: how many; None is as many as fit, on the CPU one a machine.
    """

    gpus: int
    replicas: int | None = None


def placed(machines: Sequence[Machine], demands: Mapping[str, Demand]) -> dict[str, list[str]]:
    """Return the machine of each replica, by engine.

    >>> eight = [Machine("a", 8)]
    >>> placed(eight, {"vlm": Demand(2)})
    {'vlm': ['a', 'a', 'a', 'a']}
    >>> placed([*eight, Machine("b", 8)], {"vlm": Demand(8), "llm": Demand(4)})
    {'vlm': ['a'], 'llm': ['b', 'b']}

    Args:
        machines: those that there are.
        demands: by engine.

    Raises:
        DatagenError: an engine gets no replica, or fewer than it wants.
    """
    free = {machine.id: machine.gpus for machine in machines}
    found: dict[str, list[str]] = {engine: [] for engine in demands}
    by_size = sorted(demands, key=lambda engine: -demands[engine].gpus)
    for engine in by_size:
        for number in range(demands[engine].replicas or 0):
            if not _place(found[engine], demands[engine].gpus, free, number):
                raise _no_room(engine, demands, machines, number)
    open_ended = [engine for engine in by_size if demands[engine].replicas is None]
    while open_ended:
        engine = min(open_ended, key=lambda engine: demands[engine].gpus * len(found[engine]))
        gpus, number = demands[engine].gpus, len(found[engine])
        if (not gpus and number == len(machines)) or not _place(found[engine], gpus, free, number):
            if not number:
                raise _no_room(engine, demands, machines, 0)
            open_ended.remove(engine)
    return found


def _place(found: list[str], gpus: int, free: dict[str, int], number: int) -> bool:
    """Give one replica its GPUs on the machine where they leave the least behind; on the CPU, machines take turns."""
    if not gpus:
        found.append(list(free)[number % len(free)])
        return True
    machine = min((name for name in free if free[name] >= gpus), key=lambda name: free[name], default=None)
    if machine is None:
        return False
    free[machine] -= gpus
    found.append(machine)
    return True


def _no_room(engine: str, demands: Mapping[str, Demand], machines: Sequence[Machine], number: int) -> DatagenError:
    demand = demands[engine]
    have = ", ".join(f"{machine.gpus}" for machine in machines)
    wanted = f", {demand.replicas} of them" if demand.replicas else ""
    beside = " beside the other engines" if len(demands) > 1 else ""
    turns = ", or let the engines work one after the other (one_after_the_other: true)" if len(demands) > 1 else ""
    return DatagenError(
        f"engines.{engine}: a replica takes {demand.gpus} GPUs on one machine{wanted}, and there is room for {number}"
        f"{beside} (the machines have {have}). Lower gpus or replicas{turns}."
    )
