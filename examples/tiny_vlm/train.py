"""Train the tiny Japanese VLM from nothing: fetch artwork, teach the vision tower, then the conversations.

Run from the repository root; everything but the model goes into the cache folder:

    python examples/tiny_vlm/train.py --cache /tmp/tiny_vlm --output examples/tiny_vlm/model
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

import artwork
import network
import parallel
import torch
import vocabulary
from colours import PALETTE, main_colours
from concepts import Concept, held_out_artwork, load_concepts
from conversations import Message, hold_conversation
from pretraining import learning_rate, pretrain
from rendering import augment, base_tensor
from safetensors.torch import load_file
from torch import Tensor, distributed
from torch.nn import functional
from transformers import (
    GenerationConfig,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    PreTrainedTokenizerFast,
)

VOCABULARY = 3500
NAME_WEIGHT = 2.0
DRAWN_SIDE = 192


@dataclass(frozen=True)
class Example:
    """One drawing of the training set: its concept's index, its artwork set and its measured colours."""

    concept: int
    set_name: str
    colours: tuple[str, ...]


@dataclass(frozen=True)
class Sequence:
    """A conversation as token ids, with the weight of each token in the loss (0 for what the user says)."""

    ids: list[int]
    weights: list[float]


def training_pictures(cache: Path, concepts: list[Concept]) -> tuple[list[artwork.Picture], list[Example]]:
    """Draw all artwork except what is held out."""
    pictures = artwork.prepare(cache, concepts, DRAWN_SIDE)
    held_out = held_out_artwork(concepts)
    drawings, examples = [], []
    for index, concept in enumerate(concepts):
        for emoji in concept.emoji:
            for artwork_set in artwork.SETS:
                picture = pictures.get((emoji, artwork_set.name))
                if picture is not None and held_out.get(concept.name) != artwork_set.name:
                    drawings.append(picture)
                    examples.append(Example(index, artwork_set.name, main_colours(picture[::3, ::3])))
    return drawings, examples


def learn_vocabulary(concepts: list[Concept], seed: int) -> PreTrainedTokenizerFast:
    """Learn the tokenizer from conversations like those that will be trained on."""
    draws = random.Random(seed)
    colours = list(PALETTE)
    texts = [
        message.text
        for _ in range(15_000)
        for message in hold_conversation(
            draws.choice(concepts), concepts, tuple(draws.sample(colours, draws.choice((1, 2)))), draws
        )
    ]
    names = [concept.name for concept in concepts]
    return vocabulary.learn(texts + names * 30, names + colours, VOCABULARY)


