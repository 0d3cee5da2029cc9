"""Replicas of models that Ray places: each is an actor that owns its GPUs and runs one vLLM server on its machine.

The driver watches them. One that is lost, with its server, its process or its machine, is started again wherever Ray
finds room, and the workers are told where the replicas are now.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from datagen.engine_settings import EngineSettings
from datagen.engines.servers.host import ReplicaHost
from datagen.engines.servers.placement import Demand, Machine, placed
from datagen.engines.servers.process import LOOPBACK, gpus_of_replica
from datagen.engines.servers.vllm import Model, log_name
from datagen.errors import DatagenError
from datagen.executors.ray_tasks import last_line, machines, result_of
from datagen.progress import duration

_LOOK_SECONDS = 0.5
_STOP_SECONDS = 25.0
_PLACE_SECONDS = 600.0
_MOST_LOSSES = 3
"""So many replicas of an engine, one after the other and nothing made in between, and it is given up."""

Say = Callable[[str], None]


@dataclass(eq=False)
class _Replica:
    """One replica: its actor, and the call of it that is waited for."""

    number: int
    actor: Any
    call: Any
    began: float
    endpoint: str = ""


class Replicas:
    """The replicas of every engine that has no endpoints. Use it as a context manager, inside a running Ray.

    Args:
        engines: by name.
        logs: the folder, seen by all machines, that takes a log of each replica.
        say: is told what happens to them.

    Attributes:
        key: what requests to them carry, since the network of a cluster is not this run's alone.

    Raises:
        DatagenError: they do not fit.
    """

    def __init__(self, engines: Mapping[str, EngineSettings], logs: Path, say: Say) -> None:
        self.key = secrets.token_hex(32)
        self._say = say
        there = machines()
        most = max((machine.gpus for machine in there), default=0)
        self._engines = {
            name: _Engine(name, _model(engine, most), engine.server.start_seconds, logs, say, self.key)
            for name, engine in engines.items()
        }
        demands = {name: Demand(self._engines[name].model.gpus, engine.replicas) for name, engine in engines.items()}
        self._planned = placed([Machine(machine.id, machine.gpus) for machine in there], demands)
        self._loopback = len({machine.address for machine in there}) == 1

    def __enter__(self) -> "Replicas":
        for name, engine in self._engines.items():
            count = len(self._planned[name])
            device = f"{engine.model.gpus} GPU{'s' * (engine.model.gpus > 1)} each" if engine.model.gpus else "the CPU"
            self._say(
                f"Starting {count} vLLM replica{'s' * (count > 1)} of {engine.model.name} on {device} "
                f"(log: {engine.log_of(0, count)}{' …' * (count > 1)})."
            )
            engine.start(self._planned[name], loopback=self._loopback)
        return self

    def __exit__(self, *_: object) -> None:
        calls = [call for engine in self._engines.values() for call in engine.stop()]
        if calls:
            ray.wait(calls, num_returns=len(calls), timeout=_STOP_SECONDS)
        for engine in self._engines.values():
            engine.kill()

    def wait(self, waiting: Callable[[str], None]) -> None:
        """Wait until every engine has a replica that answers.

        Args:
            waiting: called about twice a second with a line for the user.

        Raises:
            DatagenError: an engine gets none.
        """
        began = time.monotonic()
        while missing := [name for name, engine in self._engines.items() if not engine.endpoints]:
            calls = [replica.call for name in missing for replica in self._engines[name].replicas]
            ray.wait(calls, timeout=_LOOK_SECONDS)
            self.look(0)
            waiting(f"waiting for {' and '.join(missing)}, {time.monotonic() - began:.0f} s")

    def look(self, made: int) -> None:
        """Take in what has happened to the replicas, and start those again that were lost.

        Args:
            made: rows so far.

        Raises:
            DatagenError: replicas of an engine are lost again and again, or Ray places none.
        """
        for engine in self._engines.values():
            engine.look(made)

    @property
    def endpoints(self) -> dict[str, tuple[str, ...]]:
        """Where the engines are served now."""
        return {name: engine.endpoints for name, engine in self._engines.items()}


def _model(engine: EngineSettings, most: int) -> Model:
    gpus = gpus_of_replica(engine.gpus, engine.server.args, most)
    return Model(engine.model, engine.weights or engine.model, engine.server.args, gpus)


class _Engine:
    """The replicas of one engine."""

    def __init__(self, name: str, model: Model, start_seconds: int, logs: Path, say: Say, key: str) -> None:
        self.model = model
        self.replicas: list[_Replica] = []
        self._name = name
        self._start_seconds = start_seconds
        self._logs = logs
        self._say = say
        self._key = key
        self._host: str | None = LOOPBACK
        self._count = 0
        self._losses = 0
        self._made = -1
        self._last_error = ""

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Of those that answer."""
        return tuple(replica.endpoint for replica in self.replicas if replica.endpoint)

    def log_of(self, number: int, count: int) -> Path:
        """Return the log of a replica of so many."""
        return self._logs / log_name(self._name, number if count > 1 else None)

    def start(self, nodes: list[str], *, loopback: bool) -> None:
        """Start a replica on each of these machines."""
        self._count = len(nodes)
        self._host = LOOPBACK if loopback else None
        for number, node in enumerate(nodes):
            self._start(number, NodeAffinitySchedulingStrategy(node, soft=False))

    def _start(self, number: int, where: Any) -> None:
        options: dict[str, Any] = {"num_cpus": 0, "num_gpus": self.model.gpus, "max_restarts": 0, "max_concurrency": 4}
        actor: Any = ray.remote(ReplicaHost).options(**options, scheduling_strategy=where).remote()
        call = actor.start.remote(
            self.model, self.log_of(number, self._count), self._host, self._key, self._start_seconds
        )
        self.replicas.append(_Replica(number, actor, call, time.monotonic()))

    def look(self, made: int) -> None:
        """Take in what has happened."""
        calls = {replica.call: replica for replica in self.replicas}
        done, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0)
        for reference in done:
            replica = calls[reference]
            try:
                told = result_of(reference)
            except RayTaskError:
                raise
            except DatagenError as error:
                self._replace(replica, str(error), made)
            except RayError as error:
                self._replace(replica, last_line(error), made)
            else:
                if replica.endpoint:  # `watch` has come to its end, and with it the server
                    self._replace(replica, told, made)
                else:
                    replica.endpoint = told
                    replica.call = replica.actor.watch.remote()
                    seconds = time.monotonic() - replica.began
                    self._say(f"A replica of {self._name} answers after {duration(seconds)} at {told}.")
        self._look_for_room()

    def _replace(self, replica: _Replica, reason: str, made: int) -> None:
        """Start another replica in the stead of one that is lost.

        Raises:
            DatagenError: too many were lost, and nothing was made in between.
        """
        self._losses = self._losses + 1 if made == self._made else 1
        self._made = made
        self.replicas.remove(replica)
        ray.kill(replica.actor)
        never = not replica.endpoint and not self.endpoints
        if (never and self._losses >= self._count) or self._losses >= _MOST_LOSSES * self._count:
            raise DatagenError(f"engines.{self._name}: {reason}" if never else self._given_up(reason))
        told = "ended" if replica.endpoint else "did not start"
        self._say(
            f"A replica of {self._name} {told} ({reason.rstrip('.')}); another one is started where there is room."
        )
        self._start(replica.number, "DEFAULT" if self.model.gpus else "SPREAD")

    def _given_up(self, reason: str) -> str:
        return (
            f"{self._losses} replicas of {self._name} ended one after the other, and nothing was made in between (the "
            f"last one: {reason.rstrip('.')}). Read {self.log_of(0, self._count)}, then run the same command: what is "
            "done is kept."
        )

    def _look_for_room(self) -> None:
        """Say so when Ray places no replica.

        Raises:
            DatagenError: it has not for `_PLACE_SECONDS`, and no other one answers.
        """
        if self.endpoints or not self.replicas:
            return
        waited = time.monotonic() - min(replica.began for replica in self.replicas)
        if waited >= max(_PLACE_SECONDS, self._start_seconds + 60):
            raise DatagenError(
                f"Ray has started no replica of {self._name} for {waited:.0f} s: no machine has {self.model.gpus} GPUs "
                "free. See ray status, then run the same command: what is done is kept."
            )

    def stop(self) -> list[Any]:
        """Ask the servers to end, and return the calls."""
        return [replica.actor.stop.remote() for replica in self.replicas]

    def kill(self) -> None:
        """End the actors."""
        for replica in self.replicas:
            ray.kill(replica.actor)
