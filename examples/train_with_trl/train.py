"""Fine-tune a small VLM on an export with TRL, and see that it takes on the data.

    datagen export runs/quickstart --format messages --split 0.9/0.1 --out exports
    python examples/train_with_trl/train.py exports/messages --out tuned

It prints the loss on the way, and how many of the data's answers the model gives word for word, greedily, before and
after: to questions that it was trained on, and to those that were kept back. Needs `pip install trl`; two cores do.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from curve import write_curve
from fine_tuning import TINY, agreement, load_model, load_split, train
from transformers import set_seed


def main() -> None:
    parser = argparse.ArgumentParser(description="Fine-tune a small VLM on an export with TRL.")
    parser.add_argument("export", type=Path, help="the folder `messages` of an export")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=TINY)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rate", type=float, default=5e-4, help="the peak of the learning rate")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    set_seed(options.seed)
    model, processor = load_model(options.model)
    splits = {name: rows for name in ("train", "validation") if (rows := load_split(options.export, name)) is not None}
    before = {name: agreement(model, processor, rows) for name, rows in splits.items()}
    losses = train(model, processor, splits["train"], options.out, options.steps, options.rate, options.seed)
    after = {name: agreement(model, processor, rows) for name, rows in splits.items()}
    options.out.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(options.out)
    processor.save_pretrained(options.out)
    counts = {name: len(rows) for name, rows in splits.items()}
    figures = {"losses": losses, "before": before, "after": after, "rows": counts}
    (options.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    write_curve(losses, options.out / "loss.svg")
    sys.stdout.write(f"\nloss {losses[0]['loss']:.3f} → {losses[-1]['loss']:.3f} in {options.steps} steps\n")
    for name in splits:
        sys.stdout.write(f"answers of the data, word for word, {name}: {before[name]:.3f} → {after[name]:.3f}\n")
    sys.stdout.write(f"model, figures.json and loss.svg: {options.out}\n")


if __name__ == "__main__":
    main()
