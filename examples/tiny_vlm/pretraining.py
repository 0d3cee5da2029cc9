"""First stage: teach the vision tower to tell the concepts apart, before any sentence is learnt.

A language loss alone turns the tower on late (half of the steps pass before names depend on the picture). A linear
classifier behind tower and connector gives it a direct signal at a quarter of the cost of a step.
"""

import math
import time
from pathlib import Path

import network
import parallel
import torch
from rendering import augment
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import Idefics3ForConditionalGeneration


def learning_rate(step: int, steps: int, peak: float, warmup: int = 100) -> float:
    """Linear warm-up, then a cosine down to a fiftieth of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


@torch.no_grad()
def whiten_patches(model: Idefics3ForConditionalGeneration, pictures: Tensor) -> None:
    """Set the patch embedding to the leading principal directions of the patches, scaled to variance 1.

    Neighbouring pixels are nearly equal; from random weights the tower spends its first minutes on undoing that.

    Args:
        model: The network, changed in place.
        pictures: Sample of training pictures (count, 3, SIDE, SIDE).
    """
    embedding = model.model.vision_model.embeddings.patch_embedding
    patches = functional.unfold(pictures, network.PATCH, stride=network.PATCH).transpose(1, 2).flatten(0, 1)
    mean = patches.mean(0)
    values, directions = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
    order = values.argsort(descending=True)[: network.WIDTH]
    weight = directions[:, order] / (values[order] + 0.01 * values.mean()).sqrt()
    embedding.weight.copy_(weight.T.view_as(embedding.weight))
    embedding.bias.copy_(-mean @ weight)


def pretrain(base: Tensor, labels: Tensor, steps: int, seed: int, output: Path, batch: int = 128) -> None:
    """Train tower and connector as a classifier and save them with the classifier.

    Args:
        base: Premultiplied artwork (count, 4, side, side) to train on.
        labels: Concept index of each, (count,).
        steps: Optimiser steps.
        seed: Seed of weights and draws.
        output: Where the weights of tower, connector and classifier are written (safetensors).
        batch: Pictures a step, over all processes.
    """
    model = network.build(network.configuration(260, 257, 256, 258, 259), seed)
    generator = torch.Generator().manual_seed(seed)
    sample = torch.randperm(len(base), generator=generator)[:500]
    whiten_patches(model, augment(base[sample], generator))
    head = nn.Linear(network.WIDTH, int(labels.max()) + 1)
    parts = {"vision_model": model.model.vision_model, "connector": model.model.connector, "head": head}
    named = [(f"{part}.{name}", p) for part, module in parts.items() for name, p in module.named_parameters()]
    generator = torch.Generator().manual_seed(1000 * seed + parallel.rank())
    share = batch // parallel.workers()
    peak = 2e-3
    optimizers = network.optimizers(named, peak)
    started, correct, seen = time.monotonic(), 0, 0
    order = torch.empty(0, dtype=torch.long)
    for step in range(steps):
        if len(order) < share:
            order = torch.cat([order, torch.randperm(len(base), generator=generator)])
        chosen, order = order[:share], order[share:]
        pictures = augment(base[chosen], generator)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps, peak)
        with torch.autocast("cpu", torch.bfloat16):
            tokens = network.encode_pictures(model, pictures)
            logits = head(tokens.mean(1)).float()
        loss = functional.cross_entropy(logits, labels[chosen], label_smoothing=0.05)
        loss.backward()
        parallel.average_gradients(parameter for _, parameter in named)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        correct += int((logits.argmax(1) == labels[chosen]).sum())
        seen += share
        if (step + 1) % 50 == 0 and parallel.rank() == 0:
            speed = (step + 1) * batch / (time.monotonic() - started)
            print(
                f"step {step + 1} loss {loss.item():.3f} right {correct / seen:.3f} {speed:.0f} pictures/s", flush=True
            )
            correct = seen = 0
    if parallel.rank() != 0:
        return
    kept = {name: p.detach().clone() for name, p in named}
    output.parent.mkdir(parents=True, exist_ok=True)
    save_file(kept, output)


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
