"""Write the trained network as a folder that a server loads."""

import copy
from pathlib import Path

import network
import vocabulary
from transformers import (
    GenerationConfig,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    PreTrainedTokenizerFast,
)


def save_model(model: Idefics3ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write weights (bfloat16), configuration, tokenizer and image processor as a server reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model).bfloat16()
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
