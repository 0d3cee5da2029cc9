"""Fine-tune a small VLM on an export with TRL, and see that it takes on the data.

    datagen export runs/quickstart --format messages --split 0.9/0.1 --out exports
    python examples/train_with_trl/train.py exports/messages --out tuned

It prints the loss on the way, and how many of the data's answers the model gives word for word, greedily, before and
after: to questions that it was trained on, and to those that were kept back. Needs `pip install trl`; two cores do.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
from curve import write_curve
from transformers import AutoModelForImageTextToText, AutoProcessor, set_seed
from trl import SFTConfig, SFTTrainer
from trl.data_utils import prepare_multimodal_messages

TINY = Path(__file__).parent.parent / "tiny_vlm" / "model"
# The tiny model's template, with the marks by which TRL knows what the assistant says, and trains on nothing else.
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}"
    "{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{{ '<end_of_utterance>' }}{% endgeneration %}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}{{ '<image>' }}{% endif %}"
    "{% endfor %}{{ '<end_of_utterance>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
_ASKED_AT_ONCE = 32
_LONGEST_ANSWER = 64


def load_split(export: Path, split: str) -> Any:
    """Return the rows of a split; pictures are decoded when they are needed."""
    files = sorted(str(path) for path in export.glob(f"{split}-*.parquet"))
    return datasets.load_dataset("parquet", data_files={"rows": files}, split="rows") if files else None


def agreement(model: Any, processor: Any, rows: Sequence[dict[str, Any]]) -> float:
    """Return the share of answers that the model gives word for word, each asked with what the data say before it."""
    asked: list[tuple[list[dict[str, Any]], str]] = []
    for row in rows:
        messages = prepare_multimodal_messages(row["messages"], row["images"])
        for number, message in enumerate(messages):
            if message["role"] == "assistant":
                asked.append((messages[:number], message["content"][0]["text"]))
    model.eval()
    equal = 0
    for first in range(0, len(asked), _ASKED_AT_ONCE):
        batch = asked[first : first + _ASKED_AT_ONCE]
        inputs = processor.apply_chat_template(
            [messages for messages, _ in batch],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left", "add_special_tokens": False},
        ).to(model.device, dtype=model.dtype)
        with torch.inference_mode():
            written = model.generate(**inputs, max_new_tokens=_LONGEST_ANSWER, do_sample=False)
        said = processor.batch_decode(written[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        equal += sum(answer.strip() == wanted.strip() for answer, (_, wanted) in zip(said, batch, strict=True))
    return equal / len(asked)


def train(
    model: Any, processor: Any, rows: Any, out: Path, steps: int, rate: float, seed: int
) -> list[dict[str, float]]:
    """Train on the assistant's words alone, and return about thirty pairs of step and loss."""
    every = max(steps // 30, 1)
    config = SFTConfig(
        output_dir=str(out / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=8,
        learning_rate=rate,
        lr_scheduler_type="cosine",
        warmup_steps=steps // 20,
        logging_steps=every,
        save_strategy="no",
        report_to=[],
        seed=seed,
        max_length=None,
        assistant_only_loss=True,
        use_cpu=not torch.cuda.is_available(),
        bf16=False,
        gradient_checkpointing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    trainer = SFTTrainer(model=model, args=config, train_dataset=rows, processing_class=processor)
    trainer.train()
    return [{"step": it["step"], "loss": it["loss"]} for it in trainer.state.log_history if "loss" in it]


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
    processor = AutoProcessor.from_pretrained(options.model)
    processor.chat_template = TEMPLATE if options.model == TINY else processor.chat_template
    model = AutoModelForImageTextToText.from_pretrained(options.model, dtype=torch.float32)
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
