"""Train the tiny Japanese VLM from nothing: fetch artwork, teach the vision tower, then the conversations.

Run from the repository root; everything but the model goes into the cache folder:

    python examples/tiny_vlm/train.py --cache /tmp/tiny_vlm --output examples/tiny_vlm/model
"""

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
from conversations import hold_conversation
from encoding import Encoder, Sequence
from export import save_model
from pretraining import learning_rate, load_tower, pretrain
from rendering import augment, base_tensor
from safetensors.torch import load_file
from torch import distributed
from transformers import (
    PreTrainedTokenizerFast,
)

VOCABULARY = 3500
DRAWN_SIDE = 192


@dataclass(frozen=True)
class Example:
    """One drawing of the training set: its concept's index, its artwork set and its measured colours."""

    concept: int
    set_name: str
    colours: tuple[str, ...]


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
    end = encoder.end
    model = network.build(network.configuration(len(tokenizer), encoder.image, end, end, encoder.padding), seed)
    load_tower(model, load_file(tower), [encoder.name_token(concept.name) for concept in concepts])
    average = copy.deepcopy(model).requires_grad_(False)

    named = list(model.named_parameters())
    seeing = [(name, p) for name, p in named if "text_model" not in name and "lm_head" not in name]
    speaking = [(name, p) for name, p in named if "text_model" in name]
    rates = [(3e-4, network.optimizers(seeing, 3e-4)), (2e-3, network.optimizers(speaking, 2e-3))]
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
            loss = network.conversation_loss(model, encoder.image, pictures, tokens, weights)
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
    parser.add_argument("--pretraining-steps", type=int, default=4000)
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
