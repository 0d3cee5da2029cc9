"""Later stages: teach the whole network conversations about the drawings."""

import copy
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import network
import parallel
import torch
from conversations import Message
from encoding import Encoder, Sequence
from export import save_model
from pretraining import learning_rate
from rendering import augment
from torch import Tensor
from transformers import Idefics3ForConditionalGeneration, PreTrainedTokenizerFast

Writer = Callable[[int, random.Random], list[Message]]
"""Writes a conversation about the drawing with a number."""


@dataclass(frozen=True)
class Stage:
    """How to go through one stage.

    Attributes:
        steps: Optimiser steps.
        seeing: Peak of the learning rate of tower and connector.
        speaking: Peak of the learning rate of the decoder.
        seed: Seed of all draws.
        batch: Conversations a step, over all processes.
    """

    steps: int
    seeing: float
    speaking: float
    seed: int
    batch: int = 64


def _batches(
    write: Writer, chances: list[float], encoder: Encoder, share: int, draws: random.Random
) -> Iterator[list[tuple[int, Sequence]]]:
    """Yield drawings with a conversation about each, for ever."""
    step = 0
    while True:
        # Sorting a few batches by length saves padding.
        drawn = draws.choices(range(len(chances)), chances, k=16 * share)
        held = [(index, encoder.sequence(write(index, draws))) for index in drawn]
        held.sort(key=lambda pair: len(pair[1].ids))
        pool = [held[start : start + share] for start in range(0, len(held), share)]
        # All processes take batches of like length at the same step.
        random.Random(step).shuffle(pool)
        yield from reversed(pool)
        step += len(pool)


def tune(
    model: Idefics3ForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    encoder: Encoder,
    base: Tensor,
    chances: list[float],
    write: Writer,
    stage: Stage,
    checkpoints: Path,
) -> Idefics3ForConditionalGeneration:
    """Go through one stage and return the running average of the weights; one of the processes that train together.

    Args:
        model: The network, changed in place.
        tokenizer: Written beside the weights.
        encoder: Turns conversations into token ids.
        base: Premultiplied artwork (count, 4, side, side).
        chances: Weight of each drawing in the draw.
        write: Writes the conversations.
        stage: How to go through it.
        checkpoints: Every 500 steps the running average is written to `step-N` in it, so that a run that has to be cut
            short leaves a model behind.
    """
    average = copy.deepcopy(model).requires_grad_(False)
    named = list(model.named_parameters())
    seeing = [(name, p) for name, p in named if "text_model" not in name and "lm_head" not in name]
    speaking = [(name, p) for name, p in named if "text_model" in name]
    rates = [
        (peak, network.optimizers(parts, peak)) for peak, parts in ((stage.seeing, seeing), (stage.speaking, speaking))
    ]
    draws = random.Random(1000 * stage.seed + parallel.rank())
    generator = torch.Generator().manual_seed(1000 * stage.seed + parallel.rank())
    batches = _batches(write, chances, encoder, stage.batch // parallel.workers(), draws)
    started, running = time.monotonic(), 0.0
    for step in range(stage.steps):
        chosen = next(batches)
        tokens, weights = encoder.pad([sequence for _, sequence in chosen])
        pictures = augment(base[torch.tensor([index for index, _ in chosen])], generator)
        for peak, optimizers in rates:
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, stage.steps, peak)
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
            speed = (step + 1) * stage.batch / (time.monotonic() - started)
            print(f"step {step + 1} loss {running / 50:.4f} {speed:.0f} conversations/s", flush=True)
            running = 0.0
        if (step + 1) % 500 == 0 and parallel.rank() == 0:
            save_model(average, tokenizer, checkpoints / f"step-{step + 1}")
    return average
