"""Splits: which rows are for training, and which are kept back."""

import xxhash

from datagen.errors import DatagenError
from datagen.exporters.writing.conversation import Conversation

NAMES = ("train", "validation", "test")
_TOLERATED = 1e-6


class Splits:
    """A share of the rows each, by a hash of the picture: the same whatever else is exported.

    All conversations about a picture (the first, where there are several) go the same way, so that no picture that is
    kept back was trained on. The shares are those of the hash, and met as closely as chance lets them.

    Args:
        shares: of train, validation and test, that add up to 1, as `0.99/0.01`.
        seed: of the hash.

    Raises:
        DatagenError: the shares make no sense.

    >>> Splits("0.9/0.1").names, Splits("1").names
    (('train', 'validation'), ('train',))
    """

    def __init__(self, shares: str = "1", seed: int = 0) -> None:
        try:
            numbers = [float(share) for share in shares.split("/")]
        except ValueError:
            numbers = []
        if not 1 <= len(numbers) <= len(NAMES) or min(numbers) <= 0 or abs(sum(numbers) - 1) > _TOLERATED:
            raise DatagenError(
                f"--split {shares}: give one to three shares (train, validation, test) that add up to 1, as 0.99/0.01."
            )
        self.names = NAMES[: len(numbers)]
        self._bounds = [sum(numbers[: number + 1]) for number in range(len(numbers))]
        self._seed = seed

    def of(self, conversation: Conversation) -> str:
        """Return the split of a conversation."""
        about = conversation.pictures[0].sha256 if conversation.pictures else conversation.id
        drawn = xxhash.xxh3_64_intdigest(about.encode(), seed=self._seed) / 2**64
        return next(
            (name for name, bound in zip(self.names, self._bounds, strict=True) if drawn < bound), self.names[-1]
        )
