"""Train the tiny Japanese VLM from nothing: fetch artwork, teach the tower, conversations, then letters.

Run from the repository root; everything but the model goes into the cache folder:

    python examples/tiny_vlm/train.py --cache /tmp/tiny_vlm --output examples/tiny_vlm/model
"""

import argparse
import json
import random
from dataclasses import dataclass
from pathlib import Path

import artwork
import network
import parallel
import torch
import vocabulary
from colours import PALETTE, main_colours
from concepts import Concept, held_out_artwork, load_concepts
from conversations import Message, ask_for_letters, hold_conversation
from encoding import Encoder
from export import save_model
from pretraining import load_tower, pretrain
from rendering import base_tensor
from safetensors.torch import load_file
from torch import distributed
from transformers import PreTrainedTokenizerFast
from tuning import Stage, tune

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


def train(cache: Path, output: Path, seed: int, pretraining_steps: int, steps: int, letter_steps: int) -> None:
    """Run all stages and write the model; one of the processes that train together.

    What a stage ends with is kept in the cache folder, and a stage whose result lies there is not run again.
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
    # The two sets that users see count double.
    shown = {artwork_set.name for artwork_set in artwork.SETS if artwork_set.shown}
    chances = [2.0 if example.set_name in shown else 1.0 for example in examples]

    def converse(index: int, draws: random.Random) -> list[Message]:
        example = examples[index]
        return hold_conversation(concepts[example.concept], concepts, example.colours, draws)

    def drill(index: int, draws: random.Random) -> list[Message]:
        if draws.random() < 0.5:
            return converse(index, draws)
        return ask_for_letters(concepts[examples[index].concept], concepts, draws, times=2)

    conversing = cache / f"conversations-{pretraining_steps}-{steps}-{seed}"
    if not conversing.exists():
        end = encoder.end
        model = network.build(network.configuration(len(tokenizer), encoder.image, end, end, encoder.padding), seed)
        load_tower(model, load_file(tower), [encoder.name_token(concept.name) for concept in concepts])
        stage = Stage(steps, seeing=3e-4, speaking=2e-3, seed=seed)
        average = tune(model, tokenizer, encoder, base, chances, converse, stage, cache)
        if parallel.rank() == 0:
            save_model(average, tokenizer, conversing)
    distributed.barrier()
    model = network.load(conversing)
    stage = Stage(letter_steps, seeing=1.5e-4, speaking=1e-3, seed=seed + 1)
    average = tune(model, tokenizer, encoder, base, chances, drill, stage, cache / "letters")
    if parallel.rank() != 0:
        return
    save_model(average, tokenizer, output)
    record = {
        "seed": seed,
        "pretraining_steps": pretraining_steps,
        "steps": steps,
        "letter_steps": letter_steps,
        "batch": stage.batch,
        "workers": parallel.workers(),
        "parameters": sum(p.numel() for p in average.parameters()),
    }
    (output / "training.json").write_text(json.dumps(record, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for artwork and intermediate weights")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("model"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pretraining-steps", type=int, default=4000)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--letter-steps", type=int, default=400)
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
        arguments.letter_steps,
    )


if __name__ == "__main__":
    main()
