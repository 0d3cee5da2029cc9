"""Turn conversations into token ids, as the chat template and the processor do at serving."""

from dataclasses import dataclass

import network
import torch
import vocabulary
from conversations import Message
from torch import Tensor
from transformers import PreTrainedTokenizerFast

NAME_WEIGHT = 2.0
"""Weight of a name's token in the loss; other tokens of the assistant have 1."""

CHOICE_WEIGHT = 4.0
"""Weight of a reply of one token (an option or its letter): one token stands there against dozens of a sentence."""


@dataclass(frozen=True)
class Sequence:
    """A conversation as token ids, with the weight of each token in the loss (0 for what the user says)."""

    ids: list[int]
    weights: list[float]


class Encoder:
    """Turns conversations into token ids as the chat template and the processor do.

    Attributes:
        image: Id of the image token.
        padding: Id of the padding token.
        end: Id of the token that ends a message.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, names: list[str]) -> None:
        self._tokenizer = tokenizer
        self._cache: dict[str, list[int]] = {}
        known = tokenizer.get_vocab()
        self.image = known[vocabulary.IMAGE]
        self.padding = known[vocabulary.PADDING]
        self.end = known[vocabulary.END]
        self._roles = {role: known[token] for role, token in vocabulary.ROLES.items()}
        around, whole = known[vocabulary.AROUND_IMAGE], known[vocabulary.WHOLE_IMAGE]
        self._picture = [around, whole, *[self.image] * network.IMAGE_TOKENS, around]
        self._names = {token for name in names if (token := self.name_token(name)) is not None}

    def _encode(self, text: str) -> list[int]:
        if text not in self._cache:
            if len(self._cache) > 50_000:
                self._cache.clear()
            self._cache[text] = self._tokenizer.encode(text, add_special_tokens=False)
        return self._cache[text]

    def name_token(self, name: str) -> int | None:
        """Token of a name that is one token."""
        tokens = self._encode(name)
        return tokens[0] if len(tokens) == 1 else None

    def sequence(self, messages: list[Message]) -> Sequence:
        """Encode one conversation; the picture stands before the first user text."""
        ids: list[int] = []
        weights: list[float] = []
        picture_due = True
        for message in messages:
            ids.append(self._roles[message.role])
            weights.append(0.0)
            if message.role == "user" and picture_due:
                ids += self._picture
                weights += [0.0] * len(self._picture)
                picture_due = False
            tokens = [*self._encode(message.text), self.end]
            ids += tokens
            if message.role == "assistant" and len(tokens) == 2:
                weights += [CHOICE_WEIGHT, 1.0]
            elif message.role == "assistant":
                weights += [NAME_WEIGHT if token in self._names else 1.0 for token in tokens]
            else:
                weights += [0.0] * len(tokens)
        return Sequence(ids, weights)

    def pad(self, sequences: list[Sequence]) -> tuple[Tensor, Tensor]:
        """Pad to the longest: ids (count, length) and weights (count, length)."""
        length = max(len(sequence.ids) for sequence in sequences)
        ids = torch.full((len(sequences), length), self.padding)
        weights = torch.zeros(len(sequences), length)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence.ids)] = torch.tensor(sequence.ids)
            weights[row, : len(sequence.ids)] = torch.tensor(sequence.weights)
        return ids, weights