class Encoder:
    """Turns conversations into token ids as the chat template and the processor do.

    Attributes:
        image: Id of the image token.
        padding: Id of the padding token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, names: list[str]) -> None:
        self._tokenizer = tokenizer
        self._cache: dict[str, list[int]] = {}
        ids = tokenizer.convert_tokens_to_ids
        self.image = ids(vocabulary.IMAGE)
        self.padding = ids(vocabulary.PADDING)
        self._end = ids(vocabulary.END)
        self._roles = {role: ids(token) for role, token in vocabulary.ROLES.items()}
        around, whole = ids(vocabulary.AROUND_IMAGE), ids(vocabulary.WHOLE_IMAGE)
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
            tokens = [*self._encode(message.text), self._end]
            ids += tokens
            if message.role == "assistant":
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


def conversation_loss(
    model: Idefics3ForConditionalGeneration, encoder: Encoder, pictures: Tensor, ids: Tensor, weights: Tensor
) -> Tensor:
    """Weighted cross-entropy of the assistant's tokens.

    Args:
        model: The network.
        encoder: Knows the image token.
        pictures: (count, 3, side, side).
        ids: Token ids (count, length).
        weights: Loss weights (count, length).
    """
    seen = network.encode_pictures(model, pictures)
    embedded = model.get_input_embeddings()(ids)
    embedded = embedded.masked_scatter((ids == encoder.image).unsqueeze(-1), seen.to(embedded.dtype))
    hidden = model.model.text_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
    targets = weights[:, 1:] > 0
    logits = model.lm_head(hidden[:, :-1][targets]).float()
    losses = functional.cross_entropy(logits, ids[:, 1:][targets], reduction="none")
    chosen = weights[:, 1:][targets]
    return (losses * chosen).sum() / chosen.sum()


def save_model(model: Idefics3ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write weights (bfloat16), configuration, tokenizer and image processor as a server reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model).to(torch.bfloat16)
    half.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.eos_token_id
    )
    half.save_pretrained(folder)
    image_processor = Idefics3ImageProcessorPil(
        do_image_splitting=False,
        size={"longest_edge": network.SIDE},
        max_image_size={"longest_edge": network.SIDE},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    processor = Idefics3Processor(
        image_processor, tokenizer, image_seq_len=network.IMAGE_TOKENS, chat_template=vocabulary.CHAT_TEMPLATE
    )
    processor.save_pretrained(folder)


@torch.no_grad()
def load_tower(
    model: Idefics3ForConditionalGeneration, weights: dict[str, Tensor], name_tokens: list[int | None]
) -> None:
    """Put the pretrained parts into the network, the classifier's rows as embeddings of the names.

    Head and embeddings are tied, so a name's token starts out where the picture's features point already.

    Args:
        model: The network, changed in place.
        weights: What `pretrain` wrote.
        name_tokens: Token of each concept's name, None where the name is several tokens.
    """
    rows = weights.pop("head.weight")
    weights.pop("head.bias")
    unexpected = model.model.load_state_dict(weights, strict=False).unexpected_keys
    if unexpected:
        raise RuntimeError(f"the tower does not fit the network: {unexpected[:3]}; delete it and run again.")
    embedding = model.get_input_embeddings().weight
    length = embedding.norm(dim=1).mean()
    for token, row in zip(name_tokens, rows - rows.mean(0), strict=True):
        if token is not None:
            embedding[token] = row / row.norm() * length


def train(cache: Path, output: Path, seed: int, pretraining_steps: int, steps: int, batch: int = 64) -> None:
    """Run all stages and write the model; one of the processes that train together.

    Every 500 steps the running average of the weights is written to `cache/step-N` as well, so that a run that has to
    be cut short leaves a model behind.
    """
    concepts = load_concepts()
    drawings, examples = training_pictures(cache, concepts)
    base = base_tensor(drawings)
    del drawings
    if parallel.rank() == 0:
        print(f"{len(concepts)} concepts, {len(base)} drawings", flush=True)
    tower = cache / f"tower-{pretraining_steps}-{seed}.safetensors"
    if not tower.exists():
        pretrain(base, torch.tensor([example.concept for example in examples]), pretraining_steps, seed, tower)
    distributed.barrier()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(cache / "tokenizer")
    encoder = Encoder(tokenizer, [concept.name for concept in concepts])
    end = tokenizer.convert_tokens_to_ids(vocabulary.END)
    model = network.build(network.configuration(len(tokenizer), encoder.image, end, end, encoder.padding), seed)
    load_tower(model, load_file(tower), [encoder.name_token(concept.name) for concept in concepts])
    average = copy.deepcopy(model).requires_grad_(False)

    named = list(model.named_parameters())
    seeing = [(name, p) for name, p in named if "text_model" not in name and "lm_head" not in name]
    speaking = [(name, p) for name, p in named if "text_model" in name]
    rates = [(5e-4, network.optimizers(seeing, 5e-4)), (2e-3, network.optimizers(speaking, 2e-3))]
    share = batch // parallel.workers()
    draws = random.Random(1000 * seed + parallel.rank())
    generator = torch.Generator().manual_seed(1000 * seed + parallel.rank())
    # The two sets that users see count double.
    shown = {artwork_set.name for artwork_set in artwork.SETS if artwork_set.shown}
    chances = [2.0 if example.set_name in shown else 1.0 for example in examples]
    pool: list[list[tuple[int, Sequence]]] = []
    started, running = time.monotonic(), 0.0
    for step in range(steps):
        if not pool:
            # Sorting a few batches by length saves padding.
            drawn = draws.choices(range(len(examples)), chances, k=16 * share)
            held = []
            for index in drawn:
                example = examples[index]
                messages = hold_conversation(concepts[example.concept], concepts, example.colours, draws)
                held.append((index, encoder.sequence(messages)))
            held.sort(key=lambda pair: len(pair[1].ids))
            pool = [held[start : start + share] for start in range(0, len(held), share)]
            # All processes take batches of like length at the same step.
            random.Random(step).shuffle(pool)
        chosen = pool.pop()
        tokens, weights = encoder.pad([sequence for _, sequence in chosen])
        pictures = augment(base[torch.tensor([index for index, _ in chosen])], generator)
        for peak, optimizers in rates:
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, steps, peak)
        with torch.autocast("cpu", torch.bfloat16):
            loss = conversation_loss(model, encoder, pictures, tokens, weights)
        loss.backward()
        parallel.average_gradients(model.parameters())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for _, optimizers in rates:
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        with torch.no_grad():
            decay = min(0.998, (step + 1) / (step + 10))
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
        running += loss.item()
        if (step + 1) % 50 == 0 and parallel.rank() == 0:
            speed = (step + 1) * batch / (time.monotonic() - started)
            print(f"step {step + 1} loss {running / 50:.4f} {speed:.0f} conversations/s", flush=True)
            running = 0.0
        if (step + 1) % 500 == 0 and parallel.rank() == 0:
            save_model(average, tokenizer, cache / f"step-{step + 1}")
    if parallel.rank() != 0:
        return
    save_model(average, tokenizer, output)
    record = {
        "seed": seed,
        "pretraining_steps": pretraining_steps,
        "steps": steps,
        "batch": batch,
        "workers": parallel.workers(),
    }
    record["parameters"] = sum(p.numel() for p in average.parameters())
    (output / "training.json").write_text(json.dumps(record, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for artwork and intermediate weights")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("model"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pretraining-steps", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=3200)
    parser.add_argument("--workers", type=int, default=2, help="processes; other numbers give other weights")
    arguments = parser.parse_args()
    cache: Path = arguments.cache
    concepts = load_concepts()
    artwork.prepare(cache, concepts, DRAWN_SIDE)
    learn_vocabulary(concepts, arguments.seed).save_pretrained(cache / "tokenizer")
    parallel.launch(
        arguments.workers,
        train,
        cache,
        arguments.output,
        arguments.seed,
        arguments.pretraining_steps,
        arguments.steps,
    )


if __name__ == "__main__":
    main()
