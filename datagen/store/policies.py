"""The policy of a run: loaded once by the driver, and taken as it is by all who judge."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from datagen.errors import DatagenError
from filters import Policy, PolicyError, load_policy


def read_policy(name: str | Path | Mapping[str, Any]) -> Policy:
    """Load a policy.

    Raises:
        DatagenError: there is no such policy, or it is not valid.
    """
    try:
        return load_policy(name)
    except PolicyError as error:
        raise DatagenError(str(error)) from error


def mark_of(policy: Policy) -> str:
    """Return what rows are marked with that this policy has judged: the first 16 hex digits of its digest."""
    return policy.digest[:16]


def policy_facts(policy: Policy) -> dict[str, Any]:
    """Return what a manifest says of a policy."""
    return {"name": policy.name, "digest": policy.digest, "rules": policy.to_dict()["rules"]}


class CarriedPolicy(NamedTuple):
    """A policy on its way to another process.

    Attributes:
        document: the policy as a mapping, so that its file need not be on every machine.
        digest: its digest where it was read, with the files that its rules read.
    """

    document: dict[str, Any]
    digest: str

    @classmethod
    def of(cls, policy: Policy) -> "CarriedPolicy":
        """Make a policy ready to travel."""
        return cls(policy.to_dict(), policy.digest)

    def load(self) -> Policy:
        """Return the policy.

        Raises:
            DatagenError: a rule cannot be loaded here, or a file that a rule reads is another one.
        """
        try:
            policy = load_policy(self.document)
        except PolicyError as error:
            raise DatagenError(f"On {socket.gethostname()}: {error}") from error
        if policy.digest != self.digest:
            raise DatagenError(
                f"The policy {policy.name} is another one on {socket.gethostname()} now than where and when the work "
                "started: a file that one of its rules reads was changed, or differs between machines. Run the same "
                "command again: what is done is kept."
            )
        return policy
