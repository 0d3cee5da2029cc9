"""Fine-tuning of a small VLM on an export with TRL, and what the model answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, PrinterCallback

try:
    from trl import SFTConfig, SFTTrainer
    from trl.data_utils import prepare_multimodal_messages
except ModuleNotFoundError as error:
    raise SystemExit(f"This example trains with TRL, and {error.name} is missing: pip install trl") from error

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


def load_split(export: Path, split: str) -> Any:
    """Return the rows of a split; pictures are decoded when they are needed."""
    files = sorted(str(path) for path in export.glob(f"{split}-*.parquet"))
    return datasets.load_dataset("parquet", data_files={"rows": files}, split="rows") if files else None


def load_model(folder: Path | str, dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """Return a model and its processor, whose chat template has the marks by which TRL knows the assistant's words."""
    processor = AutoProcessor.from_pretrained(folder)
    if Path(folder) == TINY:
        processor.chat_template = TEMPLATE
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype), processor


def answers(
    model: Any,
    processor: Any,
    conversations: Sequence[Sequence[dict[str, Any]]],
    *,
    temperature: float = 0.0,
    longest: int = 64,
) -> list[str]:
    """Return what the model says next in conversations that end with a question, a batch at a time.

    Args:
        model: the model.
        processor: of the model.
        conversations: messages whose pictures stand in their contents.
        temperature: 0 for the likeliest answer; else words are drawn from all of the distribution.
        longest: tokens that an answer may have.
    """
    drawn = {"do_sample": True, "temperature": temperature, "top_p": 1.0, "top_k": 0}
    said: list[str] = []
    model.eval()
    for first in range(0, len(conversations), _ASKED_AT_ONCE):
        inputs = processor.apply_chat_template(
            list(conversations[first : first + _ASKED_AT_ONCE]),
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left", "add_special_tokens": False},
        ).to(model.device, dtype=model.dtype)
        with torch.inference_mode():
            written = model.generate(
                **inputs, max_new_tokens=longest, **(drawn if temperature else {"do_sample": False})
            )
        said += processor.batch_decode(written[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return [answer.strip() for answer in said]


def agreement(model: Any, processor: Any, rows: Sequence[dict[str, Any]]) -> float:
    """Return the share of answers that the model gives word for word, each asked with what the data say before it."""
    asked: list[list[dict[str, Any]]] = []
    wanted: list[str] = []
    for row in rows:
        messages = prepare_multimodal_messages(row["messages"], row["images"])
        for number, message in enumerate(messages):
            if message["role"] == "assistant":
                asked.append(messages[:number])
                wanted.append(message["content"][0]["text"].strip())
    said = answers(model, processor, asked)
    return sum(map(str.__eq__, said, wanted)) / len(asked)


def train(
    model: Any,
    processor: Any,
    rows: Any,
    out: Path,
    steps: int,
    rate: float,
    seed: int,
    *,
    batch: int = 8,
    quiet: bool = False,
) -> list[dict[str, float]]:
    """Train on the assistant's words alone, and return about thirty pairs of step and loss.

    Args:
        model: is changed.
        processor: of the model, with a chat template that marks the assistant's words.
        rows: of an export in the format `messages`.
        out: where the trainer may put files.
        steps: of `batch` conversations.
        rate: the peak of the learning rate.
        seed: of the order of the rows.
        batch: conversations a step.
        quiet: show no progress.
    """
    every = max(steps // 30, 1)
    config = SFTConfig(
        output_dir=str(out / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=batch,
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
        disable_tqdm=quiet,
    )
    trainer = SFTTrainer(model=model, args=config, train_dataset=rows, processing_class=processor)
    if quiet:
        trainer.remove_callback(PrinterCallback)
    trainer.train()
    return [{"step": it["step"], "loss": it["loss"]} for it in trainer.state.log_history if "loss" in it]
