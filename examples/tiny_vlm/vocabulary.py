"""The tokenizer: byte-level BPE learnt from the conversations, with names and colour words kept whole."""

import re
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

END = "<end_of_utterance>"
PADDING = "<pad>"
IMAGE = "<image>"
AROUND_IMAGE = "<fake_token_around_image>"
WHOLE_IMAGE = "<global-img>"
ROLES = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
SPECIAL = (PADDING, END, IMAGE, AROUND_IMAGE, WHOLE_IMAGE, *ROLES.values())

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}{{ '<image>' }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<end_of_utterance>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def learn(texts: Iterable[str], whole_words: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """Learn a vocabulary.

    Names are split from what surrounds them, so that a name is the same token in every sentence; punctuation is split
    off, so that whole clauses, the prompts' own among them, become few tokens.

    Args:
        texts: Message texts.
        whole_words: Words to keep apart from their surroundings.
        size: Number of tokens, the special ones included.
    """
    words = "|".join(re.escape(word) for word in sorted(set(whole_words), key=lambda word: (-len(word), word)))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="isolated"),
            pre_tokenizers.Split(Regex("[、。？！：「」]|\\n|[ -/:-@\\[-`{-~]+|[0-9]"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PADDING,
        additional_special_tokens=[token for token in SPECIAL if token not in (END, PADDING)],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )


def save(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the tokenizer's files."""
    tokenizer.save_pretrained(folder)
