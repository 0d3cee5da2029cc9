"""The replicas of one engine as a client sees them: which one is asked, which one is avoided, and for how long.

They may change while the client works: those that Ray has placed die, and come back at another address.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

_DOWN_SECONDS = 5.0
_LONGEST_DOWN_SECONDS = 300.0


@dataclass(eq=False)
class Replica:
    """One endpoint.

    Attributes:
        url: its base URL.
        leases: how many hold it.
        down_until: the time until which it is avoided.
        downs: how often in a row it was left without having answered in between.
        answered: when it last answered anything.
        asked: when it was last asked whether it answers.
        gone: whether it is no replica any more.
        takes_names: whether it takes pictures by their names; None until it was asked.
    """

    url: str
    leases: int = 0
    down_until: float = 0.0
    downs: int = 0
    answered: float = -math.inf
    asked: float = -math.inf
    gone: bool = False
    takes_names: bool | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    def well(self) -> None:
        """Note that it has answered."""
        self.answered = time.monotonic()
        self.downs = 0


@dataclass
class ReplicaLease:
    """A replica that is held for all turns of one sample, as long as it answers.

    Attributes:
        replica: the one that is held.
        seen: the names of the pictures that it has answered about under this lease.
    """

    replica: Replica
    seen: frozenset[str] = frozenset()


class Replicas:
    """All replicas of one engine.

    Attributes:
        changed: when they were last others than before.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._replicas = [Replica(url) for url in urls]
        self._some = asyncio.Event()
        self.changed = -math.inf
        if urls:
            self._some.set()

    @property
    def all(self) -> list[Replica]:
        """Those that there are."""
        return self._replicas

    @property
    def answered(self) -> float:
        """When one last answered anything."""
        return max((replica.answered for replica in self._replicas), default=-math.inf)

    def become(self, urls: Sequence[str]) -> None:
        """Take in where the replicas are now; what is leased from one that is gone moves with its next request."""
        kept = {replica.url: replica for replica in self._replicas}
        if list(kept) == list(urls):
            return
        for url, replica in kept.items():
            replica.gone = url not in urls
        self._replicas = [kept.get(url) or Replica(url) for url in urls]
        self.changed = time.monotonic()
        if urls:
            self._some.set()
        else:
            self._some.clear()

    async def lease(self) -> ReplicaLease:
        """Hold the least busy one; wait while there is none."""
        await self._some.wait()
        lease = ReplicaLease(self._least_busy())
        lease.replica.leases += 1
        return lease

    async def hold(self, lease: ReplicaLease) -> Replica:
        """Return the replica of a lease, another one if it is gone; wait while there is none."""
        if lease.replica.gone:
            await self._some.wait()
            self._move(lease)
        return lease.replica

    def release(self, lease: ReplicaLease) -> None:
        """Let go."""
        lease.replica.leases -= 1

    def fail_over(self, lease: ReplicaLease) -> None:
        """Avoid a replica that does not answer, for longer each time, and continue elsewhere."""
        replica = lease.replica
        now = time.monotonic()
        if now >= replica.down_until:  # those that were in flight together are one time
            replica.down_until = now + min(_DOWN_SECONDS * 2**replica.downs, _LONGEST_DOWN_SECONDS)
            replica.downs += 1
        if self._replicas:
            self._move(lease)

    def _move(self, lease: ReplicaLease) -> None:
        before = lease.replica
        before.leases -= 1
        lease.replica = self._least_busy()
        lease.replica.leases += 1
        if lease.replica is not before:
            lease.seen = frozenset()

    def _least_busy(self) -> Replica:
        """Return the one to ask next; one that was left before gets one lease alone until it has answered."""
        now = time.monotonic()
        return min(
            self._replicas,
            key=lambda replica: (
                max(replica.down_until - now, 0.0),
                bool(replica.downs and replica.leases),
                replica.leases,
            ),
        )
