"""Repairs: actions of a policy that take the fault out of a conversation instead of dropping it.

One module an action, with a class that extends `RepairAction`; `rule: {action: trim}` names it. A repair only takes
something away, and keeps what it took, so that it can be undone. A conversation that is not clean after its repairs is
dropped as if there were none. A new one is one new file here, or a class anywhere that a policy names as
`package.module:Class`, or an entry point of the group `datagen.repairs`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from inspect import isabstract
from typing import TYPE_CHECKING, NamedTuple

from filters.registry import Registry

if TYPE_CHECKING:
    from filters.base import Finding
    from filters.sample import Sample


class Taken(NamedTuple):
    """A stretch of a conversation that a repair takes out.

    Attributes:
        message: Index into `messages`; -1 for the caption.
        start: Offset of its first character in the content of that message, in code points.
        whole: Whether the message goes as a whole.
    """

    message: int
    start: int = 0
    whole: bool = False


class RepairAction(ABC):
    """What a policy may do with what a rule finds, besides dropping and flagging."""

    @abstractmethod
    def propose(self, sample: "Sample", findings: "Sequence[Finding]") -> "Iterable[Taken]":
        """Returns what is to be taken out, each time to the end of a message; nothing where it cannot help.

        Args:
            sample: The conversation.
            findings: What the rules with this action have found in it, in order.
        """


REPAIRS: Registry[type[RepairAction]] = Registry(
    "filters.repairs",
    kind="action",
    group="datagen.repairs",
    asked="a class that extends filters.repairs.RepairAction",
    fits=lambda found: isinstance(found, type) and issubclass(found, RepairAction) and not isabstract(found),
)
