"""The network: a small Idefics3 (SigLIP tower, pixel shuffle, Llama decoder), run without its padding machinery.

The published shape is from "Building and better understanding vision-language models" (arXiv 2408.12637). All pictures
here are of one size, so the tower is called on its parts; the result is the same as the library's forward.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Idefics3Config, Idefics3ForConditionalGeneration

SIDE = 96
PATCH = 12
SHUFFLE = 2
IMAGE_TOKENS = (SIDE // PATCH // SHUFFLE) ** 2
WIDTH = 192


def configuration(vocabulary: int, image_token: int, begin: int, end: int, padding: int) -> Idefics3Config:
    """Configuration of the network for a vocabulary.

    `tie_word_embeddings` stands in the text configuration too: servers read it there.
    """
    text = {
        "model_type": "llama",
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
        "bos_token_id": begin,
        "eos_token_id": end,
        "pad_token_id": padding,
    }
    vision = {
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": 4,
        "num_attention_heads": 3,
        "image_size": SIDE,
        "patch_size": PATCH,
    }
    config = Idefics3Config(
        text_config=text,
        vision_config=vision,
        scale_factor=SHUFFLE,
        image_token_id=image_token,
        tie_word_embeddings=True,
        pad_token_id=padding,
    )
    config.bos_token_id = begin
    config.eos_token_id = end
    return config


def build(config: Idefics3Config, seed: int) -> Idefics3ForConditionalGeneration:
    """A fresh network with seeded weights."""
    torch.manual_seed(seed)
    model = Idefics3ForConditionalGeneration(config)
    model.config._attn_implementation = "sdpa"
    return model


def load(folder: Path) -> Idefics3ForConditionalGeneration:
    """The network as `export.save_model` wrote it, in full precision."""
    model: Idefics3ForConditionalGeneration = Idefics3ForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="sdpa"
    )
    model.train()
    return model


def encode_pictures(model: Idefics3ForConditionalGeneration, pictures: Tensor) -> Tensor:
    """Run the vision tower and the connector.

    Args:
        model: The network.
        pictures: (count, 3, SIDE, SIDE), values −1 to 1.

    Returns:
        (count, IMAGE_TOKENS, WIDTH), what stands in the places of the image tokens.
    """
    tower = model.model.vision_model
    patches = tower.embeddings.patch_embedding(pictures).flatten(2).transpose(1, 2)
    hidden = patches + tower.embeddings.position_embedding.weight
    hidden = tower.encoder(inputs_embeds=hidden).last_hidden_state
    tokens: Tensor = model.model.connector(tower.post_layernorm(hidden))
    return tokens


def optimizers(parameters: list[tuple[str, nn.Parameter]], rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for the rest.

    Muon is Jordan et al. 2024; its rates are matched to AdamW's as in arXiv 2502.16982.
    """
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in parameters:
        hidden = parameter.ndim == 2 and "embed" not in name and "head" not in name
        (matrices if hidden else others).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.05, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def conversation_loss(
    model: Idefics3ForConditionalGeneration, image_token: int, pictures: Tensor, ids: Tensor, weights: Tensor
) -> Tensor:
    """Weighted cross-entropy of the assistant's tokens.

    Args:
        model: The network.
        image_token: Id of the token in whose places the picture stands.
        pictures: (count, 3, side, side).
        ids: Token ids (count, length).
        weights: Loss weights (count, length).
    """
    seen = encode_pictures(model, pictures)
    embedded: Tensor = model.get_input_embeddings()(ids)
    embedded = embedded.masked_scatter(ids.eq(image_token).unsqueeze(-1), seen.to(embedded.dtype))
    hidden = model.model.text_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
    targets = weights[:, 1:] > 0
    logits = model.lm_head(hidden[:, :-1][targets]).float()
    losses = functional.cross_entropy(logits, ids[:, 1:][targets], reduction="none")
    chosen = weights[:, 1:][targets]
    return (losses * chosen).sum() / chosen.sum()
